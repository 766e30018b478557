/**
 * The archive over a file that a running service may own and be writing to.
 *
 * Everything is read on the calling thread, in short pieces, through one connection that cannot write.
 */
import { Effect, Layer } from "effect"
import { resolve } from "node:path"
import { Settings } from "../../config/Settings.ts"
import { nowSeconds } from "../../lifecycle/Now.ts"
import { slice } from "../../lifecycle/Slice.ts"
import type { StartError } from "../../lifecycle/StartError.ts"
import { Archive, type ArchivedEvent } from "../Archive.ts"
import { DatabaseError } from "../Database.ts"
import { prepare } from "./connection.ts"
import * as DatabaseFile from "./DatabaseFile.ts"
import * as EventWalk from "./EventWalk.ts"
import type { Work } from "./Snapshots.ts"
import * as SqliteReader from "./SqliteReader.ts"
import * as StoreReader from "./StoreReader.ts"

/** Milliseconds of reading before others have the thread, and events and characters of one batch. */
const sliceMillis = 8
const batchMax = 1000
const charactersMax = 256 * 1024

const attempt = <A>(body: () => A): Effect.Effect<A, DatabaseError> =>
  Effect.try({ try: body, catch: (cause) => new DatabaseError({ operation: "read", cause }) })

/** Drives a generator to its end, a slice at a time. */
const drive = Effect.fnUntraced(function*<A>(work: Work<A>) {
  for (;;) {
    const step = yield* attempt(() => slice(work, sliceMillis))
    if (step.done === true) return step.value
    yield* Effect.yieldNow
  }
})

/** The next events of a walk; empty when there is only more to look for. */
const batchOf = (walk: EventWalk.Walk) => {
  const events: Array<ArchivedEvent> = []
  const until = performance.now() + sliceMillis
  for (let characters = 0;;) {
    const { done, value } = walk.next()
    if (done === true) return { events, isLast: true }
    if (value !== undefined) {
      events.push(value)
      characters += value.raw.length
    }
    if (events.length >= batchMax || characters >= charactersMax || performance.now() >= until) {
      return { events, isLast: false }
    }
  }
}

const make = Effect.fnUntraced(function*() {
  const db = yield* DatabaseFile.openReader(resolve((yield* Settings).databasePath))
  const walks = EventWalk.make(db)
  const reader = SqliteReader.make(db)
  const statements = {
    begin: prepare(db, "BEGIN"),
    commit: prepare(db, "COMMIT"),
    seq: prepare(db, "SELECT seq FROM commit_log")
  }

  return Archive.of({
    walk: (filters, order, handle) =>
      Effect.acquireUseRelease(
        attempt(() => statements.begin.run()),
        Effect.fnUntraced(function*() {
          const walk = (order === "newest first" ? walks.newestFirst : walks.oldestFirst)(filters, yield* nowSeconds)
          for (;;) {
            const { events, isLast } = yield* attempt(() => batchOf(walk))
            if (events.length > 0) yield* handle(events)
            if (isLast) return
            yield* Effect.yieldNow
          }
        }),
        () => Effect.ignore(attempt(() => statements.commit.run()))
      ),
    count: Effect.fnUntraced(function*(filters) {
      const work = reader.work({ _tag: "Count", filters, now: yield* nowSeconds }) as Work<number>
      // Gives its snapshot back, also when it is interrupted.
      return yield* Effect.ensuring(drive(work), Effect.sync(() => work.return(0)))
    }),
    seq: attempt(() => statements.seq.get()?.[0] as number),
    after: (seq, max) => attempt(() => reader.committedAfter(seq, max).map(({ event, seq }) => ({ seq, raw: event }))),
    reader: StoreReader.make(reader, undefined)
  })
})

/** The file at `Settings.databasePath`, which must exist. */
export const layer: Layer.Layer<Archive, StartError, Settings> = Layer.effect(Archive, make())
