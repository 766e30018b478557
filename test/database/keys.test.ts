import { assert, describe, it } from "@effect/vitest"
import { headLength, idOfRaw, kindOfRaw, pubkeyOfRaw } from "../../src/database/keys.ts"
import { type Event, rawOf } from "../../src/domain/Event.ts"

const shortest: Event = {
  id: "1".repeat(64),
  pubkey: "2".repeat(64),
  created_at: 0,
  kind: 0,
  tags: [],
  content: "",
  sig: "3".repeat(128)
}
const longest: Event = {
  ...shortest,
  created_at: Number.MAX_SAFE_INTEGER,
  kind: 65_535,
  tags: [["t", "日本"]],
  content: "日本"
}

describe("the head of a stored event", () => {
  it("has its id, pubkey and kind, whatever its numbers", () => {
    for (const event of [shortest, longest]) {
      const head = rawOf(event).slice(0, headLength)
      assert.strictEqual(idOfRaw(head), event.id)
      assert.strictEqual(pubkeyOfRaw(head), event.pubkey)
      assert.strictEqual(kindOfRaw(head), event.kind)
    }
  })

  it("is no longer than the longest of them needs", () => {
    assert.notStrictEqual(kindOfRaw(rawOf(longest).slice(0, headLength - 3)), longest.kind)
  })
})
