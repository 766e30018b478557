import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Tally } from "../../src/lifecycle/Tally.ts"

describe("a tally", () => {
  it.effect("counts what is under way, and is waited for until there is none", () =>
    Effect.gen(function*() {
      const tally = new Tally()
      assert.strictEqual(tally.count, 0)
      // Nothing is under way: nobody waits.
      yield* tally.zero
      tally.add()
      tally.add()
      assert.strictEqual(tally.count, 2)
      const waiting = yield* Effect.forkChild(tally.zero, { startImmediately: true })
      tally.done()
      yield* Effect.yieldNow
      assert.strictEqual(tally.count, 1)
      assert.isUndefined(waiting.pollUnsafe())
      tally.done()
      yield* Fiber.join(waiting)
      assert.strictEqual(tally.count, 0)
    }))

  it.effect("that came to nothing once is waited for again", () =>
    Effect.gen(function*() {
      const tally = new Tally()
      tally.add()
      tally.done()
      yield* tally.zero
      tally.add()
      const waiting = yield* Effect.forkChild(tally.zero, { startImmediately: true })
      yield* Effect.yieldNow
      assert.isUndefined(waiting.pollUnsafe())
      tally.done()
      yield* Fiber.join(waiting)
    }))
})
