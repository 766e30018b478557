import { assert, describe, it } from "@effect/vitest"
import { clientMessageOf } from "../../src/domain/ClientMessage.ts"
import { workOfMessage, workOfText } from "../../src/domain/MessageWork.ts"
import { signed } from "../support/events.ts"
import { limits } from "./arbitraries.ts"

const work = (...message: ReadonlyArray<unknown>) => {
  const text = JSON.stringify(message)
  return workOfText(text.length) + workOfMessage(clientMessageOf(text, limits))
}

const id = "a".repeat(64)
const tags = (count: number) => Array.from({ length: count }, () => ["t", "x"])
const removal = (count: number) => signed({ kind: 5, tags: Array.from({ length: count }, () => ["e", id]) })

describe("the work of messages", () => {
  it("grows with bytes, values, rows and tags", () => {
    assert.isBelow(work("EVENT", signed({ content: "short" })), work("EVENT", signed({ content: "x".repeat(50_000) })))
    assert.isBelow(work("REQ", "a", { ids: [id] }), work("REQ", "a", { ids: Array.from({ length: 500 }, () => id) }))
    assert.isBelow(work("REQ", "a", { limit: 1 }), work("REQ", "a", { limit: 5000 }))
    assert.isBelow(work("REQ", "a", { limit: 1 }), work("COUNT", "a", { limit: 1 }))
    assert.isAbove(work("EVENT", signed({ tags: tags(400) })), work("EVENT", signed({ tags: tags(1) })) + 15)
  })

  it("grows with what is to be removed", () => {
    assert.isAbove(work("EVENT", removal(400)), 100)
    assert.isAbove(work("EVENT", signed({ kind: 62, tags: [["relay", "ALL_RELAYS"]] })), 50)
  })

  it("is next to nothing for what gives something back", () => {
    assert.isBelow(work("CLOSE", "a"), 0.1)
    assert.isBelow(work("NEG-CLOSE", "a"), 0.1)
  })

  it("is something for nonsense, and more for much of it", () => {
    assert.isAbove(work("HELLO"), 1)
    assert.isAbove(work("HELLO", "x".repeat(100_000)), 25)
  })
})
