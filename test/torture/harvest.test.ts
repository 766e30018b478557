/** The short form of `harvest.ts`. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { harvest, summaryOf } from "./HarvestRun.ts"

describe("a harvest of two upstreams that overlap, killed in the middle", () => {
  it.live(
    "fetches at most one page of each again, and loses nothing",
    () =>
      Effect.gen(function*() {
        const seed = 7
        const outcome = yield* harvest({ profiles: 4000, seed })
        console.log(summaryOf(outcome, seed))
        assert.deepStrictEqual(outcome.violations, [])
        assert.isTrue(outcome.killedAt > 0 && outcome.killedAt < 1, String(outcome.killedAt))
        assert.isAbove(outcome.measures.spared, 0)
      }).pipe(Effect.scoped),
    120_000
  )
})
