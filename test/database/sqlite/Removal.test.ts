/**
 * Removing much: gone for everybody who asks from the commit on, and from the file in transactions of bounded work.
 *
 * The oracle is a store that removes everything at once: the same requests with little to remove.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as fs from "node:fs"
import { join } from "node:path"
import type { DatabaseSync } from "node:sqlite"
import { gunzipSync } from "node:zlib"
import { describe } from "vitest"
import { Settings } from "../../../src/config/Settings.ts"
import { Archive } from "../../../src/database/Archive.ts"
import { Database, type Items, type Outcome, type Sketch, textOf } from "../../../src/database/Database.ts"
import * as Engine from "../../../src/database/Engine.ts"
import { connect } from "../../../src/database/sqlite/connection.ts"
import * as DatabaseFile from "../../../src/database/sqlite/DatabaseFile.ts"
import { removalsMax, removedMax } from "../../../src/database/sqlite/Removal.ts"
import * as SqliteReader from "../../../src/database/sqlite/SqliteReader.ts"
import { SqliteStore } from "../../../src/database/sqlite/SqliteStore.ts"
import type { StoreOperation } from "../../../src/database/storeProtocol.ts"
import { type Event, rawOf } from "../../../src/domain/Event.ts"
import type { Filter } from "../../../src/domain/Filter.ts"
import { at, directory } from "../support.ts"

const hex = (n: number): string => n.toString(16).padStart(13, "0").padEnd(64, "0")
const [author, stranger] = ["a", "b"].map((letter) => letter.repeat(64)) as [string, string]

let made = 0
const event = (template: Partial<Event>): Event => ({
  id: hex(++made),
  pubkey: author,
  created_at: 100,
  kind: 1,
  tags: [],
  content: "",
  sig: "0".repeat(128),
  ...template
})
/** `count` tags that are in the index. */
const tagged = (count: number) => Array.from({ length: count }, (_, i) => ["t", `${made} ${i}`])
const save = (event: Event): StoreOperation => ({ _tag: "Save", raw: rawOf(event) })
const vanish = (created_at = 200) => event({ kind: 62, created_at, tags: [["relay", "ALL_RELAYS"]] })
const deletion = (ids: ReadonlyArray<string>, more: ReadonlyArray<ReadonlyArray<string>> = []) =>
  event({ kind: 5, created_at: 200, tags: [...ids.map((id) => ["e", id]), ...more] })

const run = (work: Generator<undefined, SqliteReader.ReadAnswer>): SqliteReader.ReadAnswer => {
  for (;;) {
    const step = work.next()
    if (step.done === true) return step.value
  }
}

const article = (created_at: number) => event({ kind: 30023, created_at, tags: [["d", "x"], ...tagged(1000)] })
const profile = (created_at: number) => event({ kind: 0, created_at, content: "{}", tags: tagged(1000) })

interface Open {
  readonly store: SqliteStore
  readonly db: DatabaseSync
  readonly write: (...operations: ReadonlyArray<StoreOperation>) => ReadonlyArray<Outcome["_tag"]>
  readonly put: (...events: ReadonlyArray<Event>) => ReadonlyArray<Outcome["_tag"]>
  /** Ids that a filter finds, by every way of asking: they agree, or the test fails. */
  readonly found: (filter: Filter) => ReadonlyArray<string>
  readonly preview: (event: Event) => string
  /** Signs of progress so far: about one for each index entry. */
  readonly progress: () => number
}

