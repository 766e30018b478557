import { assert, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { nodeFlags } from "./nodeFlags.ts"

const text = (path: string): string => readFileSync(join(import.meta.dirname, "../..", path), "utf8")

it("Node has the same flags however the service is started", () => {
  assert.include(nodeFlags, "--disable-sigusr1")
  const command = `node ${nodeFlags.join(" ")}`
  const { scripts } = JSON.parse(text("package.json")) as { readonly scripts: Readonly<Record<string, string>> }
  // `exec`, so that npm's signals reach the service and not a shell, which would die of them and leave it running.
  assert.strictEqual(scripts["start"], `exec ${command} src/entry.js`)
  assert.strictEqual(scripts["demo"], `exec ${command} src/entry.js demo`)
  assert.strictEqual(scripts["dev"], `exec node --watch ${nodeFlags.join(" ")} src/entry.js`)
  assert.strictEqual(text("src/entry.js").split("\n")[0], `#!/usr/bin/env -S ${command}`)
  assert.include(text("docs/commands.md"), `${command} src/entry.js`)
  assert.include(text("docs/deploy/profile-aggregator.service"), `${command} /opt/profile-aggregator/lib/entry.js`)
  const quoted = nodeFlags.map((flag) => `"${flag}"`).join(", ")
  assert.include(text("docs/deploy/Dockerfile"), `CMD ["node", ${quoted}, "/app/lib/entry.js", "serve"]`)
})
