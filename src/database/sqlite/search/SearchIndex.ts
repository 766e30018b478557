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
import { type Place, placeOf, profilesAt, rowAt, timeMax } from "./places.ts"
import { termsOf } from "./terms.ts"

/** Profiles that share a place and are found there, where even two are rare. */
const perPlaceMax = 16

interface Change {
  readonly place: Place
  /** A profile was there, so its terms are. */
  wasTaken: boolean
  /** The one that came last. */
  seq: number
  content: string
}

/** What the content of a kind 0 event is found by; empty for one that is no profile. */
const termsOfContent = (content: string): string => {
  const profile = profileOf(content, Infinity)
  return typeof profile === "string" ? "" : termsOf(searchDocumentOf(profile))
}

export class SearchIndex {
  /** By row number. */
  readonly #changes = new Map<number, Change>()
  readonly #statements: ReturnType<typeof statementsOf>

  constructor(db: DatabaseSync) {
    this.#statements = statementsOf(db)
  }

  /** A kind 0 event was stored. */
  added(seq: number, { content, created_at, id }: Pick<Event, "content" | "created_at" | "id">): void {
    const change = this.#change(created_at, id)
    if (change === undefined) return
    change.seq = seq
    change.content = content
  }

  /** The same for one that may be in the index already, by what it was found by once. */
  again(seq: number, event: Pick<Event, "content" | "created_at" | "id">): void {
    this.added(seq, event)
    this.removed(event.created_at, event.id)
  }

  /** A kind 0 event was removed. */
  removed(created_at: number, id: string): void {
    const change = this.#change(created_at, id)
    if (change !== undefined) change.wasTaken = true
  }

  #change(created_at: number, id: string): Change | undefined {
    if (created_at > timeMax) return undefined
    const place = placeOf(created_at, prefixKey(id))
    const row = rowAt(place)
    let change = this.#changes.get(row)
    if (change === undefined) {
      change = { place, wasTaken: false, seq: 0, content: "" }
      this.#changes.set(row, change)
    }
    return change
  }

  /** Before the transaction is committed. */
  flush(): void {
    if (this.#changes.size === 0) return
    const { enter, leave, rawOf } = this.#statements
    // The index takes rows in their order; any other makes it start a new segment for each.
    const changes = [...this.#changes].toSorted(([a], [b]) => a - b).map(([row, change]) => {
      const seqs = this.#seqsAt(change.place)
      const contents = seqs.map((seq) =>
        seq === change.seq ? change.content : contentOfRaw(rawOf.get(seq)?.[0] as string)
      )
      const terms = contents.map(termsOfContent).join("")
      return { row, isTaken: change.wasTaken || seqs.length > 1, terms }
    })
    for (const { isTaken, row } of changes) if (isTaken) leave.run(row)
    for (const { row, terms } of changes) if (terms !== "") enter.run(row, terms)
    this.#changes.clear()
  }

  /** The profiles of a place, of which there is almost always one: putting several in order costs as much as finding it. */
  #seqsAt({ created_at, slot }: Place): ReadonlyArray<number> {
    const { some, first } = this.#statements
    const found = some.all(created_at, slot)
    return (found.length < 2 ? found : first.all(created_at, slot)).map(([seq]) => seq as number)
  }

  /** The transaction was rolled back. */
  forget(): void {
    this.#changes.clear()
  }
}

const statementsOf = (db: DatabaseSync) => {
  const seqsAt = `SELECT e.seq FROM event e INDEXED BY event_kind WHERE ${profilesAt("?1", "?2")}`
  return {
    some: prepare(db, `${seqsAt} LIMIT 2`),
    // Those who were there first, as an id that begins like another one is quickly made.
    first: prepare(db, `${seqsAt} ORDER BY e.seq LIMIT ${perPlaceMax}`),
    rawOf: prepare(db, "SELECT raw FROM event WHERE seq = ?"),
    // A number is bound as a real, which is no row number.
    enter: prepare(db, "INSERT INTO search (rowid, terms) VALUES (CAST(? AS INTEGER), ?)"),
    leave: prepare(db, "DELETE FROM search WHERE rowid = CAST(? AS INTEGER)")
  }
}
