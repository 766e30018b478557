/** The short form of `torture.ts`. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { summaryOf, torture } from "./Rounds.ts"

describe("the real service among hostile clients and upstreams, signalled at any moment", () => {
  it.live("keeps what it acknowledged, stops in order, and certifies exactly that", () =>
    Effect.gen(function*() {
      const outcome = yield* torture({ rounds: 8, seed: 3 })
      console.log(summaryOf(outcome, 3))
      assert.deepStrictEqual(outcome.violations, [])
      assert.isAbove(outcome.acknowledged, 500)
    }), 180_000)
})
