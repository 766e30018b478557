import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import {
  answerOf,
  type ClientMessage,
  clientMessageOf,
  hasMoreBytesThan,
  isDeeperThan,
  type Problem
} from "../../src/domain/ClientMessage.ts"
import { signed } from "../support/events.ts"
import { hex, hostileTexts, json, limits } from "./arbitraries.ts"

const event = signed({ content: "hi" })

const decode = (...message: ReadonlyArray<unknown>) => clientMessageOf(JSON.stringify(message), limits)

const answers = (expected: ReadonlyArray<unknown>, message: ClientMessage | Problem) => {
  const answer: unknown = message._tag === "Problem" ? JSON.parse(answerOf(message)) : `decoded a ${message._tag}`
  assert.deepStrictEqual(answer, expected)
}

describe("clientMessageOf", () => {
  it("decodes each message of NIP-01, 42, 45 and 77", () => {
    assert.deepStrictEqual(decode("EVENT", event), { _tag: "EVENT", event })
    assert.deepStrictEqual(decode("AUTH", event), { _tag: "AUTH", event })
    assert.deepStrictEqual(decode("REQ", "s", { kinds: [0] }, {}), {
      _tag: "REQ",
      subscription: "s",
      filters: [{ kinds: [0] }, {}]
    })
    assert.deepStrictEqual(decode("COUNT", "s", {}), { _tag: "COUNT", subscription: "s", filters: [{}] })
    assert.deepStrictEqual(decode("CLOSE", "s"), { _tag: "CLOSE", subscription: "s" })
    assert.deepStrictEqual(decode("NEG-OPEN", "s", {}, "61ff"), {
      _tag: "NEG-OPEN",
      subscription: "s",
      filter: {},
      message: "61ff"
    })
    assert.deepStrictEqual(decode("NEG-MSG", "s", "61"), { _tag: "NEG-MSG", subscription: "s", message: "61" })
    assert.deepStrictEqual(decode("NEG-CLOSE", "s"), { _tag: "NEG-CLOSE", subscription: "s" })
  })

  it("ignores elements after the ones a message needs, and blanks around it", () => {
    assert.deepStrictEqual(decode("EVENT", event, 1), { _tag: "EVENT", event })
    assert.deepStrictEqual(clientMessageOf(" [ \"CLOSE\" , \"s\" ]\n", limits), { _tag: "CLOSE", subscription: "s" })
  })

  it("answers with NOTICE what has no name to answer by", () => {
    answers(["NOTICE", "invalid: message is not JSON"], clientMessageOf("[\"REQ\"", limits))
    answers(["NOTICE", "invalid: message must be an array"], clientMessageOf("{}", limits))
    answers(["NOTICE", "invalid: message must be an array"], clientMessageOf("null", limits))
    for (const tag of ["event", "__proto__", "", 1, null, ["EVENT"]]) {
      answers(["NOTICE", "invalid: unknown message type"], decode(tag, {}))
    }
    answers(["NOTICE", "invalid: unknown message type"], decode())
  })
})

describe("clientMessageOf EVENT and AUTH", () => {
  it("answers a broken event with OK false and the id it came with", () => {
    for (const tag of ["EVENT", "AUTH"]) {
      answers(
        ["OK", event.id, false, "invalid: kind must be an integer from 0 to 65535"],
        decode(tag, { ...event, kind: 65_536 })
      )
      const id = event.id.toUpperCase()
      answers(["OK", id, false, "invalid: id must be 64 lower-case hex characters"], decode(tag, { ...event, id }))
    }
  })

  it("answers with NOTICE where there is no id to repeat", () => {
    for (const id of [undefined, null, 1, "", "x".repeat(129), [event.id]]) {
      answers(["NOTICE", "invalid: id must be 64 lower-case hex characters"], decode("EVENT", { ...event, id }))
    }
    answers(["NOTICE", "invalid: event must be an object"], decode("EVENT"))
    answers(["NOTICE", "invalid: event must be an object"], decode("EVENT", event.id))
  })
})

