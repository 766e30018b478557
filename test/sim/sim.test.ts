/**
 * The short form of `sim.ts` and `detect.ts`. Both run in processes of their own, as what they load is not what other tests
 * load.
 */
import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { join } from "node:path"

const script = (name: string, ...args: ReadonlyArray<string>) => {
  const { status, stderr, stdout } = spawnSync(process.execPath, [join(import.meta.dirname, name), ...args], {
    encoding: "utf8"
  })
  return { status, output: `${stderr}${stdout}`, last: stdout.trimEnd().split("\n").at(-1) ?? "" }
}

describe("the simulated service", () => {
  it("keeps every invariant over 1000 seeds", () => {
    const { last, output, status } = script("sim.ts", "--seeds", "1000", "--seed", "1")
    console.log(last)
    assert.strictEqual(status, 0, output)
    assert.match(last, /1000 seeds from 1; 0 failing; \d{4,} events acknowledged/)
  }, 180_000)

  it("replays a failing seed exactly, and shows a smaller one", () => {
    const { output, status } = script("sim.ts", "--seeds", "5", "--variant", "OK before sync")
    assert.strictEqual(status, 1)
    assert.match(output, /seed \d+: I1: client \d was told OK true of [0-9a-f]{6}, which is not on the disk/)
    const [, steps] = /replays exactly \((\d+) steps/.exec(output) ?? []
    const [, fewer] = /made smaller: (\d+) steps/.exec(output) ?? []
    assert.isBelow(Number(fewer), Number(steps))
  }, 60_000)

  it("notices each planted bug", () => {
    const { last, output, status } = script("detect.ts", "--seeds", "100")
    console.log(output)
    assert.strictEqual(status, 0, output)
    assert.match(last, /11 of 11 found/)
  }, 180_000)
})
