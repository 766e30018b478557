/** strfry's plugin protocol: a question and an answer about an event, a line of JSON each (`docs/plugins.md`). Pure. */
import { rawOf } from "../../domain/Event.ts"
import type { Refused, Source } from "../../domain/Gate.ts"
import type { Prefix, Reply } from "../../domain/RelayMessage.ts"
import { secondsOf } from "../../domain/Time.ts"
import { escape } from "../../observability/Escape.ts"
import type { Entrant } from "./Pipeline.ts"

/** UTF-16 units of what a plugin says to a client. */
const messageMax = 200

/** strfry's names for where an event comes from. */
const sourceTypeOf = (source: Source): string => {
  if (source.by === "operator") return "Import"
  if (source.by === "upstream" || source.by === "queue") return "Stream"
  return source.address.includes(":") ? "IP6" : "IP4"
}

/** One question, without its newline. `now`: Unix milliseconds. */
export const questionOf = ({ event, source }: Entrant, now: number): string => {
  const address = "address" in source ? source.address : ""
  const authed = source.by === "author" ? `,"authed":"${event.pubkey}"` : ""
  return `{"type":"new","event":${rawOf(event)},"receivedAt":${secondsOf(now)},"sourceType":"${
    sourceTypeOf(source)
  }","sourceInfo":${JSON.stringify(address)}${authed}}`
}

const actions = ["accept", "reject", "shadowReject"] as const
type Action = (typeof actions)[number]

/** What a refusal may begin with (NIP-01). */
const prefixes: ReadonlyArray<string> = [
  "blocked",
  "rate-limited",
  "invalid",
  "restricted",
  "pow",
  "mute",
  "error",
  "auth-required"
] satisfies ReadonlyArray<Prefix>

const replyOf = (message: string): Reply => {
  const text = escape(message, messageMax)
  if (text === "") return "blocked: the write policy says no"
  return prefixes.includes(text.slice(0, Math.max(0, text.indexOf(": ")))) ? text as Reply : `blocked: ${text}`
}

/** A plugin's answer about the event of this id; a text says what is wrong with it. */
export const answerOf = (
  line: string,
  id: string
): { readonly action: Action; readonly refusal: Refused | undefined } | string => {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return "its answer is not JSON"
  }
  if (typeof value !== "object" || value === null) return "its answer is no object"
  const given = value as { readonly id?: unknown; readonly action?: unknown; readonly msg?: unknown }
  if (given.id !== id) return "its answer is about another event"
  const action = actions.find((one) => one === given.action)
  if (action === undefined) return "its answer has no action that there is"
  if (action === "accept") return { action, refusal: undefined }
  // An OK that says true is a promise that the event is stored, so nobody is refused in secret.
  const message = action === "reject" && typeof given.msg === "string" ? given.msg : ""
  return { action, refusal: { _tag: "Refused", reply: replyOf(message) } }
}
