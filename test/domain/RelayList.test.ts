import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import {
  isSameRelay,
  messageRelaysOf,
  relayListOf,
  relaysMax,
  relayUrlMax,
  relayUrlOf
} from "../../src/domain/RelayList.ts"
import { dmRelaysEvent, relayListEvent } from "../support/events.ts"
import { hostileTexts } from "./arbitraries.ts"

describe("relayUrlOf", () => {
  it("spells one relay in one way", () => {
    const spellings = [
      "wss://relay.example",
      " WSS://Relay.Example/ ",
      "wss://relay.example:443",
      "wss://relay.example/#x",
      "wss://relay.example.",
      "https://relay.example",
      "relay.example"
    ]
    for (const text of spellings) assert.strictEqual(relayUrlOf(text), "wss://relay.example", text)
  })

  it("keeps what makes it another relay", () => {
    const different = [
      "ws://relay.example",
      "wss://relay.example:7777",
      "wss://relay.example/path",
      "wss://relay.example/path/",
      "wss://relay.example/?x",
      "ws://127.0.0.1:7000",
      "ws://[::1]:7000",
      "ws://localhost:7000",
      "ws://abc.onion"
    ]
    for (const text of different) assert.strictEqual(relayUrlOf(text), text)
    assert.strictEqual(relayUrlOf("ws://relay.example:80"), "ws://relay.example")
    assert.strictEqual(relayUrlOf("http://relay.example"), "ws://relay.example")
  })

  it("knows what is no relay", () => {
    const wrong = [
      "",
      "wss://",
      "wss://relay",
      "wss://user@relay.example",
      "wss://:secret@relay.example",
      "ftp://relay.example",
      "wss://wss://relay.example",
      "wss://a.example wss://b.example",
      "wss://a.example,wss://b.example",
      "wss://relay.example:99999",
      "wss://.example",
      "javascript:alert(1)",
      "npub1xyz"
    ]
    for (const text of wrong) assert.strictEqual(relayUrlOf(text), undefined, text)
  })

  it("takes an address of the allowed length and not one character more", () => {
    const text = "wss://relay.example/"
    assert.isString(relayUrlOf(text + "a".repeat(relayUrlMax - text.length)))
    assert.isUndefined(relayUrlOf(text + "a".repeat(relayUrlMax + 1 - text.length)))
  })

  it("survives hostile texts", () => {
    for (const text of hostileTexts) assert.isUndefined(relayUrlOf(text), text.slice(0, 40))
  })

  it.effect.prop("changes nothing the second time", { text: Schema.String }, ({ text }) =>
    Effect.sync(() => {
      for (const prefix of ["", "wss://", "wss://relay.example/", "ws://relay.example:"]) {
        const url = relayUrlOf(prefix + text)
        if (url !== undefined) assert.strictEqual(relayUrlOf(url), url)
      }
    }), { arbitrary: { runs: 500 } })
})

describe("isSameRelay", () => {
  it("compares normalised addresses, and nothing with what is none", () => {
    assert.isTrue(isSameRelay("wss://relay.example/", "WSS://relay.example:443"))
    assert.isFalse(isSameRelay("wss://relay.example", "ws://relay.example"))
    assert.isFalse(isSameRelay("", ""))
  })
})

describe("NIP-65 relay lists", () => {
  it("sorts relays by marker; none means both uses", () => {
    assert.deepStrictEqual(
      relayListOf({
        tags: [
          ["r", "wss://both.example"],
          ["r", "wss://read.example/", "read"],
          ["r", "wss://write.example", "write"],
          ["r", "wss://empty.example", ""]
        ]
      }),
      {
        write: ["wss://both.example", "wss://write.example", "wss://empty.example"],
        read: ["wss://both.example", "wss://read.example", "wss://empty.example"]
      }
    )
  })

  it("names each relay once, however often and however it is spelled", () => {
    const list = relayListEvent({ write: ["wss://a.example", "wss://A.example/"], read: ["wss://a.example:443"] })
    assert.deepStrictEqual(relayListOf(list), { write: ["wss://a.example"], read: ["wss://a.example"] })
  })

  it("leaves out unknown markers, other tags and what is no address", () => {
    const tags = [["r"], ["r", "x"], ["r", "wss://a.example", "Write"], ["R", "wss://a.example"], [], ["e", "x"]]
    assert.deepStrictEqual(relayListOf({ tags }), { write: [], read: [] })
  })

  it("reads so many relays of each use and not one more", () => {
    const write = Array.from({ length: relaysMax + 1 }, (_, i) => `wss://w${i}.example`)
    const list = relayListOf(relayListEvent({ write, read: ["wss://r.example"] }))
    assert.deepStrictEqual(list, { write: write.slice(0, relaysMax), read: ["wss://r.example"] })
    const read = relayListOf(relayListEvent({ read: write, write: ["wss://r.example"] }))
    assert.deepStrictEqual(read, { write: ["wss://r.example"], read: write.slice(0, relaysMax) })
  })
})

describe("NIP-17 relays for direct messages", () => {
  it("reads relay tags in order, each once", () => {
    const event = dmRelaysEvent(["wss://b.example/", "wss://a.example", "wss://b.example", "x"])
    assert.deepStrictEqual(messageRelaysOf(event), ["wss://b.example", "wss://a.example"])
    assert.deepStrictEqual(messageRelaysOf({ tags: [["r", "wss://a.example"], ["relay"]] }), [])
  })

  it("reads so many relays and not one more", () => {
    const relays = Array.from({ length: relaysMax + 1 }, (_, i) => `wss://r${i}.example`)
    assert.deepStrictEqual(messageRelaysOf(dmRelaysEvent(relays)), relays.slice(0, relaysMax))
  })
})
