/**
 * SVG: text, of which only the numbers in the opening tag are read. Nothing is rendered, no entity is expanded, and what
 * stands after that tag (scripts, references, foreign objects) is not looked at.
 *
 * SVG 2, 8.2 (the outermost element) and 8.12 (intrinsic size); CSS 2.2, 10.3.2 for what is left unsaid. Pure.
 */
import { broken, image, needMore, NotImage, type Reading } from "./Reading.ts"

/** Bytes within which the opening tag has to end. */
const scanBytesMax = 65_536

/** Pixels; drawings have no pixels, so the limit on rasters does not apply. */
const sideMax = 1_000_000

/** ASCII and what continues UTF-8 map to one character each, so offsets stay. */
const latin1 = new TextDecoder("latin1")

const beginnings: ReadonlyArray<string> = ["<?", "<!--", "<!doctype"]

/** Is this text, so far, what an SVG file may begin with? */
export const readSvg = (bytes: Uint8Array): Reading => {
  const text = latin1.decode(bytes.subarray(0, scanBytesMax))
  const more = bytes.length < scanBytesMax ? needMore(bytes.length + 1) : NotImage
  let at = text.startsWith("\u00ef\u00bb\u00bf") ? 3 : 0
  for (;;) {
    while (isSpace(text.charCodeAt(at))) at += 1
    if (at >= text.length) return more
    if (text[at] !== "<") return NotImage
    const head = text.slice(at, at + 9).toLowerCase()
    if (text.length - at < 9 && beginnings.some((beginning) => beginning.startsWith(head))) return more
    const next = head.startsWith("<?")
      ? after(text, "?>", at)
      : head.startsWith("<!--")
      ? after(text, "-->", at + 4)
      : head === "<!doctype"
      ? afterDoctype(text, at)
      : undefined
    if (next === undefined) break
    if (next === "open") return more
    if (next === "foreign") return NotImage
    at = next
  }
  return readRoot(text, at, more)
}

const isSpace = (code: number): boolean => code === 0x20 || code === 0x09 || code === 0x0a || code === 0x0d

const after = (text: string, mark: string, from: number): number | "open" => {
  const at = text.indexOf(mark, from)
  return at === -1 ? "open" : at + mark.length
}

/** Past the declaration at `at`, whose internal subset may hold anything, `>` in quotes included. */
const afterDoctype = (text: string, at: number): number | "open" | "foreign" => {
  const name = /^\s+([^\s[>]+)(?=[\s[>])/.exec(text.slice(at + 9, at + 9 + 256))?.[1]
  if (name === undefined) return text.length < at + 9 + 256 ? "open" : "foreign"
  if (localName(name) !== "svg") return "foreign"
  let depth = 0
  let quote = ""
  for (let i = at + 9; i < text.length; i++) {
    const character = text[i] ?? ""
    if (quote !== "") {
      if (character === quote) quote = ""
    } else if (text.startsWith("<!--", i)) {
      const next = after(text, "-->", i + 4)
      if (next === "open") return next
      i = next - 1
    } else if (character === "\"" || character === "'") quote = character
    else if (character === "[") depth += 1
    else if (character === "]") depth -= 1
    else if (character === ">" && depth <= 0) return i + 1
  }
  return "open"
}

const localName = (name: string): string => name.slice(name.indexOf(":") + 1)

const readRoot = (text: string, at: number, more: Reading): Reading => {
  const name = /^[^\s/>]{1,64}/.exec(text.slice(at + 1, at + 65))?.[0] ?? ""
  const nameEnd = at + 1 + name.length
  if (nameEnd >= text.length) return "svg".startsWith(localName(name)) || !name.includes(":") ? more : NotImage
  if (localName(name) !== "svg") return NotImage
  const attributes = new Map<string, string>()
  const attribute = /\s+([^\s=/>"'<]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/y
  attribute.lastIndex = nameEnd
  let end = nameEnd
  for (let match = attribute.exec(text); match !== null; match = attribute.exec(text)) {
    end = attribute.lastIndex
    const [, key = "", double, single] = match
    // Of two with one name the first would be as wrong as the second: no XML reader takes either.
    if (!attributes.has(key)) attributes.set(key, double ?? single ?? "")
  }
  const closing = /^\s*\/?(.?)/.exec(text.slice(end, end + 256))?.[1]
  if (closing !== ">") return text.length < scanBytesMax && isUnfinished(text, end) ? more : broken("malformed")
  return sized(
    lengthOf(attributes.get("width")),
    lengthOf(attributes.get("height")),
    viewBoxOf(attributes.get("viewBox"))
  )
}

/** Could what stands from `at` to the end of the text still become an attribute, or the end of the tag? */
const isUnfinished = (text: string, at: number): boolean =>
  /^(?:\s*\/?|\s+[^\s=/>"'<]+\s*(?:=\s*(?:"[^"]*|'[^']*)?)?)$/.test(text.slice(at))

/** CSS pixels per unit; others depend on where the picture is shown. */
const units: Readonly<Record<string, number>> = {
  "": 1,
  px: 1,
  pt: 4 / 3,
  pc: 16,
  mm: 96 / 25.4,
  cm: 96 / 2.54,
  in: 96
}

const numberPattern = /^\+?(?:\d{1,9}(?:\.\d{0,12})?|\.\d{1,12})(?:e[+-]?\d)?/i

const lengthOf = (text: string | undefined): number | undefined => {
  const trimmed = (text ?? "").trim().slice(0, 64)
  const digits = numberPattern.exec(trimmed)?.[0]
  if (digits === undefined) return undefined
  const scale = units[trimmed.slice(digits.length).toLowerCase()]
  return scale === undefined ? undefined : Number(digits) * scale
}

interface Size {
  readonly width: number
  readonly height: number
}

const viewBoxOf = (text: string | undefined): Size | undefined => {
  const parts = (text ?? "").trim().slice(0, 256).split(/[\s,]+/)
  const [width, height] = parts.slice(2).map(lengthOf)
  const usable = parts.length === 4 && width !== undefined && height !== undefined && width > 0 && height > 0
  return usable ? { width, height } : undefined
}

/** What a browser shows it at where the page says nothing; a view box alone counts as its own size. */
const sized = (width: number | undefined, height: number | undefined, box: Size | undefined): Reading => {
  const ratio = box === undefined ? undefined : box.width / box.height
  const shownWidth = width ?? (height !== undefined && ratio !== undefined ? height * ratio : box?.width ?? 300)
  const shownHeight = height ?? (width !== undefined && ratio !== undefined ? width / ratio : box?.height ?? 150)
  if (shownWidth === 0 || shownHeight === 0) return broken("zero size")
  if (shownWidth > sideMax || shownHeight > sideMax) return broken("too many pixels")
  return image("svg", Math.max(1, Math.round(shownWidth)), Math.max(1, Math.round(shownHeight)), undefined)
}