describe("clientMessageOf subscription ids", () => {
  it("takes 1 to 64 characters, counted as characters", () => {
    for (const id of ["x", "x".repeat(64), "👍".repeat(64), "\0", "\ud83d"]) {
      assert.strictEqual(decode("REQ", id, {})._tag, "REQ", id)
    }
    for (const tag of ["REQ", "COUNT"]) {
      answers(["CLOSED", "", "invalid: subscription id is empty"], decode(tag, "", {}))
      const id = "x".repeat(65)
      answers(["CLOSED", id, "invalid: subscription id is too long"], decode(tag, id, {}))
    }
    answers(["CLOSED", "👍".repeat(65), "invalid: subscription id is too long"], decode("REQ", "👍".repeat(65), {}))
    answers(["NEG-ERR", "", "invalid: subscription id is empty"], decode("NEG-OPEN", "", {}, "61"))
  })

  it("answers with NOTICE an id that is no string", () => {
    for (const tag of ["REQ", "COUNT", "CLOSE", "NEG-OPEN", "NEG-MSG", "NEG-CLOSE"]) {
      for (const id of [1, null, {}, ["s"]]) {
        answers(["NOTICE", "invalid: subscription id must be a string"], decode(tag, id, {}))
      }
      answers(["NOTICE", "invalid: subscription id must be a string"], decode(tag))
    }
  })

  it("lets CLOSE name an id that cannot be open, as it names one that is not", () => {
    assert.deepStrictEqual(decode("CLOSE", ""), { _tag: "CLOSE", subscription: "" })
  })
})

describe("clientMessageOf REQ, COUNT and NEG-OPEN", () => {
  it("refuses by subscription id, with the reason of the first broken filter", () => {
    answers(["CLOSED", "s", "invalid: no filter"], decode("REQ", "s"))
    answers(["CLOSED", "s", "invalid: no filter"], decode("COUNT", "s"))
    answers(["CLOSED", "s", "invalid: filter must be an object"], decode("REQ", "s", {}, 1))
    answers(["CLOSED", "s", "unsupported: filter contains unknown elements"], decode("COUNT", "s", { "#ab": [] }))
    answers(
      ["NEG-ERR", "s", "unsupported: filter contains unknown elements"],
      decode("NEG-OPEN", "s", { x: 1 }, "61")
    )
  })

  it("takes as many filters as allowed and not one more", () => {
    const filters = Array.from({ length: limits.filtersMax }, () => ({}))
    assert.strictEqual(decode("REQ", "s", ...filters)._tag, "REQ")
    answers(["CLOSED", "s", "invalid: too many filters"], decode("REQ", "s", ...filters, {}))
  })

  it("wants negentropy messages as lower-case hex of whole bytes", () => {
    for (const bytes of ["", "6", "6G", "FF", 61, null]) {
      const expected = ["NEG-ERR", "s", "invalid: message must be lower-case hex"]
      answers(expected, decode("NEG-OPEN", "s", {}, bytes))
      answers(expected, decode("NEG-MSG", "s", bytes))
    }
  })
})

/** A REQ of exactly so many bytes. */
const padded = (bytes: number, id = "s") => {
  const text = JSON.stringify(["REQ", id, {}])
  return text.slice(0, -1) + " ".repeat(bytes - Buffer.byteLength(text)) + "]"
}

/** A REQ whose second element is nested so that the message is of this depth. */
const nested = (depth: number) => `["REQ","s",${"[".repeat(depth - 1)}${"]".repeat(depth - 1)}]`

