/** The short form of `powercut.ts`, and a check that it would notice. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { join } from "node:path"
import { powerCut, summaryOf } from "./Cuts.ts"
import { missing } from "./Trace.ts"

const why = missing()
if (why !== undefined) console.log(`skipped: power cuts and the order of answers: ${why}`)

describe("fault 67: a power cut at any moment of a run under load, its stop included", () => {
  it.live.skipIf(why !== undefined)(
    "leaves a whole file with every event that was acknowledged by then",
    () =>
      Effect.gen(function*() {
        const outcome = yield* powerCut({ runs: 1, images: 60, seed: 5 })
        console.log(summaryOf(outcome, 5))
        assert.deepStrictEqual(outcome.violations, [])
        assert.isAbove(outcome.told, 150)
        assert.isAbove(outcome.images, 50)
      }),
    120_000
  )

  it.live.skipIf(why !== undefined)("would show a database that is not synced", () =>
    Effect.gen(function*() {
      const execArgv = ["--import", join(import.meta.dirname, "unsynced.ts")]
      const outcome = yield* powerCut({ runs: 1, images: 20, seed: 5, execArgv })
      assert.isAbove(outcome.lost, 0)
      assert.isAbove(outcome.early, 0)
    }), 180_000)
})
