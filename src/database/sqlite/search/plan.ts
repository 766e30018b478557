/**
 * What to ask of the index, in which order: lists of profiles from the most relevant to the least, so that whoever wants
 * few of them can stop early. Texts of strangers become terms in quotes here, and never syntax.
 */
import { type Relevance, relevances, type SearchQuery } from "../../../domain/SearchQuery.ts"
import { cut } from "../../../domain/SearchText.ts"
import { aboutWord, beginning, type Place, prefixMax, wholeDisplayName, wholeName, wholeNip05 } from "./terms.ts"

/** Profiles that have any of some terms. */
export interface List {
  /** FTS5, section 3. */
  readonly expression: string
  /** What is in no list up to this one is less relevant. */
  readonly atLeast: Relevance
  /** All that is in no list before is equally relevant, so that the first ones are the best ones. */
  readonly isSorted: boolean
}

export interface Plan {
  /** Read one after the other. */
  readonly lists: ReadonlyArray<List>
  /** Then, expressions that must all hold for a profile. */
  readonly anywhere: ReadonlyArray<string>
}

/** Words that are looked up; the others are tested where these are found. */
const wordsMax = 3

/** Words are letters, digits and what is beyond ASCII; so a quote cannot end early. */
const quoted = (term: string): string => `"${term}"`

const anyOf = (terms: ReadonlyArray<string>): string => terms.map(quoted).join(" OR ")

const beginnings = (places: ReadonlyArray<Place>, word: string): ReadonlyArray<string> =>
  places.map((place) => beginning(place, word))

const places = ["s", "n", "t", "d", "i"] as const

const anywhere = (word: string): string => anyOf([...beginnings(places, word), aboutWord(word)])

/** A word, or all parts of a compound. */
const anywhereOr = (word: string, parts: ReadonlyArray<string> = []): string =>
  parts.length === 0
    ? anywhere(word)
    : `${anywhere(word)} OR (${longest(parts).map((part) => `(${anywhere(part)})`).join(" AND ")})`

/** The longest, which are the rarest more often than not. */
const longest = (words: ReadonlyArray<string>): ReadonlyArray<string> =>
  words.toSorted((a, b) => b.length - a.length).slice(0, wordsMax)

const list = (atLeast: Relevance, ...terms: ReadonlyArray<string>): List => ({
  expression: anyOf(terms),
  atLeast,
  isSorted: true
})

export const planOf = ({ domain, joined, nip05, parts, words }: SearchQuery): Plan => {
  if (domain !== undefined) {
    const labels = cut(domain, "query").words
    return {
      lists: [],
      anywhere: labels.length === 0
        ? []
        : [
          ...longest(words).map((word) => anywhereOr(word, parts.get(word))),
          ...longest(labels).map((label) => anyOf(beginnings(places, label)))
        ]
    }
  }
  const [word] = words
  if (word === undefined) return { lists: [], anywhere: [] }
  // Names that are literally what was asked for come first, wherever in the list they are.
  const whole: List = {
    ...list(relevances.nameWhole, wholeName(joined), ...(nip05 === undefined ? [] : [wholeNip05(joined)])),
    isSorted: false
  }
  const start = list(relevances.nameStart, beginning("s", joined))
  const displayWhole = list(relevances.displayNameWhole, wholeDisplayName(joined))
  if (word === joined && word.length <= prefixMax) {
    const lists = [
      whole,
      start,
      list(relevances.name, beginning("n", word)),
      displayWhole,
      list(relevances.displayNameStart, beginning("t", word)),
      list(relevances.displayName, beginning("d", word)),
      list(relevances.nip05, beginning("i", word)),
      list(relevances.about, aboutWord(word))
    ]
    return { lists, anywhere: [] }
  }
  // A beginning that its name has, a profile has only once, but what follows may be what was asked for elsewhere.
  const starts = [
    whole,
    start,
    { ...displayWhole, atLeast: relevances.nameStart },
    list(relevances.nameStart, ...beginnings(["s", "t"], joined))
  ]
  if (words.length > 1) {
    return { lists: starts, anywhere: longest(words).map((one) => anywhereOr(one, parts.get(one))) }
  }
  const lists = [
    ...starts,
    list(relevances.name, ...beginnings(["s", "n"], word)),
    list(relevances.displayName, ...beginnings(["s", "n", "t", "d"], word)),
    list(relevances.nip05, ...beginnings(places, word)),
    list(relevances.about, aboutWord(word))
  ]
  // Who has the parts of a compound, but not beside each other.
  return { lists, anywhere: longest(parts.get(word) ?? []).map(anywhere) }
}
