/** NIP-50 in the store: what is found, in which order, with which bounds, and as what changes. */
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Schedule } from "effect"
import { TestClock } from "effect/testing"
import { hash } from "node:crypto"
import * as fs from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { gunzipSync } from "node:zlib"
import { nprofileEncode } from "nostr-tools/nip19"
import { describe } from "vitest"
import { Database, textOf } from "../../src/database/Database.ts"
import { connect } from "../../src/database/sqlite/connection.ts"
import * as DatabaseFile from "../../src/database/sqlite/DatabaseFile.ts"
import { stepMax } from "../../src/database/sqlite/search/Backlog.ts"
import * as SqliteReader from "../../src/database/sqlite/SqliteReader.ts"
import { SqliteStore } from "../../src/database/sqlite/SqliteStore.ts"
import { type Event, newestFirst, rawOf } from "../../src/domain/Event.ts"
import type { Filter } from "../../src/domain/Filter.ts"
import { npubOf } from "../../src/domain/PublicKey.ts"
import { deletionEvent, epoch, signed } from "../support/events.ts"
import { saveAll, write } from "./Database.suite.ts"
import { randomOf } from "./random.ts"
import { at, directory, file, memory } from "./support.ts"

type Fields = Readonly<Record<string, string>>

/** A profile by an author of its own, whose signature nobody checks here. */
const person = (
  who: string | number,
  fields: Fields | string,
  created_at = epoch,
  more: Partial<Event> = {}
): Event => ({
  id: hash("sha256", `id ${who} ${created_at} ${JSON.stringify(fields)}`),
  pubkey: hash("sha256", `pubkey ${who}`),
  created_at,
  kind: 0,
  tags: [],
  content: typeof fields === "string" ? fields : JSON.stringify(fields),
  sig: "0".repeat(128),
  ...more
})

const saves = (events: ReadonlyArray<Event>) => write(events.map((event) => ({ _tag: "Save", event })))

/** Names of what is found, in order. */
const search = Effect.fnUntraced(function*(text: string, filter: Filter = {}) {
  const { query } = yield* Database
  const { complete, events } = yield* query([{ ...filter, search: text }], { limitMax: 5000 })
  const found = events.map((raw) => JSON.parse(textOf(raw)) as Event)
  return { complete, found, names: found.map(({ content }) => (JSON.parse(content) as Fields)["name"]) }
})

const names = (text: string, filter?: Filter) => Effect.map(search(text, filter), ({ names }) => names)

const nameOf = ({ content }: Event): string => (JSON.parse(content) as Fields)["name"] ?? ""

/** The best three. */
const first = (text: string) => Effect.map(search(text), ({ found }) => found.slice(0, 3))

const inMemory = <A, E>(body: () => Effect.Effect<A, E, Database>) => () =>
  Effect.provide(Effect.scoped(body()), Layer.fresh(memory))

