/**
 * The arithmetic of reading an upstream backwards: what is covered, what is missing, and where the next page ends.
 *
 * A page answers `since`, `until` (both inclusive, NIP-01 "filters") and `limit` with the newest events. Relays cut their
 * answers as they like and say nothing about it, so fewer events than asked for prove nothing. Proof is an empty page that
 * was ended by EOSE, or the hint `finish` (NIP-67). Until then a page proves only that nothing newer than its oldest event
 * is missing, and the next one starts at that second again, as more of its events may have been cut off.
 *
 * That holds where the newest come first. Of an answer in the other order nobody knows which end was cut off, so it proves
 * what lies between its ends and nothing else; one in no order proves nothing, unless it is too short to have been cut. A page may
 * look sorted by chance: once an upstream has shown that it keeps no order, all of its pages are read as being in none.
 */

/** Unix seconds. Nobody has a use for the time before there was a network, nor do harvests go there. */
export const networkBegin = Date.UTC(2020, 0, 1) / 1000

/** A range of `created_at`, both ends inclusive, Unix seconds. */
export type Interval = readonly [from: number, to: number]

/** Ranges that are known, newest first; they neither touch nor overlap. */
export type Coverage = ReadonlyArray<Interval>

/** `coverage` and `interval`; an empty interval (its end before its start) adds nothing. */
export const cover = (coverage: Coverage, [from, to]: Interval): Coverage => {
  if (to < from) return coverage
  let merged: Interval = [from, to]
  const others: Array<Interval> = []
  for (const other of coverage) {
    const apart = other[0] > merged[1] + 1 || other[1] < merged[0] - 1
    if (apart) others.push(other)
    else merged = [Math.min(other[0], merged[0]), Math.max(other[1], merged[1])]
  }
  return [...others, merged].toSorted((a, b) => b[0] - a[0])
}

/** What of `window` is not covered, newest first. */
export const gaps = (coverage: Coverage, [since, until]: Interval): ReadonlyArray<Interval> => {
  const missing: Array<Interval> = []
  let top = until
  for (const [from, to] of coverage) {
    if (to < top) missing.push([Math.max(to + 1, since), top])
    top = Math.min(top, from - 1)
    if (top < since) break
  }
  if (top >= since) missing.push([since, top])
  return missing.filter(([from, to]) => from <= to)
}

/** Ranges kept; the oldest are forgotten first, which only means that they are read again. */
export const intervalsMax = 256

/** One JSON document, as it is kept beside the events that it describes. */
export const encodeCoverage = (coverage: Coverage): string =>
  JSON.stringify({ version: 1, intervals: coverage.slice(0, intervalsMax) })

const isInterval = (value: unknown): value is Interval =>
  Array.isArray(value) && value.length === 2 && value.every((end) => Number.isSafeInteger(end)) && value[0] <= value[1]

/** Undefined when the text is not what `encodeCoverage` writes. */
export const decodeCoverage = (text: string): Coverage | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== "object" || value === null) return undefined
    const { intervals, version } = value as { readonly version?: unknown; readonly intervals?: unknown }
    if (version !== 1 || !Array.isArray(intervals) || !intervals.every(isInterval)) return undefined
    return intervals.reduce<Coverage>(cover, [])
  } catch {
    return undefined
  }
}

/** Where reading one gap backwards has got to. */
export interface Walk {
  readonly since: number
  readonly until: number
  /** Events to ask for. */
  readonly limit: number
  /** The upstream has shown that its pages come in no order to go by, however sorted one of them may look. */
  readonly isUnordered?: boolean
  /** A page has shown that the newest come first. */
  readonly isNewestFirst: boolean
  /** Ids of its first or last second that an earlier page has brought. */
  readonly seen: ReadonlySet<string>
  /** Events in the longest page so far: so many the upstream does hand out. */
  readonly capacity: number
}

/** `limit`: events per page. `isUnordered`: of the upstream. */
export const walk = ([since, until]: Interval, limit: number, isUnordered = false): Walk => ({
  ...isUnordered && { isUnordered },
  since,
  until,
  limit,
  isNewestFirst: false,
  seen: new Set(),
  capacity: 0
})

/** One page that was ended by EOSE. */
export interface Page {
  /** Events that match the walk's filter, those already seen included. */
  readonly events: ReadonlyArray<{ readonly id: string; readonly created_at: number }>
  /** The upstream says that nothing that matches was left out (NIP-67). */
  readonly finished: boolean
}

/** What a page proves, and how to go on. */
export interface Step {
  readonly covered: Interval
  /** What is left of the gap, the shortest stretch first: none when it is closed. */
  readonly next: ReadonlyArray<Walk>
  /** A second of which the upstream may hold more events than it hands out: it is left behind incomplete. */
  readonly saturated: number | undefined
}