const withStore = (use: (open: Open) => void | Effect.Effect<void, unknown>, onDisk?: string) =>
  Effect.gen(function*() {
    const path = onDisk ?? join(yield* directory, "test.db")
    yield* DatabaseFile.migrate(path)
    const opened = (role: "writer" | "reader") =>
      Effect.acquireRelease(
        Effect.sync(() => connect(path, role)),
        (db) => Effect.sync(() => db.isOpen && db.close())
      )
    const db = yield* opened("writer")
    db.exec("PRAGMA synchronous = OFF")
    let progress = 0
    const store = new SqliteStore(db, "ws://localhost:8080", () => void progress++)
    const reader = SqliteReader.make(yield* opened("reader"))
    const now = 0
    const open: Open = {
      store,
      db,
      write: (...operations) => {
        const [result] = store.apply({ now, writes: [operations] }).results
        assert.strictEqual(result?._tag, "Applied")
        return result?._tag === "Applied" ? result.outcomes.map(({ _tag }) => _tag) : []
      },
      put: (...events) => open.write(...events.map(save)),
      found: (filter) => {
        const request = { filter, filters: [filter], limitMax: 100_000, itemsMax: 100_000, offset: 8, now } as const
        const { events } = run(reader.work({ _tag: "Query", ...request })) as SqliteReader.Selection
        const ids = events.map((raw) => (JSON.parse(raw) as Event).id)
        const items = run(reader.work({ _tag: "Items", ...request })) as Items
        assert.deepStrictEqual(
          Buffer.from(items.ids).toString("hex").match(/.{64}/g) ?? [],
          ids,
          "items are those of a query"
        )
        assert.strictEqual(run(reader.work({ _tag: "Count", ...request })), ids.length, "count")
        assert.strictEqual(
          (run(reader.work({ _tag: "Sketch", ...request })) as Sketch).count,
          ids.length,
          "sketch"
        )
        return ids
      },
      preview: (event) => reader.preview(event, now),
      progress: () => progress
    }
    const outcome = use(open)
    if (outcome !== undefined) yield* outcome
  }).pipe(Effect.scoped)

/** Sweeps to the end; how many slices it took, and the most work of one. */
const sweepAll = ({ progress, store }: Open) => {
  let slices = 0
  let most = 0
  for (let done = false; !done; slices++) {
    const before = progress()
    done = store.sweep(0).done
    most = Math.max(most, progress() - before)
  }
  return { slices, most }
}

const rows = (db: DatabaseSync, table: string) =>
  db.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.["n"] as number

/** More than a transaction removes. */
const heavy = () => Array.from({ length: 30 }, () => event({ tags: tagged(1000) }))

const everywhere = (events: ReadonlyArray<Event>): ReadonlyArray<Filter> => [
  {},
  { kinds: [1] },
  { authors: [author] },
  { authors: [author], kinds: [1] },
  { ids: events.map(({ id }) => id) },
  { tags: new Map([["t", [events[0]?.tags[0]?.[1] ?? ""]]]) }
]