describe("a search", () => {
  it.effect(
    "finds by relevance, then newest first, and applies the limit last",
    inMemory(() =>
      Effect.gen(function*() {
        yield* saves([
          person(1, { name: "about", about: "mira and the sea" }, epoch + 9),
          person(2, { name: "nip05", nip05: "mira@boats.example" }, epoch + 8),
          person(3, { name: "display", display_name: "Mira Solberg" }, epoch + 7),
          person(4, { name: "the mira" }, epoch + 6),
          person(5, { name: "miracle" }, epoch + 5),
          person(6, { name: "Mira" }, epoch + 4),
          person(7, { name: "mirage" }, epoch + 10),
          person(8, { name: "nobody", about: "miracles" }, epoch + 20)
        ])
        const all = ["Mira", "mirage", "display", "miracle", "the mira", "nip05", "about"]
        const { complete, names } = yield* search("mira")
        assert.deepStrictEqual(names, all)
        assert.isTrue(complete)
        for (let limit = 1; limit < all.length; limit++) {
          const cut = yield* search("MIRA", { limit })
          assert.deepStrictEqual(cut.names, all.slice(0, limit))
          assert.isFalse(cut.complete)
        }
        assert.deepStrictEqual((yield* search("mira", { limit: 0 })).names, [])
      })
    )
  )

  it.effect(
    "finds from the first letter on, and with every letter more",
    inMemory(() =>
      Effect.gen(function*() {
        yield* saves([person(1, { name: "Alexandra" }), person(2, { name: "bob", display_name: "Alex" })])
        for (const text of ["a", "al", "ale", "alex"]) {
          assert.sameMembers(yield* names(text), ["Alexandra", "bob"], text)
        }
        for (const text of ["alexa", "alexand", "alexandr", "alexandra"]) {
          assert.deepStrictEqual(yield* names(text), ["Alexandra"], text)
        }
        for (const text of ["alexandrax", "alexab", "lex", "q"]) assert.deepStrictEqual(yield* names(text), [], text)
      })
    )
  )

  it.effect(
    "finds emoji, accents, and scripts without spaces",
    inMemory(() =>
      Effect.gen(function*() {
        yield* saves([
          person(1, { name: "Łukasz Żółty" }),
          person(2, { name: "🦁" }),
          person(3, { name: "東京太郎", about: "私は横浜に住んでいます" }),
          person(4, { name: "𝓙𝓾𝓵𝓲𝓪" }),
          person(5, { name: "김철수" })
        ])
        const expected: Fields = {
          "lukasz": "Łukasz Żółty",
          "ŻÓŁ": "Łukasz Żółty",
          "🦁": "🦁",
          "東": "東京太郎",
          "太郎": "東京太郎",
          "京太": "東京太郎",
          "横浜": "東京太郎",
          "julia": "𝓙𝓾𝓵𝓲𝓪",
          "김": "김철수"
        }
        for (const [text, name] of Object.entries(expected)) assert.deepStrictEqual(yield* names(text), [name], text)
      })
    )
  )

  it.effect(
    "takes nothing for syntax",
    inMemory(() =>
      Effect.gen(function*() {
        yield* saves([person(1, { name: "alice" }), person(2, { name: "or" })])
        const hostile = [
          "\"",
          "'",
          "*",
          "\" OR \"a\" --",
          "terms:alice",
          "NEAR(alice, 2)",
          "^alice NOT alice",
          "(((",
          "alice*",
          "{terms}: alice",
          "'; DROP TABLE event; --",
          "\ud83e",
          "\u0001\u0000".slice(0, 1),
          "%_\\",
          "domain:\"x\" OR 1",
          "domain:"
        ]
        for (const text of hostile) yield* search(text)
        assert.deepStrictEqual(yield* names("alice*"), ["alice"])
        assert.deepStrictEqual(yield* names("or"), ["or"])
        assert.deepStrictEqual(yield* names("\"al\" ice*"), ["alice"], "joined, as jack_dorsey is jackdorsey")
        assert.deepStrictEqual(yield* names("alice NOT"), [])
      })
    )
  )

  it.effect(
    "combines with every other condition of its filter",
    inMemory(() =>
      Effect.gen(function*() {
        const events = [0, 1, 2, 3, 4].map((i) =>
          person(i, { name: `mira${i}` }, epoch + i, { tags: i < 2 ? [["t", "sea"]] : [] })
        )
        yield* saves(events)
        yield* saves([person("note", "mira", epoch + 3, { kind: 1, content: "mira" })])
        const authors = [events[3]!.pubkey, events[1]!.pubkey]
        assert.deepStrictEqual(yield* names("mira", { authors }), ["mira3", "mira1"])
        assert.deepStrictEqual(yield* names("mira", { authors, limit: 1 }), ["mira3"])
        assert.deepStrictEqual(yield* names("mira1", { authors, kinds: [0, 1] }), ["mira1"])
        assert.deepStrictEqual(yield* names("mira", { ids: [events[2]!.id] }), ["mira2"])
        assert.deepStrictEqual(yield* names("mira4", { ids: [events[2]!.id] }), [])
        assert.deepStrictEqual(yield* names("mira", { since: epoch + 1, until: epoch + 2 }), ["mira2", "mira1"])
        assert.deepStrictEqual(yield* names("mira", { since: epoch + 3, until: epoch + 2 }), [])
        assert.deepStrictEqual(yield* names("mira", { until: Number.MAX_SAFE_INTEGER }), yield* names("mira"))
        assert.deepStrictEqual(yield* names("mira", { since: Number.MAX_SAFE_INTEGER }), [])
        assert.deepStrictEqual(yield* names("mira", { tags: new Map([["t", ["sea"]]]) }), ["mira1", "mira0"])
        assert.deepStrictEqual(yield* names("mira", { kinds: [1] }), [], "only profiles are searched")
        assert.deepStrictEqual(yield* names("mira", { kinds: [] }), [])
        assert.deepStrictEqual(yield* names("mira", { authors: [] }), [])
      })
    )
  )

  it.effect(
    "that asks for nothing finds nothing, whatever else its filter says, and so does one without words",
    inMemory(() =>
      Effect.gen(function*() {
        yield* saves([person(1, { name: "a" }, epoch), person(2, { name: "b" }, epoch + 1)])
        for (const text of ["", " ", "language:en include:spam", "sort:new", "sort:text", "nostr:", "?!", ":"]) {
          for (const filter of [{}, { kinds: [0] }, { authors: [person(1, "").pubkey] }]) {
            assert.deepStrictEqual(yield* search(text, filter), { complete: true, found: [], names: [] }, text)
          }
        }
      })
    )
  )

  it.effect(
    "keeps its order among several filters, and finds nothing twice",
    inMemory(() =>
      Effect.gen(function*() {
        const { query } = yield* Database
        const [exact, start, other] = [
          person(1, { name: "mira" }, epoch),
          person(2, { name: "miracle" }, epoch + 1),
          person(3, { name: "bob" }, epoch + 2)
        ]
        yield* saves([exact, start, other])
        const { events } = yield* query([{ search: "mira" }, { search: "mirac" }, { kinds: [0] }], { limitMax: 10 })
        assert.deepStrictEqual(events.map(textOf), [exact, start, other].map(rawOf))
      })
    )
  )

  it.effect(
    "finds whom a key or a NIP-05 name names first, who has it by right before who claims it",
    inMemory(() =>
      Effect.gen(function*() {
        const [mira, copy, other, whole] = [
          person(1, { name: "someone", nip05: "mira@boats.example" }, epoch),
          person(2, { name: "mira", nip05: "mira@boats.example" }, epoch + 5),
          person(3, { name: "Boats Example", nip05: "_@boats.example" }, epoch + 1),
          person(4, { name: "mira boats example" }, epoch + 9)
        ]
        yield* saves([mira, copy, other, whole])
        for (const text of [mira.pubkey, npubOf(mira.pubkey), `nostr:${npubOf(mira.pubkey)}`, nprofileEncode(mira)]) {
          assert.deepStrictEqual((yield* search(text)).found, [mira], text)
          assert.deepStrictEqual((yield* search(text, { since: epoch + 1 })).found, [], text)
          assert.deepStrictEqual((yield* search(text, { authors: [copy.pubkey] })).found, [], text)
        }
        assert.deepStrictEqual(yield* first("MIRA@boats.example"), [copy, mira, whole])
        assert.deepStrictEqual(yield* first("boats.example"), [other, whole, copy])
        yield* write([mira, other].map(({ content, pubkey }) => ({
          _tag: "Record",
          space: "nip05",
          key: pubkey,
          value: JSON.stringify((JSON.parse(content) as Fields)["nip05"]),
          due: null
        })))
        assert.deepStrictEqual(yield* first("MIRA@boats.example"), [mira, copy, whole])
        assert.deepStrictEqual(yield* first("@mira@boats.example"), [mira, copy, whole])
        // Further down than a list is read.
        const crowd = Array.from({ length: 600 }, (_, i) =>
          person(`copy ${i}`, { name: "mira", nip05: "mira@boats.example" }, epoch + 10 + i))
        yield* saves(crowd)
        assert.deepStrictEqual((yield* first("mira@boats.example"))[0], mira)
      })
    )
  )

  it.effect(
    "finds all of a domain where nobody has a name by right, or few have",
    inMemory(() =>
      Effect.gen(function*() {
        yield* saves(Array.from({ length: 3000 }, (_, i) =>
          person(i, { name: `mira${i}`, nip05: `mira${i}@boats.example` }, epoch + i)))
        for (const text of ["domain:boats.example", "domain:boats.example mira", "domain:example", "domain:?"]) {
          assert.deepStrictEqual(yield* search(text), { complete: true, found: [], names: [] }, text)
        }
        yield* write([7, 2000].map((i) => ({
          _tag: "Record",
          space: "nip05",
          key: person(i, "").pubkey,
          value: JSON.stringify(`mira${i}@boats.example`),
          due: null
        })))
        const { complete, names } = yield* search("domain:boats.example mira")
        assert.deepStrictEqual({ complete, names }, { complete: true, names: ["mira2000", "mira7"] })
      })
    )
  )

  it.effect(
    "knows the domain only of a name that was verified, and is still that of the profile",
    inMemory(() =>
      Effect.gen(function*() {
        const people = ["mira@boats.example", "bob@boats.example", "eve@boats.example", "kim@tide.example"].map((
          nip05,
          i
        ) => person(i, { name: nip05.split("@")[0]!, nip05 }, epoch + i))
        yield* saves(people)
        assert.deepStrictEqual(yield* names("domain:boats.example"), [])
        const verified = [people[0]!, people[1]!, people[3]!].map(({ content, pubkey }) => [
          pubkey,
          (JSON.parse(content) as Fields)["nip05"]
        ])
        verified.push([people[2]!.pubkey, "another@boats.example"])
        yield* write(verified.map(([key, name]) => ({
          _tag: "Record",
          space: "nip05",
          key: key!,
          value: JSON.stringify(name),
          due: null
        })))
        assert.deepStrictEqual(yield* names("domain:boats.example"), ["bob", "mira"])
        assert.deepStrictEqual(yield* names("domain:BOATS.example mi"), ["mira"])
        assert.deepStrictEqual(yield* names("kim domain:boats.example"), [])
        assert.deepStrictEqual(yield* names("domain:example"), [])
        assert.deepStrictEqual(yield* names("domain:"), [])
      })
    )
  )
})

