/**
 * Client messages as text: right, or nearly right, by a small grammar.
 *
 * Texts are joined from tokens, not from values, as JSON says more than a value can: keys that come twice, numbers too
 * large to be read back, lone surrogates, escapes where none are needed.
 */
import { nip77 } from "nostr-tools"
import type { Event } from "../../src/domain/Event.ts"
import type { Random } from "../database/random.ts"
import { authEvent } from "../support/authentication.ts"
import { deletionEvent, epoch, keyOf, notes, profileEvent, relayListEvent, signed } from "../support/events.ts"

/** The text of a JSON value, or of what was meant to be one. */
export type Text = string

const authors = ["fuzz ann", "fuzz bob", "fuzz cem"]

/** Signed and right, but for two that have to be refused. */
const events: ReadonlyArray<Event> = [
  ...authors.flatMap((author) => [
    ...notes(4, author),
    profileEvent({ name: author }, author),
    profileEvent({ name: `${author} again` }, author, { created_at: epoch + 1 }),
    profileEvent("not JSON", author, { created_at: epoch - 1 }),
    relayListEvent({ write: ["wss://one.example"], read: ["wss://two.example"] }, author)
  ]),
  signed(
    { content: "\" \\ \n \u0001 \u001f \u007f \u2028 \ud83d\ude00", tags: [["t", "\ud83d\ude00"], ["x"]] },
    "fuzz ann"
  ),
  signed({ tags: [["-"]], content: "protected" }, "fuzz ann"),
  signed({ tags: [["expiration", "99999999999"]] }, "fuzz bob"),
  signed({ tags: [["expiration", "1"]] }, "fuzz bob"),
  signed({ kind: 30_023, tags: [["d", "a"], ["d", "b"]] }, "fuzz bob"),
  signed({ kind: 4, tags: [["p", keyOf("fuzz ann").pubkey]] }, "fuzz bob"),
  signed({ kind: 1059, tags: [["p", keyOf("fuzz cem").pubkey]] }, "fuzz bob"),
  signed({ kind: 20_001, created_at: Math.floor(Date.now() / 1000) }, "fuzz cem"),
  signed({ kind: 22_242 }, "fuzz cem"),
  signed({ kind: 62, tags: [["relay", "wss://elsewhere.example"]] }, "fuzz cem"),
  signed({ kind: 65_535, content: "the last kind" }, "fuzz cem"),
  signed({ created_at: 0, content: "the first second" }, "fuzz cem"),
  signed({ created_at: 4_000_000_000, content: "from the future" }, "fuzz cem"),
  deletionEvent([notes(4, "fuzz ann")[3]!.id], "fuzz ann")
]

/** What parsers and checks stumble over, in place of any value. */
export const nasty: ReadonlyArray<Text> = [
  "null",
  "true",
  "0",
  "-0",
  "-1",
  "0.5",
  "1e0",
  "1e400",
  "-1e400",
  "1e-400",
  "65536",
  "9007199254740991",
  "9007199254740993",
  "1".repeat(400),
  "01",
  "+1",
  "NaN",
  "Infinity",
  "undefined",
  "\"\"",
  "\"\\u0000\"",
  "\"\\ud800\"",
  "\"\\udc00\\ud800\"",
  "\"\\ud83d\\ude00\"",
  "\"\ud83d\ude00\"",
  "\"\\u0001\\u001f\\u007f\"",
  "\"\u0001\"",
  "\"\u2028\u2029\ufeff\"",
  "\"\\x41\"",
  "\"\\u12\"",
  "\"__proto__\"",
  "\"toString\"",
  `"${"a".repeat(65)}"`,
  `"${"a".repeat(300)}"`,
  `"${"é".repeat(64)}"`,
  `"${"\ud83d\ude00".repeat(64)}"`,
  `"${"\\\\".repeat(64)}"`,
  `"${"A".repeat(64)}"`,
  "[]",
  "{}",
  "[[]]",
  "[null]",
  "{\"__proto__\":[]}",
  "{\"constructor\":{\"prototype\":{}}}",
  "{\"length\":1,\"0\":\"REQ\"}",
  "[".repeat(9) + "]".repeat(9),
  "[".repeat(40) + "]".repeat(40),
  "{\"a\":".repeat(40) + "1" + "}".repeat(40),
  "[".repeat(2000),
  "\"",
  "[",
  "}",
  ""
]

