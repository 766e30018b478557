import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createHash } from "node:crypto"
import { existsSync, readFileSync } from "node:fs"
import {
  addressOf,
  canonical,
  dTag,
  type Event,
  eventOf,
  type EventProblem,
  expirationOf,
  isAddressable,
  isEphemeral,
  isProtected,
  isReplaceable,
  newestFirst,
  rawOf,
  wins
} from "../../src/domain/Event.ts"
import { profileEvent, signed } from "../support/events.ts"
import { eventArbitrary, hex, hostileTexts, json, limits, mutated } from "./arbitraries.ts"

const event = signed({ tags: [["t", "nostr"], ["d", "a", "b"]], content: "hi" })

/** The event with some fields as other JSON values. */
const withFields = (fields: Record<string, unknown>): unknown => ({ ...event, ...fields })

const refuses = (problem: EventProblem, ...values: ReadonlyArray<unknown>) => {
  for (const value of values) assert.strictEqual(eventOf(value, limits), problem, JSON.stringify(value))
}

const accepts = (fields: Record<string, unknown>) => {
  const value = withFields(fields)
  assert.deepStrictEqual(eventOf(value, limits), value as Event)
}

/** What is not lower-case hex of this length. */
const wrong = (length: number) => [
  "a".repeat(length - 1),
  "a".repeat(length + 1),
  "A".repeat(length),
  "g".repeat(length),
  "/".repeat(length),
  ":".repeat(length),
  "`".repeat(length),
  `${"a".repeat(length - 1)}G`,
  // Their lowest seven bits are those of a zero.
  `\u00b0${"a".repeat(length - 1)}`,
  `${"a".repeat(length - 1)}\u0130`,
  "",
  null,
  1,
  ["a".repeat(length)]
]

const at = (created_at: number, id: number) => ({ created_at, id: hex(id) })

