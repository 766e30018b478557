/**
 * One search over the store (NIP-50): bounded work, whatever is asked for.
 *
 * Where a filter names ids, authors or tags, these choose the profiles, and each is looked at. Otherwise the text does. A key, a
 * verified NIP-05 name, or a domain with few such names leads to authors, and these to their profiles. Words lead to lists, which
 * are read one after the other, the best known first and never more than `listMax` of one.
 *
 * A list is read only as far down as an answer could still be among the best. Once enough are found, later lists are worth less by
 * their text, so only authors in a high enough bucket can make up for it, and mostly there is none. So a common word costs no more
 * than a rare one.
 *
 * Several common words may stand together in few profiles, far apart in their lists. These are walked together through a
 * stretch of bounded length; where one word is much rarer than another, its profiles are looked at one by one instead.
 *
 * Longer than other files: all ways to an answer draw on one budget of work, and are read beside each other.
 */
import type { DatabaseSync } from "node:sqlite"
import type { Filter } from "../../../domain/Filter.ts"
import { profileKind } from "../../../domain/Kinds.ts"
import { nip05NameOf, nip05TextOf } from "../../../domain/Nip05.ts"
import { bucketAbove, type SearchQuery } from "../../../domain/SearchQuery.ts"
import { bucketMax } from "../../../domain/Standing.ts"
import { verifiedNames } from "../../Spaces.ts"
import { prepare, type Statement } from "../connection.ts"
import type { Step } from "../FilterScan.ts"
import { prefixKey } from "../keys.ts"
import { pubkeyOfRaw } from "../rawEvent.ts"
import { type Answer, Answers, type Candidate } from "./Answers.ts"
import {
  bucketAt,
  bucketOfNewcomers,
  profilesAt,
  rowMax,
  rowsOf,
  slotOf,
  timeMax,
  timeOf,
  withoutBucket
} from "./places.ts"
import { almostOf, type List, oneOf, planOf } from "./plan.ts"
import { wellKnownMin } from "./terms.ts"
import { atDomain, verifiedAt } from "./verified.ts"

/** Answers to one search, whatever `limit` the filter has. */
const answersMax = 500
/** Profiles of one list that are looked at: 2 ms. More only where more are asked for. */
const listMax = 256
/** The same where there are several words, which are looked for together as well. */
const listOfSeveralMax = 128
/** Profiles that are read beyond those wanted, for the few of them that turn out to be no answers. */
const spare = 16
/** Profiles in the lists of several words that are looked at. */
const togetherMax = 128
/** Profiles with the rarest of several words that are looked at one by one: 2 ms. */
const rareMax = 128
/**
 * Rows of the stretches that are walked, of all lists together. A short one is enough for words that often meet; both cost
 * 4 ms at a million profiles.
 */
const lengths = [4096, 16_384]
/** So many times rarer, and looking at its profiles one by one gets further than walking. */
const skewMin = 32
/** Profiles that a filter's lists lead to: 40 ms in slices. */
const filteredMax = 4096
/** Authors with verified names at one domain who are looked at one by one; of more, the words choose. */
const domainMax = 256
/** Authors whose the very NIP-05 name is that is asked for: one, or a few that a domain has named one after the other. */
const exactMax = 8
/** Profiles that are looked at because of a name that is almost what was asked for. */
const slipsMax = 32
/** Profiles of one place that are looked at: mostly there is one. */
const perPlace = 16
/** Profiles between two pauses. */
const perStep = 64

/** A stretch of the index, both ends inclusive. */
interface Stretch {
  readonly first: number
  readonly last: number
}

export interface SearchOptions {
  readonly query: SearchQuery
  readonly filter: Filter
  readonly limit: number
  /** Unix seconds. */
  readonly now: number
  /** Does an event satisfy the filter, apart from the search? */
  readonly isMatch: (raw: string, seq: number) => boolean
}

export interface SearchResult {
  /** The best first. */
  readonly found: ReadonlyArray<Answer>
  /** False when there may be others. */
  readonly complete: boolean
}

/** What was read of a list. */
interface Found {
  readonly candidates: ReadonlyArray<Candidate>
  readonly rows: number
  /** The row number of the last one. */
  readonly last: number | undefined
}

