/**
 * Text as a search sees it (NIP-50): folded (`Folding.ts`), and cut into words.
 *
 * A word is a run of letters and digits, or one emoji. Scripts that put no spaces between words (Chinese, Japanese, Thai
 * and its neighbours) are cut into overlapping pairs of characters instead, so that any part of a name is found. Words with
 * nothing but an apostrophe or a hyphen between them, as in `O'Brien`, are also one.
 */
import { folded, isAscii } from "./Folding.ts"

/** UTF-16 units of a word; what is longer is a key or an address, and told apart by that many. */
export const wordMax = 24

/** Words that an apostrophe or a hyphen makes one. */
export interface Compound {
  readonly whole: string
  /** Where its first part stands among the words. */
  readonly at: number
  readonly parts: ReadonlyArray<string>
}

/** A text, cut: `joined` is all that its words were cut from, without what stood between them. */
export interface Cut {
  readonly words: ReadonlyArray<string>
  readonly joined: string
  readonly compounds: ReadonlyArray<Compound>
}

const asciiWord = /[a-z0-9]+/g

/** A digit, or a letter in lower case. False for NaN, which stands behind the end of a text. */
const isAsciiWordCode = (code: number): boolean => (code >= 0x61 && code <= 0x7a) || (code >= 0x30 && code <= 0x39)

/** In this order: a run without spaces (its only group), a flag or an emoji, a word. Matches at `lastIndex` or not at all. */
const anyWord =
  /([[\p{scx=Han}\p{scx=Hiragana}\p{scx=Katakana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}]&&[\p{L}\p{M}]]+)|\p{RI}{2}|\p{Extended_Pictographic}|[[\p{L}\p{N}\p{M}]--[[\p{scx=Han}\p{scx=Hiragana}\p{scx=Katakana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}]&&[\p{L}\p{M}]]]+/vy

/** The first `max` UTF-16 units, without half a character at the end. */
export const start = (text: string, max: number): string => {
  if (text.length <= max) return text
  const isSplit = (text.charCodeAt(max - 1) & 0xfc00) === 0xd800
  return text.slice(0, isSplit ? max - 1 : max)
}

const isLong = (word: string): boolean => word.length > wordMax

/** Overlapping pairs of a run, and with `last` its last character, by which any single one begins some part. */
const pairs = (run: string, last: boolean): ReadonlyArray<string> => {
  const characters = Array.from(run)
  if (characters.length === 1) return characters
  const all = characters.slice(1).map((character, i) => `${characters[i]}${character}`)
  return last ? [...all, characters.at(-1)!] : all
}

const noCompounds: ReadonlyArray<Compound> = []

/** Apostrophes and hyphens as they are folded. */
const isLink = (code: number): boolean => code === 0x27 || code === 0x2d

/** Is there nothing but links between two places, and one or two of them? */
const isLinked = (text: string, from: number, to: number): boolean => {
  const length = to - from
  return (length === 1 || length === 2) && isLink(text.charCodeAt(from)) && isLink(text.charCodeAt(to - 1))
}

/** Finds compounds while words are cut one after the other. */
class Links {
  readonly compounds: Array<Compound> = []
  readonly #text: string
  readonly #words: ReadonlyArray<string>
  #end = NaN
  /** The first of the words that are linked so far. */
  #first = 0

  constructor(text: string, words: ReadonlyArray<string>) {
    this.#text = text
    this.#words = words
  }

  /** Before a word is added that stands here. */
  add(start: number, end: number): void {
    if (!isLinked(this.#text, this.#end, start)) this.end()
    this.#end = end
  }

  /** After the last word, and before what is no word. */
  end(): void {
    const parts = this.#words.slice(this.#first)
    if (parts.length > 1) this.compounds.push({ whole: start(parts.join(""), wordMax), at: this.#first, parts })
    this.skip()
  }

  /** What was added is part of no compound. */
  skip(): void {
    this.#first = this.#words.length
    this.#end = NaN
  }
}

/**
 * Folds and cuts. A `name` and a `text` have every part by which their runs are to be found, a `query` only those it asks for;
 * compounds are told of a `name` and a `query`, as the words of a text are looked for one by one.
 */
export const cut = (text: string, as: "name" | "text" | "query"): Cut => {
  const fold = folded(text)
  if (isAscii(fold) && (as === "text" || !/['-]/.test(fold))) {
    const found = fold.match(asciiWord) ?? []
    return {
      words: found.some(isLong) ? found.map((word) => start(word, wordMax)) : found,
      joined: found.join(""),
      compounds: noCompounds
    }
  }
  const words: Array<string> = []
  const links = new Links(fold, words)
  let joined = ""
  const add = (word: string, at: number) => {
    links.add(at, at + word.length)
    joined += word
    words.push(start(word, wordMax))
  }
  for (let at = 0; at < fold.length;) {
    // Most words are of ASCII wherever some are not, and told by a glance at each character.
    let end = at
    while (isAsciiWordCode(fold.charCodeAt(end))) end++
    if (end === fold.length || fold.charCodeAt(end) < 128) {
      if (end > at) add(fold.slice(at, end), at)
      at = Math.max(end, at + 1)
      continue
    }
    anyWord.lastIndex = at
    const match = anyWord.exec(fold)
    if (match === null) {
      at += (fold.codePointAt(at) as number) > 0xffff ? 2 : 1
      continue
    }
    const [found, run] = match
    if (run === undefined) add(found, at)
    else {
      links.end()
      joined += found
      for (const pair of pairs(run, as !== "query")) words.push(pair)
      links.skip()
    }
    at = anyWord.lastIndex
  }
  links.end()
  return { words, joined, compounds: links.compounds }
}
