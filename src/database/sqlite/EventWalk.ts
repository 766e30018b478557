/**
 * All events that match some filters, one after the other and however many they are: for commands that print or remove them.
 *
 * Unlike a query, a walk holds a page at most, in both directions. It is a generator that yields undefined after each bounded
 * piece of work, and reads through whatever transaction its connection is in, so that one snapshot holds for all of it.
 */
import type { DatabaseSync } from "node:sqlite"
import { type Event, newestFirst } from "../../domain/Event.ts"
import { type Filter, matches } from "../../domain/Filter.ts"
import type { ArchivedEvent } from "../Archive.ts"
import { prepare } from "./connection.ts"
import * as FilterScan from "./FilterScan.ts"
import * as Hidden from "./Hidden.ts"
import { idOfRaw } from "./rawEvent.ts"

export type Walk = Generator<ArchivedEvent | undefined, void>

/** Events of one page of a walk from the oldest to the newest. */
const pageMax = 2048
/** Seconds of its first page; the next ones are as long as it takes to fill them. */
const firstWindow = 3600

/** Does an event that the scan has found match in full? It goes by short keys of ids, authors and tags. */
const isMatch = (filter: Filter, isHidden: Hidden.IsHidden | undefined): (raw: string, seq: number) => boolean =>
  filter.ids === undefined && filter.authors === undefined && filter.tags === undefined
    ? (raw, seq) => isHidden?.(raw, seq) !== true
    : (raw, seq) => matches(filter, JSON.parse(raw) as Event) && isHidden?.(raw, seq) !== true

/** A filter, and what its `limit` amounts to once the events that it lets through are known. */
interface Part {
  readonly filter: Filter
  /** The last event in the order of answers that belongs to it. */
  readonly last: Pick<ArchivedEvent, "created_at" | "id"> | undefined
}

/** Is the event behind the end of every part that could let it through? */
const isCut = (parts: ReadonlyArray<Part>, event: ArchivedEvent): boolean =>
  parts.every(({ filter, last }) =>
    (last !== undefined && newestFirst(event, last) > 0) || !matches(filter, JSON.parse(event.raw) as Event)
  )