describe("clientMessageOf bounds", () => {
  it("takes a message of the allowed bytes and refuses one byte more by its subscription id", () => {
    assert.strictEqual(clientMessageOf(padded(limits.frameBytesMax), limits)._tag, "REQ")
    const expected = ["CLOSED", "a\"b", "invalid: message is too large"]
    answers(expected, clientMessageOf(padded(limits.frameBytesMax + 1, "a\"b"), limits))
    answers(["NOTICE", "invalid: message is too large"], clientMessageOf(" ".repeat(limits.frameBytesMax + 1), limits))
  })

  it("counts the bytes of UTF-8", () => {
    const text = "aé€👍"
    assert.isFalse(hasMoreBytesThan(text, 10))
    assert.isTrue(hasMoreBytesThan(text, 9))
  })

  it.effect.prop("agrees with the bytes an encoder writes", { text: Schema.String }, ({ text }) =>
    Effect.sync(() => {
      const bytes = Buffer.byteLength(text.toWellFormed())
      assert.isFalse(hasMoreBytesThan(text.toWellFormed(), bytes))
      if (bytes > 0) assert.isTrue(hasMoreBytesThan(text.toWellFormed(), bytes - 1))
    }))

  it("takes the allowed nesting and refuses one level more, before parsing (fault 30)", () => {
    answers(["CLOSED", "s", "invalid: filter must be an object"], clientMessageOf(nested(limits.jsonDepthMax), limits))
    answers(
      ["CLOSED", "s", "invalid: message is nested too deeply"],
      clientMessageOf(nested(limits.jsonDepthMax + 1), limits)
    )
    answers(
      ["NEG-ERR", "s", "invalid: message is nested too deeply"],
      clientMessageOf(`["NEG-OPEN","s",${"[".repeat(10_000)}`, limits)
    )
    answers(["NOTICE", "invalid: message is nested too deeply"], clientMessageOf("[".repeat(10_000), limits))
  })

  it("does not count brackets in strings, behind any number of backslashes", () => {
    assert.isFalse(isDeeperThan(JSON.stringify(["[[[[", "\\", "\"[[[[", "\\\"[[[["]), 1))
    assert.isTrue(isDeeperThan("[\"\\\\\",[", 1))
    assert.isFalse(isDeeperThan("[\"\\\\\\\",[", 1))
    assert.isFalse(isDeeperThan("[\"", 1))
    assert.isFalse(isDeeperThan("[][][]", 1))
  })

  const depthOf = (value: unknown): number =>
    typeof value === "object" && value !== null
      ? 1 + Object.values(value).reduce<number>((deepest, item) => Math.max(deepest, depthOf(item)), 0)
      : 0

  it.effect.prop(
    "measures nesting as a walk through the parsed value does",
    { value: json },
    ({ value }) =>
      Effect.sync(() => {
        const depth = depthOf(value)
        for (const text of [JSON.stringify(value), JSON.stringify(value, null, 2)]) {
          assert.isFalse(isDeeperThan(text, depth))
          if (depth > 0) assert.isTrue(isDeeperThan(text, depth - 1))
        }
      }),
    { arbitrary: { runs: 500 } }
  )
})

describe("clientMessageOf hostile input (fault 31)", () => {
  it("answers every hostile text with one parseable frame", () => {
    for (const text of hostileTexts) {
      const message = clientMessageOf(text, limits)
      if (message._tag === "Problem") assert.isArray(JSON.parse(answerOf(message)), text.slice(0, 50))
    }
  })

  const tags = ["EVENT", "REQ", "COUNT", "CLOSE", "AUTH", "NEG-OPEN", "NEG-MSG", "NEG-CLOSE", "NOPE"] as const
  const messages = Arbitrary.all([
    Arbitrary.schema(Schema.Literals(tags)),
    Arbitrary.array(json, { maxLength: 4 })
  ])

  it.effect.prop(
    "never throws on a message of any shape",
    { message: messages, cut: Schema.Int },
    ({ cut, message }) =>
      Effect.sync(() => {
        const text = JSON.stringify([message[0], ...message[1]])
        for (const input of [text, text.slice(0, Math.abs(cut) % (text.length + 1))]) {
          const decoded = clientMessageOf(input, limits)
          if (decoded._tag === "Problem") assert.isArray(JSON.parse(answerOf(decoded)))
        }
      }),
    { arbitrary: { runs: 1000 } }
  )

  it("does not take quadratic time for many escaped quotes", () => {
    // 130,000 quotes behind backslashes: linear work is a few milliseconds, quadratic work would be minutes.
    assert.isFalse(isDeeperThan(`["${"\\\"".repeat(65_000)}"]`, 1))
    assert.isFalse(isDeeperThan(`["${"\\".repeat(130_000)}"]`, 1))
  })

  it("keeps the order of filters", () => {
    const message = decode("REQ", "s", { authors: [hex(1)] }, { authors: [hex(2)] })
    assert.deepStrictEqual(message, {
      _tag: "REQ",
      subscription: "s",
      filters: [{ authors: [hex(1)] }, { authors: [hex(2)] }]
    })
  })
})
