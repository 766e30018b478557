/** Queries against the slow and obvious way to answer them: look at every event. */
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { describe } from "vitest"
import { Database, textOf } from "../../src/database/Database.ts"
import { type Event, expirationOf, newestFirst } from "../../src/domain/Event.ts"
import { type Filter, matches } from "../../src/domain/Filter.ts"
import { type Random, randomOf } from "./random.ts"
import { file, memory, type TestLayer } from "./support.ts"

const seed = 20_261_124

const kinds = [0, 1, 3, 7, 1063, 10002, 30023]
const letters = ["e", "p", "t"]
const times = Array.from({ length: 12 }, (_, i) => 1000 + i)

/** Few values, so that lists overlap, seconds are shared, and keys of 52 bits coincide. */
const world = (random: Random) => {
  const authors = Array.from(
    { length: 12 },
    (_, i) => `${"0".repeat(i % 3 === 0 ? 13 : 8)}${random.hex(64)}`.slice(0, 64)
  )
  const values = Array.from({ length: 10 }, () => random.hex(64))
  const event = (): Event => {
    const kind = random.pick(kinds)
    const tags = random.some(values, 4).map((value) => [random.pick(letters), value])
    if (kind === 30023) tags.push(["d", random.hex(1)])
    // Half of these have expired at the test clock's zero plus ten years; all others never will.
    if (random.chance(10)) tags.push(["expiration", random.chance(50) ? "1" : "99999999999"])
    return {
      id: `${random.chance(20) ? "f".repeat(13) : ""}${random.hex(64)}`.slice(0, 64),
      pubkey: random.pick(authors),
      created_at: random.pick(times),
      kind,
      tags,
      content: "",
      sig: random.hex(128)
    }
  }
  const filter = (events: ReadonlyArray<Event>): Filter => ({
    ...(random.chance(20)
      ? { ids: [...random.some(events, 6).map(({ id }) => id), ...(random.chance(30) ? [random.hex(64)] : [])] }
      : {}),
    ...(random.chance(40) ? { authors: random.some(authors, 9) } : {}),
    ...(random.chance(50) ? { kinds: random.some(kinds, 7) } : {}),
    ...(random.chance(20) ? { since: random.pick(times) } : {}),
    ...(random.chance(20) ? { until: random.pick(times) } : {}),
    ...(random.chance(60) ? { limit: random.int(random.pick([3, 10, 100])) } : {}),
    ...(random.chance(35)
      ? { tags: new Map(random.some(letters, 2).map((letter) => [letter, random.some(values, 4)])) }
      : {})
  })
  return { event, filter }
}

/** What one filter finds, and whether that is everything. */
const found = (events: ReadonlyArray<Event>, filter: Filter, limitMax: number) => {
  const all = events.filter((event) => matches(filter, event)).toSorted(newestFirst)
  const limit = Math.min(filter.limit ?? limitMax, limitMax)
  return { events: all.slice(0, limit), complete: all.length <= limit, isFull: all.length >= limit }
}

const differential = (layer: TestLayer, cases: number) =>
  Effect.gen(function*() {
    const random = randomOf(seed)
    const { event, filter } = world(random)
    const { count, query, sender, stats } = yield* Database
    const { write } = yield* sender("test")
    const outcomes: Array<{ readonly event: Event; readonly stored: boolean }> = []
    for (let i = 0; i < 12; i++) {
      const batch = Array.from({ length: 60 }, event).filter((event) => (expirationOf(event) ?? Infinity) > 10)
      const results = yield* write(batch.map((event) => ({ _tag: "Save", event })))
      results.forEach(({ _tag }, i) => outcomes.push({ event: batch[i]!, stored: _tag === "Saved" }))
    }
    // Which versions survive is another test's question: everything that is there is asked of the store itself.
    const { events: everything } = yield* query([{}], { limitMax: 10_000 })
    const events = everything.map((raw) => JSON.parse(textOf(raw)) as Event)
    assert.strictEqual(events.length, (yield* stats).events)
    assert.isAbove(events.length, 300)
    assert.isTrue(events.every(({ id }) => outcomes.some(({ event, stored }) => stored && event.id === id)))

    for (let i = 0; i < cases; i++) {
      const filters = Array.from({ length: 1 + random.int(3) }, () => filter(events))
      const limitMax = random.pick([1, 5, 50, 1000])
      const name = `case ${i}: ${
        JSON.stringify(filters, (_, value: unknown) => value instanceof Map ? [...value] : value)
      } limitMax ${limitMax}`
      const answers = filters.map((filter) => found(events, filter, limitMax))
      const expected = [...new Set(answers.flatMap(({ events }) => events))].toSorted(newestFirst)
      const actual = yield* query(filters, { limitMax })
      assert.deepStrictEqual(
        actual.events.map((raw) => (JSON.parse(textOf(raw)) as Event).id),
        expected.map(({ id }) => id),
        name
      )
      if (actual.complete) assert.isTrue(answers.every(({ complete }) => complete), name)
      // "Incomplete" is always allowed, but not as an excuse: with room under every limit, nothing was left out.
      else assert.isTrue(answers.some(({ isFull }) => isFull), name)
      const matching = events.filter((event) => filters.some((filter) => matches(filter, event)))
      assert.strictEqual(yield* count(filters), matching.length, name)
    }
  }).pipe(Effect.scoped, Effect.provide(Layer.fresh(layer)))

describe("queries and counts", () => {
  it.effect(
    `answer 2000 random requests as a walk over every event would (memory, seed ${seed})`,
    () => differential(memory, 2000),
    60_000
  )
  it.live(
    `answer 500 random requests as a walk over every event would (a file, seed ${seed})`,
    () => differential(file, 500),
    60_000
  )
})
