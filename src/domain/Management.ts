/**
 * What an operator may ask of the relay over HTTP, and what they are answered (NIP-86).
 *
 * All of it comes down to a list of rules that stand or do not: this pubkey is banned, that kind is allowed, the relay's
 * name is so. A method puts a rule, removes one, or lists those of a sort.
 */
import { isHex, isText } from "./Event.ts"
import { isRemoval } from "./Kinds.ts"

export type Subject = "pubkey" | "event" | "kind" | "ip" | "picture" | "relay"

/** One rule that stands. A subject and a name have one at most, so that a ban lifts a permission and the other way round. */
export interface Rule {
  readonly subject: Subject
  /** A pubkey, event id, kind, address, a picture's SHA-256 or host, or which text of the relay: `name`, `description`, `icon`. */
  readonly name: string
  readonly state: "banned" | "allowed" | "changed"
  /** Why, in the operator's words; for `changed`, the new text. */
  readonly text: string
}

export type ManagementRequest =
  | { readonly _tag: "Methods" }
  | { readonly _tag: "List"; readonly method: Method; readonly subject: Subject; readonly state: Rule["state"] }
  | { readonly _tag: "Put"; readonly method: Method; readonly rule: Rule }
  | {
    readonly _tag: "Remove"
    readonly method: Method
    readonly subject: Subject
    readonly name: string
    readonly state: Rule["state"]
  }

/** The body of an answer. */
export type ManagementAnswer = { readonly result: unknown } | { readonly error: string }

/** UTF-16 units of a reason or a new text. */
export const textMax = 1000

const methods = {
  supportedmethods: { does: "methods" },
  banpubkey: { does: "put", subject: "pubkey", state: "banned" },
  unbanpubkey: { does: "remove", subject: "pubkey", state: "banned" },
  listbannedpubkeys: { does: "list", subject: "pubkey", state: "banned" },
  allowpubkey: { does: "put", subject: "pubkey", state: "allowed" },
  unallowpubkey: { does: "remove", subject: "pubkey", state: "allowed" },
  listallowedpubkeys: { does: "list", subject: "pubkey", state: "allowed" },
  banevent: { does: "put", subject: "event", state: "banned" },
  allowevent: { does: "remove", subject: "event", state: "banned" },
  listbannedevents: { does: "list", subject: "event", state: "banned" },
  allowkind: { does: "put", subject: "kind", state: "allowed" },
  disallowkind: { does: "put", subject: "kind", state: "banned" },
  listallowedkinds: { does: "list", subject: "kind", state: "allowed" },
  blockip: { does: "put", subject: "ip", state: "banned" },
  unblockip: { does: "remove", subject: "ip", state: "banned" },
  listblockedips: { does: "list", subject: "ip", state: "banned" },
  // No method of the NIP's: what is taken down without its author.
  banpicture: { does: "put", subject: "picture", state: "banned" },
  unbanpicture: { does: "remove", subject: "picture", state: "banned" },
  listbannedpictures: { does: "list", subject: "picture", state: "banned" },
  changerelayname: { does: "change", name: "name" },
  changerelaydescription: { does: "change", name: "description" },
  changerelayicon: { does: "change", name: "icon" }
} as const

export type Method = keyof typeof methods

/** Those of NIP-86 that apply: there are no roles here, and nothing waits for an operator's decision. */
export const supportedMethods = Object.keys(methods) as ReadonlyArray<Method>

/** As the host of a URL is written; undefined where it is none. */
const hostOf = (text: string): string | undefined => {
  if (text.length > 253 || /[\s/\\?#@:%]/.test(text)) return undefined
  const host = URL.parse(`https://${text}`)?.hostname.replace(/\.$/, "")
  return host === undefined || host === "" ? undefined : host
}

/** The rule's name in one spelling, or what was expected. */
const nameOf = (subject: Subject, value: unknown): { readonly name: string } | string => {
  switch (subject) {
    case "pubkey":
    case "event":
      return isHex(value, 64) ? { name: value } : `the first parameter must be 64 lower-case hex characters`
    case "kind":
      return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 65_535
        ? { name: String(value) }
        : "the first parameter must be a kind, 0 to 65535"
    case "picture": {
      const name = typeof value !== "string" ? undefined : isHex(value, 64) ? value : hostOf(value)
      return name === undefined
        ? "the first parameter must be a SHA-256 of 64 lower-case hex characters, or a host"
        : { name }
    }
    default:
      return typeof value === "string" && /^[0-9a-f.:]{2,45}$/i.test(value)
        ? { name: value.toLowerCase() }
        : "the first parameter must be an IP address"
  }
}

const isShortText = (value: unknown): value is string =>
  typeof value === "string" && value.length <= textMax && isText(value)

const isMethod = (value: unknown): value is Method => typeof value === "string" && Object.hasOwn(methods, value)

/** A parsed JSON body as a request, or what is wrong with it. */
export const managementRequestOf = (value: unknown): ManagementRequest | string => {
  if (typeof value !== "object" || value === null) return "the body must be an object"
  const { method, params = [] } = value as { readonly method?: unknown; readonly params?: unknown }
  if (!isMethod(method)) return "unknown method"
  if (!Array.isArray(params)) return "params must be an array"
  const [first, second = ""] = params as ReadonlyArray<unknown>
  const what = methods[method]
  if (what.does === "methods") return { _tag: "Methods" }
  if (what.does === "list") return { _tag: "List", method, subject: what.subject, state: what.state }
  if (what.does === "change") {
    return isShortText(first)
      ? { _tag: "Put", method, rule: { subject: "relay", name: what.name, state: "changed", text: first } }
      : `the first parameter must be a text of at most ${textMax} characters`
  }
  const { subject, state } = what
  const named = nameOf(subject, first)
  if (typeof named === "string") return named
  if (what.does === "remove") return { _tag: "Remove", method, subject, name: named.name, state }
  if (!isShortText(second)) return `the reason must be a text of at most ${textMax} characters`
  if (method === "disallowkind" && isRemoval(Number(named.name))) {
    return "deletions and requests to vanish are always taken"
  }
  return { _tag: "Put", method, rule: { subject, name: named.name, state, text: second } }
}

const listKeys: { readonly [method in Method]?: string } = {
  listbannedevents: "id",
  listblockedips: "ip",
  listbannedpictures: "picture"
}

/** A list as NIP-86 shapes it. */
export const listed = (method: Method, rules: ReadonlyArray<Rule>): ReadonlyArray<unknown> => {
  if (method === "listallowedkinds") return rules.map(({ name }) => Number(name)).toSorted((a, b) => a - b)
  const key = listKeys[method] ?? "pubkey"
  return rules.map(({ name, text }) => ({ [key]: name, reason: text }))
}
