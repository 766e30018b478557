import { assert, describe, it } from "@effect/vitest"
import { getEventHash, verifyEvent } from "nostr-tools/pure"
import type { Event } from "../../src/domain/Event.ts"
import {
  deletionEvent,
  dmRelaysEvent,
  keyOf,
  notes,
  profileEvent,
  relayListEvent,
  signed,
  withEditedContent,
  withForgedSignature,
  withWrongId
} from "./events.ts"

/** Judged by an implementation that is not ours. It keeps its verdict on the object, so it is given a copy. */
const judged = (event: Event) => {
  const copy = { ...event, tags: event.tags.map((tag) => [...tag]) }
  return { id: getEventHash(copy) === event.id, signature: verifyEvent(copy) }
}

describe("signed fixtures", () => {
  it("are the same bytes on every run", () => {
    const once = profileEvent({ name: "ola" }, 7)
    assert.deepStrictEqual(once, profileEvent({ name: "ola" }, 7))
    assert.strictEqual(once.pubkey, keyOf(7).pubkey)
    assert.notStrictEqual(once.pubkey, keyOf(8).pubkey)
    assert.strictEqual(keyOf("author").pubkey, signed().pubkey)
  })

  it("verify, whatever their text", () => {
    const events = [
      signed(),
      signed({ content: "\"\\\n\r\t\b\f\u0001\u007f\u2028 ünï 日本語 🐢", tags: [["t", "a\"b"], []] }),
      profileEvent(),
      profileEvent("{not json"),
      relayListEvent({ write: ["wss://a.example"], read: ["wss://b.example"] }),
      dmRelaysEvent(["wss://c.example"]),
      deletionEvent([signed().id]),
      ...notes(2)
    ]
    for (const event of events) assert.deepStrictEqual(judged(event), { id: true, signature: true })
  })

  it("can be wrong in exactly one way", () => {
    const event = profileEvent()
    assert.deepStrictEqual(judged(withForgedSignature(event)), { id: true, signature: false })
    assert.isFalse(judged(withWrongId(event)).id)
    assert.isFalse(judged(withEditedContent(event)).id)
    assert.notStrictEqual(withWrongId(event).id, event.id)
    assert.strictEqual(withWrongId(event).sig, event.sig)
  })

  it("leaves a profile field out when it is undefined", () => {
    assert.deepStrictEqual(Object.keys(JSON.parse(profileEvent({ about: undefined }).content)), [
      "name",
      "display_name",
      "picture"
    ])
  })
})
