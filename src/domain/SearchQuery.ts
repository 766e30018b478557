/**
 * A search text (NIP-50), and how well a profile answers it.
 *
 * Every word that is asked for must be there: in the name, the display name or the NIP-05 name as the beginning of a word,
 * or in the text about the author as a whole word. Where it is found decides the order of answers.
 */
import { nip05Domain } from "./Bridge.ts"
import { lineOf, type Profile } from "./Profile.ts"
import * as SearchText from "./SearchText.ts"

export interface SearchQuery {
  /** As it was typed, apart from case: what tells a name from its look-alikes. */
  readonly literal: string
  /** All words as one, as `Jack Dorsey` is also written `jack_dorsey` and `jackdorsey`. */
  readonly joined: string
  readonly words: ReadonlyArray<string>
  /** `domain:`, only of verified NIP-05 names. */
  readonly domain: string | undefined
  /** Nothing is asked for: it is blank, or has only tokens that mean nothing here. Any event answers it. */
  readonly isEmpty: boolean
}

/** Words that are looked at; further ones are ignored. */
export const queryWordsMax = 8

/** `key:value`; an address such as `https://…` is text. */
const extension = /^([a-z][a-z0-9_-]*):(?!\/\/)(\S+)$/i

/** What tells a name from its look-alikes: all but case, and what cannot be seen. */
const literalOf = (text: string): string => lineOf(text, nameMax).toLowerCase()

const unique = <A>(values: ReadonlyArray<A>): ReadonlyArray<A> => values.length < 2 ? values : [...new Set(values)]

/** Never fails: what is not understood is ignored (NIP-50). */
export const searchQueryOf = (search: string): SearchQuery => {
  let domain: string | undefined
  const text: Array<string> = []
  for (const token of search.split(/\s+/)) {
    const [, key, value] = extension.exec(token) ?? []
    if (value === undefined) text.push(token)
    else if (key?.toLowerCase() === "domain") domain = nip05Domain(value)
  }
  const asked = text.join(" ").trim()
  const { joined, words } = SearchText.cut(asked, "query")
  return {
    literal: literalOf(asked),
    joined,
    words: unique(words).slice(0, queryWordsMax),
    domain,
    isEmpty: asked === "" && domain === undefined
  }
}

/** One of the names of a profile. */
export interface SearchName extends SearchText.Cut {
  /** As the author wrote it. */
  readonly text: string
}

/** What is searched of a profile. */
export interface SearchDocument {
  readonly name: SearchName
  readonly displayName: SearchName
  readonly nip05: SearchName
  /** Cut when first asked for, as most searches never do. */
  readonly about: () => ReadonlyArray<string>
}

/** UTF-16 units of a name that are looked at. */
const nameMax = 128
const nameWordsMax = 16
const aboutMax = 2000
const aboutWordsMax = 200

const noWords: ReadonlyArray<string> = []

const nameOf = (text: string): SearchName => {
  const { joined, words } = SearchText.cut(SearchText.start(text, nameMax), "document")
  return { text, joined, words: words.length > nameWordsMax ? words.slice(0, nameWordsMax) : words }
}

const aboutOf = (text: string): ReadonlyArray<string> => {
  const { words } = SearchText.cut(SearchText.start(text, aboutMax), "document")
  return words.length > aboutWordsMax ? words.slice(0, aboutWordsMax) : words
}

export const searchDocumentOf = (profile: Profile): SearchDocument => {
  let about: ReadonlyArray<string> | undefined
  return {
    name: nameOf(profile.name),
    displayName: nameOf(profile.displayName),
    nip05: nameOf(profile.nip05),
    about: () => about ??= profile.about === "" ? noWords : aboutOf(profile.about)
  }
}

/** Answers in this order; those of one relevance by `newestFirst`. */
export const relevances = {
  none: 0,
  /** Some words are only in the text about the author. */
  about: 1,
  /** Each word is in one of the names, no name has them all. */
  names: 2,
  nip05: 3,
  displayName: 4,
  displayNameStart: 5,
  displayNameWhole: 6,
  name: 7,
  nameStart: 8,
  nameWhole: 9,
  /** Accents and all. */
  nameLiteral: 10
} as const

export type Relevance = (typeof relevances)[keyof typeof relevances]

const begins = (name: SearchName, word: string): boolean =>
  name.joined.startsWith(word) || name.words.some((own) => own.startsWith(word))

const hasAll = (name: SearchName, words: ReadonlyArray<string>): boolean => words.every((word) => begins(name, word))

/** How well a document answers the words of a query; `domain` is not looked at. */
export const relevanceOf = ({ joined, literal, words }: SearchQuery, document: SearchDocument): Relevance => {
  const { displayName, name, nip05 } = document
  if (words.length === 0) return relevances.none
  if (name.joined === joined) return literalOf(name.text) === literal ? relevances.nameLiteral : relevances.nameWhole
  if (name.joined.startsWith(joined)) return relevances.nameStart
  if (hasAll(name, words)) return relevances.name
  if (displayName.joined === joined) return relevances.displayNameWhole
  if (displayName.joined.startsWith(joined)) return relevances.displayNameStart
  if (hasAll(displayName, words)) return relevances.displayName
  if (hasAll(nip05, words)) return relevances.nip05
  const rest = words.filter((word) => !begins(name, word) && !begins(displayName, word) && !begins(nip05, word))
  if (rest.length === 0) return relevances.names
  const about = document.about()
  return rest.every((word) => about.includes(word)) ? relevances.about : relevances.none
}

/** Does a profile answer a query? Not one with a domain, as what is verified is not known here. */
export const isAnswer = (query: SearchQuery, document: SearchDocument): boolean =>
  query.domain === undefined && relevanceOf(query, document) !== relevances.none

/**
 * The words by which many queries are kept: the longest, which the fewest profiles have, and all as one, with which a name
 * may begin that has none of them alone. None where nothing answers it.
 */
export const keysOfQuery = (query: SearchQuery): ReadonlyArray<string> =>
  query.words.length === 0 ? [] : unique([
    query.words.reduce((best, word) => word.length > best.length ? word : best),
    joinedKey(query)
  ])

const joinedKey = ({ joined }: SearchQuery): string => joined.slice(0, SearchText.wordMax)

/** Is it worth asking whether a profile with these keys answers it? Where it is not, this costs a twentieth of asking. */
export const mayAnswer = (query: SearchQuery, keys: ReadonlySet<string>): boolean =>
  query.words.every((word) => keys.has(word)) || keys.has(joinedKey(query))

/** The keys of all queries that a profile might answer. */
export const keysOf = ({ about, displayName, name, nip05 }: SearchDocument): ReadonlySet<string> => {
  const keys = new Set(about())
  for (const { joined, words } of [name, displayName, nip05]) {
    for (const word of [joined, ...words]) {
      for (let length = 1; length <= Math.min(word.length, SearchText.wordMax); length++) {
        keys.add(word.slice(0, length))
      }
    }
  }
  return keys
}
