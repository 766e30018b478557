/** An HTTP request that is signed by an event in its `Authorization` header (NIP-98). */
import { type Event, tagValue } from "./Event.ts"
import { isThisAddress } from "./RelayUrl.ts"

const httpAuthKind = 27_235

/** Seconds that the clocks of client and server may be apart, either way. */
export const httpAuthWindow = 60

/** What the event has to be about. */
export interface SignedRequest {
  /** Absolute address, as the client sees it. */
  readonly url: string
  readonly method: string
  /** Lower-case hex sha256 of the body; undefined where there is none, and then nothing is demanded of it. */
  readonly payload: string | undefined
}

export type HttpAuthProblem =
  | "no Nostr authorization"
  | "authorization is no event"
  | "authorization is kind 27235"
  | "authorization is too old or too new"
  | "authorization is for another address"
  | "authorization is for another method"
  | "authorization is for another body"
  | "authorization was used before"

/** Characters of a header that are looked at. */
const headerMax = 16_384

/** The JSON of the event in an `Authorization` header, decoded no further. */
export const authorizationOf = (
  header: string | undefined,
  decodeBase64: (text: string) => string
): { readonly value: unknown } | HttpAuthProblem => {
  const [, text] = /^Nostr +([A-Za-z0-9+/_=-]+)\s*$/i.exec((header ?? "").slice(0, headerMax)) ?? []
  if (text === undefined) return "no Nostr authorization"
  try {
    return { value: JSON.parse(decodeBase64(text)) as unknown }
  } catch {
    return "authorization is no event"
  }
}

/**
 * What is wrong with a well-formed event as the signature of a request; undefined where nothing is, provided that its own
 * signature is valid. The payload of a body is required (NIP-86 demands it). `now` in Unix seconds.
 */
export const httpAuthProblem = (event: Event, request: SignedRequest, now: number): HttpAuthProblem | undefined => {
  if (event.kind !== httpAuthKind) return "authorization is kind 27235"
  if (Math.abs(event.created_at - now) > httpAuthWindow) return "authorization is too old or too new"
  if (!isThisAddress(tagValue(event, "u") ?? "", request.url)) return "authorization is for another address"
  if (tagValue(event, "method")?.toUpperCase() !== request.method.toUpperCase()) {
    return "authorization is for another method"
  }
  if (request.payload === undefined) return undefined
  return tagValue(event, "payload") === request.payload ? undefined : "authorization is for another body"
}

/**
 * Remembers what was used for as long as it could be used again. What may have been used before it began, and was forgotten since,
 * counts as used: events that are as old as that, and, as long as they could be replayed, events from a clock that is ahead.
 */
export class ReplayGuard {
  /** Ids, oldest use first, with the second from which each may be forgotten. */
  readonly #used = new Map<string, number>()
  readonly #since: number

  /** `since`: when this process began, in Unix seconds. */
  constructor(since: number) {
    this.#since = since
  }

  /** May the event be used? Answers yes once. `now` in Unix seconds. */
  use(event: Pick<Event, "id" | "created_at">, now: number): boolean {
    if (event.created_at <= this.#since) return false
    if (event.created_at > now && now <= this.#since + httpAuthWindow) return false
    for (const [id, until] of this.#used) if (until < now) this.#used.delete(id)
    if (this.#used.has(event.id)) return false
    this.#used.set(event.id, event.created_at + httpAuthWindow)
    return true
  }
}
