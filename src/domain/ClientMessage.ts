/**
 * What a client says: the text of a frame, decoded, bounded and tagged, or how to answer what cannot be.
 *
 * Size and nesting are checked before the text is parsed, so that no parser meets more than was advertised. Elements
 * after the ones a message needs are ignored.
 */
import { type Event, type EventLimits, eventOf, isLongerThan } from "./Event.ts"
import { type Filter, type FilterLimits, filterOf, filterRefusal } from "./Filter.ts"
import * as RelayMessage from "./RelayMessage.ts"

export type ClientMessage =
  | { readonly _tag: "EVENT"; readonly event: Event }
  | { readonly _tag: "REQ"; readonly subscription: string; readonly filters: ReadonlyArray<Filter> }
  | { readonly _tag: "CLOSE"; readonly subscription: string }
  /** NIP-45. */
  | { readonly _tag: "COUNT"; readonly subscription: string; readonly filters: ReadonlyArray<Filter> }
  /** NIP-42; the event is well-formed, nothing more. */
  | { readonly _tag: "AUTH"; readonly event: Event }
  /** NIP-77; `message` is lower-case hex of whole bytes. Subscription ids are a namespace apart from REQ. */
  | {
    readonly _tag: "NEG-OPEN"
    readonly subscription: string
    readonly filter: Filter
    readonly message: string
  }
  | { readonly _tag: "NEG-MSG"; readonly subscription: string; readonly message: string }
  | { readonly _tag: "NEG-CLOSE"; readonly subscription: string }

/** A message that cannot be handled, and its one answer: by the name it came with, where that could be read. */
export type Problem =
  | { readonly _tag: "Problem"; readonly answer: "OK"; readonly eventId: string; readonly reply: RelayMessage.Reply }
  | {
    readonly _tag: "Problem"
    readonly answer: "CLOSED" | "NEG-ERR"
    readonly subscription: string
    readonly reply: RelayMessage.Reply
  }
  | { readonly _tag: "Problem"; readonly answer: "NOTICE"; readonly reply: RelayMessage.Reply }

export interface ClientMessageLimits extends EventLimits, FilterLimits {
  /** Bytes of one message in UTF-8. */
  readonly frameBytesMax: number
  /** Arrays and objects inside one another, the message's own array included. */
  readonly jsonDepthMax: number
  readonly filtersMax: number
  /** Unicode characters. */
  readonly subscriptionIdMax: number
}

/** The frame that answers a problem. */
export const answerOf = (problem: Problem): string => {
  if (problem.answer === "OK") return RelayMessage.ok(problem.eventId, false, problem.reply)
  if (problem.answer === "CLOSED") return RelayMessage.closed(problem.subscription, problem.reply)
  if (problem.answer === "NEG-ERR") return RelayMessage.negErr(problem.subscription, problem.reply)
  return RelayMessage.notice(problem.reply)
}

const noticed = (reply: RelayMessage.Reply): Problem => ({ _tag: "Problem", answer: "NOTICE", reply })

const closed = (answer: "CLOSED" | "NEG-ERR", subscription: string, reply: RelayMessage.Reply): Problem => ({
  _tag: "Problem",
  answer,
  subscription,
  reply
})

/** More UTF-8 bytes than `max`; counts only where UTF-16 units do not already tell. */
export const hasMoreBytesThan = (text: string, max: number): boolean => {
  if (text.length * 3 <= max) return false
  if (text.length > max) return true
  let bytes = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    // A surrogate pair is four bytes: two for each half.
    bytes += code < 0x80 ? 1 : code < 0x800 || (code & 0xf800) === 0xd800 ? 2 : 3
  }
  return bytes > max
}

const quote = 34
const backslash = 92

/** The closing quote of the string that opens at `open`, or the end of the text. */
const stringEnd = (text: string, open: number): number => {
  let end = open
  while ((end = text.indexOf("\"", end + 1)) !== -1) {
    let at = end
    while (text.charCodeAt(at - 1) === backslash) at--
    // An even number of backslashes escape one another.
    if ((end - at) % 2 === 0) return end
  }
  return text.length
}

/** Does the text open more than `max` arrays and objects inside one another? Brackets in strings do not count. */
export const isDeeperThan = (text: string, max: number): boolean => {
  let depth = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === quote) i = stringEnd(text, i)
    else if (code === 0x5b || code === 0x7b) {
      if (++depth > max) return true
    } else if (code === 0x5d || code === 0x7d) depth--
  }
  return false
}

/** Ids longer than that are not repeated in an answer: nobody waits for them. */
const eventIdEchoMax = 128

const eventRefusal = (id: unknown, reply: RelayMessage.Reply): Problem =>
  typeof id === "string" && id !== "" && id.length <= eventIdEchoMax
    ? { _tag: "Problem", answer: "OK", eventId: id, reply }
    : noticed(reply)

const eventMessage = (tag: "EVENT" | "AUTH", value: unknown, limits: ClientMessageLimits): ClientMessage | Problem => {
  const event = eventOf(value, limits)
  if (typeof event !== "string") return { _tag: tag, event }
  const id: unknown = typeof value === "object" && value !== null && "id" in value ? value.id : undefined
  return eventRefusal(id, `invalid: ${event}`)
}