export const make = (db: DatabaseSync) => {
  const { scan } = FilterScan.make(db)
  const hidden = Hidden.make(db)
  const rawOf = prepare(db, "SELECT raw FROM event WHERE seq = ?")
  const nextKind = prepare(db, "SELECT kind FROM event INDEXED BY event_kind WHERE kind > ? ORDER BY kind LIMIT 1")
  const ends = prepare(
    db,
    `SELECT (SELECT created_at FROM event INDEXED BY event_kind WHERE kind = ?1 ORDER BY created_at LIMIT 1),
      (SELECT created_at FROM event INDEXED BY event_kind WHERE kind = ?1 ORDER BY created_at DESC LIMIT 1)`
  )

  /** One filter in the order of answers: `created_at` descending, then lowest id (NIP-01). */
  function* select(filter: Filter, wanted: number, now: number): Walk {
    const isWhole = isMatch(filter, hidden.now())
    let left = filter.limit ?? Infinity
    // The scan's order is by the first bits of the id; those that share them are put in order here.
    let twins: Array<ArchivedEvent> = []
    let twinKey = -1
    function* settled(): Walk {
      for (const event of twins.toSorted(newestFirst)) if (left-- > 0) yield event
      twins = []
    }
    if (left <= 0) return
    for (const candidate of scan(filter, wanted, now)) {
      if (candidate === undefined) {
        yield
        continue
      }
      const { created_at, id_key, raw, seq } = candidate
      if (raw === null || !isWhole(raw, seq)) continue
      if (twins.length > 0 && (created_at !== twins[0]!.created_at || id_key !== twinKey)) yield* settled()
      if (left <= 0) return
      twinKey = id_key
      twins.push({ created_at, id: idOfRaw(raw), seq, raw })
    }
    yield* settled()
  }

  /** All filters in the order of answers, an event that several let through once. */
  function* merge(filters: ReadonlyArray<Filter>, wanted: number, now: number): Walk {
    const walks: Array<{ readonly walk: Walk; head: ArchivedEvent }> = []
    function* advance(walk: Walk): Generator<undefined, ArchivedEvent | undefined> {
      for (;;) {
        const { done, value } = walk.next()
        if (done === true) return undefined
        if (value !== undefined) return value
        yield
      }
    }
    for (const filter of filters) {
      const walk = select(filter, wanted, now)
      const head = yield* advance(walk)
      if (head !== undefined) walks.push({ walk, head })
    }
    let last = -1
    while (walks.length > 0) {
      let first = 0
      for (let i = 1; i < walks.length; i++) if (newestFirst(walks[i]!.head, walks[first]!.head) < 0) first = i
      const own = walks[first]!
      if (own.head.seq !== last) {
        last = own.head.seq
        yield own.head
      }
      const head = yield* advance(own.walk)
      if (head === undefined) walks.splice(first, 1)
      else own.head = head
    }
  }

  /** The seconds of the oldest and the newest event. */
  const span = (): readonly [number, number] => {
    let [oldest, newest] = [Infinity, -1]
    for (let row = nextKind.get(-1); row !== undefined; row = nextKind.get(row[0] as number)) {
      const [from, to] = ends.get(row[0] as number) as ReadonlyArray<number>
      oldest = Math.min(oldest, from ?? Infinity)
      newest = Math.max(newest, to ?? -1)
    }
    return [oldest, newest]
  }

  /** A `limit` keeps the newest events, so where it ends has to be known before the oldest can be told; none at all: undefined. */
  function* partOf(filter: Filter, now: number): Generator<undefined, Part | undefined> {
    if (filter.limit === undefined) return { filter, last: undefined }
    let last: ArchivedEvent | undefined
    for (const event of select(filter, pageMax, now)) {
      if (event === undefined) yield
      else last = event
    }
    const { limit: _limit, ...rest } = filter
    return last === undefined ? undefined : { filter: { ...rest, since: last.created_at }, last }
  }

  function* forwards(filters: ReadonlyArray<Filter>, now: number): Walk {
    const parts: Array<Part> = []
    for (const filter of filters) {
      const part = yield* partOf(filter, now)
      if (part !== undefined) parts.push(part)
    }
    if (parts.length === 0) return
    const isLimited = parts.some(({ last }) => last !== undefined)
    const [oldest, newest] = span()
    const start = Math.max(oldest, Math.min(...parts.map(({ filter }) => filter.since ?? 0)))
    const end = Math.min(newest, Math.max(...parts.map(({ filter }) => filter.until ?? Infinity)))
    let width = firstWindow
    for (let from = start; from <= end;) {
      const to = Math.min(end, from + width - 1)
      const clipped = parts.map(({ filter }) => ({
        ...filter,
        since: Math.max(filter.since ?? 0, from),
        until: Math.min(filter.until ?? to, to)
      }))
      // Of a second that fills more than a page, only where to find its events is remembered.
      const page: Array<ArchivedEvent | number> = []
      for (const event of merge(clipped, pageMax, now)) {
        if (event === undefined) yield
        else if (page.length < pageMax) page.push(event)
        else {
          page.push(event.seq)
          if (width > 1) break
        }
      }
      if (page.length > pageMax && width > 1) {
        width = Math.max(1, Math.floor(width / 4))
        continue
      }
      for (const entry of page.toReversed()) {
        const event = typeof entry === "number" ? walkedOf(entry) : entry
        if (!isLimited || !isCut(parts, event)) yield event
      }
      yield
      from = to + 1
      if (page.length < pageMax / 4) width *= 4
    }
  }

  const walkedOf = (seq: number): ArchivedEvent => {
    const raw = rawOf.get(seq)?.[0] as string
    const { created_at, id } = JSON.parse(raw) as Event
    return { created_at, id, seq, raw }
  }

  return {
    /** In the order of answers; `now` in Unix seconds, as what has expired is left out. */
    newestFirst: (filters: ReadonlyArray<Filter>, now: number): Walk => merge(filters, pageMax, now),
    /** The same events the other way round. */
    oldestFirst: (filters: ReadonlyArray<Filter>, now: number): Walk => forwards(filters, now)
  }
}
