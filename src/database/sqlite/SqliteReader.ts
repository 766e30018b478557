/**
 * Everything that is read from the store, over one connection.
 *
 * What may take long is a generator that yields after each bounded piece of work: run to its end in one go, or driven in
 * slices by the reader thread. It holds one snapshot from its first step to its last, and gives it back when it is
 * abandoned.
 */
import type { DatabaseSync } from "node:sqlite"
import { type Event, expirationOf, newestFirst } from "../../domain/Event.ts"
import type { Filter } from "../../domain/Filter.ts"
import { permutation } from "../../domain/Permutation.ts"
import { searchQueryOf } from "../../domain/SearchQuery.ts"
import type {
  AskedBy,
  Committed,
  Drawn,
  DrawRequest,
  Items,
  Preview,
  RankedAuthor,
  Sketch,
  StoredRecord
} from "../Database.ts"
import { prepare, type Row } from "./connection.ts"
import * as Counting from "./Counting.ts"
import * as FilterScan from "./FilterScan.ts"
import * as Hidden from "./Hidden.ts"
import { prefixKey } from "./keys.ts"
import * as Precedence from "./Precedence.ts"
import { idOfRaw } from "./rawEvent.ts"
import { Looks } from "./search/Looks.ts"
import * as SearchScan from "./search/SearchScan.ts"
import * as Snapshots from "./Snapshots.ts"
import type { Work } from "./Snapshots.ts"
import { matcher, type View, viewer } from "./View.ts"

/** What the reader thread is asked for, as plain data. `now` in Unix seconds. */
export type ReadRequest =
  | ({
    readonly _tag: "Query"
    readonly filters: ReadonlyArray<Filter>
    readonly limitMax: number
    readonly now: number
    /** Whose name the answer is to be told under, if anybody's. */
    readonly subscription?: string | undefined
  } & AskedBy)
  | ({ readonly _tag: "Count"; readonly filters: ReadonlyArray<Filter>; readonly now: number } & AskedBy)
  | ({ readonly _tag: "Sketch"; readonly filter: Filter; readonly offset: number; readonly now: number } & AskedBy)
  | ({ readonly _tag: "Items"; readonly filter: Filter; readonly itemsMax: number; readonly now: number } & AskedBy)
  | { readonly _tag: "Records"; readonly space: string }
  | ({ readonly _tag: "Draw"; readonly now: number } & DrawRequest)

/** A `QueryResult` before anything is packed. */
export interface Selection {
  readonly asOf: number
  readonly events: ReadonlyArray<string>
  readonly complete: boolean
}

/** `Drawn`, under a name of its own: what is drawn is never framed for a subscription. */
export interface DrawAnswer extends Omit<Drawn, "events"> {
  readonly drawn: ReadonlyArray<string>
}

export type ReadAnswer = Selection | number | Sketch | Items | ReadonlyArray<StoredRecord> | DrawAnswer

interface Found {
  readonly created_at: number
  readonly id_key: number
  readonly seq: number
  readonly id: string
  readonly raw: string
}

/** Places of the commit log that one draw may look at, and at a time: about 100 ms of the reader in all, in slices. */
const probesMax = 50_000
const probesPerStep = 64

/** Rows of one statement over records. */
const recordsPerStep = 1000

const recordOf = (row: Row): StoredRecord => ({
  key: row[0] as string,
  value: row[1] as string,
  due: row[2] as number | null
})

