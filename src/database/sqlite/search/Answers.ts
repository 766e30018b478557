/** Profiles that were found, put in order. */
import { newestFirst } from "../../../domain/Event.ts"
import { nip05NameOf, nip05TextOf } from "../../../domain/Nip05.ts"
import { profileOf } from "../../../domain/Profile.ts"
import {
  type Relevance,
  relevanceOf,
  relevances,
  searchDocumentOf,
  type SearchQuery
} from "../../../domain/SearchQuery.ts"
import { contentOfRaw, idOfRaw, pubkeyOfRaw } from "../rawEvent.ts"

/** A row that may be an answer. */
export interface Candidate {
  readonly created_at: number
  readonly id_key: number
  readonly seq: number
  readonly raw: string
}

export interface Answer extends Candidate {
  readonly id: string
  readonly relevance: Relevance
}

/** Only what is read from the profile itself counts: the index says where to look. */
export class Answers {
  readonly #query: SearchQuery
  /** The query's, as names have it. */
  readonly #domain: string | undefined
  readonly #isMatch: (raw: string, seq: number) => boolean
  readonly #verifiedNip05: (pubkey: string) => string | undefined
  readonly #seen = new Set<number>()
  readonly #answers: Array<Answer> = []

  constructor(options: {
    readonly query: SearchQuery
    /** Do the other conditions of the filter hold? */
    readonly isMatch: (raw: string, seq: number) => boolean
    /** The NIP-05 name that this author was last found to have by right. */
    readonly verifiedNip05: (pubkey: string) => string | undefined
  }) {
    this.#query = options.query
    this.#domain = nip05NameOf(options.query.domain ?? "")?.domain
    this.#isMatch = options.isMatch
    this.#verifiedNip05 = options.verifiedNip05
  }

  /** Rows that were looked at, each once. */
  get looked(): number {
    return this.#seen.size
  }

  add(candidate: Candidate): void {
    const { raw, seq } = candidate
    if (this.#seen.has(seq)) return
    this.#seen.add(seq)
    if (!this.#isMatch(raw, seq)) return
    const relevance = this.#relevance(raw)
    if (relevance !== relevances.none) this.#answers.push({ ...candidate, id: idOfRaw(raw), relevance })
  }

  #relevance(raw: string): Relevance {
    const query = this.#query
    const profile = profileOf(contentOfRaw(raw), Infinity)
    if (typeof profile === "string") return relevances.none
    const pubkey = pubkeyOfRaw(raw)
    if (query.domain !== undefined) {
      const name = nip05NameOf(profile.nip05)
      if (name === undefined || name.domain !== this.#domain) return relevances.none
      if (this.#verifiedNip05(pubkey) !== nip05TextOf(name)) return relevances.none
      // A domain alone asks for everybody there.
      if (query.words.length === 0) return relevances.nip05
    }
    // Only asked where the profile claims the name that the query is.
    const isVerified = () => query.nip05 !== undefined && this.#verifiedNip05(pubkey) === nip05TextOf(query.nip05)
    return relevanceOf(query, searchDocumentOf(profile, pubkey), isVerified)
  }

  /** How many are at least that relevant. */
  count(relevance: Relevance): number {
    let count = 0
    for (const answer of this.#answers) if (answer.relevance >= relevance) count++
    return count
  }

  /** The best ones, the best first, and whether those are all of them. */
  best(limit: number): { readonly found: ReadonlyArray<Answer>; readonly complete: boolean } {
    const found = this.#answers.toSorted((a, b) => b.relevance - a.relevance || newestFirst(a, b))
    return { found: found.slice(0, limit), complete: found.length <= limit }
  }
}