type PlaceRow = readonly [created_at: number, id_key: number, seq: number, raw: string]

/** Some words by how common they are. */
interface Measured {
  readonly rarest: string
  readonly commonest: string
  /** Few profiles have the rarest: all of them can be looked at. */
  readonly isRare: boolean
  /** Looking at some of them still gets further than walking. */
  readonly isSkewed: boolean
}

const both = (words: ReadonlyArray<string>): string => words.map((word) => `(${word})`).join(" AND ")

function* look(candidates: ReadonlyArray<Candidate>, answers: Answers): Generator<undefined, void> {
  for (let i = 0; i < candidates.length; i++) {
    answers.add(candidates[i]!)
    if (i % perStep === perStep - 1) yield
  }
  yield
}

/** The first row of those that could still be among the best, of answers that are worth so much by their text. */
const firstWanted = (points: number, limit: number, answers: Answers): number => {
  const threshold = answers.threshold(limit)
  return threshold === undefined ? 0 : rowsOf(bucketAbove(points, threshold), 0, 0).first
}

export const make = (
  db: DatabaseSync,
  scan: (filter: Filter, wanted: number, now: number) => Generator<Step, void>
) => {
  const statements = statementsOf(db)

  const verifiedNip05 = (pubkey: string): string | undefined => {
    const [value] = statements.verified.get(pubkey) ?? []
    return value === undefined ? undefined : JSON.parse(value as string) as string
  }

  const bucketOf = (pubkey: string): number =>
    (statements.bucket.get(prefixKey(pubkey))?.[0] ?? bucketOfNewcomers) as number

  /** The best known of a list within a stretch; fewer than `limit` rows are all there are. */
  const read = (expression: string, { first, last }: Stretch, now: number, limit: number): Found => {
    const rows = statements.profiles.all(expression, first, last, now, limit)
    const isSettled = statements.backlog.get() === undefined
    const candidates: Array<Candidate> = []
    for (let i = 0; i < rows.length; i++) {
      const [created_at, id_key, seq, raw, row] = rows[i]! as [number, number, number, string, number]
      const bucket = bucketAt(row)
      // Whoever shares the time and the first bits of an id with somebody better known is not better known for that.
      const mayShare = row === rows[i - 1]?.[4] || row === rows[i + 1]?.[4] || i === limit - 1
      if (mayShare && isSettled && bucketOf(pubkeyOfRaw(raw)) !== bucket) continue
      candidates.push({ created_at, id_key, seq, raw, bucket })
    }
    return { candidates, rows: rows.length, last: rows.at(-1)?.[4] as number | undefined }
  }

  /** The row `offset` rows down a list, counted from its best known one; undefined where it is shorter. */
  const rowDown = (expression: string, { first, last }: Stretch, offset: number): number | undefined =>
    statements.down.get(expression, first, last, offset)?.[0] as number | undefined

  /**
   * What a filter leaves of the index, the best known first: all of it, or where it has times as much of each bucket as there
   * is anything of.
   */
  const stretchesOf = (filter: Filter): ReadonlyArray<Stretch> =>
    filter.since === undefined && filter.until === undefined ? [{ first: 0, last: rowMax }] : bucketsOf(filter)

  const bucketsOf = ({ since, until }: Filter): ReadonlyArray<Stretch> => {
    const found: Array<Stretch> = []
    for (let bucket = bucketMax; bucket >= 0; bucket--) {
      const rows = rowsOf(bucket, since ?? 0, until ?? timeMax)
      if (statements.within.get(rows.first, rows.last) !== undefined) found.push(rows)
    }
    return found
  }

  /** The most common and the rarest of some words. */
  function* measure(words: ReadonlyArray<string>, whole: Stretch): Generator<undefined, Measured> {
    let rarest = { word: "", row: Infinity }
    let commonest = { word: "", row: -Infinity }
    for (const word of words) {
      // How far down so many rows reach tells how common a word is.
      const row = rowDown(word, whole, rareMax - 1) ?? -1
      if (row < rarest.row) rarest = { word, row }
      if (row > commonest.row) commonest = { word, row }
      yield
    }
    const isRare = rarest.row === -1
    const isSkewed = !isRare &&
      rowDown(commonest.word, { first: rarest.row, last: whole.last }, skewMin * rareMax) !== undefined
    return { rarest: rarest.word, commonest: commonest.word, isRare, isSkewed }
  }

  /** Profiles that are in the lists of all words; true when these are all. */
  function* walk(words: ReadonlyArray<string>, whole: Stretch, now: number, answers: Answers) {
    const { commonest, isRare, isSkewed, rarest } = yield* measure(words, whole)
    if (isRare || isSkewed) {
      yield* look(read(rarest, whole, now, rareMax + spare).candidates, answers)
      return isRare
    }
    let { last } = whole
    let left = togetherMax
    for (const length of lengths) {
      const first = rowDown(commonest, { first: whole.first, last }, Math.floor(length / words.length)) ?? whole.first
      yield
      const { candidates, rows } = read(both(words), { first, last }, now, left)
      yield* look(candidates, answers)
      left -= rows
      if (left === 0) return false
      if (first === whole.first) return true
      last = first - 1
    }
    return false
  }

  /** Profiles of one list, as far as they are needed; true when these are all. */
  function* list(
    { expression, points }: List,
    stretches: ReadonlyArray<Stretch>,
    { limit, now, query }: SearchOptions,
    answers: Answers
  ) {
    let left = Math.max(query.words.length > 1 ? listOfSeveralMax : listMax, limit)
    // Asking the index costs as much as 30 profiles: the first few are often enough, and where they are not, many are needed.
    let chunk = limit + spare
    let isAll = true
    for (const stretch of stretches) {
      for (let { last } = stretch;;) {
        const first = Math.max(stretch.first, firstWanted(points, limit, answers))
        if (first > stretch.first) isAll = false
        if (first > last) break
        const wanted = Math.min(left, chunk)
        const found = read(expression, { first, last }, now, wanted)
        yield* look(found.candidates, answers)
        if (found.rows < wanted) break
        left -= wanted
        if (left === 0) return false
        chunk *= 2
        // There may be more at this place, but not for ever.
        last = found.last === last ? last - 1 : found.last!
      }
    }
    return isAll
  }

  /**
   * Profiles of one list in the order of their times, whatever buckets they are in; true when these are all. The newest rows
   * of each bucket are put in order first, as they cost a fiftieth of the profiles there, and the newest of all are read.
   */
  function* newest(
    { expression, points }: List,
    stretches: ReadonlyArray<Stretch>,
    { limit, now, query }: SearchOptions,
    answers: Answers
  ) {
    const wanted = Math.max(listMax, limit + spare)
    const rows: Array<number> = []
    for (const { first, last } of stretches) {
      rows.push(...statements.rows.all(expression, first, last, wanted).map(([row]) => row as number))
      yield
    }
    const shown = rows.toSorted((a, b) => withoutBucket(b) - withoutBucket(a)).slice(0, wanted)
    const isEnough = () => (answers.threshold(limit) ?? -Infinity) >= (query.sort === "new" ? 0 : points)
    for (let i = 0; i < shown.length; i++) {
      const row = shown[i]!
      const bucket = bucketAt(row)
      for (const [created_at, id_key, seq, raw] of statements.place.all(row, now) as ReadonlyArray<PlaceRow>) {
        answers.add({ created_at, id_key, seq, raw, bucket })
      }
      if (i % spare < spare - 1) continue
      yield
      // What comes further down is older, and worth no more by its text.
      if (isEnough() && withoutBucket(row) !== withoutBucket(shown[i + 1] ?? -1)) return i === rows.length - 1
    }
    yield
    return rows.length <= wanted
  }

  /** Answers chosen by the words, in an order that buckets have no part in; true when these are all. */
  function* byWordsAlone(options: SearchOptions, answers: Answers): Generator<undefined, boolean> {
    const { filter, limit, now, query } = options
    const { anywhere, lists } = planOf(query)
    const buckets = bucketsOf(filter)
    let complete = true
    for (const list of query.sort === "new" && lists.length > 0 ? [oneOf(lists)] : lists) {
      // What comes in later lists is worth less by its text.
      if (answers.threshold(limit) !== undefined) return false
      complete = (yield* newest(list, buckets, options, answers)) && complete
    }
    if (anywhere.length === 0) return complete
    if (query.sort === "text" && answers.threshold(limit) !== undefined) return false
    for (const stretch of stretchesOf(filter)) {
      complete = (yield* walk(anywhere, stretch, now, answers)) && complete
    }
    return complete
  }

  /** Names of the well known that are what was asked for but for one slip: a few of the best known. */
  function* slips({ now, query }: SearchOptions, stretches: ReadonlyArray<Stretch>, last: number, answers: Answers) {
    const almost = almostOf(query)
    const known = rowsOf(wellKnownMin, 0, 0).first
    if (almost === undefined || last < known) return
    for (const stretch of stretches) {
      const first = Math.max(stretch.first, known)
      if (first > stretch.last) return
      const found = read(almost.expression, { ...stretch, first }, now, slipsMax)
      for (const candidate of found.candidates) answers.addAlmost(candidate)
      yield
    }
  }

  /** Whose key, or verified NIP-05 name, the text is. */
  const exactly = ({ nip05, pubkey }: SearchQuery): ReadonlyArray<string> => [
    ...(pubkey === undefined ? [] : [pubkey]),
    ...(nip05 === undefined
      ? []
      : keysOf(statements.named, atDomain(nip05.domain), JSON.stringify(nip05TextOf(nip05)), exactMax))
  ]

  /** Profiles of some authors; true when these are all. */
  const byAuthors = (authors: ReadonlyArray<string>, options: SearchOptions, answers: Answers) =>
    byFilter({ ...options, filter: { ...options.filter, authors } }, answers)

  /** Answers chosen by the text; true when these are all. */
  function* byText(options: SearchOptions, answers: Answers): Generator<undefined, boolean> {
    const { query } = options
    if (query.domain !== undefined) {
      const authors = keysOf(statements.atDomain, atDomain(nip05NameOf(query.domain)?.domain ?? ""), domainMax + 1)
      if (authors.length <= domainMax) return yield* byAuthors(authors, options, answers)
    }
    const authors = exactly(query)
    if (authors.length > 0) yield* byAuthors(authors, options, answers)
    return yield* query.sort === "rank" ? byWords(options, answers) : byWordsAlone(options, answers)
  }

  /** Answers chosen by the words; true when these are all. */
  function* byWords(options: SearchOptions, answers: Answers): Generator<undefined, boolean> {
    const { limit, now, query } = options
    const stretches = stretchesOf(options.filter)
    const { anywhere, lists, points } = planOf(query)
    const last = statements.last.get()?.[0] as number | undefined ?? -1
    const isPromising = (points: number) => firstWanted(points, limit, answers) <= last
    let complete = true
    for (let i = 0; i < lists.length; i++) {
      if (answers.threshold(limit) === undefined) {
        complete = (yield* list(lists[i]!, stretches, options, answers)) && complete
        continue
      }
      // There are enough. Whoever is well enough known for the rest of the lists is looked for in all of them at once.
      complete = false
      const rest = lists.slice(i).filter(({ points }) => isPromising(points))
      if (rest.length > 0) yield* list(oneOf(rest), stretches, options, answers)
      break
    }
    if (answers.isUnlike) yield* slips(options, stretches, last, answers)
    if (anywhere.length === 0) return complete
    for (const stretch of stretches) {
      const first = Math.max(stretch.first, firstWanted(points, limit, answers))
      if (first > stretch.first) complete = false
      if (first <= Math.min(stretch.last, last)) {
        complete = (yield* walk(anywhere, { ...stretch, first }, now, answers)) && complete
      }
    }
    return complete
  }

  /** Answers chosen by the other lists of the filter. */
  function* byFilter({ filter, now }: SearchOptions, answers: Answers): Generator<undefined, boolean> {
    for (const step of scan({ ...filter, kinds: [profileKind] }, filteredMax, now)) {
      if (step === undefined) {
        yield
        continue
      }
      if (answers.looked === filteredMax) return false
      if (step.raw !== null) answers.add({ ...step, raw: step.raw, bucket: bucketOf(pubkeyOfRaw(step.raw)) })
      if (answers.looked % perStep === 0) yield
    }
    return true
  }

  function* search(options: SearchOptions): Generator<undefined, SearchResult> {
    const { filter, isMatch, query } = options
    const limit = Math.min(options.limit, answersMax)
    const answers = new Answers({ query, isMatch, verifiedNip05 })
    const { authors, ids, kinds, since = 0, tags, until = timeMax } = filter
    // Only profiles are searched, and only for something.
    const isNothing = query.isEmpty || kinds?.includes(0) === false || since > Math.min(until, timeMax)
    if (isNothing) return { found: [], complete: true }
    const isListed = ids !== undefined || authors !== undefined || (tags !== undefined && tags.size > 0)
    const complete = yield* isListed ? byFilter(options, answers) : byText({ ...options, limit }, answers)
    const best = answers.best(limit)
    // While profiles are still to be entered, a search may miss some of them.
    const isWhole = isListed || statements.backlog.get() === undefined
    return { found: best.found, complete: complete && best.complete && isWhole }
  }

  return { search }
}

