/**
 * What to ask of the index, in which order: lists of profiles from the most relevant to the least, so that whoever wants
 * few of them can stop early. Texts of strangers become terms in quotes here, and never syntax.
 */
import { pointsOf, pointsOfSlip, type Relevance, relevances, type SearchQuery } from "../../../domain/SearchQuery.ts"
import { cut } from "../../../domain/SearchText.ts"
import { variantsOf } from "../../../domain/Typo.ts"
import {
  aboutWord,
  almost,
  beginning,
  type Place,
  prefixMax,
  wholeDisplayName,
  wholeName,
  wholeNip05
} from "./terms.ts"

/** Profiles that have any of some terms. */
export interface List {
  /** FTS5, section 3. */
  readonly expression: string
  /** By their text, what is in no list before is worth at most so much (`pointsOf`). */
  readonly points: number
}

export interface Plan {
  /** Read one after the other. */
  readonly lists: ReadonlyArray<List>
  /** Then, expressions that must all hold for a profile, and what that is worth at most. */
  readonly anywhere: ReadonlyArray<string>
  readonly points: number
}

/** Words that are looked up; the others are tested where these are found. */
const wordsMax = 3

/** Words are letters, digits and what is beyond ASCII; so a quote cannot end early. */
const quoted = (term: string): string => `"${term}"`

const anyOf = (terms: ReadonlyArray<string>): string => terms.map(quoted).join(" OR ")

const beginnings = (places: ReadonlyArray<Place>, word: string): ReadonlyArray<string> =>
  places.map((place) => beginning(place, word))

const places = ["s", "t", "n", "d", "i"] as const

const anywhere = (word: string): string => anyOf([...beginnings(places, word), aboutWord(word)])

/** A word, or all parts of a compound. */
const anywhereOr = (word: string, parts: ReadonlyArray<string> = []): string =>
  parts.length === 0
    ? anywhere(word)
    : `${anywhere(word)} OR (${longest(parts).map((part) => `(${anywhere(part)})`).join(" AND ")})`

/** The longest, which are the rarest more often than not. */
const longest = (words: ReadonlyArray<string>): ReadonlyArray<string> =>
  words.toSorted((a, b) => b.length - a.length).slice(0, wordsMax)

/** Several lists as one. */
export const oneOf = (lists: ReadonlyArray<List>): List => ({
  expression: lists.map(({ expression }) => expression).join(" OR "),
  points: Math.max(...lists.map(({ points }) => points))
})

/** For a name with a slip in it, where nothing else is like it. */
export const almostOf = ({ joined }: SearchQuery): List | undefined => {
  const variants = variantsOf(joined)
  return variants.length === 0 ? undefined : { expression: anyOf(variants.map(almost)), points: pointsOfSlip }
}

export const planOf = ({ domain, joined, nip05, parts, words }: SearchQuery): Plan => {
  const points = (relevance: Relevance) => pointsOf(relevance, joined.length)
  const list = (relevance: Relevance, ...terms: ReadonlyArray<string>): List => ({
    expression: anyOf(terms),
    points: points(relevance)
  })
  if (domain !== undefined) {
    const labels = cut(domain, "query").words
    const wanted = [
      ...longest(words).map((word) => anywhereOr(word, parts.get(word))),
      ...longest(labels).map((label) => anyOf(beginnings(places, label)))
    ]
    return { lists: [], anywhere: labels.length === 0 ? [] : wanted, points: points(relevances.nameLiteral) }
  }
  const [word] = words
  if (word === undefined) return { lists: [], anywhere: [], points: 0 }
  const claimed = nip05 === undefined ? [] : [list(relevances.nip05Whole, wholeNip05(joined))]
  const starts = [
    ...claimed,
    list(relevances.nameLiteral, wholeName(joined), wholeDisplayName(joined)),
    list(relevances.nameStart, ...beginnings(["s", "t"], joined))
  ]
  if (words.length > 1) {
    const anywhere = longest(words).map((one) => anywhereOr(one, parts.get(one)))
    return { lists: starts, anywhere, points: points(relevances.name) }
  }
  // Of a word that is longer than the beginnings that are terms, an earlier place may have the beginning of another one.
  const isShort = word === joined && word.length <= prefixMax
  const lists = [
    ...starts,
    list(relevances.name, ...beginnings(isShort ? ["n", "d"] : ["s", "t", "n", "d"], word)),
    list(relevances.nip05, ...beginnings(isShort ? ["i"] : places, word)),
    list(relevances.about, aboutWord(word))
  ]
  // Who has the parts of a compound, but not beside each other.
  return {
    lists,
    anywhere: longest(parts.get(word) ?? []).map((part) => anywhere(part)),
    points: points(relevances.name)
  }
}
