import { assert, describe, it } from "@effect/vitest"
import { RecentRejections } from "../../src/aggregation/RecentRejections.ts"
import { Rejected } from "../../src/domain/Quality.ts"

describe("RecentRejections", () => {
  it("knows what was added, and nothing else", () => {
    const recent = new RecentRejections()
    recent.add("a", Rejected("no about"))
    assert.deepStrictEqual(recent.get("a"), Rejected("no about"))
    assert.isUndefined(recent.get("b"))
  })

  it("forgets what was asked for least recently, once it is full", () => {
    const recent = new RecentRejections(2)
    recent.add("a", Rejected("no about"))
    recent.add("b", Rejected("no name"))
    recent.get("a")
    recent.add("c", Rejected("no picture"))
    assert.strictEqual(recent.size, 2)
    assert.isUndefined(recent.get("b"))
    assert.isDefined(recent.get("a"))
    assert.isDefined(recent.get("c"))
  })

  it("keeps the latest reason, and does not grow by being told twice", () => {
    const recent = new RecentRejections(2)
    recent.add("a", Rejected("no about"))
    recent.add("a", Rejected("no text note"))
    assert.strictEqual(recent.size, 1)
    assert.deepStrictEqual(recent.get("a"), Rejected("no text note"))
  })
})