describe("what is searched", () => {
  it.effect(
    "is the current version of a profile, until it is removed",
    inMemory(() =>
      Effect.gen(function*() {
        const old = person(1, { name: "caterpillar", about: "green" }, epoch)
        const fresh = person(1, { name: "butterfly" }, epoch + 1)
        yield* saves([old])
        assert.deepStrictEqual(yield* names("cater"), ["caterpillar"])
        yield* saves([fresh])
        for (const text of ["cater", "green"]) assert.deepStrictEqual(yield* names(text), [])
        assert.deepStrictEqual(yield* names("butter"), ["butterfly"])
        yield* saves([old])
        assert.deepStrictEqual(yield* names("cater"), [])
        yield* write([{ _tag: "Delete", ids: [fresh.id] }])
        assert.deepStrictEqual(yield* names("butter"), [])
        yield* saves([fresh])
        assert.deepStrictEqual(yield* names("butter"), ["butterfly"])
      })
    )
  )

  it.effect(
    "is nothing that its author has deleted (NIP-09), or left behind (NIP-62)",
    inMemory(() =>
      Effect.gen(function*() {
        const one = signed({ kind: 0, content: "{\"name\":\"mira\"}" }, "one")
        const two = signed({ kind: 0, content: "{\"name\":\"mirage\"}" }, "two")
        yield* saveAll([one, two])
        yield* saveAll([deletionEvent([one.id], "one")])
        assert.deepStrictEqual(yield* names("mira"), ["mirage"])
        yield* saveAll([signed({ kind: 62, created_at: epoch + 5, tags: [["relay", "ALL_RELAYS"]] }, "two")])
        assert.deepStrictEqual(yield* names("mira"), [])
      })
    )
  )

  it.effect(
    "is nothing that has expired, removed or not (NIP-40)",
    inMemory(() =>
      Effect.gen(function*() {
        yield* saves([person(1, { name: "mayfly" }, 0, { tags: [["expiration", "30"]] })])
        yield* TestClock.adjust(29_999)
        assert.deepStrictEqual(yield* names("may"), ["mayfly"])
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(yield* names("may"), [])
        assert.deepStrictEqual(yield* names("may", { authors: [person(1, "").pubkey] }), [])
        yield* TestClock.adjust("2 minutes")
        assert.deepStrictEqual(yield* names("may"), [])
      })
    )
  )

  it.effect(
    "is found among profiles that share a second and the first bits of their ids, whoever leaves",
    inMemory(() =>
      Effect.gen(function*() {
        const people = Array.from({ length: 6 }, (_, i) =>
          person(i, { name: `twin ${"abcdef"[i]}` }, epoch, { id: `abcd${`${i}`.padStart(60, "0")}` }))
        yield* saves(people.slice(0, 3))
        yield* saves(people.slice(3))
        assert.strictEqual((yield* names("twin")).length, 6)
        assert.deepStrictEqual(yield* names("twin e"), ["twin e"])
        yield* write([{ _tag: "Delete", ids: [people[0]!.id, people[4]!.id] }])
        assert.sameMembers([...yield* names("twin")], ["twin b", "twin c", "twin d", "twin f"])
        assert.deepStrictEqual(yield* names("e"), [])
        yield* saves([person(1, { name: "single" }, epoch + 1)])
        assert.sameMembers([...yield* names("twin")], ["twin c", "twin d", "twin f"])
      })
    )
  )

  it.effect(
    "is no content that is no profile, and no profile from beyond the year 2242",
    inMemory(() =>
      Effect.gen(function*() {
        yield* saves([
          person(1, "mira"),
          person(2, "[\"mira\"]"),
          person(3, { name: "mira far" }, 2 ** 33),
          person(4, { name: "mira near" }, 2 ** 33 - 1),
          person(5, { name: "" })
        ])
        assert.deepStrictEqual(yield* names("mira"), ["mira near"])
        assert.deepStrictEqual(yield* names("mira", { authors: [person(3, "").pubkey] }), ["mira far"])
        yield* write([{ _tag: "Delete", ids: [person(3, { name: "mira far" }, 2 ** 33).id] }])
      })
    )
  )
})

