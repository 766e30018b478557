/** An abort of V8 that ordinary answers lead to, and that it is gone. */
import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { join } from "node:path"

/**
 * Asks for the length of a string in two pieces, from optimized code that knows the shape of an object which is gone by then. With
 * `--gc-global` putting the pieces together collects it, and invalidates the code that waits for the length.
 */
const program = `
const begun = Date.now()
for (let rounds = 0; rounds < 40; rounds++) {
  const { length, shaped } = new Function("Buffer", \`
    const length = (text, thing) => (thing === undefined ? 0 : thing.x) + Buffer.byteLength(text)
    return { length, shaped: () => Object.assign(Object.create({}), { x: 1 }) }
  \`)(Buffer)
  let thing = shaped()
  for (let i = 0; i < 20_000; i++) length("ab", thing)
  thing = undefined
  for (let i = 0; i < 10; i++) {
    const half = "\u00e9" + "x".repeat(600_000 + i)
    length(half + half + i)
  }
}
`

const run = (source: string) =>
  spawnSync(process.execPath, ["--gc-global", "--input-type=module", "--eval", source], {
    encoding: "utf8",
    cwd: join(import.meta.dirname, "../..")
  })

describe("a string in pieces whose length is asked for (fault 84)", () => {
  it("ends no process that has set its flags", () => {
    const { signal, status, stderr } = run(`(await import("./src/lifecycle/v8Flags.js")).set()\n${program}`)
    assert.deepStrictEqual([status, signal, stderr], [0, null, ""])
  }, 60_000)

  it("ends one that has not, as long as Node has this fault", () => {
    const { status, stderr } = run(program)
    assert.notStrictEqual(status, 0)
    assert.match(stderr, /Lazy deopt after a fast API call/)
  }, 60_000)
})
