import { assert, describe, it } from "@effect/vitest"
import {
  contentOfRaw,
  headLength,
  idOfRaw,
  kindOfRaw,
  pubkeyOfRaw,
  RawEvent
} from "../../../src/database/sqlite/rawEvent.ts"
import { type Event, rawOf } from "../../../src/domain/Event.ts"

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

const fields = ({ content, created_at, id, kind, pubkey, sig, tags }: Event): Event => ({
  id,
  pubkey,
  created_at,
  kind,
  tags,
  content,
  sig
})

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

describe("an event from its canonical JSON", () => {
  /** What looks like a part of the event, and what JSON escapes. */
  const texts = [
    "",
    "[]",
    ",",
    "\",\"content\":\"",
    ",\"content\":",
    ",\"sig\":\"",
    "\\",
    "\\\"",
    "\"}",
    "]],\"content\":\"x",
    "\n\t\u0001\u2028",
    "é日本🙂",
    "x".repeat(5000)
  ]

  it("has the fields that it was written with, whatever is in its texts", () => {
    for (const event of [shortest, longest]) assert.deepStrictEqual(fields(new RawEvent(rawOf(event))), event)
    for (const text of texts) {
      for (const other of texts) {
        for (const tags of [[], [[]], [[""]], [[text]], [[text, other], [other, text]], [["content", ":", text]]]) {
          const event = { ...longest, tags, content: other }
          const raw = rawOf(event)
          assert.deepStrictEqual(fields(new RawEvent(raw)), event)
          assert.strictEqual(contentOfRaw(raw), other)
        }
      }
    }
  })
})
