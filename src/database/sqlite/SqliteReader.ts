/**
 * Everything that is read from the store, over one connection.
 *
 * What may take long is a generator that yields after each bounded piece of work: run to its end in one go, or driven in
 * slices by the reader thread. It holds one snapshot from its first step to its last, and gives it back when it is
 * abandoned. Longer than other files: each question is short, and all of them share the one connection's statements and snapshot.
 */
import type { DatabaseSync } from "node:sqlite"
import { type Event, expirationOf, newestFirst } from "../../domain/Event.ts"
import { type Filter, matches } from "../../domain/Filter.ts"
import { HyperLogLog } from "../../domain/HyperLogLog.ts"
import { permutation } from "../../domain/Permutation.ts"
import { isPrivate, mayRead } from "../../domain/PrivateMessage.ts"
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
import * as FilterScan from "./FilterScan.ts"
import * as Hidden from "./Hidden.ts"
import { prefixKey } from "./keys.ts"
import * as Precedence from "./Precedence.ts"
import { idOfRaw, kindOfRaw, pubkeyOfRaw } from "./rawEvent.ts"
import { Looks } from "./search/Looks.ts"
import * as SearchScan from "./search/SearchScan.ts"

/** A piece of work at a time; the value is what it was for. */
export type Work<A> = Generator<undefined, A>

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

/** Rows of an index that are counted at a time: half a millisecond. */
const countedPerStep = 8192

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

/** Milliseconds that a snapshot is kept where nothing is written: what another process has written shows after them. */
const heldMax = 250

/** Who asks, and what is gone for everybody who does. */
interface View extends AskedBy {
  readonly isHidden: Hidden.IsHidden | undefined
}

type Test = (raw: string, seq: number) => boolean

/** May this event be shown? What is private is rare, so nothing else is parsed. */
const viewer = ({ isHidden, readers }: View): Test => {
  if (readers === undefined) return isHidden === undefined ? () => true : (raw, seq) => !isHidden(raw, seq)
  const keys = new Set(readers)
  const isReadable = (raw: string) => !isPrivate(kindOfRaw(raw)) || mayRead(JSON.parse(raw) as Event, keys)
  return isHidden === undefined ? isReadable : (raw, seq) => isReadable(raw) && !isHidden(raw, seq)
}

/** Does it match, and may it be shown? */
const matcher = (filter: Filter, { isHidden, readers }: View): Test => {
  const isWhole = wholeMatcher(filter)
  // Kinds were compared in full already.
  const isPublic = readers === undefined || filter.kinds?.some(isPrivate) === false
  if (isPublic && isHidden === undefined) return isWhole
  const isShown = viewer({ isHidden, readers: isPublic ? undefined : readers })
  return (raw, seq) => isWhole(raw) && isShown(raw, seq)
}

/** Decides on the full values, where the scan went by short keys. */
const wholeMatcher = (filter: Filter): (raw: string) => boolean => {
  const others = filter.tags !== undefined && filter.tags.size > 0
  if (others || (filter.ids !== undefined && (filter.kinds !== undefined || filter.authors !== undefined))) {
    return (raw) => matches(filter, JSON.parse(raw) as Event)
  }
  const ids = filter.ids === undefined ? undefined : new Set(filter.ids)
  const authors = filter.authors === undefined ? undefined : new Set(filter.authors)
  return (raw) => (ids?.has(idOfRaw(raw)) ?? true) && (authors?.has(pubkeyOfRaw(raw)) ?? true)
}