describe("eventOf", () => {
  it("gives back a well-formed event", () => accepts({}))

  it("drops keys that are not part of an event", () => {
    assert.deepStrictEqual(eventOf(withFields({ seen: true, relays: [] }), limits), event)
  })

  it("keeps the last of duplicate keys, as JSON parsers do", () => {
    const text = JSON.stringify(event).replace("\"content\":\"hi\"", "\"content\":\"first\",\"content\":\"hi\"")
    assert.deepStrictEqual(eventOf(JSON.parse(text), limits), event)
  })

  it("refuses what is no object", () => {
    refuses("event must be an object", null, undefined, 1, "x", true)
    refuses("id must be 64 lower-case hex characters", [], {})
  })

  it("does not take fields from a __proto__ key", () => {
    refuses("id must be 64 lower-case hex characters", JSON.parse(`{"__proto__":${JSON.stringify(event)}}`))
  })

  it("wants ids, keys and signatures in lower-case hex of exact length", () => {
    for (const id of wrong(64)) refuses("id must be 64 lower-case hex characters", withFields({ id }))
    for (const pubkey of wrong(64)) refuses("pubkey must be 64 lower-case hex characters", withFields({ pubkey }))
    for (const sig of wrong(128)) refuses("sig must be 128 lower-case hex characters", withFields({ sig }))
    for (const digit of "0123456789abcdef") accepts({ id: digit.repeat(64) })
  })

  it("wants a safe, non-negative integer as created_at", () => {
    for (const created_at of [0, 1, 1e9, Number.MAX_SAFE_INTEGER]) accepts({ created_at })
    for (const created_at of [-1, 0.5, 2 ** 53, Infinity, NaN, "1", null]) {
      refuses("created_at must be a non-negative integer", withFields({ created_at }))
    }
  })

  it("reads -0 as 0", () => {
    const decoded = eventOf(JSON.parse(JSON.stringify(event).replace(/"kind":1/, "\"kind\":-0")), limits) as Event
    assert.isTrue(Object.is(decoded.kind, 0))
  })

  it("wants an integer from 0 to 65535 as kind", () => {
    for (const kind of [0, 1, 65_535]) accepts({ kind })
    for (const kind of [-1, 1.5, 65_536, Infinity, "1", null]) {
      refuses("kind must be an integer from 0 to 65535", withFields({ kind }))
    }
  })

  it("wants tags of one or more strings", () => {
    for (const tags of [[], [[""]], [["-"]], [["e", "", ""]]]) accepts({ tags })
    for (const tags of [null, {}, "x", [[]], [null], ["t"], [["t", null]], [["t", 1]], [[["t"]]]]) {
      refuses("tags must be arrays of one or more strings", withFields({ tags }))
    }
  })

  it("takes as many tags as allowed and not one more", () => {
    const tags = Array.from({ length: limits.eventTagsMax }, () => ["t"])
    accepts({ tags })
    refuses("too many tags", withFields({ tags: [...tags, ["t"]] }))
  })

  it("bounds the text of all tags together", () => {
    accepts({ tags: [["a".repeat(limits.frameBytesMax)]] })
    refuses("tags are too long", withFields({ tags: [["a".repeat(limits.frameBytesMax)], ["b"]] }))
  })

  it("counts the content in Unicode characters, not UTF-16 units", () => {
    accepts({ content: "a".repeat(limits.contentMax) })
    accepts({ content: "😀".repeat(limits.contentMax) })
    refuses(
      "content is too long",
      withFields({ content: "a".repeat(limits.contentMax + 1) }),
      withFields({ content: "😀".repeat(limits.contentMax) + "a" })
    )
  })

  it("refuses NUL and lone surrogates in content and tags, and no other control character", () => {
    for (const text of ["\0", "a\0b", "\ud83d", "\udc4d", "\udc4d\ud83d"]) {
      refuses("text must not contain NUL or lone surrogates", withFields({ content: text }))
      refuses("text must not contain NUL or lone surrogates", withFields({ tags: [["t", text]] }))
    }
    accepts({ content: "\u0001\b\u001f\u007f\u2028👍" })
  })

  it("survives hostile texts", () => {
    for (const text of hostileTexts) {
      let value: unknown = text
      try {
        value = JSON.parse(text)
      } catch {
        // Then the text itself is the hostile value.
      }
      assert.isString(eventOf(value, limits))
    }
  })

  it.effect.prop(
    "never throws on JSON, and takes only what it gives back unchanged",
    { value: json, near: mutated(event) },
    ({ near, value }) =>
      Effect.sync(() => {
        for (const input of [value, near]) {
          const decoded = eventOf(input, limits)
          if (typeof decoded !== "string") assert.deepStrictEqual(eventOf(decoded, limits), decoded)
        }
      }),
    { arbitrary: { runs: 500 } }
  )
})

describe("NIP-01 Events and signatures", () => {
  it("hashes to the id that other implementations compute", () => {
    assert.strictEqual(createHash("sha256").update(canonical(event)).digest("hex"), event.id)
  })

  it("escapes control characters in the pre-image as JSON.stringify does, and nothing beyond", () => {
    const text = canonical({ ...event, tags: [], content: "\n\"\\\r\t\b\f\u0001\u001f/\u007f\u2028é👍" })
    assert.isTrue(text.endsWith(String.raw`,[],"\n\"\\\r\t\b\f\u0001\u001f/` + "\u007f\u2028é👍\"]"))
  })

  it.effect.prop(
    "stores an event as the JSON it came as, fields in the order of the NIP",
    { generated: eventArbitrary },
    ({ generated }) =>
      Effect.sync(() => {
        const { content, created_at, id, kind, pubkey, sig, tags } = generated
        assert.strictEqual(rawOf(generated), JSON.stringify({ id, pubkey, created_at, kind, tags, content, sig }))
        assert.deepStrictEqual(eventOf(JSON.parse(rawOf(generated)), limits), generated)
      })
  )

  const corpus = new URL("../../../shared/corpus/real-events.jsonl", import.meta.url)
  if (!existsSync(corpus)) console.log("skipped: the corpus of real events is not beside this checkout")
  it.skipIf(!existsSync(corpus))("reads every event of the public network and computes its id", () => {
    const lines = readFileSync(corpus, "utf8").trim().split("\n")
    for (const line of lines) {
      const decoded = eventOf(JSON.parse(line), limits)
      if (typeof decoded === "string") assert.fail(`${decoded}: ${line.slice(0, 200)}`)
      assert.strictEqual(createHash("sha256").update(canonical(decoded)).digest("hex"), decoded.id)
    }
    assert.isAbove(lines.length, 600)
  })
})

