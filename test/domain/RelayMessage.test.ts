import { assert, describe, it } from "@effect/vitest"
import { rawOf } from "../../src/domain/Event.ts"
import * as RelayMessage from "../../src/domain/RelayMessage.ts"
import { signed } from "../support/events.ts"

const hostile = "a\"],[\\\u0000\ud83d👍"

const parse = (text: string): unknown => JSON.parse(text)

describe("RelayMessage", () => {
  it("concatenates stored JSON into EVENT", () => {
    const event = signed({ content: hostile.toWellFormed().replace("\0", "") })
    assert.deepStrictEqual(parse(RelayMessage.event(hostile, rawOf(event))), ["EVENT", hostile, event])
    assert.strictEqual(RelayMessage.event("s", "{}"), "[\"EVENT\",\"s\",{}]")
    assert.strictEqual(RelayMessage.event("s", "{}"), `${RelayMessage.eventHead("s")}{}]`)
  })

  it("always gives OK four elements, the prefix first", () => {
    assert.deepStrictEqual(parse(RelayMessage.ok("id", true, "")), ["OK", "id", true, ""])
    assert.deepStrictEqual(parse(RelayMessage.ok("id", true, "duplicate: stored already")), [
      "OK",
      "id",
      true,
      "duplicate: stored already"
    ])
    assert.deepStrictEqual(parse(RelayMessage.ok(hostile, false, `blocked: ${hostile}`)), [
      "OK",
      hostile,
      false,
      `blocked: ${hostile}`
    ])
  })

  it("writes the hint of NIP-67 as an array, or not at all", () => {
    assert.deepStrictEqual(parse(RelayMessage.eose(hostile)), ["EOSE", hostile])
    assert.deepStrictEqual(parse(RelayMessage.eose("s", "finish")), ["EOSE", "s", ["finish"]])
    assert.deepStrictEqual(parse(RelayMessage.eose("s", "more")), ["EOSE", "s", ["more"]])
  })

  it("writes CLOSED, NOTICE and AUTH", () => {
    assert.deepStrictEqual(parse(RelayMessage.closed(hostile, "error: stopping")), [
      "CLOSED",
      hostile,
      "error: stopping"
    ])
    assert.deepStrictEqual(parse(RelayMessage.notice(hostile)), ["NOTICE", hostile])
    assert.deepStrictEqual(parse(RelayMessage.auth(hostile)), ["AUTH", hostile])
  })

  it("writes COUNT with what there is to say (NIP-45)", () => {
    assert.deepStrictEqual(parse(RelayMessage.count(hostile, { count: 3 })), ["COUNT", hostile, { count: 3 }])
    const answer = { count: 3, approximate: true, hll: "00" } as const
    assert.deepStrictEqual(parse(RelayMessage.count("s", answer)), ["COUNT", "s", answer])
  })

  it("writes NEG-MSG and NEG-ERR (NIP-77)", () => {
    assert.deepStrictEqual(parse(RelayMessage.negMsg(hostile, "61")), ["NEG-MSG", hostile, "61"])
    assert.deepStrictEqual(parse(RelayMessage.negErr("s", "closed: unknown id")), [
      "NEG-ERR",
      "s",
      "closed: unknown id"
    ])
    assert.deepStrictEqual(parse(RelayMessage.negErr("s", "blocked: this query is too big", 5)), [
      "NEG-ERR",
      "s",
      "blocked: this query is too big",
      5
    ])
  })
})