export const make = (db: DatabaseSync) => {
  const snapshots = Snapshots.make(db)
  const precedence = Precedence.make(db)
  const { scan } = FilterScan.make(db)
  const { search } = SearchScan.make(db, scan)
  const looks = new Looks(db)
  const hidden = Hidden.make(db)
  const { count, sketch } = Counting.make(db, snapshots, scan, hidden)
  const statements = {
    record: prepare(db, "SELECT key, value, due FROM record WHERE space = ? AND key = ?"),
    records: prepare(
      db,
      `SELECT key, value, due FROM record WHERE space = ? AND key > ? ORDER BY key LIMIT ${recordsPerStep}`
    ),
    due: prepare(db, "SELECT key, value, due FROM record WHERE space = ? AND due <= ? ORDER BY due, key LIMIT ?"),
    committedAfter: prepare(
      db,
      `SELECT seq, raw FROM event WHERE seq > ? AND ${Precedence.shown} ORDER BY seq LIMIT ?`
    ),
    bySeq: prepare(db, "SELECT kind, expiration, raw FROM event WHERE seq = ?")
  }

  /** The newest `limit` events of one filter, and whether there are no others. */
  function* select(
    filter: Filter,
    limit: number,
    { now, ...by }: { readonly now: number } & View
  ): Work<{ found: Array<Found>; complete: boolean }> {
    const isMatch = matcher(filter, by)
    const isShown = viewer(by)
    const found: Array<Found> = []
    let complete = true
    for (const candidate of scan(filter, limit, now)) {
      if (candidate === undefined) {
        yield
        continue
      }
      const { created_at, id_key, raw, seq } = candidate
      // Ids that begin alike are read to the last of them, to be put in order. What comes after the limit may match or
      // not: saying "incomplete" is always allowed (NIP-67).
      const last = found[limit - 1]
      if (last !== undefined && (created_at !== last.created_at || id_key !== last.id_key)) {
        // That there is something hidden must not be told either.
        if (raw !== null && !isShown(raw, seq)) continue
        complete = false
        break
      }
      if (raw !== null && isMatch(raw, seq)) found.push({ created_at, id_key, seq, id: idOfRaw(raw), raw })
    }
    if (found.length > limit) complete = false
    return { found: found.toSorted(newestFirst).slice(0, limit), complete }
  }

  /** The best `limit` answers to a filter with a `search` (NIP-50), the best first. */
  const find = (
    filter: Filter,
    limit: number,
    { now, ...by }: { readonly now: number } & View
  ): Work<{ found: ReadonlyArray<Found>; complete: boolean }> =>
    search({ query: searchQueryOf(filter.search ?? ""), filter, limit, now, isMatch: matcher(filter, by) })

  /** In the order in which they are told: by relevance where there is a search, filter by filter. */
  const query = (
    filters: ReadonlyArray<Filter>,
    limitMax: number,
    { now, readers }: { readonly now: number } & AskedBy
  ): Work<Selection> =>
    snapshots.run(function*() {
      const { leaving, seq: asOf } = snapshots.standing()
      const at = { now, readers, isHidden: hidden.at(leaving) }
      const all: Array<Found> = []
      let complete = true
      for (const filter of filters) {
        const limit = Math.min(filter.limit ?? limitMax, limitMax)
        if (limit <= 0) {
          // Nothing is asked for, so nothing is looked up: that there is nothing could only be said by looking.
          complete = false
          continue
        }
        const selected = yield* filter.search === undefined ? select(filter, limit, at) : find(filter, limit, at)
        complete &&= selected.complete
        if (filters.length === 1) return { asOf, events: selected.found.map(({ raw }) => raw), complete }
        for (const found of selected.found) all.push(found)
      }
      const events = [...new Map(all.map((found) => [found.seq, found])).values()]
      const isRanked = filters.some((filter) => filter.search !== undefined)
      return { asOf, events: (isRanked ? events : events.toSorted(newestFirst)).map(({ raw }) => raw), complete }
    })

  const items = (
    filter: Filter,
    itemsMax: number,
    { now, readers }: { readonly now: number } & AskedBy
  ): Work<Items> =>
    snapshots.run(function*() {
      const isMatch = matcher(filter, { readers, isHidden: hidden.now() })
      const limit = Math.min(filter.limit ?? Infinity, itemsMax)
      const found: Array<{ readonly created_at: number; readonly id: string }> = []
      let complete = true
      let expiresAt = Infinity
      // One more than wanted tells that there are more. Ids that begin alike are not put in order: an item set does that.
      for (const candidate of limit === 0 ? [] : scan(filter, limit, now)) {
        if (candidate === undefined) yield
        else if (candidate.raw !== null && isMatch(candidate.raw, candidate.seq)) {
          if (found.length === limit) {
            complete = limit < itemsMax
            break
          }
          found.push({ created_at: candidate.created_at, id: idOfRaw(candidate.raw) })
          if (!candidate.raw.includes("\"expiration\"")) continue
          expiresAt = Math.min(expiresAt, expirationOf(JSON.parse(candidate.raw) as Event) ?? Infinity)
        }
      }
      const timestamps = new Float64Array(found.length)
      const ids = Buffer.alloc(32 * found.length)
      for (let i = 0; i < found.length; i++) {
        const { created_at, id } = found[i]!
        timestamps[i] = created_at
        ids.write(id, 32 * i, "hex")
        if (i % 1024 === 1023) yield
      }
      return { timestamps, ids: new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength), expiresAt, complete }
    })

  const records = (space: string): Work<ReadonlyArray<StoredRecord>> =>
    snapshots.run(function*() {
      const all: Array<StoredRecord> = []
      for (let key = "";;) {
        const rows = statements.records.all(space, key).map(recordOf)
        for (const row of rows) all.push(row)
        if (rows.length < recordsPerStep) return all
        key = rows.at(-1)!.key
        yield
      }
    })

  const draw = ({ count, from, kind, now, seed, top }: DrawRequest & { readonly now: number }): Work<DrawAnswer> =>
    snapshots.run(function*() {
      const { leaving, seq } = snapshots.standing()
      const last = Math.min(top ?? Infinity, seq)
      const drawn: Array<string> = []
      const isShown = viewer({ readers: undefined, isHidden: hidden.at(leaving) })
      // Places begin at 1.
      const placeAt = permutation(Math.max(1, last), seed)
      const end = Math.min(last, from + probesMax)
      let index = Math.min(from, last)
      while (index < end && drawn.length < count) {
        const place = placeAt(index++) + 1
        const row = statements.bySeq.get(place)
        const isLive = row?.[0] === kind && (row[1] === null || (row[1] as number) > now)
        if (isLive && isShown(row[2] as string, place)) drawn.push(row[2] as string)
        if ((index - from) % probesPerStep === 0) yield
      }
      return { top: last, next: index, drawn }
    })

  const work = (request: ReadRequest): Work<ReadAnswer> => {
    switch (request._tag) {
      case "Query":
        return query(request.filters, request.limitMax, request)
      case "Count":
        return count(request.filters, request)
      case "Sketch":
        return sketch(request.filter, request.offset, request)
      case "Items":
        return items(request.filter, request.itemsMax, request)
      case "Draw":
        return draw(request)
      default:
        return records(request.space)
    }
  }

  return {
    work,
    hold: snapshots.hold,
    beforeWrite: snapshots.beforeWrite,
    afterWrite: snapshots.afterWrite,
    preview: (event: Event, now: number): Preview => {
      const { _tag } = precedence.judge(event, now)
      return _tag === "Ephemeral" ? "New" : _tag
    },
    record: (space: string, key: string): StoredRecord | undefined => {
      const row = statements.record.get(space, key)
      return row === undefined ? undefined : recordOf(row)
    },
    committedAfter: (seq: number, limit: number): ReadonlyArray<Committed & { readonly event: string }> => {
      const isHidden = hidden.now()
      const found: Array<Committed & { readonly event: string }> = []
      for (let last = seq, isMore = true; isMore && found.length < limit;) {
        const rows = statements.committedAfter.all(last, limit)
        isMore = rows.length === limit
        for (const [seq, raw] of rows as ReadonlyArray<readonly [number, string]>) {
          last = seq
          if (found.length < limit && isHidden?.(raw, seq) !== true) found.push({ seq, event: raw })
        }
      }
      return found
    },
    ranked: (pubkeys: ReadonlyArray<string>): ReadonlyArray<RankedAuthor | undefined> =>
      pubkeys.map((pubkey) => {
        const key = prefixKey(pubkey)
        const person = looks.personOf(key)
        if (person === undefined) return undefined
        const resembles = looks.resembledBy(key)
        return resembles === undefined ? person : { ...person, resembles }
      }),
    due: (space: string, now: number, limit: number): ReadonlyArray<StoredRecord> =>
      statements.due.all(space, now, limit).map(recordOf),
    close: () => {
      snapshots.release()
      db.close()
    }
  }
}

export type SqliteReader = ReturnType<typeof make>
