/**
 * What a relay owes a client for one frame, whatever is in it. Reads the frame by itself, with nothing of the relay's.
 *
 * It says which kind of answer is due and by which name, not whether it is a yes or a no.
 */
import { isUtf8 } from "node:buffer"
import type { Message } from "../support/TestClient.ts"

export type Due =
  | { readonly by: "close"; readonly code: 1007 | 1009 }
  | { readonly by: "silence" | "NOTICE" }
  | { readonly by: "OK" | "REQ" | "COUNT" | "NEG"; readonly id: string }
  /** Refused without a look at its end: by its name where that can be told, and else by a NOTICE. */
  | { readonly by: "refusal"; readonly id: string | undefined }

/** As the relay under test is set. */
export interface Limits {
  readonly frameBytesMax: number
  readonly jsonDepthMax: number
}

const prefixes =
  /^(?:duplicate|pow|blocked|rate-limited|invalid|restricted|mute|error|auth-required|unsupported): [^\s]/u

/** Of brackets outside of strings, whether or not they fit together. */
const depthOf = (text: string): number => {
  let depth = 0
  let deepest = 0
  for (const bracket of text.replaceAll(/"(?:[^"\\]|\\[^])*"?/gu, "").match(/[[\]{}]/gu) ?? []) {
    depth += bracket === "[" || bracket === "{" ? 1 : -1
    deepest = Math.max(deepest, depth)
  }
  return deepest
}

/** Undefined where it is not JSON. */
const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const idOf = (event: unknown): string | undefined => {
  const id = typeof event === "object" && event !== null && "id" in event ? event.id : undefined
  // Nobody waits for an answer by no name, or by one longer than twice an id.
  return typeof id === "string" && id !== "" && id.length <= 128 ? id : undefined
}

const byName = (tag: unknown, name: unknown, value: unknown): Due => {
  if (tag === "EVENT" || tag === "AUTH") {
    const id = idOf(value)
    return id === undefined ? { by: "NOTICE" } : { by: "OK", id }
  }
  if (typeof name !== "string") return { by: "NOTICE" }
  if (tag === "REQ" || tag === "COUNT") return { by: tag, id: name }
  if (tag === "NEG-OPEN" || tag === "NEG-MSG") return { by: "NEG", id: name }
  return tag === "CLOSE" || tag === "NEG-CLOSE" ? { by: "silence" } : { by: "NOTICE" }
}

export const dueFor = (frame: Uint8Array, { frameBytesMax, jsonDepthMax }: Limits): Due => {
  if (frame.length > frameBytesMax) return { by: "close", code: 1009 }
  if (!isUtf8(frame)) return { by: "close", code: 1007 }
  const text = Buffer.from(frame).toString()
  const message = parsed(text)
  const due: Due = Array.isArray(message) ? byName(message[0], message[1], message[1]) : { by: "NOTICE" }
  if (depthOf(text) <= jsonDepthMax) return due
  return { by: "refusal", id: "id" in due && due.id !== undefined && due.id.length <= 64 ? due.id : undefined }
}

/** Is this the last frame of what is due? */
export const isLast = (due: Due, [type, id]: Message): boolean => {
  switch (due.by) {
    case "OK":
      return type === "OK" && id === due.id
    case "REQ":
      return (type === "EOSE" || type === "CLOSED") && id === due.id
    case "COUNT":
      return (type === "COUNT" || type === "CLOSED") && id === due.id
    case "NEG":
      return (type === "NEG-MSG" || type === "NEG-ERR") && id === due.id
    case "refusal":
      return type === "NOTICE" || type === "OK" || type === "CLOSED" || type === "NEG-ERR"
    default:
      return type === due.by
  }
}

/** Refusals say by their first word what kind they are; undefined where nothing is wrong. */
const wrongReply = (message: Message): string | undefined => {
  const [type, , third, fourth] = message
  const problem = (isRight: boolean) => isRight ? undefined : `not as it should be: ${JSON.stringify(message)}`
  switch (type) {
    case "OK":
      return problem(
        message.length === 4 && (third === false ? prefixes.test(String(fourth)) : third === true) &&
          (fourth === "" || prefixes.test(String(fourth)))
      )
    case "CLOSED":
      return problem(message.length === 3 && prefixes.test(String(third)))
    case "NEG-ERR":
      return problem(prefixes.test(String(third)) || String(third).startsWith("closed: "))
    case "NOTICE":
      return problem(message.length === 2 && prefixes.test(String(message[1])))
    case "EOSE":
      return problem(JSON.stringify(third) === "[\"finish\"]" || JSON.stringify(third) === "[\"more\"]")
    case "COUNT":
      return problem(Number.isSafeInteger((third as { readonly count?: unknown } | undefined)?.count))
    case "NEG-MSG":
      return problem(/^61(?:[0-9a-f]{2})*$/u.test(String(third)))
    default:
      return `not asked for: ${JSON.stringify(message).slice(0, 200)}`
  }
}

/** What is wrong with the answers to one frame, events and challenges left out; undefined where all is as it should be. */
export const wrongAnswer = (due: Due, answers: ReadonlyArray<Message>): string | undefined => {
  const said = () => answers.map((answer) => JSON.stringify(answer).slice(0, 200)).join(" ") || "nothing"
  if (due.by === "close") return answers.length === 0 ? undefined : `said before the end: ${said()}`
  if (answers.length !== (due.by === "silence" ? 0 : 1)) return `${due.by} was due, and came ${said()}`
  const [answer] = answers
  if (answer === undefined) return undefined
  if (!isLast(due, answer)) return `${due.by} was due, and came ${said()}`
  if (due.by === "refusal" && due.id !== undefined && answer[1] !== due.id) return `without its name: ${said()}`
  return wrongReply(answer)
}