// A slow and obvious scorer, written apart from the real one for texts of plain words.

const plainWords = (text = ""): Array<string> => text.toLowerCase().split(/[^a-z0-9]+/).filter((word) => word !== "")

const nowhere = -Infinity

const obviousRank = (asked: string, { about, display_name, name, nip05 }: Fields): number => {
  const words = plainWords(asked)
  const joined = words.join("")
  const begins = (text: string | undefined, word: string) =>
    plainWords(text).some((own) => own.startsWith(word)) || plainWords(text).join("").startsWith(word)
  const all = (text: string | undefined) => words.every((word) => begins(text, word))
  const whole = (text: string | undefined) => plainWords(text).join("")
  const names = [name, display_name]
  const wholes = names.filter((text) => whole(text) === joined)
  if (wholes.length > 0) {
    const isLiteral = wholes.some((text) => (text ?? "").trim().toLowerCase() === asked.toLowerCase())
    return 4 * Math.min(8, joined.length) + (isLiteral ? 1 : 0)
  }
  if (names.some((text) => whole(text).startsWith(joined))) return 0
  if (names.some(all)) return -2
  if (all(nip05)) return -4
  if (words.every((word) => [name, display_name, nip05].some((text) => begins(text, word)))) return -6
  return words.every((word) =>
      [name, display_name, nip05].some((text) => begins(text, word)) || plainWords(about).includes(word)
    )
    ? -24
    : nowhere
}

