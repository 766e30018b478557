import { assert, describe, it } from "@effect/vitest"
import { execFileSync, spawnSync } from "node:child_process"
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const root = join(import.meta.dirname, "../..")

/** What a thread would be given, in a process with this environment. */
const threadEnvIn = (env: Record<string, string>): unknown =>
  JSON.parse(execFileSync(process.execPath, [
    "--input-type=module",
    "--eval",
    `import { enable, threadEnv } from "./src/lifecycle/compileCache.js"
     enable()
     console.log(JSON.stringify(threadEnv()))`
  ], { cwd: root, env: { PATH: process.env["PATH"], ...env }, encoding: "utf8" }))

/** Does the second process with this environment load what strips types? */
const stripsTypes = (env: Record<string, string>): boolean => {
  const report = `process.on("exit", () => {
    process.stderr.write(process.moduleLoadList.some((name) => name.includes("amaro")) ? "strips" : "plain")
  })`
  const run = () =>
    spawnSync(
      process.execPath,
      ["--import", `data:text/javascript,${encodeURIComponent(report)}`, "src/entry.js", "--version"],
      { cwd: root, env: { PATH: process.env["PATH"], ...env }, encoding: "utf8" }
    ).stderr
  run()
  const second = run()
  assert.match(second, /^(?:strips|plain)$/)
  return second === "strips"
}

describe("the cache of compiled code", () => {
  it("spares the second start what strips types", { timeout: 60_000 }, () => {
    assert.isFalse(stripsTypes({}))
    assert.isTrue(stripsTypes({ NODE_DISABLE_COMPILE_CACHE: "1" }), "without the cache")
  })

  it("lies with the code, unless the operator chose another place or none", () => {
    const folder = mkdtempSync(join(tmpdir(), "profile-aggregator-"))
    try {
      const ours = threadEnvIn({}) as { readonly NODE_COMPILE_CACHE?: string }
      assert.match(ours.NODE_COMPILE_CACHE ?? "", /node_modules.\.cache.compiled/)
      const theirs = threadEnvIn({ NODE_COMPILE_CACHE: folder }) as { readonly NODE_COMPILE_CACHE?: string }
      assert.isTrue(theirs.NODE_COMPILE_CACHE?.startsWith(folder))
      assert.isAbove(readdirSync(folder).length, 0)
      assert.deepStrictEqual(threadEnvIn({ NODE_DISABLE_COMPILE_CACHE: "1" }), {})
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
