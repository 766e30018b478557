/**
 * The writer's side of the index of profiles: what a transaction has changed is entered at its end, in the order of the
 * index, which is what makes it cheap.
 *
 * What stands at a place is always worked out anew from the profiles that are there now, so nothing that happened on the
 * way, such as a write that was undone, can leave a trace.
 */
import type { DatabaseSync } from "node:sqlite"
import type { Event } from "../../../domain/Event.ts"
import { profileOf } from "../../../domain/Profile.ts"
import { searchDocumentOf } from "../../../domain/SearchQuery.ts"
import { prepare } from "../connection.ts"
import { prefixKey } from "../keys.ts"
import { contentOfRaw } from "../rawEvent.ts"
import { bucketOfNewcomers, type Place, placeOf, profilesAt, rowAt, timeMax } from "./places.ts"
import { termsOf, termsOfKnown } from "./terms.ts"

/** Profiles that share a place and are found there, where even two are rare. */
const perPlaceMax = 16

/** What has changed at the places of one time and slot, which profiles of several buckets may share. */
interface Change {
  readonly place: Omit<Place, "bucket">
  /** Buckets in which a profile was there, so its terms are. */
  readonly taken: Set<number>
  /** Contents of those that came, by `seq`. */
  readonly added: Map<number, string>
}

type Where = Pick<Event, "created_at" | "id" | "pubkey">

/** What the content of a kind 0 event is found by; empty for one that is no profile. */
const termsOfContent = (content: string, bucket: number): string => {
  const profile = profileOf(content, Infinity)
  if (typeof profile === "string") return ""
  const document = searchDocumentOf(profile)
  return termsOf(document) + termsOfKnown(document, bucket)
}

export class SearchIndex {
  /** By row number, but for the bucket. */
  readonly #changes = new Map<number, Change>()
  readonly #statements: ReturnType<typeof statementsOf>
  /** Rows may still be where an earlier version has put them, which knew no buckets. */
  #isMixed: boolean

  constructor(db: DatabaseSync) {
    this.#statements = statementsOf(db)
    this.#isMixed = this.#statements.backlog.get() !== undefined
  }

  /** A kind 0 event was stored. */
  added(seq: number, event: Pick<Event, "content" | "created_at" | "id">): void {
    this.#change(event)?.added.set(seq, event.content)
  }

  /** The same for one that may be in the index already, by what it was found by once. */
  again(seq: number, event: Where & Pick<Event, "content">): void {
    this.added(seq, event)
    this.removed(event)
  }

  /** A kind 0 event was removed, or is about to be moved. */
  removed(event: Where): void {
    const taken = this.#change(event)?.taken
    taken?.add((this.#statements.bucket.get(prefixKey(event.pubkey))?.[0] ?? bucketOfNewcomers) as number)
    if (this.#isMixed) taken?.add(0)
  }

  /** All of it is as this version has it. */
  settled(): void {
    this.#isMixed = false
  }

  #change({ created_at, id }: Pick<Event, "created_at" | "id">): Change | undefined {
    if (created_at > timeMax) return undefined
    const place = placeOf(0, created_at, prefixKey(id))
    const row = rowAt(place)
    let change = this.#changes.get(row)
    if (change === undefined) {
      change = { place, taken: new Set(), added: new Map() }
      this.#changes.set(row, change)
    }
    return change
  }

  /** Before the transaction is committed. */
  flush(): void {
    if (this.#changes.size === 0) return
    const { enter, leave } = this.#statements
    // The index takes rows in their order; any other makes it start a new segment for each.
    const changes = [...this.#changes.values()].flatMap((change) => this.#rowsOf(change)).toSorted((a, b) =>
      a.row - b.row
    )
    for (const { isTaken, row } of changes) if (isTaken) leave.run(row)
    for (const { row, terms } of changes) if (terms !== "") enter.run(row, terms)
    this.#changes.clear()
  }

  /** The rows that a change concerns, and what is to be found there. */
  #rowsOf(
    { added, place, taken }: Change
  ): ReadonlyArray<{ readonly row: number; readonly isTaken: boolean; readonly terms: string }> {
    const found = this.#profilesAt(place)
    const buckets = new Set(taken)
    for (const { bucket, seq } of found) if (added.has(seq)) buckets.add(bucket)
    return [...buckets].map((bucket) => {
      const seqs = found.filter((one) => one.bucket === bucket).map(({ seq }) => seq)
      const contents = seqs.map((seq) => added.get(seq) ?? contentOfRaw(this.#statements.rawOf.get(seq)?.[0] as string))
      const terms = contents.map((content) => termsOfContent(content, bucket)).join("")
      return { row: rowAt({ ...place, bucket }), isTaken: taken.has(bucket) || seqs.length > 1, terms }
    })
  }

  /** The profiles of a time and slot, of which there is almost always one: putting several in order costs as much as finding it. */
  #profilesAt({ created_at, slot }: Change["place"]): ReadonlyArray<{ readonly seq: number; readonly bucket: number }> {
    const { some, first } = this.#statements
    const found = some.all(created_at, slot)
    return (found.length < 2 ? found : first.all(created_at, slot)).map(([seq, bucket]) => ({
      seq: seq as number,
      bucket: bucket as number
    }))
  }

  /** The transaction was rolled back. */
  forget(): void {
    this.#changes.clear()
    this.#isMixed = this.#statements.backlog.get() !== undefined
  }
}

const statementsOf = (db: DatabaseSync) => {
  const seqsAt =
    `SELECT e.seq, coalesce((SELECT p.bucket FROM person p WHERE p.pubkey_key = e.pubkey_key), ${bucketOfNewcomers})
    FROM event e INDEXED BY event_kind WHERE ${profilesAt("?1", "?2")}`
  return {
    some: prepare(db, `${seqsAt} LIMIT 2`),
    // Those who were there first, as an id that begins like another one is quickly made.
    first: prepare(db, `${seqsAt} ORDER BY e.seq LIMIT ${perPlaceMax}`),
    rawOf: prepare(db, "SELECT raw FROM event WHERE seq = ?"),
    bucket: prepare(db, "SELECT bucket FROM person WHERE pubkey_key = ?"),
    backlog: prepare(db, "SELECT 1 FROM search_backlog"),
    // A number is bound as a real, which is no row number.
    enter: prepare(db, "INSERT INTO search (rowid, terms) VALUES (CAST(? AS INTEGER), ?)"),
    leave: prepare(db, "DELETE FROM search WHERE rowid = CAST(? AS INTEGER)")
  }
}