const obvious = (asked: string, events: ReadonlyArray<Event>): ReadonlyArray<Event> =>
  events.map((event) => ({ event, rank: obviousRank(asked, JSON.parse(event.content) as Fields) }))
    .filter(({ rank }) => rank > nowhere)
    .toSorted((a, b) => b.rank - a.rank || newestFirst(a.event, b.event))
    .map(({ event }) => event)

const seed = 20_261_124

it.live(
  `a search finds what a slow, obvious one finds, in its order (2000 profiles, 800 searches, seed ${seed})`,
  () =>
    Effect.gen(function*() {
      const random = randomOf(seed)
      const syllables = ["al", "ex", "an", "dra", "bo", "mi", "ra", "jo", "na", "than", "ki", "m"]
      const word = () => random.some(syllables, 3).join("") || "x"
      const common = Array.from({ length: 300 }, word)
      const text = (countMax: number) => random.some(common, countMax).join(" ")
      const spelled = () =>
        random.pick([word(), `${word()}_${word()}`, `${word()} ${word()}`, `${word()}${random.int(9)}`, ""])
      const events = Array.from({ length: 2000 }, (_, i) => {
        const name = spelled()
        return person(i, {
          name: random.chance(20) ? name.toUpperCase() : name,
          display_name: random.chance(50) ? spelled() : "",
          nip05: random.chance(30) ? `${word()}@${word()}.example` : "",
          about: text(12)
        }, epoch + random.int(1000))
      })
      for (let i = 0; i < events.length; i += 500) yield* saves(events.slice(i, i + 500))
      // Half of them come again, with other texts.
      const changed = events.map((event, i) =>
        i % 2 === 0 ? person(i, { name: spelled(), about: text(12) }, event.created_at + 1 + random.int(1000)) : event
      )
      yield* saves(changed)
      let compared = 0
      for (let i = 0; i < 800; i++) {
        const asked = [
          () => word().slice(0, 1 + random.int(6)),
          spelled,
          () => random.pick(common),
          () => `${random.pick(common)} ${random.pick(common)}`,
          () => `${word().slice(0, 2)} ${random.pick(common)}`,
          () => text(4)
        ][random.int(6)]!().trim()
        if (plainWords(asked).length === 0) continue
        const limit = random.pick([1, 5, 20, 100, 500])
        const since = random.chance(20) ? epoch + random.int(1500) : undefined
        const authors = random.chance(10) ? random.some(changed, 300).map(({ pubkey }) => pubkey) : undefined
        const candidates = changed.filter(({ created_at, pubkey }) =>
          (since === undefined || created_at >= since) && (authors === undefined || authors.includes(pubkey))
        )
        const { complete, found } = yield* search(asked, {
          limit,
          ...(since === undefined ? {} : { since }),
          ...(authors === undefined ? {} : { authors })
        })
        const expected = obvious(asked, candidates)
        const context = JSON.stringify({ asked, limit, since, authors: authors?.length })
        // More words than one are looked for in bounded stretches: what is found must then be right, but need not be all.
        const isBounded = new Set(plainWords(asked)).size > 1 && authors === undefined && expected.length > 100
        if (isBounded) {
          const right = new Set(expected.map(({ id }) => id))
          assert.isTrue(found.every(({ id }) => right.has(id)), context)
        } else {
          compared++
          const wrong = expected.slice(0, limit).findIndex(({ id }, i) => found[i]?.id !== id)
          assert.strictEqual(wrong, -1, `${context}: ${expected[wrong]?.content}, not ${found[wrong]?.content}`)
          assert.strictEqual(found.length, Math.min(limit, expected.length), context)
          if (complete) assert.isAtMost(expected.length, limit, context)
        }
      }
      assert.isAbove(compared, 500)
    }).pipe(Effect.scoped, Effect.provide(Layer.fresh(memory))),
  60_000
)

