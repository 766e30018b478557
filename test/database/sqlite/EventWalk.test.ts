/** Walks over random stores against the slow, obvious way: match everything, sort, cut. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { join } from "node:path"
import { Settings } from "../../../src/config/Settings.ts"
import { Archive, type Order } from "../../../src/database/Archive.ts"
import { Database } from "../../../src/database/Database.ts"
import * as Engine from "../../../src/database/Engine.ts"
import { type Event, newestFirst } from "../../../src/domain/Event.ts"
import { type Filter, matches } from "../../../src/domain/Filter.ts"
import { type Random, randomOf } from "../random.ts"
import { at, directory } from "../support.ts"

const now = Math.floor(Date.now() / 1000)

/** Regular kinds only, so that every event stays. Authors, times and tags are few, so that lists overlap and times tie. */
const eventOf = ({ hex, int, pick, some }: Random, seconds: number): Event => ({
  id: hex(64),
  pubkey: String(int(5)).repeat(64),
  created_at: 1_700_000_000 + (int(4) === 0 ? 7 : int(seconds)),
  kind: pick([1, 7, 1111]),
  tags: some(["a", "b", "c"], 3).map((value) => ["t", value]),
  content: "",
  sig: "0".repeat(128)
})

const filterOf = ({ chance, int, some }: Random, events: ReadonlyArray<Event>, seconds: number): Filter => {
  const since = 1_700_000_000 + int(seconds)
  return {
    ...(chance(15) ? { ids: some(events, 20).map(({ id }) => id) } : {}),
    ...(chance(30) ? { authors: some(events, 4).map(({ pubkey }) => pubkey) } : {}),
    ...(chance(40) ? { kinds: some([1, 7, 1111, 9], 3) } : {}),
    ...(chance(25) ? { since } : {}),
    ...(chance(25) ? { until: since + int(seconds) } : {}),
    ...(chance(40) ? { limit: int(40) } : {}),
    ...(chance(25) ? { tags: new Map([["t", some(["a", "b", "z"], 2)]]) } : {})
  }
}

const expected = (events: ReadonlyArray<Event>, filters: ReadonlyArray<Filter>): ReadonlyArray<string> => {
  const found = filters.flatMap((filter) =>
    events.filter((event) => matches(filter, event)).toSorted(newestFirst).slice(0, filter.limit ?? Infinity)
  )
  return [...new Map(found.map((event) => [event.id, event])).values()].toSorted(newestFirst).map(({ id }) => id)
}

const walk = Effect.fnUntraced(function*(filters: ReadonlyArray<Filter>, order: Order) {
  const archive = yield* Archive
  const ids: Array<string> = []
  yield* archive.walk(filters, order, (events) => Effect.sync(() => void ids.push(...events.map(({ id }) => id))))
  return ids
})

/** Runs over a store with these events, beside the service that has written them. */
const beside = <A, E>(events: ReadonlyArray<Event>, use: Effect.Effect<A, E, Archive>) =>
  Effect.gen(function*() {
    const databasePath = join(yield* directory, "events.db")
    return yield* Effect.gen(function*() {
      const sender = yield* (yield* Database).sender("test")
      for (let i = 0; i < events.length; i += 1000) {
        yield* sender.write(events.slice(i, i + 1000).map((event) => ({ _tag: "Save", event })))
      }
      return yield* Effect.provide(
        use,
        Layer.provide(Engine.archive, Settings.layerTest({ databasePath }))
      )
    }).pipe(Effect.scoped, Effect.provide(at(databasePath)))
  }).pipe(Effect.scoped)

describe("Archive.walk", () => {
  for (const [seed, count, seconds] of [[1, 300, 40], [2, 900, 500_000], [3, 6000, 3]] as const) {
    it.live(`finds what a slow search finds, in both orders: ${count} events in ${seconds} seconds`, () => {
      const random = randomOf(seed)
      const events = Array.from({ length: count }, () => eventOf(random, seconds))
      return beside(
        events,
        Effect.gen(function*() {
          for (let n = 0; n < 120; n++) {
            const filters = Array.from({ length: 1 + random.int(3) }, () => filterOf(random, events, seconds))
            const answer = expected(events, filters)
            const what = `seed ${seed}, case ${n}: ${JSON.stringify(filters)}`
            assert.deepStrictEqual(yield* walk(filters, "newest first"), answer, what)
            assert.deepStrictEqual(yield* walk(filters, "oldest first"), answer.toReversed(), what)
          }
        })
      )
    }, 60_000)
  }

  it.live("holds one snapshot to its end, and gives it back when it is interrupted", () => {
    const random = randomOf(4)
    const events = Array.from({ length: 3000 }, () => eventOf(random, 10_000))
    return beside(
      events,
      Effect.gen(function*() {
        const archive = yield* Archive
        let batches = 0
        yield* archive.walk([{}], "newest first", () => ++batches > 1 ? Effect.interrupt : Effect.void).pipe(
          Effect.exit
        )
        assert.strictEqual(batches, 2)
        assert.strictEqual((yield* walk([{}], "oldest first")).length, 3000)
        assert.strictEqual(yield* archive.count([{ kinds: [1] }]), events.filter(({ kind }) => kind === 1).length)
      })
    )
  }, 30_000)

  it.live("leaves out what has expired", () => {
    const random = randomOf(5)
    const event = (expiration: number): Event => ({
      ...eventOf(random, 10),
      tags: [["expiration", String(expiration)]]
    })
    const [gone, lasting] = [event(now + 1), event(now + 1000)]
    return beside(
      [gone, lasting],
      Effect.gen(function*() {
        yield* Effect.sleep(`${Math.max(0, (now + 1) * 1000 - Date.now()) + 5} millis`)
        assert.deepStrictEqual(yield* walk([{}], "newest first"), [lasting.id])
        assert.deepStrictEqual(yield* walk([{}], "oldest first"), [lasting.id])
      })
    )
  })
})
