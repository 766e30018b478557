/**
 * Puts profiles in the buckets of the index, by how well known their authors are (`domain/Standing.ts`).
 *
 * In small steps beside all other writes: each event that was stored is looked at once, in the order of the commit log, an
 * author whose verified name changes at once, and everybody again in turn, as years pass. A profile moves only when its bucket
 * changes, which is an ordinary small write.
 */
import { hash } from "node:crypto"
import type { DatabaseSync } from "node:sqlite"
import { nip05NameOf, nip05TextOf } from "../../../domain/Nip05.ts"
import { type Profile, profileOf } from "../../../domain/Profile.ts"
import { searchDocumentOf } from "../../../domain/SearchQuery.ts"
import { type Signals, standingOf } from "../../../domain/Standing.ts"
import type { SpaceName } from "../../Spaces.ts"
import { prepare } from "../connection.ts"
import { prefixKey } from "../keys.ts"
import { RawEvent } from "../rawEvent.ts"
import { bucketOfNewcomers } from "./places.ts"
import type { SearchIndex } from "./SearchIndex.ts"
import { atDomain, verifiedAt } from "./verified.ts"

/** Profiles of one step, about 20 ms, and events among which they are looked for. */
const stepMax = 128
const rowsMax = 512
/** Authors who are looked at again with each sweep that has nothing else to do. */
const againMax = 128
/** People with a verified name at one domain: of more, it is a provider. */
const ownDomainMax = 3

interface Person {
  readonly seen: number
  readonly bucket: number
}

/** One of those who look alike. */
interface Known extends Pick<Signals, "confirmed" | "seen"> {
  readonly key: number
  readonly profile: Profile
}

/** Seconds by which somebody has to have been here earlier: what is met in one harvest comes in no order. */
const earlier = 86_400

const isBefore = (a: Known, b: Known): boolean => {
  const own = Number(a.confirmed === "own domain") - Number(b.confirmed === "own domain")
  return own === 0 ? a.seen + earlier <= b.seen : own > 0
}

const recordOf = (space: SpaceName) => `SELECT value FROM record WHERE space = '${space}' AND key = ?`

export class Ranking {
  readonly #search: SearchIndex
  readonly #statements: ReturnType<typeof statementsOf>
  /** Authors to be looked at before the transaction ends. */
  readonly #touched = new Set<number>()

  constructor(db: DatabaseSync, search: SearchIndex) {
    this.#search = search
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
    const key = prefixKey(event.pubkey)
    const known = this.#personOf(key)
    const { seen, bucket }: Person = known ?? { seen: now, bucket: bucketOfNewcomers }
    if (known === undefined) this.#statements.enter.run(key, seen, bucket)
    const profile = profileOf(event.content, Infinity)
    if (typeof profile === "string") return
    const confirmed = this.#confirmed(event.pubkey, profile)
    const isCopy = this.#isCopy({ key, seen, confirmed, profile })
    const standing = standingOf({ confirmed, isSilent: this.#isSilent(event.pubkey), seen, isCopy }, now)
    if (standing === bucket) return
    this.#search.removed(event)
    this.#statements.move.run(standing, key)
    this.#search.added(seq, event)
  }

  #personOf(key: number): Person | undefined {
    const [seen, bucket] = this.#statements.person.get(key) ?? []
    return seen === undefined ? undefined : { seen: seen as number, bucket: bucket as number }
  }

  #confirmed(pubkey: string, { nip05 }: Profile): Signals["confirmed"] {
    const name = nip05 === "" ? undefined : nip05NameOf(nip05)
    const [value] = name === undefined ? [] : this.#statements.verified.get(pubkey) ?? []
    if (name === undefined || value !== JSON.stringify(nip05TextOf(name))) return undefined
    const there = this.#statements.atDomain.all(atDomain(name.domain), ownDomainMax + 1)
    return there.length > ownDomainMax ? "provider" : "own domain"
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
    for (const look of this.#looksOf(me.profile)) {
      const [holder] = this.#statements.look.get(look) ?? []
      if (holder === me.key) continue
      const other = holder === undefined ? undefined : this.#knownOf(holder as number, look)
      if (other !== undefined && isBefore(other, me)) isCopy = true
      else if (other === undefined || isBefore(me, other)) {
        this.#statements.claim.run(look, me.key)
        if (other !== undefined) this.#touched.add(other.key)
      }
    }
    return isCopy
  }

  /** Who has held a look, where that is still so. */
  #knownOf(key: number, look: number): Known | undefined {
    const person = this.#personOf(key)
    const [, raw] = this.#statements.profile.get(key) ?? []
    if (person === undefined || raw === undefined) return undefined
    const event = new RawEvent(raw as string)
    const profile = profileOf(event.content, Infinity)
    if (typeof profile === "string" || !this.#looksOf(profile).includes(look)) return undefined
    return { key, seen: person.seen, confirmed: this.#confirmed(event.pubkey, profile), profile }
  }

  /** What a profile looks like: each of its names with its picture, by URL and, where it was looked at, by file. */
  #looksOf(profile: Profile): ReadonlyArray<number> {
    const { picture } = profile
    if (picture === "") return []
    const { displayName, name } = searchDocumentOf(profile)
    const names = new Set([name.joined, displayName.joined].filter((joined) => joined !== ""))
    const pictures = [picture, ...this.#filesOf(picture)]
    return [...names].flatMap((name) => pictures.map((one) => prefixKey(hash("sha256", `${name}\n${one}`, "hex"))))
  }

  /** Lengths and hashes by which two files are one. Of most only the beginning is read. */
  #filesOf(picture: string): ReadonlyArray<string> {
    const [value] = this.#statements.picture.get(picture) ?? []
    if (value === undefined) return []
    const { outcome } = JSON.parse(value as string) as { readonly outcome?: { readonly facts?: PictureFile } }
    const { bytes, head, sha256 } = outcome?.facts ?? {}
    return [
      ...(sha256 === undefined ? [] : [`sha256 ${sha256}`]),
      ...(head === undefined || bytes === undefined ? [] : [`head ${bytes} ${head}`])
    ]
  }
}

/** What a record of a picture says of its file. */
interface PictureFile {
  readonly bytes?: number
  readonly sha256?: string
  /** SHA-256 of the first 4,096 bytes. */
  readonly head?: string
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
  profile: prepare(
    db,
    `SELECT seq, raw FROM event INDEXED BY event_author WHERE pubkey_key = ? AND kind = 0
      ORDER BY created_at DESC, id_key LIMIT 1`
  ),
  person: prepare(db, "SELECT seen, bucket FROM person WHERE pubkey_key = ?"),
  enter: prepare(db, "INSERT INTO person VALUES (?, ?, ?)"),
  move: prepare(db, "UPDATE person SET bucket = ? WHERE pubkey_key = ?"),
  look: prepare(db, "SELECT pubkey_key FROM look WHERE key = ?"),
  claim: prepare(db, "INSERT OR REPLACE INTO look VALUES (?, ?)"),
  verified: prepare(db, recordOf("nip05")),
  proof: prepare(db, recordOf("proof")),
  picture: prepare(db, recordOf("picture")),
  atDomain: prepare(db, `${verifiedAt} LIMIT ?`)
})