describe("a removal that is too much for one transaction", () => {
  const ways: ReadonlyArray<readonly [string, (open: Open, events: ReadonlyArray<Event>) => void]> = [
    [
      "a deletion by id",
      ({ put }, events) => assert.deepStrictEqual(put(deletion(events.map(({ id }) => id))), ["Saved"])
    ],
    [
      "an operator's by id",
      ({ write }, events) =>
        assert.deepStrictEqual(write({ _tag: "Delete", ids: events.map(({ id }) => id) }), ["Done"])
    ],
    ["a request to vanish", ({ put }) => assert.deepStrictEqual(put(vanish()), ["Saved"])],
    [
      "an operator's of an author",
      ({ write }) => assert.deepStrictEqual(write({ _tag: "DeleteAuthor", pubkey: author }), ["Done"])
    ]
  ]
  for (const [name, remove] of ways) {
    it.live(`hides at once and is swept in slices: ${name}`, () =>
      withStore((open) => {
        const events = heavy()
        const other = event({ pubkey: stranger, tags: [["t", events[0]!.tags[0]![1]!]] })
        open.put(...events, other)
        const before = open.progress()
        remove(open, events)
        assert.isBelow(open.progress() - before, 2 * removedMax, "the transaction is bounded")
        assert.isAbove(rows(open.db, "tag"), 1000, "most of it is still there")
        for (const filter of everywhere(events)) {
          assert.notIncludeMembers(open.found(filter) as Array<string>, [events[0]!.id], JSON.stringify(filter))
          for (const { id } of events) assert.notInclude(open.found(filter), id)
        }
        assert.include(open.found({ kinds: [1] }), other.id)
        assert.include(open.found({ tags: new Map([["t", [other.tags[0]![1]!]]]) }), other.id)
        const { most, slices } = sweepAll(open)
        assert.isAbove(slices, 2)
        assert.isBelow(most, removedMax + 1100, "a slice is bounded")
        assert.deepStrictEqual(open.found({ kinds: [1] }), [other.id])
        assert.strictEqual(rows(open.db, "leaving"), 0)
        const kept = open.found({})
        assert.strictEqual(rows(open.db, "event"), kept.length)
        assert.strictEqual(open.store.sizes.events, kept.length)
        const tags = kept.length === 1 ? 1 : rows(open.db, "tag")
        assert.strictEqual(rows(open.db, "tag"), tags)
      }))
  }

  it.live("hides all of an author with many events by one row, their gift wraps with it, and nobody else's", () =>
    withStore((open) => {
      open.put(...Array.from({ length: 3000 }, () => event({ tags: [["t", "x"]] })))
      const later = event({ created_at: 201, tags: [["t", "x"]] })
      const wraps = Array.from({ length: 500 }, () => event({ kind: 1059, pubkey: stranger, tags: [["p", author]] }))
      const mention = event({ pubkey: stranger, tags: [["p", author], ["t", "x"]] })
      open.put(later, mention, ...wraps)
      open.put(vanish())
      assert.strictEqual(rows(open.db, "leaving"), 1)
      assert.sameMembers(open.found({ kinds: [1] }) as Array<string>, [later.id, mention.id])
      assert.sameMembers(open.found({ tags: new Map([["t", ["x"]]]) }) as Array<string>, [later.id, mention.id])
      assert.deepStrictEqual(open.found({ tags: new Map([["p", [author]]]) }), [mention.id])
      assert.deepStrictEqual(open.found({ authors: [author], kinds: [1] }), [later.id])
      assert.strictEqual(open.preview(event({ created_at: 200 })), "Deleted")
      sweepAll(open)
      assert.strictEqual(rows(open.db, "event"), 3)
      assert.sameMembers(open.found({ kinds: [1] }) as Array<string>, [later.id, mention.id])
    }))

  it.live("goes on after other writes and after a restart", () =>
    Effect.gen(function*() {
      const path = join(yield* directory, "test.db")
      const events = Array.from({ length: 2000 }, (_, i) => event({ tags: i % 10 === 0 ? tagged(100) : [["t", "x"]] }))
      yield* withStore((open) => {
        open.put(...events)
        open.put(vanish())
        assert.isFalse(open.store.sweep(0).done)
        // One that the sweep may have looked ahead to is deleted by hand, and others come.
        open.write({ _tag: "Delete", ids: events.slice(300, 900).map(({ id }) => id) })
        open.put(...Array.from({ length: 10 }, () => event({ pubkey: stranger })))
        assert.isFalse(open.store.sweep(0).done)
        assert.strictEqual(open.store.sizes.events, rows(open.db, "event"))
      }, path)
      yield* withStore((open) => {
        assert.deepStrictEqual(open.found({ authors: [author], kinds: [1] }), [])
        assert.isAbove(rows(open.db, "event"), 11)
        assert.isTrue(open.store.apply({ now: 0, writes: [] }).hasLeftover)
        sweepAll(open)
        assert.strictEqual(rows(open.db, "event"), 11)
        assert.strictEqual(open.store.sizes.events, 11)
        assert.isFalse(open.store.apply({ now: 0, writes: [] }).hasLeftover)
      }, path)
    }).pipe(Effect.scoped))

  it.live("makes room at once: what an operator removed may come again, at the same address, too", () =>
    withStore((open) => {
      const [old, older] = [article(100), profile(100)]
      const notes = heavy()
      open.put(...notes, old, older)
      open.write({ _tag: "DeleteAuthor", pubkey: author })
      assert.deepStrictEqual(open.found({}), [])
      assert.strictEqual(open.preview(old), "New")
      // Older than what was there: it is not compared with what is gone.
      const [again, anew] = [article(50), profile(50)]
      assert.deepStrictEqual(open.put(old, again, anew), ["Saved", "Superseded", "Saved"])
      assert.deepStrictEqual(open.put(...notes), notes.map(() => "Saved"))
      const there = [old.id, anew.id, ...notes.map(({ id }) => id)]
      assert.sameMembers(open.found({}) as Array<string>, there)
      sweepAll(open)
      assert.sameMembers(open.found({}) as Array<string>, there)
      assert.strictEqual(rows(open.db, "event"), there.length)
    }))

  it.live("makes room at once where all of an author is hidden by one row, too", () =>
    withStore((open) => {
      const notes = Array.from({ length: 1000 }, () => event({ tags: [["t", "x"]] }))
      const old = article(100)
      open.put(...notes, old)
      open.write({ _tag: "DeleteAuthor", pubkey: author })
      assert.strictEqual(rows(open.db, "leaving"), 1)
      assert.deepStrictEqual(open.found({}), [])
      const back = [...notes.slice(900), article(50)]
      assert.deepStrictEqual(back.map(open.preview), back.map(() => "New"))
      assert.deepStrictEqual(open.put(...back), back.map(() => "Saved"))
      const there = back.map(({ id }) => id)
      assert.sameMembers(open.found({}) as Array<string>, there)
      sweepAll(open)
      assert.sameMembers(open.found({}) as Array<string>, there)
      assert.strictEqual(rows(open.db, "event"), there.length)
    }))

  it.live("is not held up by another author whose key begins alike", () =>
    withStore((open) => {
      const twin = author.slice(0, 13) + "c".repeat(51)
      open.put(...Array.from({ length: 300 }, () => event({ pubkey: twin })))
      open.put(...Array.from({ length: 300 }, () => event({})))
      open.put(vanish())
      assert.isBelow(sweepAll(open).slices, 3)
      assert.strictEqual(open.found({ kinds: [1] }).length, 300)
      assert.strictEqual(rows(open.db, "event"), 301)
    }))
})

