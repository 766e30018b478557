/**
 * One filter as a walk over index ranges: events that may match, newest first, a bounded piece of work at a time.
 *
 * Every list in a filter multiplies into ranges (one per author and kind, per tag value, per kind) that each yield rows
 * newest first and then by lowest id, as their indexes do; a heap merges them. No range is read further than the answer needs,
 * and no statement reads more than a chunk, so a walk can stop or pause anywhere.
 */
import type { DatabaseSync } from "node:sqlite"
import { isReplaceable } from "../../domain/Event.ts"
import type { Filter } from "../../domain/Filter.ts"
import { prepare } from "./connection.ts"
import { prefixKey, tagKey } from "./keys.ts"

/** A row that an index range led to. `raw` is null when a column already said no. */
export interface Candidate {
  readonly created_at: number
  /** The first bits of the id, in its order. */
  readonly id_key: number
  readonly seq: number
  readonly raw: string | null
}

/** What a walk yields: a candidate, or nothing after a piece of work, so that whoever drives it can pause or give up. */
export type Step = Candidate | undefined

/** Rows and statements between two pauses: a millisecond or less with warm pages. */
const workPerStep = 128
/** Rows of one statement. */
const chunkMin = 4
const chunkMax = 512
/** Values of one statement over a list. */
const listMax = 128
/** Above so many kinds, an author's kinds are looked up instead of tried. */
const kindsTried = 4
/** Author and kind pairs that are read at once, where each has at most one row. */
const pairsMax = 4096

const maxTime = Number.MAX_SAFE_INTEGER

type Rows = ReadonlyArray<Candidate>
/** Reads the next chunk of a range: what comes after this place in it. */
type Fetch = (after: Place, chunk: number) => Rows

/** A place in the order of answers, `seq` telling apart what nothing else does. */
type Place = Omit<Candidate, "raw">

/** Negative when `a` comes before `b`: newer, or of the same second with a lower id. */
const placeOrder = (a: Place, b: Place): number => b.created_at - a.created_at || a.id_key - b.id_key || a.seq - b.seq

interface Cursor {
  rows: Rows
  at: number
  chunk: number
  /** Undefined once the range has ended. */
  fetch: Fetch | undefined
}

/** Does the next row of `a` come before that of `b`? */
const isBefore = (a: Cursor, b: Cursor): boolean => placeOrder(a.rows[a.at]!, b.rows[b.at]!) < 0

/** Heap of cursors that have a next row, the first of these on top. */
class Heap {
  readonly #cursors: Array<Cursor> = []

  get top(): Cursor | undefined {
    return this.#cursors[0]
  }

  push(cursor: Cursor): void {
    const heap = this.#cursors
    let child = heap.push(cursor) - 1
    while (child > 0) {
      const parent = (child - 1) >> 1
      if (!isBefore(cursor, heap[parent]!)) break
      heap[child] = heap[parent]!
      child = parent
    }
    heap[child] = cursor
  }

  pop(): void {
    const last = this.#cursors.pop()
    if (last !== undefined && this.#cursors.length > 0) this.#sink(last)
  }

  /** The top has moved on to an older row. */
  settle(): void {
    this.#sink(this.#cursors[0]!)
  }

  #sink(cursor: Cursor): void {
    const heap = this.#cursors
    let parent = 0
    for (;;) {
      let child = 2 * parent + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++
      if (!isBefore(heap[child]!, cursor)) break
      heap[parent] = heap[child]!
      parent = child
    }
    heap[parent] = cursor
  }
}

const unique = <A>(values: ReadonlyArray<A>): ReadonlyArray<A> => values.length < 2 ? values : [...new Set(values)]

const rowsOf = (rows: ReadonlyArray<ReadonlyArray<unknown>>): Rows =>
  rows.map(([created_at, id_key, seq, raw]) => ({ created_at, id_key, seq, raw }) as Candidate)

/** Not expired by ?1. */
const live = "(e.expiration IS NULL OR e.expiration > ?1)"

/** Rows of `table` not before since (?2) and after the place (?3, ?4, ?5), in the order of answers, at most ?6. */
const range = (table: string) =>
  `${table}.created_at >= ?2 AND ${table}.created_at <= ?3 AND (${table}.created_at < ?3 OR ${table}.id_key > ?4
      OR (${table}.id_key = ?4 AND ${table}.seq > ?5))
    ORDER BY ${table}.created_at DESC, ${table}.id_key, ${table}.seq LIMIT ?6`

