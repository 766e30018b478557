/** The commands of docs/install.md, played through in a fresh folder. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { profileEvent } from "../support/events.ts"
import { folder } from "../support/service.ts"
import * as Service from "../support/service.ts"
import * as TestClient from "../support/TestClient.ts"

const root = join(import.meta.dirname, "../..")
const page = readFileSync(join(root, "docs/install.md"), "utf8")

/** The block below the mark; its install of this checkout has been done, or no test would run. */
const commandsOf = (mark: string): string => {
  const [, block] = new RegExp(`<!-- ${mark} -->\n\`\`\`sh\n([^\`]*)\`\`\``).exec(page) ?? assert.fail(mark)
  return (block as string).replace(/^npm ci .*\n/m, "")
}

const registry = spawnSync("npm", ["ping"], { stdio: "ignore", timeout: 20_000 })

describe("docs/install.md", () => {
  it.live.skipIf(registry.status !== 0)(
    "installs, serves, upgrades, goes back and removes (needs a registry of packages)",
    () =>
      Effect.gen(function*() {
        const home = yield* folder
        const [prefix, config, state] = ["program", "config", "state"].map((name) => join(home, name)) as [
          string,
          string,
          string
        ]
        const play = (mark: string) => {
          const { status, stderr, stdout } = spawnSync("bash", ["-euo", "pipefail", "-c", commandsOf(mark)], {
            cwd: root,
            encoding: "utf8",
            env: { ...process.env, PREFIX: prefix, CONFIG: config, STATE: state }
          })
          assert.strictEqual(status, 0, `${stdout}\n${stderr}`)
          return stdout
        }
        const serving = Service.start({
          entry: join(prefix, "lib/entry.js"),
          args: ["--config", join(config, "settings.env"), "serve"],
          env: {
            ADMISSION: "open",
            DATABASE_PATH: join(state, "profiles.db"),
            RELAY_KEY_PATH: join(config, "relay.key")
          }
        })
        assert.match(play("install"), /profile-aggregator v\d/)
        const service = yield* serving
        const client = yield* TestClient.connect((yield* service.listening).url)
        assert.isTrue((yield* client.publish(profileEvent()))[2])
        // Beside the service, as an operator would.
        play("upgrade")
        assert.isTrue((yield* client.publish(profileEvent({}, "after the backup")))[2])
        assert.strictEqual((yield* service.stop()).code, 0)
        play("back")
        const again = yield* serving
        const reader = yield* TestClient.connect((yield* again.listening).url)
        assert.strictEqual((yield* reader.req("all", {})).events.length, 1)
        assert.strictEqual((yield* again.stop()).code, 0)
        play("remove")
        assert.deepStrictEqual([prefix, config, state].filter(existsSync), [])
      }).pipe(Effect.scoped),
    180_000
  )
})