describe("the ids that an author has removed", () => {
  it.live("are bounded: a request over the bound is refused as a whole, and none is forgotten", () =>
    withStore((open) => {
      const ids = Array.from({ length: removalsMax }, (_, i) => hex(1_000_000 + i))
      for (let i = 0; i < removalsMax; i += 1000) {
        assert.deepStrictEqual(open.put(deletion(ids.slice(i, i + 1000))), ["Saved"])
      }
      const mine = event({})
      open.put(mine)
      const more = deletion([mine.id, hex(6)])
      assert.deepStrictEqual(open.put(more), ["TooManyRemovals"])
      assert.include(open.found({}), mine.id)
      assert.notInclude(open.found({}), more.id)
      assert.strictEqual(rows(open.db, "removed_id"), removalsMax)
      assert.deepStrictEqual(open.put(deletion([mine.id])), ["Saved"], "what was stored here may always go")
      assert.notInclude(open.found({}), mine.id)
      // What is known already costs nothing, and another author has a bound of their own.
      assert.deepStrictEqual(open.put(deletion(ids.slice(0, 1000))), ["Saved"])
      assert.deepStrictEqual(open.put({ ...deletion([hex(5)]), pubkey: stranger }), ["Saved"])
      assert.deepStrictEqual(open.put(event({ id: ids[0]! })), ["Deleted"])
      assert.deepStrictEqual(open.put(vanish()), ["Saved"], "a request to vanish is always taken")
    }))
})

describe("a file of the version before", () => {
  const opened = Effect.map(directory, (folder) => {
    const path = join(folder, "test.db")
    fs.writeFileSync(path, gunzipSync(fs.readFileSync(new URL("../fixtures/schema2.db.gz", import.meta.url))))
    return path
  })

  it.live("is opened, hides what a vanish had left, and finishes it", () =>
    Effect.gen(function*() {
      const path = yield* opened
      const anna = "a".repeat(64)
      yield* Effect.gen(function*() {
        const { count, preview, query, stats } = yield* Database
        const { events } = yield* query([{}], { limitMax: 100 })
        const kinds = events.map((raw) => (JSON.parse(textOf(raw)) as Event).kind)
        assert.sameMembers(kinds, [0, 1, 5, 62, 62, 1059])
        assert.strictEqual(yield* count([{ authors: ["c".repeat(64)] }]), 1)
        assert.strictEqual((yield* query([{ search: "anna" }], { limitMax: 10 })).events.length, 1)
        // Tombstones hold.
        assert.strictEqual(yield* preview(event({ id: "3e7".padStart(64, "0"), pubkey: anna })), "Deleted")
        yield* Effect.repeat(Effect.andThen(Effect.sleep("5 millis"), stats), { until: ({ events }) => events === 6 })
      }).pipe(Effect.provide(Layer.fresh(at(path))))
      yield* Effect.gen(function*() {
        const archive = yield* Archive
        assert.strictEqual(yield* archive.count([{}]), 6)
        assert.strictEqual((yield* archive.after(0, 100)).length, 6)
      }).pipe(Effect.provide(Layer.provide(Engine.archive, Settings.layerTest({ databasePath: path }))))
    }).pipe(Effect.scoped))
})
