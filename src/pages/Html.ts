/**
 * HTML as tagged templates, by hono's `html`, which escapes every value that is not HTML itself.
 *
 * Escaping alone does not make a value safe everywhere: outside of quotes in a tag, or within a script or style, text can
 * still become markup or code. So each template is looked at once, when it is first used, and refused where a value stands
 * in such a place; the mistake is then found by whoever renders the page for the first time, which is a test.
 */
import { html as escapedHtml, raw } from "hono/html"

/** Markup that was made here. */
export type Html = ReturnType<typeof raw>

/** What may stand between tags or in a quoted attribute; nothing at all for `undefined` and false. */
export type Part = Html | string | number | undefined | false | ReadonlyArray<Part>

/** Where the text of a template ends: between tags, in a tag, in a quoted attribute of it. */
type Place = "between" | "tag" | "\"" | "'"

const after = (place: Place, character: string): Place => {
  if (place === "between") return character === "<" ? "tag" : "between"
  if (place !== "tag") return character === place ? "tag" : place
  return character === ">" ? "between" : character === "\"" || character === "'" ? character : "tag"
}

/** Why a value may not stand after the pieces so far; undefined where it may. */
export const problemOf = (pieces: ReadonlyArray<string>): string | undefined => {
  const text = pieces.join("")
  const place = Array.from(text).reduce(after, "between")
  if (place === "tag") return `a value outside of quotes in a tag, after ${JSON.stringify(text.slice(-40))}`
  if (place !== "between") return undefined
  const opened = /<(script|style)\b/giu
  const closed = /<\/(script|style)\b/giu
  return (text.match(opened)?.length ?? 0) > (text.match(closed)?.length ?? 0)
    ? `a value in a script or style, after ${JSON.stringify(text.slice(-40))}`
    : undefined
}

const checked = new WeakSet<TemplateStringsArray>()

const check = (pieces: TemplateStringsArray): void => {
  for (let end = 1; end < pieces.length; end++) {
    const problem = problemOf(pieces.slice(0, end))
    if (problem !== undefined) throw new Error(problem)
  }
  checked.add(pieces)
}

/** What turns a line of text around (UAX 9): it would make the text around it lie, and no text needs it in an element of its own. */
const turning = /[\u202a-\u202e\u2066-\u2069]/gu

const shown = (value: Part): Part =>
  typeof value === "string" ? value.replace(turning, "") : Array.isArray(value) ? value.map(shown) : value

/** Values are text, unless `html` made them. */
export const html = (pieces: TemplateStringsArray, ...values: ReadonlyArray<Part>): Html => {
  if (!checked.has(pieces)) check(pieces)
  // No value is a promise, so the result is none.
  return escapedHtml(pieces, ...values.map(shown)) as Html
}

const escapedAs = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`

/** JSON to be read by people: what could turn a line around stands there by its number. */
export const jsonText = (value: unknown): string => JSON.stringify(value, null, 1).replace(turning, escapedAs)

/** JSON for a script of ours to read: data, not code, and nothing in it can end its element. */
export const jsonIn = (id: string, value: unknown): Html => {
  const json = JSON.stringify(value).replace(/[<\u2028-\u202e\u2066-\u2069]/gu, escapedAs)
  return html`${raw(`<script type="application/json" id="`)}${id}${raw(`">${json}</script>`)}`
}

/** A link to where an author says, when it leads to the web. */
export const webLinkOf = (address: string): string | undefined => {
  if (address === "" || address.length > 2048) return undefined
  const url = URL.parse(address.includes("://") ? address : `https://${address}`)
  if (url === null || !/^https?:$/u.test(url.protocol) || url.username !== "" || url.password !== "") return undefined
  return url.href
}
