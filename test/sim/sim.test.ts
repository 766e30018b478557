/**
 * The short form of `sim.ts`, in processes of its own, as what it loads is not what other tests load.
 */
import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { join } from "node:path"

const simulate = (...args: ReadonlyArray<string>) => {
  const { status, stderr, stdout } = spawnSync(process.execPath, [join(import.meta.dirname, "sim.ts"), ...args], {
    encoding: "utf8"
  })
  return { status, output: `${stderr}${stdout}`, last: stdout.trimEnd().split("\n").at(-1) ?? "" }
}

describe("faults 101 and 105: the simulated service", () => {
  it("keeps every invariant over 150 seeds", () => {
    const { last, output, status } = simulate("--seeds", "150", "--seed", "1")
    console.log(last)
    assert.strictEqual(status, 0, output)
    assert.match(
      last,
      /150 seeds from 1; 0 failing; \d+ lives, \d+ of them ended by a power cut; \d{4,} events acknowledged/
    )
  }, 180_000)

  it("replays a failing seed exactly, and shows a shorter one", () => {
    const { output, status } = simulate("--seeds", "3", "--variant", "OK before sync")
    assert.strictEqual(status, 1)
    assert.match(output, /seed \d+: I1: client \d was told OK true of [0-9a-f]{6}, which is not on the disk/)
    const [, steps, lines] = /replays exactly \((\d+) steps, (\d+) lines/.exec(output) ?? []
    const [, fewerSteps, fewerLines] = /made smaller: 1 of \d lives, (\d+) steps, (\d+) lines/.exec(output) ?? []
    assert.isBelow(Number(fewerSteps), Number(steps))
    assert.isBelow(Number(fewerLines), Number(lines))
    assert.isBelow(Number(fewerLines), 20)
  }, 60_000)

  it("notices each planted bug with nine seeds in ten", () => {
    const { last, output, status } = simulate("--variants", "--seeds", "10")
    console.log(output)
    assert.strictEqual(status, 0, output)
    assert.match(last, /19 of 19 found/)
  }, 180_000)

  it("fails when what was planted is noticed by less than nine seeds in ten", () => {
    const { output, status } = simulate("--variants", "--seeds", "2", "--variant", "none")
    assert.strictEqual(status, 1, output)
    assert.match(output, /none +0\.0 %  \(nothing\)/)
  }, 60_000)
})