describe("bounds", () => {
  it.live("put every whole name before others, and work few rows, however many match", () =>
    Effect.gen(function*() {
      const others = Array.from({ length: 2500 }, (_, i) =>
        person(i, { name: `mira${i}`, about: `the sea and the tide ${i}` }, epoch + i))
      yield* saves(others)
      yield* saves([person("first", { name: "mira" }, epoch - 500), person("literal", { name: "míra" }, epoch - 600)])
      const whole = yield* search("mira", { limit: 10 })
      assert.deepStrictEqual(whole.names.slice(0, 3), ["mira", "míra", "mira2499"])
      assert.deepStrictEqual((yield* search("míra", { limit: 10 })).names.slice(0, 2), ["míra", "mira"])
      assert.deepStrictEqual((yield* search("m", { limit: 1 })).names, ["mira2499"])
      for (const text of ["m", "sea", "the sea", "mira the", "the sea and the tide of mira"]) {
        const { complete, found } = yield* search(text, { limit: 5000 })
        assert.isAtMost(found.length, 500, text)
        assert.isFalse(complete, text)
      }
      const old = yield* search("sea", { until: epoch + 9, limit: 5 })
      assert.deepStrictEqual(
        old.names,
        [9, 8, 7, 6, 5].map((i) =>
          `mira${i}`
        )
      )
    }).pipe(Effect.scoped, Effect.provide(Layer.fresh(memory))), 30_000)

  it.effect(
    "hold for the longest texts, in the question and in the profile",
    inMemory(() =>
      Effect.gen(function*() {
        const long = "mira ".repeat(20_000)
        yield* saves([person(1, { name: long, display_name: long, nip05: long, about: long })])
        yield* saves([person(2, { name: "x".repeat(50_000), about: "ﷺ".repeat(2000) })])
        assert.strictEqual((yield* search("mira")).found.length, 1)
        for (const length of [1, 8, 9, 24, 25, 100, 256]) {
          assert.strictEqual((yield* search("x".repeat(length))).found.length, 1, `${length}`)
        }
        yield* search(Array.from({ length: 128 }, (_, i) => String.fromCharCode(0x4e00 + i)).join(" "))
        yield* search("ﷺ".repeat(256))
      })
    )
  )
})

