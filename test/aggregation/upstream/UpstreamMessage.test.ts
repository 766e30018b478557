import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { decode } from "../../../src/aggregation/upstream/UpstreamMessage.ts"
import { Settings } from "../../../src/config/Settings.ts"
import { signed } from "../../support/events.ts"

const { limits } = Settings.defaults
const decoded = (...message: ReadonlyArray<unknown>) => decode(JSON.stringify(message), limits)

describe("what an upstream says (NIP-01)", () => {
  const event = signed()

  it("is decoded to an event of its subscription", () => {
    const { created_at, id } = event
    assert.deepStrictEqual(decoded("EVENT", "s", event), { _tag: "Event", subscription: "s", event, id, created_at })
  })

  it("still tells the place of an event beyond our limits, and nothing of what has none", () => {
    const large = { ...event, content: "x".repeat(limits.contentMax + 1) }
    const { created_at, id } = event
    assert.deepStrictEqual(decoded("EVENT", "s", large), {
      _tag: "Event",
      subscription: "s",
      event: undefined,
      id,
      created_at
    })
    for (const wrong of [null, 1, [], {}, { ...large, id: "x" }, { ...large, created_at: 1.5 }]) {
      assert.strictEqual(decoded("EVENT", "s", wrong)._tag, "Garbage", JSON.stringify(wrong))
    }
  })

  it("is decoded to the end of stored events, with the hint of NIP-67", () => {
    assert.deepStrictEqual(decoded("EOSE", "s"), { _tag: "Eose", subscription: "s", finished: false })
    assert.deepStrictEqual(decoded("EOSE", "s", ["more"]), { _tag: "Eose", subscription: "s", finished: false })
    assert.deepStrictEqual(decoded("EOSE", "s", ["finish"]), { _tag: "Eose", subscription: "s", finished: true })
    assert.deepStrictEqual(decoded("EOSE", "s", "finish"), { _tag: "Eose", subscription: "s", finished: false })
  })

  it("is decoded to a message of a reconciliation, or the end of it (NIP-77)", () => {
    const message = decoded("NEG-MSG", "s", "61ff")
    assert.isTrue(message._tag === "NegMsg" && message.subscription === "s")
    assert.deepStrictEqual(message._tag === "NegMsg" ? [...message.message] : [], [0x61, 0xff])
    for (const wrong of ["", "6", "6g", 61, null, [], undefined]) {
      assert.strictEqual(decoded("NEG-MSG", "s", wrong)._tag, "Garbage", String(wrong))
    }
    const refused = { _tag: "NegErr", subscription: "s" } as const
    assert.deepStrictEqual(decoded("NEG-ERR", "s", "blocked: no"), { ...refused, reason: "blocked: no" })
    assert.deepStrictEqual(decoded("NEG-ERR", "s", 5), { ...refused, reason: "" })
    assert.strictEqual(decoded("NEG-ERR", 5, "no")._tag, "Garbage")
  })

  it("is decoded to a refusal, a notice, a challenge", () => {
    assert.deepStrictEqual(decoded("CLOSED", "s", "error: no"), {
      _tag: "Closed",
      subscription: "s",
      reason: "error: no"
    })
    assert.deepStrictEqual(decoded("CLOSED", "s"), { _tag: "Closed", subscription: "s", reason: "" })
    assert.deepStrictEqual(decoded("NOTICE", "hello"), { _tag: "Notice", text: "hello" })
    assert.deepStrictEqual(decoded("AUTH", "challenge"), { _tag: "Auth", challenge: "challenge" })
  })

  it("is garbage where it is anything else", () => {
    const frames = [
      "",
      "{",
      "null",
      "1",
      "[]",
      "{}",
      "[[]]",
      "[\"EVENT\"]",
      "[\"EOSE\"]",
      "[\"EOSE\",1]",
      "[\"AUTH\"]",
      "[\"OK\",1]"
    ]
    for (const frame of frames) assert.strictEqual(decode(frame, limits)._tag, "Garbage", frame)
    assert.strictEqual(decode(new TextEncoder().encode("[\"EOSE\",\"s\"]"), limits)._tag, "Garbage")
  })

  it.effect.prop("never makes decoding throw", { text: Schema.String }, ({ text }) =>
    Effect.sync(() => {
      assert.isDefined(decode(text, limits)._tag)
      assert.isDefined(decode(`["EVENT",${JSON.stringify(text)},{"id":${JSON.stringify(text)}}]`, limits)._tag)
    }))
})