/** The largest page worth asking for when one second holds more events than a page. */
export const limitMax = 5000

/** No relay seen in the field cuts its answers shorter than this, so a shorter one was not cut. */
export const cutMin = 100

/** Proves nothing. */
const nothing = ({ until }: Walk): Interval => [until + 1, until]

/** Steps over one second after the pages have shown all of it, or all that the upstream will show. */
const below = (at: Walk, pageSize: number, capacity: number, saturated: number | undefined): Step => ({
  covered: [at.until, at.until],
  next: at.until <= at.since ? [] : [{ ...at, until: at.until - 1, limit: pageSize, seen: new Set(), capacity }],
  saturated
})

export type Order = "newest first" | "oldest first" | "one second" | "none"

/** How the events of a page follow one another. */
export const orderOf = (events: Page["events"]): Order => {
  let rises = false
  let falls = false
  let last: number | undefined
  for (const { created_at } of events) {
    if (last !== undefined && created_at > last) rises = true
    if (last !== undefined && created_at < last) falls = true
    last = created_at
  }
  if (rises) return falls ? "none" : "oldest first"
  return falls ? "newest first" : "one second"
}

const idsOf = (events: Page["events"], second: number): ReadonlySet<string> =>
  new Set(events.filter(({ created_at }) => created_at === second).map(({ id }) => id))

/** After a page that did not come newest first, whose events are not all of the last second asked for. */
const around = (at: Walk, { events }: Page, [oldest, newest]: Interval, pageSize: number, capacity: number): Step => {
  const order = at.isUnordered === true ? "none" : orderOf(events)
  const part = (since: number, until: number, seen: ReadonlySet<string>): Walk => ({
    ...at,
    since,
    until,
    limit: pageSize,
    seen,
    capacity
  })
  const stretches = (...parts: ReadonlyArray<Walk>) =>
    parts.filter(({ since, until }) => since <= until)
      .toSorted((a, b) => (a.until - a.since) - (b.until - b.since))
  if (order === "none") {
    if (events.length < at.limit && events.length < cutMin) {
      return { covered: [at.since, at.until], next: [], saturated: undefined }
    }
    const middle = Math.floor((at.since + at.until) / 2)
    const next = stretches(part(middle + 1, at.until, new Set()), part(at.since, middle, new Set()))
    return { covered: nothing(at), next, saturated: undefined }
  }
  const above = order === "one second" ? newest + 1 : newest
  return {
    covered: [oldest + 1, newest - 1],
    next: stretches(
      part(above, at.until, idsOf(events, above)),
      part(at.since, oldest, idsOf(events, oldest))
    ),
    saturated: undefined
  }
}

/** What `page`, the answer to `at`, proves, and where the next ones end. `pageSize`: events per page, usually. */
export const advance = (from: Walk, page: Page, pageSize: number): Step => {
  const { events } = page
  if (events.length === 0 || page.finished) {
    return { covered: [from.since, from.until], next: [], saturated: undefined }
  }
  const capacity = Math.max(from.capacity, events.length)
  let [oldest, newest] = [from.until, from.since]
  for (const { created_at } of events) {
    oldest = Math.min(oldest, created_at)
    newest = Math.max(newest, created_at)
  }
  const order = from.isUnordered === true ? "none" : orderOf(events)
  // Of one second alone nobody can tell; a page that short was not cut at either end.
  const isShort = events.length < from.limit && events.length < cutMin
  const isNewestFirst = order === "newest first" || (order === "one second" && (from.isNewestFirst || isShort))
  const at: Walk = { ...from, isNewestFirst: order === "newest first" || from.isNewestFirst }
  if (oldest < at.until) {
    if (!isNewestFirst) return around(at, page, [oldest, newest], pageSize, capacity)
    return {
      covered: [oldest + 1, at.until],
      next: [{ ...at, until: oldest, limit: pageSize, seen: idsOf(events, oldest), capacity }],
      saturated: undefined
    }
  }
  // Nothing older than the second asked for: either it is the last one, or it fills the page.
  const isWhole = events.length < at.limit && (events.length < at.capacity || events.length < cutMin)
  if (isWhole) return below(at, pageSize, capacity, undefined)
  const isCut = events.length < at.limit || at.limit >= limitMax
  if (isCut) return below(at, pageSize, capacity, at.until)
  const seen = new Set(at.seen)
  for (const event of events) seen.add(event.id)
  const limit = Math.min(at.limit * 2, limitMax)
  return { covered: nothing(at), next: [{ ...at, limit, seen, capacity }], saturated: undefined }
}