const keysOf = (statement: Statement, ...parameters: ReadonlyArray<string | number>): ReadonlyArray<string> =>
  statement.all(...parameters).map(([key]) => key as string)

const statementsOf = (
  db: DatabaseSync
): Record<
  "profiles" | "place" | "rows" | "down" | "within" | "last" | "bucket" | "verified" | "named" | "atDomain" | "backlog",
  Statement
> => ({
  profiles: prepare(
    db,
    `SELECT e.created_at, e.id_key, e.seq, e.raw, s.rowid
      FROM search s CROSS JOIN event e INDEXED BY event_kind
        ON ${profilesAt(timeOf("s.rowid"), slotOf("s.rowid"))}
      WHERE s.search MATCH ?1 AND s.rowid >= CAST(?2 AS INTEGER) AND s.rowid <= CAST(?3 AS INTEGER)
        AND (e.expiration IS NULL OR e.expiration > ?4)
      ORDER BY s.rowid DESC LIMIT ?5`
  ),
  // The index by the text would be asked anew for each of them, which costs a hundred times as much.
  place: prepare(
    db,
    `SELECT e.created_at, e.id_key, e.seq, e.raw FROM event e INDEXED BY event_kind
      WHERE ${profilesAt(timeOf("CAST(?1 AS INTEGER)"), slotOf("CAST(?1 AS INTEGER)"))}
        AND (e.expiration IS NULL OR e.expiration > ?2)
      ORDER BY e.seq LIMIT ${perPlace}`
  ),
  rows: prepare(
    db,
    `SELECT rowid FROM search
      WHERE search MATCH ?1 AND rowid >= CAST(?2 AS INTEGER) AND rowid <= CAST(?3 AS INTEGER)
      ORDER BY rowid DESC LIMIT ?4`
  ),
  down: prepare(
    db,
    `SELECT rowid FROM search
      WHERE search MATCH ?1 AND rowid >= CAST(?2 AS INTEGER) AND rowid <= CAST(?3 AS INTEGER)
      ORDER BY rowid DESC LIMIT 1 OFFSET ?4`
  ),
  // What a full-text table has rows of.
  within: prepare(
    db,
    "SELECT 1 FROM search_docsize WHERE id >= CAST(? AS INTEGER) AND id <= CAST(? AS INTEGER) LIMIT 1"
  ),
  last: prepare(db, "SELECT max(id) FROM search_docsize"),
  bucket: prepare(db, "SELECT bucket FROM person WHERE pubkey_key = ?"),
  verified: prepare(db, `SELECT value FROM record WHERE space = '${verifiedNames}' AND key = ?`),
  named: prepare(db, `${verifiedAt} AND value = ? LIMIT ?`),
  atDomain: prepare(db, `${verifiedAt} LIMIT ?`),
  backlog: prepare(db, "SELECT 1 FROM search_backlog")
})