const text = (value: unknown): Text => JSON.stringify(value)

/** What a pattern that may match the same text in two ways goes back and forth over, when at last it does not match. */
const repeated = [
  "a",
  ".",
  "-",
  "_",
  "@",
  ":",
  "/",
  "#",
  "%",
  "=",
  "(",
  "[",
  "<",
  "0",
  " ",
  "\n",
  "\t \t",
  "_at_.",
  "a@a.",
  "a.",
  "%20",
  "..",
  "xn--",
  "npub1",
  "nostr:",
  "https://",
  "data:,",
  "&amp;",
  "\u0000",
  "\u0301",
  "\u200b",
  "\u00a0",
  "\ud83d\ude00\u200d"
]
const beginnings = ["", "", "_@", "a", " ", "https://", "wss://", "nostr:npub1", "30023:"]
const ends = ["", "!", "\n", "\u0000", "@", " a", "\ud800"]
/** Fields of a profile that anybody reads. */
const fields = ["name", "display_name", "about", "nip05", "lud06", "lud16", "website", "picture", "banner"]

/** A message for each field of a profile and each of those texts, in so many characters. */
export function* slowProfiles(characters: number): Generator<Text, void> {
  let created_at = epoch + 2_000_000
  for (const field of fields) {
    for (const part of repeated) {
      const event = profileEvent({ [field]: `${part.repeat(characters / part.length)}!` }, "fuzz dan", {
        created_at: created_at++
      })
      yield text(["EVENT", event])
    }
  }
}

