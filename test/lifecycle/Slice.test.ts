import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { afterEach, vi } from "vitest"
import { inSlices, slice } from "../../src/lifecycle/Slice.ts"

afterEach(() => void vi.useRealTimers())

/** Five pieces of work, each of which takes `millis` by the clock of the thread. */
function* work(millis: number): Generator<undefined, string> {
  for (let i = 0; i < 5; i++) {
    vi.advanceTimersByTime(millis)
    yield
  }
  return "done"
}

describe("a slice of work", () => {
  it("ends with the work, or once its time is over, and is one piece at least", () => {
    vi.useFakeTimers({ toFake: ["performance"] })
    assert.deepStrictEqual(slice(work(1), 100), { done: true, value: "done" })
    const long = work(10)
    // 10, 20, 30: the third piece is the one after which its time is over.
    assert.isFalse(slice(long, 30).done)
    let rest = 0
    while (long.next().done !== true) rest++
    assert.strictEqual(rest, 2)
    const slow = work(100)
    assert.isFalse(slice(slow, 1).done)
    assert.strictEqual(slow.next().done, false)
  })

  it.effect("is followed by others until the work is done", () =>
    Effect.gen(function*() {
      vi.useFakeTimers({ toFake: ["performance"] })
      assert.strictEqual(yield* inSlices(work(10), 15), "done")
    }))
})
