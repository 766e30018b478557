/** A NIP-01 filter: decoded, bounded and ready to match. */
import { type Event, isHex, isText } from "./Event.ts"

/** One filter of a REQ; absent fields match everything (NIP-01, "Communication between clients and relays"). */
export interface Filter {
  readonly ids?: ReadonlyArray<string>
  readonly authors?: ReadonlyArray<string>
  readonly kinds?: ReadonlyArray<number>
  /** Unix seconds, inclusive. */
  readonly since?: number
  /** Unix seconds, inclusive. */
  readonly until?: number
  /** At most this many stored events; 0 means none. */
  readonly limit?: number
  /** Tag filters by single letter, without the "#": every listed letter must match one of its values. */
  readonly tags?: ReadonlyMap<string, ReadonlyArray<string>>
  /** NIP-50. */
  readonly search?: string
}

export interface FilterLimits {
  /** Values in one filter, all its lists together. */
  readonly filterValuesMax: number
}

/** UTF-16 units of a search text. */
export const searchMax = 256

/** Why a value is no filter; the text of an answer, after its prefix (`filterRefusal`). */
export type FilterProblem =
  | "filter must be an object"
  | "filter contains unknown elements"
  | "ids, authors, #e and #p must be 64 lower-case hex characters"
  | "kinds must be integers from 0 to 65535"
  | "since, until and limit must be non-negative integers"
  | "tag values must be strings without NUL or lone surrogates"
  | "search must be a short string"
  | "filter has too many values"

/** An unknown element is a feature we lack (NIP-01 answers it `unsupported:`); anything else breaks the protocol. */
export const filterRefusal = (problem: FilterProblem): `${"unsupported" | "invalid"}: ${FilterProblem}` =>
  problem === "filter contains unknown elements" ? `unsupported: ${problem}` : `invalid: ${problem}`

const isTime = (value: unknown): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0

const isList = <A>(value: unknown, is: (item: unknown) => item is A): value is ReadonlyArray<A> =>
  Array.isArray(value) && value.every(is)

const isId = (value: unknown): value is string => isHex(value, 64)

const isKind = (value: unknown): value is number => isTime(value) && value <= 65_535

const isTagValue = (value: unknown): value is string => typeof value === "string" && isText(value)

/** `#` and one ASCII letter: the only tags that are indexed, `#e` and `#E` apart. */
const isTagKey = (key: string): boolean => /^#[a-zA-Z]$/.test(key)

/**
 * A parsed JSON value as a filter, or the first thing wrong with it.
 *
 * Unknown keys are refused, as ignoring one would widen the answer. An empty list stays, and matches nothing.
 */
export const filterOf = (value: unknown, limits: FilterLimits): Filter | FilterProblem => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return "filter must be an object"
  const filter: { -readonly [K in keyof Filter]: Filter[K] } = {}
  let tags: Map<string, ReadonlyArray<string>> | undefined
  let values = 0
  for (const [key, item] of Object.entries(value as Record<string, unknown>)) {
    if (Array.isArray(item) && (values += item.length) > limits.filterValuesMax) return "filter has too many values"
    switch (key) {
      case "ids":
      case "authors":
        if (!isList(item, isId)) return "ids, authors, #e and #p must be 64 lower-case hex characters"
        filter[key] = item
        break
      case "kinds":
        if (!isList(item, isKind)) return "kinds must be integers from 0 to 65535"
        filter.kinds = item
        break
      case "since":
      case "until":
      case "limit":
        if (!isTime(item)) return "since, until and limit must be non-negative integers"
        filter[key] = item
        break
      case "search":
        if (typeof item !== "string" || item.length > searchMax || !isText(item)) return "search must be a short string"
        filter.search = item
        break
      default:
        if (!isTagKey(key)) return "filter contains unknown elements"
        if (key === "#e" || key === "#p") {
          if (!isList(item, isId)) return "ids, authors, #e and #p must be 64 lower-case hex characters"
        } else if (!isList(item, isTagValue)) return "tag values must be strings without NUL or lone surrogates"
        tags ??= new Map()
        tags.set(key.slice(1), item)
    }
  }
  if (tags !== undefined) filter.tags = tags
  return filter
}

/** A filter as it goes over the wire (NIP-01): the inverse of `filterOf`. */
export const wireOf = ({ tags, ...filter }: Filter): Readonly<Record<string, unknown>> => ({
  ...filter,
  ...Object.fromEntries(Array.from(tags ?? [], ([letter, values]) => [`#${letter}`, values]))
})

const hasTag = (event: Event, letter: string, values: ReadonlyArray<string>): boolean => {
  for (const tag of event.tags) {
    if (tag[0] === letter && tag[1] !== undefined && values.includes(tag[1])) return true
  }
  return false
}

/**
 * Does the event satisfy every condition of the filter? `limit` binds stored results only, and relevance to a `search`
 * is for the store to say: neither is looked at.
 */
export const matches = (filter: Filter, event: Event): boolean => {
  if (filter.kinds !== undefined && !filter.kinds.includes(event.kind)) return false
  if (filter.since !== undefined && event.created_at < filter.since) return false
  if (filter.until !== undefined && event.created_at > filter.until) return false
  if (filter.authors !== undefined && !filter.authors.includes(event.pubkey)) return false
  if (filter.ids !== undefined && !filter.ids.includes(event.id)) return false
  if (filter.tags !== undefined) {
    for (const [letter, values] of filter.tags) if (!hasTag(event, letter, values)) return false
  }
  return true
}

/** Filters of one subscription are alternatives. */
export const matchesAny = (filters: ReadonlyArray<Filter>, event: Event): boolean => {
  for (const filter of filters) if (matches(filter, event)) return true
  return false
}
