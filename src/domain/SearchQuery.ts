/**
 * A search text (NIP-50), and how well a profile answers it.
 *
 * Every word that is asked for must be there: in the name, the display name or the NIP-05 name as the beginning of a word,
 * or in the text about the author as a whole word. Where it is found decides the order of answers. A key or a NIP-05 name
 * finds whose it is before all others.
 */
import { nip05Domain } from "./Bridge.ts"
import { type Nip05Name, nip05NameOf, nip05TextOf } from "./Nip05.ts"
import { lineOf, type Profile } from "./Profile.ts"
import { pubkeyOf } from "./PublicKey.ts"
import * as SearchText from "./SearchText.ts"
import { isOneSlip } from "./Typo.ts"

/**
 * What answers are put in order by: `rank` by text and by how well known their authors are, `text` by text alone, `new` by
 * `created_at` alone. Whose key or verified NIP-05 name was asked for comes first in each, and equals are newest first, then
 * lowest id (NIP-01).
 */
export const searchSorts = ["rank", "text", "new"] as const
export type SearchSort = (typeof searchSorts)[number]

export interface SearchQuery {
  /** As it was typed, apart from case: what tells a name from its look-alikes. */
  readonly literal: string
  /** All words as one, as `Jack Dorsey` is also written `jack_dorsey` and `jackdorsey`. */
  readonly joined: string
  readonly words: ReadonlyArray<string>
  /** Words that are compounds, such as `o'brien`: where the word is not found, all of these are as good. */
  readonly parts: ReadonlyMap<string, ReadonlyArray<string>>
  /** The text is a key: hex, `npub1…` or `nprofile1…` (NIP-19). */
  readonly pubkey: string | undefined
  /** The text can be read as a NIP-05 name; a bare domain is `_` there. */
  readonly nip05: Nip05Name | undefined
  /** `domain:`, only of verified NIP-05 names. */
  readonly domain: string | undefined
  /** `sort:`, the last one that means something here. */
  readonly sort: SearchSort
  /** Nothing is asked for: it is blank, or has only tokens that mean nothing here. Nothing answers it. */
  readonly isEmpty: boolean
}

/** Words that are looked at; further ones are ignored. */
export const queryWordsMax = 8

/** Tokens `key:value` that mean something to relays (NIP-50, "Extensions", and `sort:`); any other one is text. */
const extension = /^(domain|include|language|nsfw|sentiment|sort):(\S+)$/i

/** What tells a name from its look-alikes: all but case, and what cannot be seen. */
const literalOf = (text: string): string => lineOf(text, nameMax).toLowerCase()

const unique = <A>(values: ReadonlyArray<A>): ReadonlyArray<A> => values.length < 2 ? values : [...new Set(values)]

/** Never fails: what is not understood is ignored (NIP-50). */
export const searchQueryOf = (search: string): SearchQuery => {
  let domain: string | undefined
  let sort: SearchSort = "rank"
  const text: Array<string> = []
  for (const token of search.split(/\s+/)) {
    const [, key, value] = extension.exec(token) ?? []
    if (value === undefined) text.push(token)
    else if (key?.toLowerCase() === "domain") domain = nip05Domain(value)
    else if (key?.toLowerCase() === "sort") sort = searchSorts.find((one) => one === value.toLowerCase()) ?? sort
  }
  const asked = text.join(" ").trim()
  const cut = SearchText.cut(asked, "query")
  const words = unique(wordsOf(cut)).slice(0, queryWordsMax)
  // As clients hand them on: `nostr:npub1…` (NIP-21), `@name@domain`.
  const bare = asked.replace(/^(?:nostr:|@)/i, "")
  return {
    literal: literalOf(asked),
    joined: cut.joined,
    words,
    parts: cut.compounds.length === 0
      ? noParts
      : new Map(cut.compounds.filter(({ whole }) => words.includes(whole)).map(({ parts, whole }) => [whole, parts])),
    pubkey: pubkeyOf(bare),
    nip05: bare.includes(".") ? nip05NameOf(bare) : undefined,
    domain,
    sort,
    isEmpty: asked === "" && domain === undefined
  }
}

const noParts: ReadonlyMap<string, ReadonlyArray<string>> = new Map()

/** With compounds in place of their parts. */
const wordsOf = ({ compounds, words }: SearchText.Cut): ReadonlyArray<string> => {
  if (compounds.length === 0) return words
  const all: Array<string> = []
  let from = 0
  for (const { at, parts, whole } of compounds) {
    all.push(...words.slice(from, at), whole)
    from = at + parts.length
  }
  return [...all, ...words.slice(from)]
}

/** One of the names of a profile. */
export interface SearchName {
  /** As the author wrote it. */
  readonly text: string
  readonly joined: string
  /** Compounds as well as their parts. */
  readonly words: ReadonlyArray<string>
}

