/**
 * What an upstream of the demo, or of a test, has to offer: events in the order and amount that NIP-01 asks for.
 *
 * It stands for somebody else's relay, so it shares no code with the one that reads it.
 */
import type { Event } from "../domain/Event.ts"

/** A filter as it comes over the wire. Keys we do not know match nothing, so that a typo shows. */
export type WireFilter = Readonly<Record<string, unknown>>

const includes = (list: unknown, value: unknown) => Array.isArray(list) && list.includes(value)

const matchesKey = (key: string, value: unknown, event: Event): boolean => {
  switch (key) {
    case "ids":
      return includes(value, event.id)
    case "authors":
      return includes(value, event.pubkey)
    case "kinds":
      return includes(value, event.kind)
    case "since":
      return event.created_at >= Number(value)
    case "until":
      return event.created_at <= Number(value)
    case "limit":
      return true
    default:
      return key.length === 2 && key.startsWith("#") &&
        event.tags.some((tag) => tag[0] === key[1] && includes(value, tag[1]))
  }
}

/** NIP-01, "Communication between clients and relays": all conditions of a filter, whatever its `limit`. */
export const matches = (filter: WireFilter, event: Event): boolean =>
  Object.entries(filter).every(([key, value]) => matchesKey(key, value, event))

/** What decides an event's place in the order. */
type Place = Pick<Event, "created_at" | "id">

/** Newest first, then lowest id (NIP-01, the order of a `limit`). */
const newestFirst = (a: Place, b: Place): number =>
  b.created_at - a.created_at || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)

/** Where the first event is that does not come before `place` in the order. */
const indexOf = (list: ReadonlyArray<Event>, place: Place): number => {
  let [low, high] = [0, list.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    const at = list[middle]
    if (at !== undefined && newestFirst(at, place) < 0) low = middle + 1
    else high = middle
  }
  return low
}

export interface UpstreamEvents {
  /** Keeps everything it is given, the same event twice if need be: relays do. */
  readonly add: (event: Event) => void
  readonly size: () => number
  /** Newest first, then lowest id; `limit`, or `pageMax` where it is less, at most. */
  readonly query: (filter: WireFilter) => ReadonlyArray<Event>
  /** All that match, in no order, whatever the limits. */
  readonly all: (filter: WireFilter) => ReadonlyArray<Event>
  /** How many those are. */
  readonly count: (filter: WireFilter) => number
}

/** `pageMax`: the relay's own cap on a filter's limit. */
export const make = (initial: Iterable<Event>, pageMax: number = Number.POSITIVE_INFINITY): UpstreamEvents => {
  const events: Array<Event> = []
  /** The same events by author: whoever looks for one author's posts should not have to pass everybody else's. */
  const byAuthor = new Map<string, Array<Event>>()
  let isSorted = true
  const add = (event: Event) => {
    events.push(event)
    const own = byAuthor.get(event.pubkey)
    if (own === undefined) byAuthor.set(event.pubkey, [event])
    else own.push(event)
    isSorted = false
  }
  for (const event of initial) add(event)

  /** In order; put so when somebody asks, as many may have been added since. */
  const sorted = (): ReadonlyArray<Event> => {
    if (!isSorted) events.sort(newestFirst)
    isSorted = true
    return events
  }

  return {
    add,
    size: () => events.length,
    all: (filter) => events.filter((event) => matches(filter, event)),
    count: (filter) => events.reduce((count, event) => count + Number(matches(filter, event)), 0),
    query: (filter) => {
      const limit = Math.min(pageMax, typeof filter["limit"] === "number" ? filter["limit"] : Number.POSITIVE_INFINITY)
      const page: Array<Event> = []
      const authors: unknown = filter["authors"]
      const list = Array.isArray(authors)
        ? [...new Set<string>(authors)].flatMap((author) => byAuthor.get(author) ?? []).toSorted(newestFirst)
        : sorted()
      // A harvest pages backwards by `until`: starting there keeps a whole harvest linear.
      const start = typeof filter["until"] === "number" ? indexOf(list, { created_at: filter["until"], id: "" }) : 0
      for (let i = start; i < list.length && page.length < limit; i++) {
        const event = list[i]
        if (event === undefined || event.created_at < Number(filter["since"] ?? 0)) break
        if (matches(filter, event)) page.push(event)
      }
      return page
    }
  }
}
