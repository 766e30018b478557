/**
 * Text as a search sees it (NIP-50): folded, and cut into words.
 *
 * Folding makes equal what people do not tell apart when they type a name: case, accents, width, and the letters of
 * mathematics that pass for a font. It leaves alone what looks alike but is not: a Cyrillic "а" is no Latin "a".
 *
 * A word is a run of letters and digits, or one emoji. Scripts that put no spaces between words (Chinese, Japanese, Thai
 * and its neighbours) are cut into overlapping pairs of characters instead, so that any part of a name is found.
 */

/** UTF-16 units of a word; what is longer is a key or an address, and told apart by that many. */
export const wordMax = 24

/** A text, cut: `joined` is all that its words were cut from, without what stood between them. */
export interface Cut {
  readonly words: ReadonlyArray<string>
  readonly joined: string
}

/** Letters that NFKD leaves whole and people type as these. */
const letters: Readonly<Record<string, string>> = {
  ß: "ss",
  æ: "ae",
  œ: "oe",
  ø: "o",
  ł: "l",
  đ: "d",
  ð: "d",
  þ: "th",
  ı: "i",
  ħ: "h"
}

/**
 * Accents on letters, points of Hebrew and Arabic, and what cannot be seen. Signs that make another letter in their script
 * (vowels of Indic scripts and Thai, the voiced marks of kana) stay.
 */
const dropped =
  /[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c7\u064b-\u0652\u0670\u0640]|\p{Default_Ignorable_Code_Point}/gu

const isAscii = (text: string): boolean => !/[^ -~\t\n\r]/.test(text)

/** Never throws, whatever the text. */
export const folded = (text: string): string =>
  isAscii(text)
    ? text.toLowerCase()
    : text.normalize("NFKD").toLowerCase().replace(dropped, "").replace(/[ßæœøłđðþıħ]/g, (letter) => letters[letter]!)
      .normalize("NFC")

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

/**
 * Folds and cuts. A `document` has every part by which its runs are to be found, a `query` only those it asks for.
 */
export const cut = (text: string, as: "document" | "query"): Cut => {
  const fold = folded(text)
  if (isAscii(fold)) {
    const found = fold.match(asciiWord) ?? []
    return { words: found.some(isLong) ? found.map((word) => start(word, wordMax)) : found, joined: found.join("") }
  }
  const words: Array<string> = []
  let joined = ""
  for (let at = 0; at < fold.length;) {
    // Most words are of ASCII wherever some are not, and told by a glance at each character.
    let end = at
    while (isAsciiWordCode(fold.charCodeAt(end))) end++
    if (end === fold.length || fold.charCodeAt(end) < 128) {
      if (end > at) {
        const word = fold.slice(at, end)
        joined += word
        words.push(start(word, wordMax))
      }
      at = end + 1
      continue
    }
    anyWord.lastIndex = at
    const match = anyWord.exec(fold)
    if (match === null) {
      at += (fold.codePointAt(at) as number) > 0xffff ? 2 : 1
      continue
    }
    at = anyWord.lastIndex
    const [found, run] = match
    joined += found
    if (run === undefined) words.push(start(found, wordMax))
    else for (const pair of pairs(run, as === "document")) words.push(pair)
  }
  return { words, joined }
}
