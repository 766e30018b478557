/** Generated events, filters and JSON for properties: small alphabets, so that conditions are met as often as missed. */
import { Arbitrary, Schema } from "effect"
import type { Event } from "../../src/domain/Event.ts"
import type { Filter } from "../../src/domain/Filter.ts"

/** Generous, so that a test meets the limit it is about and no other. */
export const limits = {
  eventTagsMax: 2000,
  contentMax: 65_536,
  frameBytesMax: 131_072,
  jsonDepthMax: 16,
  filtersMax: 10,
  filterValuesMax: 1000,
  subscriptionIdMax: 64
}

/** 64 hex characters from a small number. */
export const hex = (n: number, length = 64): string => n.toString(16).padStart(length, "0")

const among = <const A extends ReadonlyArray<string | number>>(values: A) => Arbitrary.schema(Schema.Literals(values))

const idArbitrary = Arbitrary.map(among([1, 2, 3, 4]), (n) => hex(n))
const kindArbitrary = among([0, 1, 3, 5, 10_002, 20_000, 30_023])
const timeArbitrary = among([100, 101, 102, 103])
const valueArbitrary = Arbitrary.map(among(["", "a", "b", "nostr", hex(1), hex(2)]), (value): string => value)
const letterArbitrary = among(["t", "T", "d", "x"])

const tagArbitrary = Arbitrary.map(
  Arbitrary.all([letterArbitrary, Arbitrary.array(valueArbitrary, { maxLength: 2 })]),
  ([letter, values]): ReadonlyArray<string> => [letter, ...values]
)

export const eventArbitrary: Arbitrary.Arbitrary<Event> = Arbitrary.map(
  Arbitrary.all({
    id: idArbitrary,
    pubkey: idArbitrary,
    created_at: timeArbitrary,
    kind: kindArbitrary,
    tags: Arbitrary.array(tagArbitrary, { maxLength: 4 }),
    content: Arbitrary.schema(Schema.String)
  }),
  (fields) => ({ ...fields, content: fields.content.toWellFormed().replaceAll("\0", ""), sig: hex(9, 128) })
)

const maybe = <A>(arbitrary: Arbitrary.Arbitrary<A>): Arbitrary.Arbitrary<A | undefined> =>
  Arbitrary.flatMap(
    among([0, 1, 2]),
    (n): Arbitrary.Arbitrary<A | undefined> => n === 0 ? arbitrary : Arbitrary.Constant(undefined)
  )

const some = <A>(arbitrary: Arbitrary.Arbitrary<A>) => maybe(Arbitrary.array(arbitrary, { maxLength: 3 }))

/** A filter as a client writes it. */
export const filterJsonArbitrary: Arbitrary.Arbitrary<Record<string, unknown>> = Arbitrary.map(
  Arbitrary.all({
    ids: some(idArbitrary),
    authors: some(idArbitrary),
    kinds: some(kindArbitrary),
    since: maybe(timeArbitrary),
    until: maybe(timeArbitrary),
    limit: maybe(among([0, 1, 500])),
    "#t": some(valueArbitrary),
    "#T": some(valueArbitrary),
    "#d": some(valueArbitrary)
  }),
  (filter) => Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined))
)

export const json: Arbitrary.Arbitrary<Schema.Json> = Arbitrary.schema(Schema.Json)

/** One of the fields of `base` replaced by any JSON, under its own or any other name. */
export const mutated = (base: object): Arbitrary.Arbitrary<Record<string, unknown>> =>
  Arbitrary.map(
    Arbitrary.all([among([...Object.keys(base), "__proto__", "extra"]), json]),
    ([key, value]) => ({ ...base, [key]: value })
  )

/** Texts that parsers stumble over; none of them may make ours throw. */
export const hostileTexts: ReadonlyArray<string> = [
  "",
  " ",
  "\0",
  "null",
  "1e400",
  "\"\\ud800\"",
  "{\"__proto__\":{\"name\":\"x\"}}",
  "{\"constructor\":{\"prototype\":1}}",
  "{\"name\":1,\"name\":\"second\"}",
  "{\"id\":1e400,\"kind\":-1e400,\"created_at\":9007199254740993}",
  "[".repeat(10_000),
  "[".repeat(10_000) + "]".repeat(10_000),
  "{\"a\":".repeat(10_000) + "1" + "}".repeat(10_000),
  "[\"EVENT\",".repeat(10_000),
  `["${"\\".repeat(10_000)}`,
  "[\"REQ\",\"\\u0000\",{\"search\":\"\\u0000\"}]",
  "[\"EVENT\",{\"__proto__\":null}]",
  "[\"toString\"]",
  "[\"__proto__\",{}]",
  "\ufeff[]",
  "\ud83d"
]

const isAmong = <A>(list: ReadonlyArray<A> | undefined, value: A) =>
  list === undefined || list.some((item) => item === value)

/** The matcher of NIP-01 written down sentence by sentence, with nothing shared with the one under test. */
export const slowMatches = (filter: Filter, event: Event): boolean => {
  const conditions: Array<boolean> = []
  conditions.push(isAmong(filter.ids, event.id))
  conditions.push(isAmong(filter.authors, event.pubkey))
  conditions.push(isAmong(filter.kinds, event.kind))
  conditions.push((filter.since ?? 0) <= event.created_at)
  conditions.push(event.created_at <= (filter.until ?? Infinity))
  for (const [letter, values] of filter.tags ?? []) {
    const indexed = event.tags.filter((tag) => tag[0] === letter && tag.length > 1).map((tag) => tag[1])
    conditions.push(values.some((value) => indexed.some((item) => item === value)))
  }
  return conditions.every((condition) => condition)
}
