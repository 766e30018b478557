/**
 * The content of a kind 0 event (NIP-01, NIP-24, NIP-05, NIP-57), decoded field by field.
 *
 * Profiles are written by hundreds of clients. A field of the wrong type is ignored and remembered, and never costs its
 * author the rest. What one client or another shows of somebody is read: `docs/admission.md` has the table of three of them,
 * and `test/domain/decoding.test.ts` holds this file against it.
 */
import { isLongerThan } from "./Event.ts"
import { folded } from "./Folding.ts"

/** Text fields are trimmed; the empty string stands for absent, blank, or of the wrong type. */
export interface Profile {
  readonly name: string
  readonly displayName: string
  readonly about: string
  readonly picture: string
  readonly banner: string
  readonly website: string
  readonly nip05: string
  readonly lud06: string
  readonly lud16: string
  /** `true`, and what is clearly meant by `"true"` and `1` (NIP-24). */
  readonly bot: boolean
  /** The author says that this account is gone; names that clients give to such accounts are not looked at. */
  readonly deleted: boolean
  /** Known keys whose value had the wrong type, or is longer than any address; null counts as absent. */
  readonly ignored: ReadonlyArray<ProfileKey>
}

/** Why a content is no profile. */
export type ProfileProblem = "content is too long" | "content is not JSON" | "content is not an object"

const textKeys = [
  "name",
  "display_name",
  "displayName",
  "about",
  "picture",
  "image",
  "banner",
  "website",
  "nip05",
  "lud06",
  "lud16"
] as const

export type ProfileKey = (typeof textKeys)[number] | "bot"

/** UTF-16 units of a field that is an address; what is longer is none. Prose has the bound of the content. */
const addressMax = 1024
const addresses: ReadonlySet<ProfileKey> = new Set(["nip05", "lud06", "lud16", "website"])

const newline = 10
const [blank, quote, backslash] = [0x20, 0x22, 0x5c]

/** Control characters, which no JSON text has within a string, escaped there: raw line breaks, mostly. */
const withControlsEscaped = (content: string): string => {
  let out = ""
  let from = 0
  let isString = false
  for (let at = 0; at < content.length; at++) {
    const code = content.charCodeAt(at)
    if (code === quote) isString = !isString
    else if (code === backslash) at++
    else if (code < blank && isString) {
      out += content.slice(from, at) + (code === newline ? "\\n" : `\\u${code.toString(16).padStart(4, "0")}`)
      from = at + 1
    }
  }
  return out + content.slice(from)
}

const parsed = (content: string): unknown => {
  try {
    return JSON.parse(content)
  } catch {
    return undefined
  }
}

/** The object a content is, or what it is instead. Parsing is iterative: nesting costs no stack. */
const objectOf = (content: string): Partial<Record<string, unknown>> | ProfileProblem => {
  let value = parsed(content)
  if (value === undefined && /[\t\n\r]/.test(content)) value = parsed(withControlsEscaped(content))
  if (value === undefined) return "content is not JSON"
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? value
    : "content is not an object"
}

/** Decodes the content of a kind 0 event, of at most so many Unicode characters. Never throws. */
export const profileOf = (content: string, contentMax: number): Profile | ProfileProblem => {
  if (isLongerThan(content, contentMax)) return "content is too long"
  const object = objectOf(content)
  if (typeof object === "string") return object
  const ignored: Array<ProfileKey> = []
  const text = (key: (typeof textKeys)[number]): string => {
    const value = object[key]
    if (typeof value === "string" && !(addresses.has(key) && value.length > addressMax)) return value.trim()
    if (value !== undefined && value !== null) ignored.push(key)
    return ""
  }
  /** Some are called by a number, and do not quote it. */
  const nameText = (key: "name" | "display_name" | "displayName"): string => {
    const value = object[key]
    return typeof value === "number" ? String(value) : text(key)
  }
  const name = nameText("name")
  const displayName = nameText("display_name")
  const camelName = nameText("displayName")
  const about = text("about")
  const picture = text("picture")
  const image = text("image")
  const { bot, deleted } = object
  const isBot = bot === true || bot === "true" || bot === 1
  if (bot !== undefined && bot !== null && typeof bot !== "boolean") ignored.push("bot")
  return {
    name,
    displayName: displayName === "" ? camelName : displayName,
    about,
    picture: picture === "" ? image : picture,
    banner: text("banner"),
    website: text("website"),
    nip05: text("nip05"),
    lud06: text("lud06"),
    lud16: text("lud16"),
    bot: isBot,
    deleted: deleted === true,
    ignored
  }
}

/** Controls, zero-width characters and direction marks: they show nothing, or make other text lie. */
const invisible = /[\p{Cc}\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]/gu

/** Characters of a label. */
export const labelMax = 100

/** One line that can be shown: composed (NFC), without invisible characters, runs of blanks as one, cut to `max`. */
export const lineOf = (text: string, max: number = labelMax): string => {
  // Names of 10 kB exist: only so much is looked at as could still be shown.
  const line = text
    .slice(0, max * 8)
    .toWellFormed()
    .replace(/[\t\n\v\f\r\u2028\u2029]+/g, " ")
    .replace(invisible, "")
    .normalize("NFC")
    .replace(/\s+/g, " ")
    .trim()
  return line.length <= max ? line : Array.from(line).slice(0, max).join("").trimEnd()
}

/** Runs of blanks, and of fillers that look like one. */
const blanks = /[\s\p{Z}\u2800]+/gu

/**
 * What two texts have in common that a reader takes for one: the same letters (`Folding.ts`), without what cannot be seen, and with
 * any run of blanks as one.
 */
export const comparable = (text: string): string =>
  folded(text.replace(/[\t-\r\u0085]/g, " ").replace(/\p{Cc}/gu, "")).replace(blanks, " ").trim()

/** Does the text show nothing at all? Fillers, such as U+3164 and U+2800, are a common way to have an empty name. */
export const isBlank = (text: string): boolean => !/[^\p{Cc}\p{Default_Ignorable_Code_Point}\p{Z}\u2800]/u.test(text)

/** Does a text have so many characters that show something? */
export const showsAtLeast = (text: string, min: number): boolean => {
  if (min <= 1) return min <= 0 || !isBlank(text)
  const shown = /[^\p{Cc}\p{Default_Ignorable_Code_Point}\p{Z}\u2800]/gu
  for (let count = 0; count < min; count++) if (!shown.test(text)) return false
  return true
}

/** What to call the author: `display_name`, or else `name`. */
export const labelOf = (profile: Pick<Profile, "name" | "displayName">): string =>
  lineOf(profile.displayName) || lineOf(profile.name)
