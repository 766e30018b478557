/** The short form of `torture.ts`. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { planting } from "./Arguments.ts"
import { summaryOf, torture } from "./Rounds.ts"

describe("faults 4, 5, 9, 21, 33, 35, 63, 83, 101, 102 and 104: the real service among hostile clients and upstreams, signalled at any moment", () => {
  it.live("keeps what it acknowledged, stops in order, and certifies exactly that", () =>
    Effect.gen(function*() {
      const outcome = yield* torture({ rounds: 8, seed: 3 })
      console.log(summaryOf(outcome, 3))
      assert.deepStrictEqual(outcome.violations, [])
      assert.isAbove(outcome.acknowledged, 500)
    }), 180_000)

  it.live("acknowledges nothing once its file is removed, and ends with 74", () =>
    Effect.gen(function*() {
      const outcome = yield* torture({ rounds: 1, seed: 1, first: 37 })
      assert.deepStrictEqual([outcome.violations, [...outcome.codes.keys()]], [[], ["74"]])
      assert.isAbove(outcome.acknowledged, 50)
    }), 60_000)

  it.live("would show a sender that outlives its component", () =>
    Effect.gen(function*() {
      const execArgv = planting("sender cloned out of its scope")
      const { violations } = yield* torture({ rounds: 1, seed: 3, execArgv })
      assert.match(violations.join("\n"), /websocket\/connection/)
    }), 60_000)
})
