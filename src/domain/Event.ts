/**
 * The NIP-01 event: its shape, its identity, its kind ranges, and which of two versions of it wins.
 *
 * Pure: hashing and signatures belong to `crypto/`, storage to `database/`.
 *
 * Two decisions about text, where the NIP leaves room and implementations differ:
 *
 * - The pre-image of the id is what `JSON.stringify` writes, so control characters other than the seven the NIP names
 *   are escaped (`\u0001`), not verbatim. That is the form clients and other relays hash; an event hashed in the other
 *   form has a wrong id here.
 * - NUL and lone surrogates are refused. Neither survives every UTF-8 text column and every JSON parser, so such an
 *   event could not be served as it was signed.
 */

/** A signed event, as in NIP-01 "Events and signatures". Fields keep their wire names. */
export interface Event {
  /** Lower-case hex sha256 of the canonical serialisation, 64 characters. */
  readonly id: string
  /** Lower-case hex x-only public key, 64 characters. */
  readonly pubkey: string
  /** Unix seconds. */
  readonly created_at: number
  /** 0 to 65535. */
  readonly kind: number
  readonly tags: ReadonlyArray<ReadonlyArray<string>>
  readonly content: string
  /** Lower-case hex BIP-340 signature of `id`, 128 characters. */
  readonly sig: string
}

/** What a signer is given; `pubkey`, `id` and `sig` are its answer. */
export interface EventTemplate {
  readonly created_at: number
  readonly kind: number
  readonly tags: ReadonlyArray<ReadonlyArray<string>>
  readonly content: string
}

/** Part of the service's limits; everything else about an event's size follows from the frame it came in. */
export interface EventLimits {
  readonly eventTagsMax: number
  /** Unicode characters (NIP-11, `max_content_length`). */
  readonly contentMax: number
  /** Bytes of a message; no event has more UTF-16 units in its tags. */
  readonly frameBytesMax: number
}

/** Why a value is no event; the text that follows `invalid: ` in an answer. */
export type EventProblem =
  | "event must be an object"
  | "id must be 64 lower-case hex characters"
  | "pubkey must be 64 lower-case hex characters"
  | "sig must be 128 lower-case hex characters"
  | "created_at must be a non-negative integer"
  | "kind must be an integer from 0 to 65535"
  | "content must be a string"
  | "content is too long"
  | "tags must be arrays of one or more strings"
  | "too many tags"
  | "tags are too long"
  | "text must not contain NUL or lone surrogates"

/** Zero for each ASCII code of a lower-case hex digit. */
const isNoDigit = Uint8Array.from(
  { length: 128 },
  (_, code) => "0123456789abcdef".includes(String.fromCharCode(code)) ? 0 : 1
)

/**
 * Lower-case hex of exactly this many characters. Asked of 256 characters of each event, twice: without a branch for each
 * that is 0.3 µs, with one it is 1.1.
 */
export const isHex = (value: unknown, length: number): value is string => {
  if (typeof value !== "string" || value.length !== length) return false
  let others = 0
  for (let i = 0; i < length; i++) {
    const code = value.charCodeAt(i)
    others |= (isNoDigit[code & 127] as number) | (code >> 7)
  }
  return others === 0
}

/** Text that every store and every JSON parser keeps as it is. */
export const isText = (value: string): boolean => value.isWellFormed() && !value.includes("\0")

/** More than `max` Unicode characters; counts only where UTF-16 units do not already tell. */
export const isLongerThan = (text: string, max: number): boolean => {
  if (text.length <= max) return false
  if (text.length > 2 * max) return true
  let characters = text.length
  for (let i = 1; i < text.length; i++) {
    const isLowSurrogate = (text.charCodeAt(i) & 0xfc00) === 0xdc00
    if (isLowSurrogate && (text.charCodeAt(i - 1) & 0xfc00) === 0xd800) characters--
  }
  return characters > max
}

const tagsProblem = (tags: unknown, limits: EventLimits): EventProblem | undefined => {
  if (!Array.isArray(tags)) return "tags must be arrays of one or more strings"
  if (tags.length > limits.eventTagsMax) return "too many tags"
  let units = 0
  for (const tag of tags) {
    if (!Array.isArray(tag) || tag.length === 0) return "tags must be arrays of one or more strings"
    for (const value of tag) {
      if (typeof value !== "string") return "tags must be arrays of one or more strings"
      units += value.length
      if (!isText(value)) return "text must not contain NUL or lone surrogates"
    }
  }
  return units > limits.frameBytesMax ? "tags are too long" : undefined
}

/**
 * A parsed JSON value as an event of exactly the seven wire fields, or the first thing wrong with it. Unknown keys are
 * not part of what was signed and are dropped. Says nothing about the id and the signature being right.
 */
