/** The short form of `kill9.ts`. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { kill, summaryOf } from "./Kill.ts"

describe("fault 13: SIGKILL under load and while starting, on one growing file", () => {
  it.live("loses nothing that was acknowledged, and answers nothing twice", () =>
    Effect.gen(function*() {
      const outcome = yield* kill({ rounds: 8, seed: 11 })
      console.log(summaryOf(outcome, 11))
      assert.deepStrictEqual(outcome.violations, [])
      assert.isAbove(outcome.ledger.acknowledged, 100)
    }), 180_000)
})
