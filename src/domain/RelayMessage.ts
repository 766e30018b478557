/**
 * What a relay says: the text of each message of NIP-01, and of NIPs 42, 45, 67 and 77.
 *
 * Every function returns the text of one frame.
 */

/**
 * The machine-readable first word of an answer (NIP-01; `auth-required` is NIP-42's). `unsupported` stands in NIP-01 by
 * example only, for a filter with elements the relay does not know.
 */
export type Prefix =
  | "duplicate"
  | "pow"
  | "blocked"
  | "rate-limited"
  | "invalid"
  | "restricted"
  | "mute"
  | "error"
  | "auth-required"
  | "unsupported"

/** An answer that starts with its prefix: the first bytes a client reads. */
export type Reply = `${Prefix}: ${string}`

/** Everything of an EVENT message before the event: made once per subscription, then `head + raw + "]"` per event. */
export const eventHead = (subscription: string): string => `["EVENT",${JSON.stringify(subscription)},`

/** `raw` is the event as JSON, already text (`rawOf`). */
export const event = (subscription: string, raw: string): string => `${eventHead(subscription)}${raw}]`

/** The one answer to an EVENT or AUTH. A refusal has a reason; an acceptance may have one (`duplicate: …`). */
export const ok: {
  (eventId: string, accepted: true, reply: Reply | ""): string
  (eventId: string, accepted: false, reply: Reply): string
} = (eventId: string, accepted: boolean, reply: string): string =>
  `["OK",${JSON.stringify(eventId)},${accepted},${JSON.stringify(reply)}]`

/** NIP-67: `finish` when nothing that matches was left out, `more` when something was. */
export type EoseHint = "finish" | "more"

export const eose = (subscription: string, hint?: EoseHint): string =>
  hint === undefined
    ? `["EOSE",${JSON.stringify(subscription)}]`
    : `["EOSE",${JSON.stringify(subscription)},["${hint}"]]`

/** A REQ or COUNT was refused, or a subscription ended by us. */
export const closed = (subscription: string, reply: Reply): string =>
  `["CLOSED",${JSON.stringify(subscription)},${JSON.stringify(reply)}]`

/** For people: answers only what cannot be answered by name. */
export const notice = (text: string): string => `["NOTICE",${JSON.stringify(text)}]`

/** NIP-42. */
export const auth = (challenge: string): string => `["AUTH",${JSON.stringify(challenge)}]`

/** NIP-45; `hll` is 256 registers as 512 hex characters. */
export interface Count {
  readonly count: number
  readonly approximate?: true
  readonly hll?: string
}

export const count = (subscription: string, answer: Count): string =>
  `["COUNT",${JSON.stringify(subscription)},${JSON.stringify(answer)}]`

/** NIP-77; `message` is hex. */
export const negMsg = (subscription: string, message: string): string =>
  `["NEG-MSG",${JSON.stringify(subscription)},"${message}"]`

/** NIP-77: the session is over. `recordsMax` says how many records a query may have where it was too big. */
export const negErr = (subscription: string, reply: Reply | `closed: ${string}`, recordsMax?: number): string =>
  recordsMax === undefined
    ? `["NEG-ERR",${JSON.stringify(subscription)},${JSON.stringify(reply)}]`
    : `["NEG-ERR",${JSON.stringify(subscription)},${JSON.stringify(reply)},${recordsMax}]`
