import { assert, describe, it } from "@effect/vitest"
import { getHeapStatistics } from "node:v8"
import { collecting, resting, worked } from "../../src/lifecycle/garbage.ts"

describe("garbage of a thread", () => {
  it("is given back where the heap has grown by much", () => {
    const giveBack = collecting()
    let held: Array<Array<number>> | undefined = Array.from(
      { length: 400 },
      () => Array.from({ length: 20_000 }, (_, i) => i / 3)
    )
    assert.isAbove(held.length, 1)
    const before = getHeapStatistics().used_heap_size
    held = undefined
    giveBack()
    assert.isBelow(getHeapStatistics().used_heap_size, before - 40_000_000)
  })

  it("waits while the thread works", () => {
    const isResting = resting()
    const begun = worked()
    let sum = 0
    while (worked() - begun < 200) sum += Math.sqrt(sum + 1)
    assert.isAbove(sum, 0)
    assert.isFalse(isResting())
    assert.isTrue(isResting())
  })
})