describe("NIP-01 Kinds", () => {
  it("puts no kind into two classes", () => {
    for (let kind = 0; kind <= 65_535; kind++) {
      const classes = [isReplaceable, isEphemeral, isAddressable].filter((is) => is(kind))
      if (classes.length > 1) assert.fail(`kind ${kind} is in ${classes.length} classes`)
    }
  })

  it("knows both edges of each range", () => {
    const kinds = [0, 1, 2, 3, 4, 9_999, 10_000, 19_999, 20_000, 29_999, 30_000, 39_999, 40_000, 65_535]
    assert.deepStrictEqual(kinds.filter(isReplaceable), [0, 3, 10_000, 19_999])
    assert.deepStrictEqual(kinds.filter(isEphemeral), [20_000, 29_999])
    assert.deepStrictEqual(kinds.filter(isAddressable), [30_000, 39_999])
  })

  it("addresses a replaceable event without its d tag, and an addressable one by its first", () => {
    const tags = [["t"], ["d", "first"], ["d", "second"]]
    assert.strictEqual(addressOf({ ...event, kind: 0, tags }), `0:${event.pubkey}:`)
    assert.strictEqual(addressOf({ ...event, kind: 30_000, tags }), `30000:${event.pubkey}:first`)
    assert.strictEqual(addressOf({ ...event, kind: 1, tags }), undefined)
    assert.strictEqual(addressOf({ ...event, kind: 20_000, tags }), undefined)
  })

  it("takes a missing d tag, and one without a value, as empty", () => {
    assert.strictEqual(dTag({ tags: [] }), "")
    assert.strictEqual(dTag({ tags: [["d"], ["d", "second"]] }), "")
    assert.strictEqual(dTag({ tags: [["d", "", "x"]] }), "")
  })

  it("lets the newer version win, and the lowest id of two of the same second", () => {
    assert.isTrue(wins(at(2, 9), at(1, 1)))
    assert.isFalse(wins(at(1, 1), at(2, 9)))
    assert.isTrue(wins(at(1, 1), at(1, 2)))
    assert.isFalse(wins(at(1, 2), at(1, 1)))
    assert.isFalse(wins(at(1, 1), at(1, 1)))
  })

  it.effect.prop(
    "orders versions totally",
    { a: eventArbitrary, b: eventArbitrary, c: eventArbitrary },
    ({ a, b, c }) =>
      Effect.sync(() => {
        const isSame = a.created_at === b.created_at && a.id === b.id
        assert.strictEqual(Number(wins(a, b)) + Number(wins(b, a)), isSame ? 0 : 1)
        if (wins(a, b) && wins(b, c)) assert.isTrue(wins(a, c))
        const sorted = [a, b, c].toSorted(newestFirst)
        assert.isFalse(wins(sorted[2]!, sorted[0]!))
      }),
    { arbitrary: { runs: 500 } }
  )
})

describe("NIP-40 expiration", () => {
  it("reads the first expiration tag in Unix seconds", () => {
    assert.strictEqual(
      expirationOf({ tags: [["t"], ["expiration", "1600000000"], ["expiration", "1"]] }),
      1_600_000_000
    )
    assert.strictEqual(expirationOf({ tags: [["expiration", "0"]] }), 0)
  })

  it("ignores a tag that holds no number of seconds", () => {
    for (const value of ["", "x", "-1", "1.5", "1e9", " 1", "0x10", "9".repeat(16)]) {
      assert.strictEqual(expirationOf({ tags: [["expiration", value]] }), undefined, value)
    }
    assert.strictEqual(expirationOf({ tags: [["expiration"]] }), undefined)
    assert.strictEqual(expirationOf(profileEvent()), undefined)
  })
})

describe("NIP-70 protected events", () => {
  it("recognises the tag and nothing like it", () => {
    assert.isTrue(isProtected({ tags: [["t", "x"], ["-"]] }))
    assert.isFalse(isProtected({ tags: [["t", "-"], ["--"], [""]] }))
  })
})
