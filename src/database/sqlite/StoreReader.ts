/**
 * Reads, where they are cheapest: what is surely short on this thread, the rest on the reader's.
 *
 * A hop to the thread and back costs about 100 µs, a row in the page cache 2 to 5 µs, a row on the disk 100 µs. So what
 * will touch few rows is read here, and a guess that proves wrong is given up after a few steps and asked of the thread.
 */
import { Effect } from "effect"
import { type Event, isReplaceable } from "../../domain/Event.ts"
import type { Filter } from "../../domain/Filter.ts"
import { nowSeconds } from "../../lifecycle/Now.ts"
import {
  type AskedBy,
  DatabaseError,
  type Drawn,
  type DrawRequest,
  type Items,
  type QueryResult,
  type Sketch,
  type StoredRecord
} from "../Database.ts"
import type { Work } from "./Snapshots.ts"
import type { DrawAnswer, ReadRequest, SqliteReader } from "./SqliteReader.ts"
import type { AnswerBuffers } from "./thread/AnswerBuffers.ts"
import type { DatabaseThread } from "./thread/DatabaseThread.ts"
import { type PackedSelection, type ThreadAnswer, unpack } from "./thread/packedSelection.ts"

/** Rows and index ranges that a query on this thread may be expected to touch. */
const inlineMax = 64
/** Pieces of work on this thread before the guess counts as wrong: 1 to 2 ms with warm pages. */
const inlineSteps = 8
/** Kinds that an author without asked kinds is expected to have. */
const kindsGuess = 4
/** Rows that a range is expected to have, where there may be more than one. */
const rowsGuess = 8

/** Events of a draw on this thread; a page of them, where most places hold the kind. */
const drawnInline = 24

/** How many ranges and rows a filter will touch at least, by its lists and its limit. */
const estimate = (filter: Filter, limitMax: number): number => {
  const limit = Math.min(filter.limit ?? limitMax, limitMax)
  if (limit === 0) return 0
  // What it touches shows only as it goes.
  if (filter.search !== undefined) return Infinity
  if (filter.ids !== undefined) return filter.ids.length
  const kinds = filter.kinds?.length ?? kindsGuess
  const pairs = filter.authors === undefined ? Infinity : filter.authors.length * kinds
  const tags = filter.tags === undefined
    ? Infinity
    : Math.min(...Array.from(filter.tags.values(), (values) => values.length))
  const ranges = Math.min(pairs, tags)
  const rowsEach = filter.authors !== undefined && filter.kinds?.every(isReplaceable) === true ? 1 : rowsGuess
  if (ranges !== Infinity) return ranges + Math.min(limit, rowsEach * ranges)
  return kinds + limit
}

/** Is the query expected to be done in a few hundred microseconds? */
const isShort = (filters: ReadonlyArray<Filter>, limitMax: number): boolean => {
  let cost = 0
  for (const filter of filters) if ((cost += estimate(filter, limitMax)) > inlineMax) return false
  return true
}

/** Runs work to its end; undefined, with the snapshot given back, when `stepsMax` did not suffice. */
const run = <A>(work: Work<A>, stepsMax: number): A | undefined => {
  for (let steps = 0; steps < stepsMax; steps++) {
    const step = work.next()
    if (step.done === true) return step.value
  }
  work.return(undefined as A)
  return undefined
}

const failed = (cause: unknown) => new DatabaseError({ operation: "read", cause })
const attempt = <A>(body: () => A): Effect.Effect<A, DatabaseError> => Effect.try({ try: body, catch: failed })

/** Unix seconds. */

/** As the contract has it: messages where it was asked for a subscription, and otherwise events. */
const resultOf = (packed: PackedSelection, request: ReadRequest, buffers: AnswerBuffers): QueryResult => {
  const { asOf, bytes, complete, ends } = packed
  return request._tag === "Query" && request.subscription !== undefined
    ? { asOf, complete, events: [], messages: { bytes, ends, giveBack: () => buffers.give(bytes.buffer) } }
    : { asOf, complete, events: unpack(packed) }
}

/** `thread` is absent where one thread does everything. */
export const make = (reader: SqliteReader, thread: DatabaseThread<ReadRequest, ThreadAnswer> | undefined) => {
  /** A read on this thread. */
  const here = <A>(body: () => A): A => {
    if (thread !== undefined) reader.hold()
    return body()
  }
  const ask = <A>(request: ReadRequest, isShort: boolean): Effect.Effect<A, DatabaseError> => {
    if (thread === undefined) return attempt(() => run(reader.work(request), Infinity) as A)
    const elsewhere = thread.request(request).pipe(
      Effect.mapBoth({
        onFailure: failed,
        onSuccess: (answer) =>
          (typeof answer === "object" && "bytes" in answer ? resultOf(answer, request, thread.buffers) : answer) as A
      })
    )
    if (!isShort) return elsewhere
    return Effect.suspend(() => {
      try {
        const answer = here(() => run(reader.work(request), inlineSteps)) as A | undefined
        return answer === undefined ? elsewhere : Effect.succeed(answer)
      } catch (error) {
        return Effect.fail(failed(error))
      }
    })
  }

  return {
    query: (
      filters: ReadonlyArray<Filter>,
      options: { readonly limitMax: number; readonly subscription?: string } & AskedBy
    ) =>
      Effect.flatMap(
        nowSeconds,
        (now) => ask<QueryResult>({ _tag: "Query", filters, now, ...options }, isShort(filters, options.limitMax))
      ),
    count: (filters: ReadonlyArray<Filter>, { readers }: AskedBy = {}) =>
      Effect.flatMap(nowSeconds, (now) => ask<number>({ _tag: "Count", filters, now, readers }, false)),
    sketch: (filter: Filter, options: { readonly offset: number } & AskedBy) =>
      Effect.flatMap(nowSeconds, (now) => ask<Sketch>({ _tag: "Sketch", filter, now, ...options }, false)),
    items: (filter: Filter, options: { readonly itemsMax: number } & AskedBy) =>
      Effect.flatMap(nowSeconds, (now) => ask<Items>({ _tag: "Items", filter, now, ...options }, false)),
    draw: (request: DrawRequest): Effect.Effect<Drawn, DatabaseError> =>
      Effect.flatMap(nowSeconds, (now) =>
        Effect.map(
          ask<DrawAnswer>({ _tag: "Draw", now, ...request }, request.count <= drawnInline),
          ({ drawn, next, top }) => ({ top, next, events: drawn })
        )),
    committedAfter: (seq: number, limit: number) => attempt(() => here(() => reader.committedAfter(seq, limit))),
    ranked: (pubkeys: ReadonlyArray<string>) => attempt(() => here(() => reader.ranked(pubkeys))),
    preview: (event: Event) =>
      Effect.flatMap(nowSeconds, (now) => attempt(() => here(() => reader.preview(event, now)))),
    previewAll: (events: ReadonlyArray<Event>) =>
      Effect.flatMap(nowSeconds, (now) => attempt(() => here(() => events.map((event) => reader.preview(event, now))))),
    record: (space: string, key: string) => attempt(() => here(() => reader.record(space, key))),
    records: (space: string) => ask<ReadonlyArray<StoredRecord>>({ _tag: "Records", space }, false),
    due: (space: string, now: number, limit: number) => attempt(() => here(() => reader.due(space, now, limit)))
  }
}
