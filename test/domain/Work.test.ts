import { assert, describe, it } from "@effect/vitest"
import { removalWork, vanishRowsMax, workOf } from "../../src/domain/Work.ts"

const tags = (count: number) => Array.from({ length: count }, () => ["e", "a".repeat(64)])

describe("work", () => {
  it("grows with tags, with text, and most with what a request removes", () => {
    const plain = workOf({ kind: 1, tags: [] }, 300)
    assert.isBelow(plain, 10)
    assert.isAbove(workOf({ kind: 1, tags: tags(2000) }, 300), 2000)
    assert.isAbove(workOf({ kind: 1, tags: [] }, 131_072), 100)
    assert.isAbove(workOf({ kind: 5, tags: tags(1600) }, 300), 5 * workOf({ kind: 1, tags: tags(1600) }, 300))
    assert.isAbove(workOf({ kind: 62, tags: [] }, 300), vanishRowsMax * removalWork(0))
  })

  it("is that of its text for what is not stored", () => {
    assert.isBelow(workOf({ kind: 20_000, tags: tags(2000) }, 1024), 2)
  })

  it("of removing is that of the index entries an event has", () => {
    assert.strictEqual(removalWork(1900) - removalWork(0), 1900)
  })
})
