import { assert, describe, it } from "@effect/vitest"
import { RecentRejections } from "../../../src/aggregation/admission/RecentRejections.ts"
import { Rejected, type RejectionReason } from "../../../src/domain/Quality.ts"

const until = (reason: RejectionReason) => ({ rejection: Rejected(reason), until: 1 })

describe("RecentRejections", () => {
  it("knows what was added, and nothing else", () => {
    const recent = new RecentRejections()
    recent.add("a", until("no about"))
    assert.deepStrictEqual(recent.get("a"), until("no about"))
    assert.isUndefined(recent.get("b"))
  })

  it("forgets what was asked for least recently, once it is full", () => {
    const recent = new RecentRejections(2)
    recent.add("a", until("no about"))
    recent.add("b", until("no name"))
    recent.get("a")
    recent.add("c", until("no picture"))
    assert.strictEqual(recent.size, 2)
    assert.isUndefined(recent.get("b"))
    assert.isDefined(recent.get("a"))
    assert.isDefined(recent.get("c"))
  })

  it("keeps the latest reason, and does not grow by being told twice", () => {
    const recent = new RecentRejections(2)
    recent.add("a", until("no about"))
    recent.add("a", until("no text note"))
    assert.strictEqual(recent.size, 1)
    assert.deepStrictEqual(recent.get("a"), until("no text note"))
  })
})
