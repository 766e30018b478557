/** What the store does by itself as time passes, and what its queries cost by their shape. */
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { DatabaseSync } from "node:sqlite"
import { describe } from "vitest"
import { Database } from "../../src/database/Database.ts"
import * as DatabaseFile from "../../src/database/sqlite/DatabaseFile.ts"
import * as FilterScan from "../../src/database/sqlite/FilterScan.ts"
import type { Event } from "../../src/domain/Event.ts"
import { epoch, keyOf, signed } from "../support/events.ts"
import { idsOf, saveAll, write } from "./Database.suite.ts"
import { file, memory } from "./support.ts"

/** Events that differ in nothing but their ids, which nobody checks here. */
const many = (count: number, template: Event): ReadonlyArray<Event> =>
  Array.from({ length: count }, (_, i) => ({
    ...template,
    id: i.toString(16).padStart(8, "0") + template.id.slice(8)
  }))

const saves = (events: ReadonlyArray<Event>) => write(events.map((event) => ({ _tag: "Save", event })))

describe("expired events (NIP-40)", () => {
  it.effect("are served until their second, hidden from then on, and removed within a minute", () =>
    Effect.gen(function*() {
      const { count, stats } = yield* Database
      const event = signed({ tags: [["expiration", "30"], ["t", "x"]] })
      yield* saveAll([event])
      const asked = [{ kinds: [1] }, { ids: [event.id] }, { authors: [event.pubkey] }, {
        tags: new Map([["t", ["x"]]])
      }, {}]
      const answers = Effect.forEach(
        asked,
        (filter) => Effect.all([Effect.map(idsOf([filter]), ({ length }) => length), count([filter])])
      )
      yield* TestClock.adjust(29_999)
      assert.deepStrictEqual(yield* answers, asked.map(() => [1, 1]))
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* answers, asked.map(() => [0, 0]))
      assert.strictEqual((yield* stats).events, 1)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* stats).events, 0)
    }).pipe(Effect.provide(Layer.fresh(memory))))
})

describe("requests to vanish (NIP-62)", () => {
  it.effect("that leave too much for one transaction hide it at once, and are finished without being waited for", () =>
    Effect.gen(function*() {
      const { count, stats } = yield* Database
      const { pubkey } = keyOf("author")
      yield* saves(many(3000, signed({ tags: [["t", "x"]] })))
      yield* saves(many(3000, signed({ kind: 1059, tags: [["p", pubkey]] }, "stranger")))
      yield* saveAll([signed({ kind: 62, created_at: epoch, tags: [["relay", "ALL_RELAYS"]] })])
      assert.isAbove((yield* stats).events, 1)
      assert.strictEqual(yield* count([{}]), 1)
      yield* Effect.repeat(Effect.andThen(Effect.yieldNow, stats), { until: ({ events }) => events === 1 })
    }).pipe(Effect.provide(Layer.fresh(memory))))
})

describe("long reads", () => {
  it.live("take turns on their thread, and make room when their callers lose interest", () =>
    Effect.gen(function*() {
      const { count, query } = yield* Database
      yield* saves(many(20_000, signed({ tags: [["t", "x"]] })))
      const tagged = { tags: new Map([["t", ["x"]]]) }
      const done: Array<string> = []
      const long = yield* Effect.forEach([1, 2, 3], () =>
        Effect.forkChild(
          Effect.ensuring(
            count([tagged]),
            Effect.sync(() => done.push("long"))
          ),
          {
            startImmediately: true
          }
        ))
      const short = yield* query([{ kinds: [1], limit: 100 }], { limitMax: 100 })
      assert.strictEqual(short.events.length, 100)
      assert.deepStrictEqual(done, [])
      const [first, ...others] = long
      yield* Effect.forEach(others, Fiber.interrupt)
      assert.strictEqual(yield* Fiber.join(first!), 20_000)
      assert.strictEqual(yield* count([tagged]), 20_000)
    }).pipe(Effect.provide(Layer.fresh(file))), 30_000)
})

describe("the statements of a query", () => {
  it.effect("read a stretch of one index each, and never sort", () =>
    Effect.gen(function*() {
      const path = "file:/query-plans?vfs=memdb"
      const db = yield* Effect.acquireRelease(
        Effect.sync(() => new DatabaseSync(path)),
        (db) => Effect.sync(() => db.close())
      )
      yield* DatabaseFile.migrate(path)
      const prepare = db.prepare.bind(db)
      const plans: Array<string> = []
      db.prepare = (sql) => {
        const steps = prepare(`EXPLAIN QUERY PLAN ${sql}`).all().map(({ detail }) => detail)
        plans.push(steps.join("; "))
        return prepare(sql)
      }
      FilterScan.make(db)
      assert.isAbove(plans.length, 5)
      for (const plan of plans) {
        assert.notMatch(plan, /TEMP B-TREE/, plan)
        // Lists are walked, and the tiny result of a subquery; tables never are.
        assert.notMatch(plan, /SCAN (?!j |json_each|\(subquery)/, plan)
      }
    }).pipe(Effect.scoped))
})
