import { assert, describe, it } from "@effect/vitest"
import { doubled, spread, spreadBelow } from "../../src/domain/Backoff.ts"

describe("pauses between tries", () => {
  it("double with each failure in a row, up to the longest", () => {
    assert.deepStrictEqual([0, 1, 2, 3, 4, 5].map((count) => doubled(30, count, 300)), [0, 30, 60, 120, 240, 300])
    assert.strictEqual(doubled(30, Number.MAX_SAFE_INTEGER, 300), 300)
    assert.strictEqual(doubled(0, Number.MAX_SAFE_INTEGER, 300), 0)
  })

  it("are spread by a fifth either way, or below", () => {
    assert.deepStrictEqual([0, 0.5, 1].map((chance) => Math.round(spread(1000, chance))), [800, 1000, 1200])
    assert.deepStrictEqual([0, 1].map((chance) => Math.round(spreadBelow(1000, chance))), [800, 1000])
  })
})
