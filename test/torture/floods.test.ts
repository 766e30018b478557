/** The short form of `floods.ts`. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { flood, tableOf } from "./Flooding.ts"

describe("floods", () => {
  // Bounds are loose, as the machine has other tests to run: without a rate the median is above 1,000 ms.
  it.live("of 30 connections do not keep a client at another address from being served", () =>
    Effect.gen(function*() {
      const outcome = yield* flood("junk", { seconds: 4, after: 0, bounds: { p50: 500, p99: 5000 } })
      console.log(tableOf([outcome]))
      assert.deepStrictEqual(outcome.violations, [])
      assert.isAbove(outcome.reads.count, 10)
      assert.isAbove(outcome.writes.count, 5)
    }), 60_000)
})
