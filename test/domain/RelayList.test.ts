import { assert, describe, it } from "@effect/vitest"
import { messageRelaysOf, relayListOf, relaysMax } from "../../src/domain/RelayList.ts"
import { dmRelaysEvent, relayListEvent } from "../support/events.ts"

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