const withStore = <A>(body: (store: SqliteStore, db: DatabaseSync) => A) =>
  Effect.gen(function*() {
    const path = join(yield* directory, "test.db")
    yield* DatabaseFile.migrate(path)
    const db = connect(path, "writer")
    yield* Effect.addFinalizer(() => Effect.sync(() => db.close()))
    return body(new SqliteStore(db, "ws://localhost"), db)
  }).pipe(Effect.scoped)

const profiles = (db: DatabaseSync) => db.prepare("SELECT count(*) AS n FROM search_docsize").get()?.["n"]
const has = (db: DatabaseSync, term: string) =>
  db.prepare("SELECT count(*) AS n FROM search WHERE search MATCH ?").get(`"${term}"`)?.["n"]

const put = (event: Event) => ({ _tag: "Save", raw: rawOf(event) } as const)

/** A file that the first version with an index has written, schema 2. */
const schema2 = join(import.meta.dirname, "sqlite/files/schema-2.db.gz")

const unpacked = Effect.map(directory, (folder) => {
  const path = join(folder, "test.db")
  fs.writeFileSync(path, gunzipSync(fs.readFileSync(schema2)))
  return path
})

describe("the index", () => {
  it.live("has nothing of a write that was undone, and all of those beside it", () =>
    withStore((store, db) => {
      const bad = { _tag: "Record", space: "s", key: null as unknown as string, value: "", due: null } as const
      store.apply({ now: 0, writes: [[put(person(1, { name: "kept" }))]] })
      const { results } = store.apply({
        now: 0,
        writes: [
          [put(person(1, { name: "undone" }, epoch + 1)), bad],
          [put(person(2, { name: "beside" }))],
          [put(person(3, { name: "undone too" })), bad]
        ]
      })
      assert.deepStrictEqual(results.map(({ _tag }) => _tag), ["Refused", "Applied", "Refused"])
      assert.deepStrictEqual(["xkept", "xbeside", "sundone"].map((term) => has(db, term)), [1, 1, 0])
      assert.strictEqual(profiles(db), 2)
      db.exec("INSERT INTO search (search) VALUES ('integrity-check')")
    }))

  it.live("stays as large as what is searched, through many versions", () =>
    withStore((store, db) => {
      const random = randomOf(seed)
      for (let round = 0; round < 60; round++) {
        const writes = Array.from({ length: 50 }, () => [
          {
            _tag: "Save",
            raw: rawOf(
              person(random.int(40), { name: `v${round}`, about: "as ever" }, epoch + round * 10 + random.int(10))
            )
          } as const
        ])
        store.apply({ now: 0, writes })
      }
      assert.strictEqual(profiles(db), db.prepare("SELECT count(*) AS n FROM event").get()?.["n"])
      assert.strictEqual(profiles(db), has(db, "aever"))
      db.exec("INSERT INTO search (search) VALUES ('integrity-check')")
    }))

  it.live("is built anew beside everything else, and goes on where it was interrupted", () =>
    Effect.gen(function*() {
      const path = join(yield* directory, "test.db")
      yield* DatabaseFile.migrate(path)
      const events = Array.from(
        { length: 2 * stepMax + 100 },
        (_, i) => person(i, { name: `mira${i}` }, epoch + (i % 7))
      )
      const reader = () => {
        const db = connect(path, "reader")
        const { work } = SqliteReader.make(db)
        const find = (search: string) => {
          const steps = work({ _tag: "Query", filters: [{ search }], limitMax: 10, now: 0 })
          let step = steps.next()
          while (step.done !== true) step = steps.next()
          const { complete, events } = step.value as {
            readonly complete: boolean
            readonly events: ReadonlyArray<string>
          }
          return { complete, names: events.map((raw) => nameOf(JSON.parse(raw) as Event)) }
        }
        return { find, db }
      }
      const open = () => new SqliteStore(connect(path, "writer"), "ws://localhost")
      let store = open()
      for (const event of events) store.apply({ now: 0, writes: [[put(event)]] })
      store.connection.exec(`DELETE FROM search; INSERT INTO search_backlog VALUES (1, ${Number.MAX_SAFE_INTEGER}, -1)`)
      assert.deepInclude(store.sweep(0), { done: false, indexed: stepMax })
      store.close()
      store = open()
      const { db, find } = reader()
      yield* Effect.addFinalizer(() => Effect.sync(() => db.close()))
      assert.strictEqual(find("mira").complete, false, "there may be others")
      // Before its turn, and after it.
      const [late, early] = [
        events.find(({ created_at }) => created_at === epoch)!,
        events.find(({ created_at }) => created_at === epoch + 6)!
      ]
      store.apply({ now: 0, writes: [[{ _tag: "Delete", ids: [late.id, early.id] }]] })
      store.apply({ now: 0, writes: [[put(person("new", { name: "newcomer" }, epoch))]] })
      assert.strictEqual(find("newcomer").names.length, 1)
      assert.deepInclude(store.sweep(0), { done: false, indexed: stepMax })
      assert.deepInclude(store.sweep(0), { done: false, indexed: 100 }, "one has left, one has come")
      for (let isDone = false; !isDone;) {
        const { done, indexed } = store.sweep(0)
        assert.strictEqual(indexed, 0)
        isDone = done
      }
      for (const i of [100, 250, 500]) {
        assert.deepStrictEqual(find(`mira${i}`), { complete: true, names: [`mira${i}`] })
      }
      for (const left of [late, early]) assert.notInclude(find(nameOf(left)).names, nameOf(left))
      assert.strictEqual(find("newcomer").names.length, 1)
      const places = new Set(events.map(({ created_at, id }) => `${created_at}${id.slice(0, 4)}`))
      assert.strictEqual(profiles(store.connection), places.size - 1)
      store.connection.exec("INSERT INTO search (search) VALUES ('integrity-check')")
      store.close()
    }).pipe(Effect.scoped), 30_000)

  it.live(
    "of a file from before letters were folded as now answers at once, and soon for all of them",
    () =>
      Effect.gen(function*() {
        const path = yield* unpacked
        yield* Effect.gen(function*() {
          assert.deepStrictEqual(yield* names("mira"), ["mira"])
          assert.deepStrictEqual((yield* search("mira@boats.example", { limit: 1 })).names, ["mira"])
          const expected: Fields = {
            "sean obrien": "Sean O'Brien",
            "captain jeanluc": "Captain Jean-Luc",
            jeanluc: "Captain Jean-Luc",
            holder: "ʜᴏʟᴅᴇʀ",
            jack: "🅹🅰🅲🅺",
            "احمد": "أحمد",
            "مصطفي": "مصطفى",
            "киив": "Київ",
            "ΟΔΥΣΣΕΥΣ": "Οδυσσεύς",
            STRASSE: "Straße",
            "サクラ": "さくら",
            "twin b": "twin b",
            "sailor 120": "sailor 120"
          }
          yield* Effect.repeat(search("jeanluc"), { until: ({ complete }) => complete, schedule: Schedule.spaced(20) })
          for (const [text, name] of Object.entries(expected)) assert.deepStrictEqual(yield* names(text), [name], text)
          assert.deepStrictEqual(yield* names("gone"), [])
          assert.strictEqual((yield* search("sea")).names.length, 64)
        }).pipe(Effect.provide(Layer.fresh(at(path))))
        const db = new DatabaseSync(path)
        assert.isUndefined(db.prepare("SELECT * FROM search_backlog").get())
        assert.strictEqual(profiles(db), 64, "two share a place")
        db.close()
      }).pipe(Effect.scoped),
    30_000
  )
})

it.live("a search is answered from a file too, by the reader's thread", () =>
  Effect.gen(function*() {
    yield* saves([person(1, { name: "mira" }), person(2, { name: "bob", about: "knows mira" })])
    assert.deepStrictEqual(yield* names("mira"), ["mira", "bob"])
  }).pipe(Effect.scoped, Effect.provide(Layer.fresh(file))))
