/** Profiles that were found, put in order. */
import { newestFirst } from "../../../domain/Event.ts"
import { nip05NameOf, nip05TextOf } from "../../../domain/Nip05.ts"
import { profileOf } from "../../../domain/Profile.ts"
import {
  isAlmost,
  pointsOf,
  pointsOfExact,
  pointsOfSlip,
  type Relevance,
  relevanceOf,
  relevances,
  scoreOf,
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
  /** How well known its author is. */
  readonly bucket: number
}

export interface Answer extends Candidate {
  readonly id: string
  /** What the text is worth. */
  readonly points: number
  /** That, and how well known the author is; as the query wants it (`SearchSort`). */
  readonly score: number
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
  #isUnlike = true

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
    if (relevance === relevances.none) return
    if (relevance >= relevances.displayNameStart) this.#isUnlike = false
    this.#push(candidate, pointsOf(relevance, this.#query.joined.length))
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

  /** Has nobody a name that is, or begins with, what was asked for? */
  get isUnlike(): boolean {
    return this.#isUnlike
  }

  /** One that is looked at only for what it almost is. */
  addAlmost(candidate: Candidate): void {
    const { raw, seq } = candidate
    if (!this.#isMatch(raw, seq) || this.#answers.some((answer) => answer.seq === seq)) return
    const profile = profileOf(contentOfRaw(raw), Infinity)
    if (typeof profile === "string" || !isAlmost(this.#query, searchDocumentOf(profile))) return
    this.#push(candidate, pointsOfSlip)
  }

  #push(candidate: Candidate, points: number): void {
    const { bucket, raw } = candidate
    const { sort } = this.#query
    const score = sort === "rank" ? scoreOf(points, bucket) : sort === "text" ? points : Number(points >= pointsOfExact)
    this.#answers.push({ ...candidate, id: idOfRaw(raw), points, score })
  }

  /** What a further one from further down has to be worth more than to be among the best so many; undefined while any one is. */
  threshold(limit: number): number | undefined {
    if (this.#answers.length < limit) return undefined
    return this.#answers.map(({ score }) => score).toSorted((a, b) => b - a)[limit - 1]
  }

  /** The best ones, the best first, and whether those are all of them. */
  best(limit: number): { readonly found: ReadonlyArray<Answer>; readonly complete: boolean } {
    const byText = this.#query.sort === "new" ? 0 : 1
    const found = this.#answers.toSorted((a, b) =>
      b.score - a.score || byText * (b.points - a.points) || newestFirst(a, b)
    )
    return { found: found.slice(0, limit), complete: found.length <= limit }
  }
}
