/**
 * What the index of profiles holds of each, as terms: a letter that says where, and the text that is found there.
 *
 * | | |
 * |---|---|
 * | `x`, `y` | the whole name, the whole display name |
 * | `s`, `t` | how the name begins, how the display name begins |
 * | `n`, `d`, `i` | how any other word of the name, the display name, the NIP-05 name begins |
 * | `v` | the whole NIP-05 name |
 * | `a` | a word about the author |
 * | `z` | the whole name or display name of somebody well known, and what it is without one of its letters |
 *
 * Beginnings of every length up to `prefixMax` are terms of their own, so that even one letter is answered by reading one
 * list from its start. A beginning that an earlier letter has already for the same profile is left out: whoever asks for
 * the later one asks for the earlier one first.
 */
import type { SearchDocument } from "../../../domain/SearchQuery.ts"
import { start } from "../../../domain/SearchText.ts"
import { variantsOf } from "../../../domain/Typo.ts"

/** UTF-16 units of a beginning; of longer ones the index finds candidates only. */
export const prefixMax = 8
/** UTF-16 units of a whole name; the same holds. */
const wholeMax = 48

export const wholeName = (joined: string): string => `x${start(joined, wholeMax)}`
export const wholeDisplayName = (joined: string): string => `y${start(joined, wholeMax)}`
export const wholeNip05 = (joined: string): string => `v${start(joined, wholeMax)}`

/** Letters in the order of relevance. */
export type Place = "s" | "t" | "n" | "d" | "i"

/** The term under which a word, or the beginning of one, is found. */
export const beginning = (place: Place, word: string): string => place + start(word, prefixMax)
export const almost = (variant: string): string => `z${variant}`
export const aboutWord = (word: string): string => `a${word}`

/** How many of the first `max` UTF-16 units two words have in common. */
const commonStart = (a: string, b: string, max: number): number => {
  const end = Math.min(a.length, b.length, max)
  let at = 0
  while (at < end && a.charCodeAt(at) === b.charCodeAt(at)) at++
  return at
}

/** Terms of a profile, separated by blanks. */
export const termsOf = ({ about, displayName, name, nip05 }: SearchDocument): string => {
  let terms = ""
  const before: Array<string> = []
  const add = (place: Place, word: string) => {
    let known = 0
    for (const other of before) known = Math.max(known, commonStart(word, other, prefixMax))
    const end = Math.min(word.length, prefixMax)
    if (known === end) return
    before.push(word)
    for (let length = known + 1; length <= end; length++) {
      // Half a character is no beginning.
      if ((word.charCodeAt(length - 1) & 0xfc00) !== 0xd800) terms += ` ${place}${word.slice(0, length)}`
    }
  }
  const addAll = (words: ReadonlyArray<string>, place: Place) => {
    for (const word of words) add(place, word)
  }
  if (name.joined !== "") terms += ` ${wholeName(name.joined)}`
  if (displayName.joined !== "" && displayName.joined !== name.joined) {
    terms += ` ${wholeDisplayName(displayName.joined)}`
  }
  if (nip05.joined !== "") terms += ` ${wholeNip05(nip05.joined)}`
  add("s", name.joined)
  add("t", displayName.joined)
  addAll(name.words, "n")
  addAll(displayName.words, "d")
  add("i", nip05.joined)
  addAll(nip05.words, "i")
  const words = about()
  return words.length === 0 ? terms : `${terms} a${words.join(" a")}`
}

/** From this bucket on, names are found in spite of a slip of the finger. */
export const wellKnownMin = 6

/** What more a profile is found by whose author is that well known. */
export const termsOfKnown = ({ displayName, name }: SearchDocument, bucket: number): string => {
  if (bucket < wellKnownMin) return ""
  const all = new Set([name.joined, displayName.joined].flatMap(variantsOf))
  return [...all].map((variant) => ` ${almost(variant)}`).join("")
}
