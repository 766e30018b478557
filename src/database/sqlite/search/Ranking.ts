/**
 * Puts profiles in the buckets of the index, by how well known their authors are (`domain/Standing.ts`).
 *
 * In small steps beside all other writes: each event that was stored is looked at once, in the order of the commit log, an
 * author whose verified name changes at once, and everybody again in turn, as years pass. A profile moves only when its bucket
 * changes, which is an ordinary small write.
 */
import type { DatabaseSync } from "node:sqlite"
import { profileOf } from "../../../domain/Profile.ts"
import { standingOf } from "../../../domain/Standing.ts"
import { prepare } from "../connection.ts"
import { prefixKey } from "../keys.ts"
import { RawEvent } from "../rawEvent.ts"
import { isBefore, type Known, Looks, newestProfile, type RankedPerson, recordOf } from "./Looks.ts"
import { bucketOfNewcomers } from "./places.ts"
import type { SearchIndex } from "./SearchIndex.ts"

/** Profiles of one step, about 20 ms, and events among which they are looked for. */
const stepMax = 128
const rowsMax = 512
/** Authors who are looked at again with each sweep that has nothing else to do. */
const againMax = 128

/**
 * Looks that are examined for each that somebody claims who has changed: twice as fast as they come, so that of all looks no
 * more than about half are of the past, however often authors change their pictures.
 */
const prunedPerClaim = 2

export class Ranking {
  readonly #search: SearchIndex
  readonly #looks: Looks
  readonly #statements: ReturnType<typeof statementsOf>
  readonly #progress: () => void
  /** Authors to be looked at before the transaction ends. */
  readonly #touched = new Set<number>()

  /** Looks that were claimed so far. */
  #claimed = 0
  /** The look after which old ones are sought. */
  #pruned = 0

  /** `progress` is called for each profile, as a slow disk takes its time for what follows from a place that changes. */
  constructor(db: DatabaseSync, search: SearchIndex, progress: () => void = () => {}) {
    this.#search = search
    this.#progress = progress
    this.#looks = new Looks(db)
    this.#statements = statementsOf(db)
  }

  /** Something is known about an author that was not. */
  touch(pubkey: string): void {
    this.#touched.add(prefixKey(pubkey))
  }

  /** The transaction was rolled back. */
  forget(): void {
    this.#touched.clear()
  }

  /** Before the index is flushed; `now` in Unix seconds. */
  settle(now: number): void {
    // Whoever turns out to be a copy is added while this goes on, once.
    for (const key of this.#touched) this.#rankAuthor(key, now)
    this.#touched.clear()
  }

  /** Looks at the next profiles; true when there may be more. */
  step(now: number): boolean {
    const { cursor, next, reached } = this.#statements
    const [after] = cursor.get() as [number]
    const rows = next.all(after)
    let left = stepMax
    let last = after
    for (const [seq, raw] of rows) {
      if (raw !== null && left-- === 0) break
      last = seq as number
      if (raw !== null) this.#rank(last, new RawEvent(raw as string), now)
    }
    if (last !== after) reached.run(last)
    return rows.length === rowsMax || left < 0
  }

  /** Looks again at some of those who were looked at the longest ago. */
  again(now: number): void {
    const { cursor, people, turned } = this.#statements
    const [, after] = cursor.get() as [number, number]
    const keys = people.all(after).map(([key]) => key as number)
    for (const key of keys) this.#rankAuthor(key, now)
    turned.run(keys.length < againMax ? -1 : keys.at(-1)!)
  }

  #rankAuthor(key: number, now: number): void {
    const [seq, raw] = this.#statements.profile.get(key) ?? []
    if (seq !== undefined) this.#rank(seq as number, new RawEvent(raw as string), now)
  }

  #rank(seq: number, event: RawEvent, now: number): void {
    this.#progress()
    const key = prefixKey(event.pubkey)
    const known = this.#looks.personOf(key)
    const { seen, bucket }: RankedPerson = known ?? { seen: now, bucket: bucketOfNewcomers }
    if (known === undefined) this.#statements.enter.run(key, seen, bucket)
    const profile = profileOf(event.content, Infinity)
    if (typeof profile === "string") return
    const confirmed = this.#looks.confirmed(event.pubkey, profile)
    const claimed = this.#claimed
    const isCopy = this.#isCopy({ key, pubkey: event.pubkey, seen, confirmed, profile })
    // A first version leaves no look behind.
    if (known !== undefined) this.#prune(prunedPerClaim * (this.#claimed - claimed))
    const standing = standingOf({ confirmed, isSilent: this.#isSilent(event.pubkey), seen, isCopy }, now)
    if (standing === bucket) return
    this.#search.removed(event)
    this.#statements.move.run(standing, key)
    this.#search.added(seq, event)
  }

  #isSilent(pubkey: string): boolean {
    const [value] = this.#statements.proof.get(pubkey) ?? []
    return value !== undefined && (JSON.parse(value as string) as { readonly found?: unknown }).found === false
  }

  /**
   * Is there somebody with the same name and picture who was here before, or has the name by right where the author has not?
   * Who comes first by that is remembered for each look.
   */
  #isCopy(me: Known): boolean {
    let isCopy = false
    for (const look of this.#looks.of(me.profile)) {
      const holder = this.#looks.holderOf(look)
      if (holder === me.key) continue
      const other = holder === undefined ? undefined : this.#looks.knownOf(holder, look)
      if (other !== undefined && isBefore(other, me)) isCopy = true
      else if (other === undefined || isBefore(me, other)) {
        this.#statements.claim.run(look, me.key)
        this.#claimed++
        if (other !== undefined) this.#touched.add(other.key)
      }
    }
    return isCopy
  }

  /** Forgets those of the next looks whose holders have them no more. */
  #prune(count: number): void {
    if (count === 0) return
    const { drop, looks } = this.#statements
    const rows = looks.all(this.#pruned, count) as ReadonlyArray<ReadonlyArray<number>>
    for (const [look, holder] of rows) {
      if (this.#looks.knownOf(holder!, look!) === undefined) drop.run(look!)
    }
    this.#pruned = rows.length < count ? -1 : rows.at(-1)![0]!
  }
}

const statementsOf = (db: DatabaseSync) => ({
  cursor: prepare(db, "SELECT seq, pubkey_key FROM ranking"),
  reached: prepare(db, "UPDATE ranking SET seq = ?"),
  turned: prepare(db, "UPDATE ranking SET pubkey_key = ?"),
  next: prepare(
    db,
    `SELECT seq, CASE kind WHEN 0 THEN raw END FROM event WHERE seq > ? ORDER BY seq LIMIT ${rowsMax}`
  ),
  people: prepare(db, `SELECT pubkey_key FROM person WHERE pubkey_key > ? ORDER BY pubkey_key LIMIT ${againMax}`),
  profile: prepare(db, newestProfile),
  enter: prepare(db, "INSERT INTO person VALUES (?, ?, ?)"),
  move: prepare(db, "UPDATE person SET bucket = ? WHERE pubkey_key = ?"),
  looks: prepare(db, "SELECT key, pubkey_key FROM look WHERE key > ? ORDER BY key LIMIT ?"),
  drop: prepare(db, "DELETE FROM look WHERE key = ?"),
  claim: prepare(db, "INSERT OR REPLACE INTO look VALUES (?, ?)"),
  proof: prepare(db, recordOf("proof"))
})