export const make = (db: DatabaseSync) => {
  const statements = {
    byKind: prepare(
      db,
      `SELECT e.created_at, e.id_key, e.seq, CASE WHEN ${live} THEN e.raw END FROM event e INDEXED BY event_kind
        WHERE e.kind = ?7 AND ${range("e")}`
    ),
    byAuthor: prepare(
      db,
      `SELECT e.created_at, e.id_key, e.seq, CASE WHEN ${live} THEN e.raw END FROM event e INDEXED BY event_author
        WHERE e.pubkey_key = ?7 AND e.kind = ?8 AND ${range("e")}`
    ),
    // The residual conditions are columns, not a WHERE: a statement then stops after its chunk even if nothing matches.
    byTag: prepare(
      db,
      `SELECT t.created_at, t.id_key, t.seq, CASE WHEN ${live}
          AND (?8 IS NULL OR e.kind IN (SELECT value FROM json_each(?8)))
          AND (?9 IS NULL OR e.pubkey_key IN (SELECT value FROM json_each(?9))) THEN e.raw END
        FROM tag t CROSS JOIN event e ON e.seq = t.seq
        WHERE t.key = ?7 AND ${range("t")}`
    ),
    byIds: prepare(
      db,
      `SELECT e.created_at, e.id_key, e.seq, CASE WHEN ${live} THEN e.raw END
        FROM json_each(?4) j CROSS JOIN event e INDEXED BY event_id ON e.id_key = j.value
        WHERE e.created_at >= ?2 AND e.created_at <= ?3`
    ),
    byAuthors: prepare(
      db,
      `SELECT e.created_at, e.id_key, e.seq, CASE WHEN ${live} THEN e.raw END
        FROM json_each(?4) j CROSS JOIN event e INDEXED BY event_author ON e.pubkey_key = j.value AND e.kind = ?5
        WHERE e.created_at >= ?2 AND e.created_at <= ?3`
    ),
    nextKind: prepare(db, "SELECT kind FROM event INDEXED BY event_kind WHERE kind > ? ORDER BY kind LIMIT 1"),
    nextKindOf: prepare(
      db,
      "SELECT kind FROM event INDEXED BY event_author WHERE pubkey_key = ? AND kind > ? ORDER BY kind LIMIT 1"
    ),
    tagged: prepare(db, "SELECT count(*) FROM (SELECT 1 FROM tag WHERE key = ? LIMIT ?)")
  }

  /** Kinds that exist, or that exist for one author, each by a seek past the one before. */
  function* kindsOf(author?: number): Generator<number> {
    for (let kind = -1;;) {
      const row = author === undefined ? statements.nextKind.get(kind) : statements.nextKindOf.get(author, kind)
      if (row === undefined) return
      kind = row[0] as number
      yield kind
    }
  }

  /** The tag letter with the fewest rows, and how many, counted no further than `max`. */
  const rarestTag = (tags: ReadonlyMap<string, ReadonlyArray<string>>, max: number) => {
    let rarest: { readonly keys: ReadonlyArray<number>; readonly count: number } | undefined
    for (const [letter, values] of tags) {
      const keys = unique(values).map((value) => tagKey(letter, value))
      let count = 0
      for (const key of keys) {
        count += statements.tagged.get(key, max)?.[0] as number
        if (count >= max) break
      }
      if (rarest === undefined || count < rarest.count) rarest = { keys, count }
    }
    return rarest
  }

  /**
   * Candidates of one filter in the order of answers, as far as `id_key` tells; no row twice. `now` in Unix seconds; `wanted`
   * is how many rows the caller expects to take.
   */
  function* scan(filter: Filter, wanted: number, now: number): Generator<Step, void> {
    const since = filter.since ?? 0
    const until = filter.until ?? maxTime
    if (since > until || filter.ids?.length === 0 || filter.authors?.length === 0 || filter.kinds?.length === 0) return
    for (const values of filter.tags?.values() ?? []) if (values.length === 0) return
    // A `search` (NIP-50) is not looked at: who has one goes by its words first (`search/SearchScan.ts`).

    const heap = new Heap()
    let work = 0
    const opened: Array<Fetch> = []
    const collected: Array<Candidate> = []

    const kinds = filter.kinds === undefined ? undefined : unique(filter.kinds)
    // Keys of 52 bits may coincide, and would then lead to one row twice.
    const authors = filter.authors === undefined ? undefined : unique(unique(filter.authors).map(prefixKey))
    const tags = filter.tags === undefined || filter.tags.size === 0 ? undefined : filter.tags
    // Counting a little tells which list is the narrow one; an author with one kind is nearly always.
    const tag = tags === undefined || filter.ids !== undefined
      ? undefined
      : rarestTag(tags, authors === undefined ? chunkMax : Math.min(chunkMax, 16 * authors.length))

    if (filter.ids !== undefined) {
      const keys = unique(unique(filter.ids).map(prefixKey))
      for (let i = 0; i < keys.length; i += listMax) {
        const list = JSON.stringify(keys.slice(i, i + listMax))
        for (const row of rowsOf(statements.byIds.all(now, since, until, list))) collected.push(row)
        yield
      }
    } else if (tag !== undefined && (authors === undefined || tag.count < 16 * authors.length)) {
      const inKinds = kinds === undefined ? null : JSON.stringify(kinds)
      const inAuthors = authors === undefined ? null : JSON.stringify(authors)
      for (const key of tag.keys) {
        opened.push(({ created_at, id_key, seq }, chunk) =>
          rowsOf(statements.byTag.all(now, since, created_at, id_key, seq, chunk, key, inKinds, inAuthors))
        )
      }
    } else if (authors !== undefined) {
      const open = (author: number, kind: number) => {
        opened.push(({ created_at, id_key, seq }, chunk) =>
          rowsOf(statements.byAuthor.all(now, since, created_at, id_key, seq, chunk, author, kind))
        )
      }
      // One row per pair: reading a list of authors at once costs less than half of asking for each.
      const single = (kinds ?? []).filter(isReplaceable)
      const isBulk = authors.length > 1 && single.length <= kindsTried && authors.length * single.length <= pairsMax
      for (const kind of isBulk ? single : []) {
        for (let i = 0; i < authors.length; i += listMax) {
          const list = JSON.stringify(authors.slice(i, i + listMax))
          for (const row of rowsOf(statements.byAuthors.all(now, since, until, list, kind))) collected.push(row)
          yield
        }
      }
      const rest = isBulk ? kinds?.filter((kind) => !isReplaceable(kind)) : kinds
      if (rest !== undefined && rest.length <= kindsTried) {
        for (const author of authors) for (const kind of rest) open(author, kind)
      } else {
        const asked = rest === undefined ? undefined : new Set(rest)
        for (const author of authors) {
          for (const kind of kindsOf(author)) {
            if (asked === undefined || asked.has(kind)) open(author, kind)
            if (++work % workPerStep === 0) yield
          }
        }
      }
    } else {
      for (const kind of kinds !== undefined && kinds.length <= listMax ? kinds : kindsOf()) {
        if (kinds !== undefined && kinds.length > listMax && !kinds.includes(kind)) continue
        opened.push(({ created_at, id_key, seq }, chunk) =>
          rowsOf(statements.byKind.all(now, since, created_at, id_key, seq, chunk, kind))
        )
      }
    }

    if (collected.length > 0) {
      heap.push({ rows: collected.toSorted(placeOrder), at: 0, chunk: 0, fetch: undefined })
    }
    // One more row tells whether that was all, and another one that nothing has to be read to look at it.
    const chunk = Math.min(chunkMax, Math.max(chunkMin, Math.ceil((wanted + 2) / Math.max(1, opened.length))))
    for (const fetch of opened) {
      const rows = fetch({ created_at: until, id_key: -1, seq: -1 }, chunk)
      if (rows.length > 0) heap.push({ rows, at: 0, chunk, fetch: rows.length < chunk ? undefined : fetch })
      if ((work += 1 + rows.length) >= workPerStep) {
        work = 0
        yield
      }
    }

    // Only ranges of tags overlap: an event may have several of the values.
    const seen = tag === undefined || opened.length < 2 ? undefined : new Set<number>()
    for (let cursor = heap.top; cursor !== undefined; cursor = heap.top) {
      const row = cursor.rows[cursor.at++]!
      if (cursor.at === cursor.rows.length && cursor.fetch !== undefined) {
        const chunk = Math.min(chunkMax, 2 * cursor.chunk)
        const rows = cursor.fetch(row, chunk)
        cursor.rows = rows
        cursor.at = 0
        cursor.chunk = chunk
        if (rows.length < chunk) cursor.fetch = undefined
        if ((work += 1 + rows.length) >= workPerStep) {
          work = 0
          yield
        }
      }
      if (cursor.at === cursor.rows.length) heap.pop()
      else heap.settle()
      if (seen !== undefined) {
        if (seen.has(row.seq)) continue
        seen.add(row.seq)
      }
      yield row
    }
  }

  return { scan }
}

export type Scan = ReturnType<typeof make>["scan"]