/** What is searched of a profile. */
export interface SearchDocument {
  /** Empty where it does not matter whose it is. */
  readonly pubkey: string
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
  const { compounds, joined, words } = SearchText.cut(SearchText.start(text, nameMax), "name")
  const all = compounds.length === 0 ? words : [...words, ...compounds.map(({ whole }) => whole)]
  return { text, joined, words: all.length > nameWordsMax ? all.slice(0, nameWordsMax) : all }
}

const aboutOf = (text: string): ReadonlyArray<string> => {
  const { words } = SearchText.cut(SearchText.start(text, aboutMax), "text")
  return words.length > aboutWordsMax ? words.slice(0, aboutWordsMax) : words
}

export const searchDocumentOf = (profile: Profile, pubkey = ""): SearchDocument => {
  let about: ReadonlyArray<string> | undefined
  return {
    pubkey,
    name: nameOf(profile.name),
    displayName: nameOf(profile.displayName),
    nip05: nameOf(profile.nip05),
    about: () => about ??= profile.about === "" ? noWords : aboutOf(profile.about)
  }
}

/** Where an answer has what was asked for, from the least to the most. */
export const relevances = {
  none: 0,
  /** Some words are only in the text about the author. */
  about: 1,
  /** Each word is in one of the names, no name has them all. */
  names: 2,
  nip05: 3,
  displayName: 4,
  name: 5,
  displayNameStart: 6,
  nameStart: 7,
  /** A bare domain is the NIP-05 name, verified or not: others may be called what it says. */
  nip05Domain: 8,
  displayNameWhole: 9,
  nameWhole: 10,
  /** Accents and all. */
  displayNameLiteral: 11,
  nameLiteral: 12,
  /** The text is the NIP-05 name, `@` and all, though nobody has verified it. */
  nip05Whole: 13,
  /** The text is the author's key, or a NIP-05 name that was verified. */
  exact: 14
} as const

export type Relevance = (typeof relevances)[keyof typeof relevances]

/** Letters of a name of which each makes it more likely that all of it was typed. */
const wholeMax = 8

/** What an author's bucket is worth beside the points of a text. */
const pointsOfBucket = 2

/** Of whose key or verified NIP-05 name the text is: more than all else together. */
export const pointsOfExact = 1000

/**
 * What an answer is worth by its text, for a query of so many UTF-16 units: who types six letters of a name has more likely
 * typed all of it than two.
 */
export const pointsOf = (relevance: Relevance, length: number): number => {
  const whole = 2 * pointsOfBucket * Math.min(length, wholeMax)
  switch (relevance) {
    case relevances.exact:
      return pointsOfExact
    case relevances.nip05Whole:
      return 500
    case relevances.nameLiteral:
    case relevances.displayNameLiteral:
      return whole + 1
    case relevances.nameWhole:
    case relevances.displayNameWhole:
      return whole
    case relevances.nip05Domain:
      return whole - 1
    case relevances.nameStart:
    case relevances.displayNameStart:
      return 0
    case relevances.name:
    case relevances.displayName:
      return -1 * pointsOfBucket
    case relevances.nip05:
      return -2 * pointsOfBucket
    case relevances.names:
      return -3 * pointsOfBucket
    default:
      return -12 * pointsOfBucket
  }
}

/** The same for a name that has what was asked for but for one slip. */
export const pointsOfSlip = 0

/** Is one of the names what was asked for, but for one slip of the finger? */
export const isAlmost = ({ joined }: SearchQuery, { displayName, name }: SearchDocument): boolean =>
  isOneSlip(joined, name.joined) || isOneSlip(joined, displayName.joined)

/** By text and by how well known the author is: the order of answers; among equals by text, then newest first. */
export const scoreOf = (points: number, bucket: number): number => points + pointsOfBucket * bucket

/** The lowest bucket with which so many points are more than a score. */
export const bucketAbove = (points: number, score: number): number =>
  Math.max(0, Math.floor((score - points) / pointsOfBucket) + 1)

const begins = (name: SearchName, word: string): boolean =>
  name.joined.startsWith(word) || name.words.some((own) => own.startsWith(word))

/** Is a word there, or are its parts? */
const isThere = (word: string, { parts }: SearchQuery, is: (word: string) => boolean): boolean =>
  is(word) || parts.get(word)?.every(is) === true

const hasAll = (name: SearchName, query: SearchQuery): boolean =>
  query.words.every((word) => isThere(word, query, (one) => begins(name, one)))