/** `challenge` is the connection's; `longest`: characters of a text that is made for backtracking. */
export const grammarOf = (random: Random, challenge: string, longest = 1000) => {
  const { chance, int, pick } = random
  const space = (): Text => chance(5) ? pick([" ", "\n", "\t", "\r", "  "]) : ""
  /** Now and then something else altogether. */
  const maybe = (text: Text, percent = 4): Text => chance(percent) ? pick(nasty) : text
  const list = (items: ReadonlyArray<Text>): Text =>
    `[${space()}${items.map((item) => maybe(item, 1)).join(`${space()},`)}${space()}]`
  const many = (item: () => Text, max: number): Text => list(Array.from({ length: int(max + 1) }, item))
  /** Pairs rather than a record: in any order, and a key may come twice. */
  const object = (pairs: ReadonlyArray<readonly [string, Text]>): Text => {
    const all = [...pairs]
    if (all.length > 0 && chance(8)) all.splice(int(all.length), 0, [pick(pairs)[0], pick(nasty)])
    if (all.length > 0 && chance(8)) all.push(pick(pairs))
    if (chance(5)) all.push([pick(["__proto__", "extra", "", "id\\u0000", "#ee", "#1"]), pick(nasty)])
    if (all.length > 0 && chance(5)) all.splice(int(all.length), 1)
    return `{${space()}${all.map(([key, value]) => `"${key}"${space()}:${space()}${maybe(value)}`).join(",")}}`
  }

  const subscription = (): Text => maybe(text(pick(["a", "b", "c", "\u0001", "é", "x".repeat(64)])), 6)
  /** Mostly one that came before, or a note that nobody has seen. */
  const event = (): Event =>
    chance(70) ? pick(events) : signed({ content: random.hex(8), created_at: epoch + int(5) }, pick(authors))
  const eventText = (of: Event): Text => {
    const pairs = Object.entries(of).map(([key, value]): readonly [string, Text] => [
      key,
      key === "tags" && chance(10)
        ? many(() => many(() => text(pick(["e", "p", "-", "", "expiration", "1"])), 3), 4)
        : text(value)
    ])
    return chance(60) ? text(of) : object(chance(50) ? pairs : pairs.toReversed())
  }
  const key = () => text(keyOf(pick(authors)).pubkey)
  const filter = (): Text => {
    const choices: ReadonlyArray<() => readonly [string, Text]> = [
      () => ["ids", many(() => text(event().id), 4)],
      () => ["authors", many(key, 3)],
      () => ["kinds", many(() => text(pick([0, 1, 4, 5, 1059, 10_002, 20_001, 30_023, 65_535])), 4)],
      () => ["since", text(pick([0, epoch - 1, epoch, 2 ** 53 - 1]))],
      () => ["until", text(pick([0, epoch, epoch + 1, 2 ** 53 - 1]))],
      () => ["limit", text(pick([0, 1, 2, 500, 1_000_000]))],
      () => ["#p", many(key, 2)],
      () => ["#e", many(() => text(event().id), 2)],
      () => ["#t", many(() => text(pick(["\ud83d\ude00", "", "a", "\u0001"])), 2)],
      () => ["search", text(pick(["fuzz", "", " ", "domain:x", "\ud83d\ude00", "f".repeat(257), "\"'*%_"]))]
    ]
    return maybe(object(Array.from({ length: int(4) }, () => pick(choices)())))
  }
  const filters = () => Array.from({ length: chance(90) ? 1 + int(2) : int(12) }, filter)
  const negentropy = (): Text => {
    if (chance(60)) {
      const storage = new nip77.NegentropyStorageVector()
      for (const { created_at, id } of new Set(random.some(events, 4))) storage.insert(created_at, id)
      storage.seal()
      return text(new nip77.Negentropy(storage).initiate())
    }
    return maybe(text(`${pick(["61", "60", "62", ""])}${random.hex(2 * int(40))}${chance(10) ? "a" : ""}`), 10)
  }

  const slow = (characters = longest): string => {
    const part = pick(repeated)
    return `${pick(beginnings)}${part.repeat(characters / part.length)}${pick(ends)}`
  }
  /** Signed and right, but for what it says. A time of its own, or it would be refused unread as an older version. */
  const slowEvent = (): Event => {
    const author = pick(authors)
    const created_at = epoch + 10 + int(1_000_000)
    switch (int(5)) {
      case 0:
      case 1:
        return profileEvent({ [pick(fields)]: slow() }, author, { created_at })
      case 2:
        return signed({ kind: 10_002, tags: [["r", slow(), "write"]], created_at }, author)
      case 3:
        return signed({ kind: 5, tags: [[pick(["a", "e", "k"]), slow()]], created_at }, author)
      default:
        return signed({
          content: slow(longest / 2),
          tags: [[pick(["d", "e", "p", "t", "expiration", "relay", "nonce", "proxy", "-"]), slow(longest / 2)]],
          created_at
        }, author)
    }
  }

  const forms: ReadonlyArray<() => ReadonlyArray<Text>> = [
    () => ["\"EVENT\"", text(slowEvent())],
    () => ["\"EVENT\"", text(slowEvent())],
    () => [
      "\"AUTH\"",
      text(signed({ kind: 22_242, tags: [["challenge", challenge], ["relay", slow()]] }, pick(authors)))
    ],
    () => [
      text(pick(["REQ", "COUNT"])),
      subscription(),
      object([[
        pick(["search", "#t", "#d", "#a", "authors", "ids"]),
        chance(50) ? text([slow()]) : text(slow(longest / 4))
      ]])
    ],
    () => [
      "\"NEG-OPEN\"",
      subscription(),
      filter(),
      text(pick(["61", "6100", slow(2)]) + random.hex(2 * int(longest / 2)))
    ],
    () => ["\"EVENT\"", eventText(event())],
    () => ["\"EVENT\"", eventText(event())],
    () => [
      "\"EVENT\"",
      eventText({ ...event(), ...pick([{ content: "x" }, { kind: 2 }, { created_at: 1 }, { tags: [] }]) })
    ],
    () => ["\"REQ\"", subscription(), ...filters()],
    () => ["\"REQ\"", subscription(), ...filters()],
    () => ["\"CLOSE\"", subscription()],
    () => ["\"COUNT\"", subscription(), ...filters()],
    () => ["\"AUTH\"", eventText(authEvent(chance(70) ? challenge : "another", pick(authors)))],
    () => ["\"NEG-OPEN\"", subscription(), filter(), negentropy()],
    () => ["\"NEG-MSG\"", subscription(), negentropy()],
    () => ["\"NEG-CLOSE\"", subscription()],
    () => [text(pick(["OK", "EOSE", "event", "REQ ", "", "NOTICE", "\u0000", "toString"])), subscription()]
  ]
  return {
    message: (): Text => {
      const parts = pick(forms)().map((part, i) => i === 0 ? maybe(part, 1) : part)
      if (chance(4)) parts.splice(int(parts.length + 1), 1)
      if (chance(4)) parts.push(pick(nasty))
      return chance(2) ? pick(nasty) : `${space()}[${space()}${parts.join(`${space()},${space()}`)}]${space()}`
    }
  }
}
