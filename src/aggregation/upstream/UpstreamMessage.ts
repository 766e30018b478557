/**
 * What an upstream says, decoded without trust: NIP-01 messages, the EOSE hint of NIP-67, the challenge of NIP-42, and what
 * a relay says in a reconciliation (NIP-77).
 */
import { type Event, type EventLimits, eventOf } from "../../domain/Event.ts"

export type UpstreamMessage =
  | {
    readonly _tag: "Event"
    readonly subscription: string
    /** Undefined when it is beyond our limits or not quite an event: it still says where a page has got to. */
    readonly event: Event | undefined
    readonly id: string
    readonly created_at: number
  }
  /** The stored events are over; `finished`: and none was left out (NIP-67). */
  | { readonly _tag: "Eose"; readonly subscription: string; readonly finished: boolean }
  | { readonly _tag: "Closed"; readonly subscription: string; readonly reason: string }
  | { readonly _tag: "Notice"; readonly text: string }
  /** It wants to know who we are (NIP-42). */
  | { readonly _tag: "Auth"; readonly challenge: string }
  /** What it made of an event of ours. */
  | { readonly _tag: "Ok"; readonly id: string; readonly accepted: boolean; readonly reason: string }
  /** The next message of a reconciliation. */
  | { readonly _tag: "NegMsg"; readonly subscription: string; readonly message: Uint8Array }
  /** A reconciliation is over, or was not begun. */
  | { readonly _tag: "NegErr"; readonly subscription: string; readonly reason: string }
  /** No message that we know, or that answers anything we asked. */
  | { readonly _tag: "Garbage" }

const garbage: UpstreamMessage = { _tag: "Garbage" }

const parse = (frame: string): unknown => {
  try {
    return JSON.parse(frame)
  } catch {
    return undefined
  }
}

const decodeEvent = (subscription: string, value: unknown, limits: EventLimits): UpstreamMessage => {
  const event = eventOf(value, limits)
  if (typeof event !== "string") {
    return { _tag: "Event", subscription, event, id: event.id, created_at: event.created_at }
  }
  if (typeof value !== "object" || value === null) return garbage
  const { id, created_at } = value as { readonly id?: unknown; readonly created_at?: unknown }
  if (typeof id !== "string" || id.length !== 64 || !Number.isSafeInteger(created_at)) return garbage
  return { _tag: "Event", subscription, event: undefined, id, created_at: Number(created_at) }
}

export const decode = (frame: string | Uint8Array, limits: EventLimits): UpstreamMessage => {
  if (typeof frame !== "string") return garbage
  const message = parse(frame)
  if (!Array.isArray(message)) return garbage
  const [type, first, second, third] = message as ReadonlyArray<unknown>
  if (typeof first !== "string") return garbage
  switch (type) {
    case "AUTH":
      return { _tag: "Auth", challenge: first }
    case "OK":
      return { _tag: "Ok", id: first, accepted: second === true, reason: typeof third === "string" ? third : "" }
    case "EVENT":
      return decodeEvent(first, second, limits)
    case "EOSE":
      return { _tag: "Eose", subscription: first, finished: Array.isArray(second) && second.includes("finish") }
    case "CLOSED":
      return { _tag: "Closed", subscription: first, reason: typeof second === "string" ? second : "" }
    case "NOTICE":
      return { _tag: "Notice", text: first }
    case "NEG-MSG":
      if (typeof second !== "string" || second.length % 2 !== 0 || !/^[0-9a-fA-F]+$/.test(second)) return garbage
      return { _tag: "NegMsg", subscription: first, message: Buffer.from(second, "hex") }
    case "NEG-ERR":
      return { _tag: "NegErr", subscription: first, reason: typeof second === "string" ? second : "" }
    default:
      return garbage
  }
}