export const eventOf = (value: unknown, limits: EventLimits): Event | EventProblem => {
  if (typeof value !== "object" || value === null) return "event must be an object"
  const { id, pubkey, created_at, kind, tags, content, sig } = value as Partial<Record<keyof Event, unknown>>
  if (!isHex(id, 64)) return "id must be 64 lower-case hex characters"
  if (!isHex(pubkey, 64)) return "pubkey must be 64 lower-case hex characters"
  if (!isHex(sig, 128)) return "sig must be 128 lower-case hex characters"
  if (typeof created_at !== "number" || !Number.isSafeInteger(created_at) || created_at < 0) {
    return "created_at must be a non-negative integer"
  }
  if (typeof kind !== "number" || !Number.isInteger(kind) || kind < 0 || kind > 65_535) {
    return "kind must be an integer from 0 to 65535"
  }
  if (typeof content !== "string") return "content must be a string"
  if (isLongerThan(content, limits.contentMax)) return "content is too long"
  if (!isText(content)) return "text must not contain NUL or lone surrogates"
  const problem = tagsProblem(tags, limits)
  if (problem !== undefined) return problem
  // Adding zero turns the -0 that JSON can carry into 0.
  return { id, pubkey, created_at: created_at + 0, kind: kind + 0, tags: tags as Event["tags"], content, sig }
}

/** The text whose UTF-8 sha256 is the event's id (NIP-01, "Events and signatures"). */
export const canonical = (event: Omit<Event, "id" | "sig">): string =>
  JSON.stringify([0, event.pubkey, event.created_at, event.kind, event.tags, event.content])

/** Canonical JSON of the event, fields in the order of NIP-01: what is stored, and served by concatenation. */
export const rawOf = (event: Event): string =>
  `{"id":"${event.id}","pubkey":"${event.pubkey}","created_at":${event.created_at},"kind":${event.kind},"tags":${
    JSON.stringify(event.tags)
  },"content":${JSON.stringify(event.content)},"sig":"${event.sig}"}`

/** One event per author and kind is kept (NIP-01, "Kinds"). */
export const isReplaceable = (kind: number): boolean => kind === 0 || kind === 3 || (kind >= 10_000 && kind < 20_000)

/** Announced, never stored (NIP-01, "Kinds"). */
export const isEphemeral = (kind: number): boolean => kind >= 20_000 && kind < 30_000

/** One event per author, kind and `d` tag is kept (NIP-01, "Kinds"). */
export const isAddressable = (kind: number): boolean => kind >= 30_000 && kind < 40_000

/** Value of the first tag of that name; a tag without a value has an empty one. */
export const tagValue = (event: Pick<Event, "tags">, name: string): string | undefined => {
  for (const tag of event.tags) if (tag[0] === name) return tag[1] ?? ""
  return undefined
}

/** The first `d` tag; an event without one is addressed as if it were empty. */
export const dTag = (event: Pick<Event, "tags">): string => tagValue(event, "d") ?? ""

/**
 * `kind:pubkey:d`, as an `a` tag writes it. The last part is empty for replaceable kinds, whose `d` tags say nothing;
 * undefined for kinds of which every event is kept or none.
 */
export const addressOf = (event: Event): string | undefined => {
  if (isReplaceable(event.kind)) return `${event.kind}:${event.pubkey}:`
  return isAddressable(event.kind) ? `${event.kind}:${event.pubkey}:${dTag(event)}` : undefined
}

/** Sorts as query results are: `created_at` descending, then lowest id. Zero only for the same id at the same time. */
export const newestFirst = (a: Pick<Event, "created_at" | "id">, b: Pick<Event, "created_at" | "id">): number =>
  b.created_at - a.created_at || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)

/** Does `a` replace `b` at the same address? The newer one does; of two of the same second, the lowest id (NIP-01). */
export const wins = (a: Pick<Event, "created_at" | "id">, b: Pick<Event, "created_at" | "id">): boolean =>
  newestFirst(a, b) < 0

/** Unix seconds after which the event must not be served or accepted (NIP-40); undefined without a readable tag. */
export const expirationOf = (event: Pick<Event, "tags">): number | undefined => {
  const value = tagValue(event, "expiration")
  return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : undefined
}

/** Only its author, authenticated, may publish it: a copy from anywhere else is refused (NIP-70). */
export const isProtected = (event: Pick<Event, "tags">): boolean => tagValue(event, "-") !== undefined

/** Does a repost (NIP-18) carry a protected event in its content, which would publish it once more (NIP-70)? */
export const repostsProtected = (event: Pick<Event, "kind" | "content">): boolean => {
  if ((event.kind !== 6 && event.kind !== 16) || !event.content.includes("\"-\"")) return false
  try {
    const inner = JSON.parse(event.content) as { readonly tags?: unknown } | null
    const tags: unknown = inner?.tags
    return Array.isArray(tags) && tags.some((tag) => Array.isArray(tag) && tag[0] === "-")
  } catch {
    return false
  }
}