export const make = (db: DatabaseSync) => {
  const precedence = Precedence.make(db)
  const { scan } = FilterScan.make(db)
  const { search } = SearchScan.make(db, scan)
  const looks = new Looks(db)
  const hidden = Hidden.make(db)
  const statements = {
    begin: prepare(db, "BEGIN"),
    commit: prepare(db, "COMMIT"),
    sizes: prepare(db, "SELECT seq, leaving FROM commit_log"),
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
    bySeq: prepare(db, "SELECT kind, expiration, raw FROM event WHERE seq = ?"),
    countKind: prepare(
      db,
      "SELECT count(*) FROM event INDEXED BY event_kind WHERE kind = ? AND created_at >= ? AND created_at <= ?"
    ),
    behindCounted: prepare(
      db,
      `SELECT created_at FROM event INDEXED BY event_kind WHERE kind = ? AND created_at >= ? AND created_at <= ?
        ORDER BY created_at DESC LIMIT 1 OFFSET ${countedPerStep}`
    ),
    countExpired: prepare(
      db,
      `SELECT count(*) FROM event INDEXED BY event_expiration
        WHERE expiration <= ? AND kind = ? AND created_at >= ? AND created_at <= ?`
    ),
    manyExpired: prepare(
      db,
      `SELECT 1 FROM event INDEXED BY event_expiration WHERE expiration <= ? LIMIT 1 OFFSET ${countedPerStep}`
    )
  }

  /** A snapshot that several reads share. */
  let held = false
  let writing = 0
  /** What `standing` found in it. */
  let stood: { readonly seq: number; readonly leaving: number } | undefined
  let age: NodeJS.Timeout | undefined
  const release = () => {
    if (!held) return
    held = false
    stood = undefined
    clearTimeout(age)
    if (db.isOpen && db.isTransaction) statements.commit.run()
  }

  function* snapshot<A>(body: () => Work<A>): Work<A> {
    if (held) return yield* body()
    statements.begin.run()
    try {
      return yield* body()
    } finally {
      statements.commit.run()
    }
  }

  const standing = () => {
    if (stood !== undefined) return stood
    const [seq, leaving] = statements.sizes.get() as Row
    const found = { seq: seq as number, leaving: leaving as number }
    if (held) stood = found
    return found
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
    snapshot(function*() {
      const { leaving, seq: asOf } = standing()
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

  /** Rows of a kind, both ends inclusive: from the newest on, by whole seconds. */
  function* countKind(kind: number, since: number, until: number): Work<number> {
    const countOf = (from: number, to: number) => statements.countKind.get(kind, from, to)?.[0] as number
    let total = 0
    for (let last = until; last >= since;) {
      const behind = statements.behindCounted.get(kind, since, last)?.[0] as number | undefined
      if (behind === undefined) return total + countOf(since, last)
      total += countOf(behind, last)
      last = behind - 1
      yield
    }
    return total
  }

  /** Whole kinds are counted in their index, which has no row to read. */
  function* countKinds(kinds: ReadonlyArray<number>, filter: Filter, now: number): Work<number> {
    let total = 0
    for (const kind of new Set(kinds)) {
      const since = filter.since ?? 0
      const until = filter.until ?? Number.MAX_SAFE_INTEGER
      total += yield* countKind(kind, since, until)
      total -= statements.countExpired.get(now, kind, since, until)?.[0] as number
      yield
    }
    return total
  }

  const count = (
    filters: ReadonlyArray<Filter>,
    { now, readers }: { readonly now: number } & AskedBy
  ): Work<number> =>
    snapshot(function*() {
      const by = { readers, isHidden: hidden.now() }
      const [only] = filters
      // The index does not know who is on the way out, and what has expired is looked at row by row.
      const isIndexTrue = by.isHidden === undefined && statements.manyExpired.get(now) === undefined
      if (isIndexTrue && filters.length === 1 && only?.kinds !== undefined && isOnlyKinds(only)) {
        if (readers === undefined || !only.kinds.some(isPrivate)) return yield* countKinds(only.kinds, only, now)
      }
      const seen = new Set<number>()
      for (const filter of filters) {
        const isMatch = matcher(filter, by)
        for (const candidate of scan(filter, 1000, now)) {
          if (candidate === undefined) yield
          else if (candidate.raw !== null && isMatch(candidate.raw, candidate.seq)) seen.add(candidate.seq)
        }
      }
      return seen.size
    })

  const sketch = (
    filter: Filter,
    offset: number,
    { now, readers }: { readonly now: number } & AskedBy
  ): Work<Sketch> =>
    snapshot(function*() {
      const isMatch = matcher(filter, { readers, isHidden: hidden.now() })
      const authors = new HyperLogLog(offset)
      let count = 0
      for (const candidate of scan(filter, 1000, now)) {
        if (candidate === undefined) yield
        else if (candidate.raw !== null && isMatch(candidate.raw, candidate.seq)) {
          count++
          authors.add(pubkeyOfRaw(candidate.raw))
        }
      }
      return { count, hll: authors.toHex() }
    })

  const items = (
    filter: Filter,
    itemsMax: number,
    { now, readers }: { readonly now: number } & AskedBy
  ): Work<Items> =>
    snapshot(function*() {
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
    snapshot(function*() {
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
    snapshot(function*() {
      const [seq, leaving] = statements.sizes.get() as Row
      const last = Math.min(top ?? Infinity, seq as number)
      const drawn: Array<string> = []
      const isShown = viewer({ readers: undefined, isHidden: hidden.at(leaving as number) })
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
    /**
     * From here on reads see one state of the store: until it is about to change, or until the end of this turn of the event
     * loop where something is being written. Taking a snapshot and giving it back costs about as much as a read. Not for a
     * connection that also writes, nor for work that outlives the turn.
     */
    hold: () => {
      if (held) return
      statements.begin.run()
      held = true
      if (writing > 0) queueMicrotask(release)
      else age = setTimeout(release, heldMax).unref()
    },
    /**
     * Before and after each transaction of the writer. What is kept is given back before it begins, so that nobody who is told of its
     * commit reads what was before it, and so that the log may begin anew.
     */
    beforeWrite: () => {
      writing += 1
      release()
    },
    afterWrite: () => {
      writing -= 1
    },
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
      release()
      db.close()
    }
  }
}

export type SqliteReader = ReturnType<typeof make>

const isOnlyKinds = (filter: Filter): boolean =>
  filter.ids === undefined && filter.authors === undefined && (filter.tags === undefined || filter.tags.size === 0)