/** Is the NIP-05 name that is asked for the one that a profile claims? */
const claimsNip05 = ({ nip05 }: SearchQuery, document: SearchDocument): boolean => {
  if (nip05 === undefined || document.nip05.text === "") return false
  const name = nip05NameOf(document.nip05.text)
  return name !== undefined && nip05TextOf(name) === nip05TextOf(nip05)
}

/**
 * How well a document answers the words of a query; `domain` is not looked at. `isVerified` tells whether the author has the
 * claimed NIP-05 name by right, where that is known.
 */
export const relevanceOf = (query: SearchQuery, document: SearchDocument, isVerified = isUnknown): Relevance => {
  const { joined, literal, pubkey, words } = query
  const { displayName, name, nip05 } = document
  if (pubkey !== undefined && pubkey === document.pubkey) return relevances.exact
  const isClaimed = claimsNip05(query, document)
  if (isClaimed && isVerified()) return relevances.exact
  if (isClaimed && query.nip05?.local !== "_") return relevances.nip05Whole
  if (words.length === 0) return relevances.none
  const isWhole = name.joined === joined
  const isDisplayWhole = displayName.joined === joined
  if (isWhole && literalOf(name.text) === literal) return relevances.nameLiteral
  if (isDisplayWhole && literalOf(displayName.text) === literal) return relevances.displayNameLiteral
  if (isWhole) return relevances.nameWhole
  if (isDisplayWhole) return relevances.displayNameWhole
  if (isClaimed) return relevances.nip05Domain
  if (name.joined.startsWith(joined)) return relevances.nameStart
  if (displayName.joined.startsWith(joined)) return relevances.displayNameStart
  if (hasAll(name, query)) return relevances.name
  if (hasAll(displayName, query)) return relevances.displayName
  if (hasAll(nip05, query)) return relevances.nip05
  const isNamed = (word: string) => begins(name, word) || begins(displayName, word) || begins(nip05, word)
  if (words.every((word) => isThere(word, query, isNamed))) return relevances.names
  const isAnywhere = (word: string) => isNamed(word) || document.about().includes(word)
  return words.every((word) => isThere(word, query, isAnywhere)) ? relevances.about : relevances.none
}

const isUnknown = (): boolean => false

/** Does a profile answer a query? Not one with a domain, as what is verified is not known here. */
export const isAnswer = (query: SearchQuery, document: SearchDocument): boolean =>
  query.domain === undefined && relevanceOf(query, document) !== relevances.none

/** What a query that names somebody is kept under, and a profile too: no word has such a character. */
const keyOfPubkey = (pubkey: string): string => `@${pubkey}`
const keyOfNip05 = (name: Nip05Name): string => `@${nip05TextOf(name)}`

/**
 * The words by which many queries are kept: the longest, which the fewest profiles have, and all as one, with which a name
 * may begin that has none of them alone; where the longest is a compound, its longest part too. None where nothing answers it.
 */
export const keysOfQuery = (query: SearchQuery): ReadonlyArray<string> => {
  const { nip05, parts, pubkey, words } = query
  if (words.length === 0) return []
  const word = longestOf(words)
  return unique([
    word,
    ...(parts.has(word) ? [longestOf(parts.get(word)!)] : []),
    joinedKey(query),
    ...(pubkey === undefined ? [] : [keyOfPubkey(pubkey)]),
    ...(nip05 === undefined ? [] : [keyOfNip05(nip05)])
  ])
}

const longestOf = (words: ReadonlyArray<string>): string =>
  words.reduce((best, word) => word.length > best.length ? word : best)

const joinedKey = ({ joined }: SearchQuery): string => joined.slice(0, SearchText.wordMax)

/** Is it worth asking whether a profile with these keys answers it? Where it is not, this costs a twentieth of asking. */
export const mayAnswer = (query: SearchQuery, keys: ReadonlySet<string>): boolean =>
  query.words.every((word) => isThere(word, query, (one) => keys.has(one))) || keys.has(joinedKey(query)) ||
  (query.pubkey !== undefined && keys.has(keyOfPubkey(query.pubkey))) ||
  (query.nip05 !== undefined && keys.has(keyOfNip05(query.nip05)))

/** The keys of all queries that a profile might answer. */
export const keysOf = ({ about, displayName, name, nip05, pubkey }: SearchDocument): ReadonlySet<string> => {
  const keys = new Set(about())
  for (const { joined, words } of [name, displayName, nip05]) {
    for (const word of [joined, ...words]) {
      for (let length = 1; length <= Math.min(word.length, SearchText.wordMax); length++) {
        keys.add(word.slice(0, length))
      }
    }
  }
  if (pubkey !== "") keys.add(keyOfPubkey(pubkey))
  const claimed = nip05.text === "" ? undefined : nip05NameOf(nip05.text)
  if (claimed !== undefined) keys.add(keyOfNip05(claimed))
  return keys
}