/** Undefined where the id may be used. */
const subscriptionProblem = (
  answer: "CLOSED" | "NEG-ERR",
  subscription: unknown,
  limits: ClientMessageLimits
): Problem | undefined => {
  if (typeof subscription !== "string") return noticed("invalid: subscription id must be a string")
  if (subscription === "") return closed(answer, subscription, "invalid: subscription id is empty")
  if (isLongerThan(subscription, limits.subscriptionIdMax)) {
    return closed(answer, subscription, "invalid: subscription id is too long")
  }
  return undefined
}

const queryMessage = (
  tag: "REQ" | "COUNT",
  message: ReadonlyArray<unknown>,
  limits: ClientMessageLimits
): ClientMessage | Problem => {
  const problem = subscriptionProblem("CLOSED", message[1], limits)
  if (problem !== undefined) return problem
  const subscription = message[1] as string
  if (message.length < 3) return closed("CLOSED", subscription, "invalid: no filter")
  if (message.length - 2 > limits.filtersMax) return closed("CLOSED", subscription, "invalid: too many filters")
  const filters: Array<Filter> = []
  for (let i = 2; i < message.length; i++) {
    const filter = filterOf(message[i], limits)
    if (typeof filter === "string") return closed("CLOSED", subscription, filterRefusal(filter))
    filters.push(filter)
  }
  return { _tag: tag, subscription, filters }
}

const isHexBytes = (value: unknown): value is string => typeof value === "string" && /^(?:[0-9a-f]{2})+$/.test(value)

const negentropyMessage = (
  tag: "NEG-OPEN" | "NEG-MSG",
  message: ReadonlyArray<unknown>,
  limits: ClientMessageLimits
): ClientMessage | Problem => {
  const problem = subscriptionProblem("NEG-ERR", message[1], limits)
  if (problem !== undefined) return problem
  const subscription = message[1] as string
  const bytes = message[tag === "NEG-OPEN" ? 3 : 2]
  if (!isHexBytes(bytes)) return closed("NEG-ERR", subscription, "invalid: message must be lower-case hex")
  if (tag === "NEG-MSG") return { _tag: tag, subscription, message: bytes }
  const filter = filterOf(message[2], limits)
  if (typeof filter === "string") return closed("NEG-ERR", subscription, filterRefusal(filter))
  return { _tag: tag, subscription, filter, message: bytes }
}

const closeMessage = (tag: "CLOSE" | "NEG-CLOSE", subscription: unknown): ClientMessage | Problem =>
  // An id that could never be open is as unknown as any other: the reader of the message stays silent.
  typeof subscription === "string"
    ? { _tag: tag, subscription }
    : noticed("invalid: subscription id must be a string")

const named = /^\s*\[\s*"(REQ|COUNT|NEG-OPEN|NEG-MSG)"\s*,\s*("(?:[^"\\]|\\.){0,256}")/
const withEvent = /^\s*\[\s*"(?:EVENT|AUTH)"\s*,\s*\{/
const stringValue = /^\s*:\s*("(?:[^"\\]|\\.){0,256}")/

/** The `id` of the object that begins before `from`; of several the last one, as a parser has it. */
const eventIdIn = (text: string, from: number): unknown => {
  let id: unknown
  let depth = 1
  for (let i = from; i < text.length && depth > 0; i++) {
    const code = text.charCodeAt(i)
    if (code === 0x5b || code === 0x7b) depth++
    else if (code === 0x5d || code === 0x7d) depth--
    else if (code === quote) {
      const end = stringEnd(text, i)
      // However it is escaped, the key is no longer than that; a string that no colon follows is a value.
      if (depth === 1 && end - i < 16 && parsed(text.slice(i, end + 1)) === "id") {
        const after = text.slice(end + 1, end + 1 + 1024)
        const [, quoted = ""] = stringValue.exec(after) ?? []
        if (/^\s*:/.test(after)) id = parsed(quoted)
      }
      i = end
    }
  }
  return id
}

/** A text that will not be parsed is refused by its name where its first elements show one. */
const unread = (text: string, reply: RelayMessage.Reply): Problem => {
  const beginning = text.slice(0, 1024)
  const event = withEvent.exec(beginning)
  if (event !== null) return eventRefusal(eventIdIn(text, event[0].length), reply)
  const [, tag, quoted] = named.exec(beginning) ?? []
  const subscription = quoted === undefined ? undefined : parsed(quoted)
  return typeof subscription === "string"
    ? closed(tag === "REQ" || tag === "COUNT" ? "CLOSED" : "NEG-ERR", subscription, reply)
    : noticed(reply)
}

/** Undefined is not JSON, and no JSON text is undefined. */
const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Decodes the text of one frame. Never throws. */
export const clientMessageOf = (text: string, limits: ClientMessageLimits): ClientMessage | Problem => {
  if (hasMoreBytesThan(text, limits.frameBytesMax)) return unread(text, "invalid: message is too large")
  if (isDeeperThan(text, limits.jsonDepthMax)) return unread(text, "invalid: message is nested too deeply")
  const message = parsed(text)
  if (message === undefined) return noticed("invalid: message is not JSON")
  if (!Array.isArray(message)) return noticed("invalid: message must be an array")
  const tag: unknown = message[0]
  switch (tag) {
    case "EVENT":
    case "AUTH":
      return eventMessage(tag, message[1], limits)
    case "REQ":
    case "COUNT":
      return queryMessage(tag, message, limits)
    case "CLOSE":
    case "NEG-CLOSE":
      return closeMessage(tag, message[1])
    case "NEG-OPEN":
    case "NEG-MSG":
      return negentropyMessage(tag, message, limits)
    default:
      return noticed("invalid: unknown message type")
  }
}
