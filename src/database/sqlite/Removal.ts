/**
 * How events leave the file: hidden by the transaction that removes them, and gone with all their index entries in slices.
 *
 * Who asks for a removal decides what goes, not how long others wait for it: a transaction takes out as many index entries
 * as `removedMax`, and whatever is beyond that is hidden at the price of one, and left to the sweep. A single event is
 * hidden by its `expiration`, all of an author by a row of `leaving`. Both are on the disk, so a sweep goes on after a
 * restart where it was. Everything that reads looks at both.
 */
import type { DatabaseSync } from "node:sqlite"
import { type Event, isAddressable, isReplaceable } from "../../domain/Event.ts"
import { isRemoval, profileKind } from "../../domain/Kinds.ts"
import { removalWork, vanishRowsMax } from "../../domain/Work.ts"
import { prepare } from "./connection.ts"
import { addressKey, bytesOf, prefixKey, tagKeys } from "./keys.ts"
import * as LeavingRows from "./LeavingRows.ts"
import type { Leaving } from "./LeavingRows.ts"
import type * as Precedence from "./Precedence.ts"
import { type Stored, storedColumns, storedOf } from "./Precedence.ts"
import { idOfRaw, kindOfRaw, pubkeyOfRaw, RawEvent } from "./rawEvent.ts"
import type { SearchIndex } from "./search/SearchIndex.ts"

/** Work that a transaction spends on removing, in units of `domain/Work`: 25 ms of a file that is not in memory. */
export const removedMax = 4096

/** Ids and addresses that one author may have had removed without having published them here: each is remembered for ever. */
export const removalsMax = 5000

/** Rows of one statement. */
const rowsMax = 64

/** What hides a single event, and what its address becomes: no hash begins with eight zeros but once in 2^64. */
const hiddenAddress = (seq: number): Uint8Array => {
  const address = Buffer.alloc(16)
  address.writeBigUInt64BE(BigInt(seq), 8)
  return address
}

export class Removal {
  readonly #precedence: ReturnType<typeof Precedence.make>
  readonly #search: SearchIndex
  readonly #rowsOf: ReturnType<typeof LeavingRows.make>
  readonly #statements: ReturnType<typeof statementsOf>
  readonly #progress: () => void
  readonly #removed: () => void
  /** Units that this transaction may still spend on removing. */
  #left = 0
  /** How many have begun. */
  #transactions = 0
  /** Where the sweep of an author is; what is before it stays. */
  #sweeping: { readonly leaving: Leaving; readonly rows: LeavingRows.Rows } | undefined
  #hasLeftover: boolean

  /** `progress`: called often, whenever something was done; `removed`: called for each row that is gone. */
  constructor(
    db: DatabaseSync,
    options: {
      readonly precedence: ReturnType<typeof Precedence.make>
      readonly search: SearchIndex
      readonly progress: () => void
      readonly removed: () => void
    }
  ) {
    this.#precedence = options.precedence
    this.#search = options.search
    this.#progress = options.progress
    this.#removed = options.removed
    this.#statements = statementsOf(db)
    this.#rowsOf = LeavingRows.make(db)
    this.#hasLeftover = this.#statements.leaving.get() !== undefined || this.#statements.expired.get(0, 1) !== undefined
  }

  /** A transaction begins. */
  begin(): void {
    this.#left = removedMax
    this.#transactions++
  }

  /** It was rolled back: what it has removed is there again. */
  undo(): void {
    this.#sweeping = undefined
  }

  /** Is there something that a sweep should see to now? */
  get hasLeftover(): boolean {
    return this.#hasLeftover
  }

  /** An event is gone from now on. */
  take(stored: Stored): void {
    if (this.#left > 0) return this.#remove(stored)
    this.#left--
    this.#statements.hide.run(hiddenAddress(stored.seq), stored.seq)
    this.#hasLeftover = true
    this.#progress()
  }

  /** All of an author that is stored up to `seq` is gone from now on, whatever it is: an operator's decision. */
  ban(pubkey: string, seq: number): void {
    this.#leave({ pubkey, cause: "ban", until: Number.MAX_SAFE_INTEGER, seq })
  }

  /** Everything by the author up to the request is gone from now on, and refused (NIP-62). */
  vanish({ created_at, pubkey }: Event): void {
    this.#statements.vanish.run(bytesOf(pubkey), created_at)
    this.#leave({ pubkey, cause: "vanish", until: created_at, seq: Number.MAX_SAFE_INTEGER })
  }

  /**
   * What a kind 5 event names and its author owns is gone from now on, and refused whenever it arrives later (NIP-09).
   * False, with nothing done, when more would have to be remembered than one author may have removed.
   */
  deletion(request: Event): boolean {
    const ids = new Set<string>()
    const addresses = new Map<string, number>()
    for (const [name, value] of request.tags) {
      if (value === undefined) continue
      if (name === "e" && /^[0-9a-f]{64}$/.test(value)) ids.add(value)
      if (name === "a") {
        const [, digits, pubkey, d] = /^(\d{1,5}):([0-9a-f]{64})(?::(.*))?$/s.exec(value) ?? []
        const kind = Number(digits)
        if (pubkey !== request.pubkey || !(isReplaceable(kind) || isAddressable(kind))) continue
        addresses.set(`${kind}:${pubkey}:${isAddressable(kind) ? d ?? "" : ""}`, kind)
      }
    }
    const targets = this.#targets(request.pubkey, ids, addresses.keys())
    if (targets === undefined) return false
    for (const [id, stored] of targets) this.#removeId(id, stored, request.pubkey)
    for (const [address, kind] of addresses) this.#removeAddress(address, kind, request)
    return true
  }

  /**
   * What is stored of these ids. Undefined when too much else would have to be remembered for their author; what is new of
   * it is counted otherwise. An event that was here has been paid for by storing it.
   */
  #targets(
    pubkey: string,
    ids: ReadonlySet<string>,
    addresses: Iterable<string>
  ): ReadonlyMap<string, Stored | undefined> | undefined {
    const { addressKnown, count, counted, idKnown } = this.#statements
    const author = bytesOf(pubkey)
    const before = (count.get(author)?.[0] ?? 0) as number
    const targets = new Map<string, Stored | undefined>()
    let added = 0
    for (const id of ids) {
      const stored = this.#precedence.find(id)
      if (stored === undefined && idKnown.get(bytesOf(id), author) === undefined) added++
      if (before + added > removalsMax) return undefined
      targets.set(id, stored)
      this.#progress()
    }
    for (const address of addresses) {
      if (addressKnown.get(addressKey(address)) === undefined) added++
      if (before + added > removalsMax) return undefined
    }
    if (added > 0) counted.run(author, added)
    return targets
  }

  #removeId(id: string, stored: Stored | undefined, pubkey: string): void {
    // Whose an unknown one is will show when it comes; until then the claim stands beside its claimant.
    if (stored !== undefined && (pubkeyOfRaw(stored.head) !== pubkey || isRemoval(kindOfRaw(stored.head)))) return
    this.#statements.removedId.run(bytesOf(id), bytesOf(pubkey))
    this.#progress()
    if (stored !== undefined) this.take(stored)
  }

  #removeAddress(address: string, kind: number, { created_at, pubkey }: Event): void {
    const key = addressKey(address)
    this.#statements.removedAddress.run(key, created_at)
    const rows = isAddressable(kind)
      ? this.#statements.atAddress.all(key)
      : this.#statements.byAuthorKind.all(prefixKey(pubkey), kind)
    for (const stored of rows.map(storedOf)) {
      if (stored.created_at <= created_at && pubkeyOfRaw(stored.head) === pubkey) this.take(stored)
    }
  }

  #remove({ created_at, head, seq, tags }: Stored): void {
    if (tags > 0) {
      const idKey = prefixKey(idOfRaw(head))
      for (const key of tagKeys(this.#tagsOf(seq))) {
        this.#statements.removeTag.run(key, created_at, idKey, seq)
        this.#progress()
      }
    }
    this.#statements.remove.run(seq)
    if (kindOfRaw(head) === profileKind) {
      this.#search.removed({ created_at, id: idOfRaw(head), pubkey: pubkeyOfRaw(head) })
    }
    this.#left -= removalWork(tags)
    this.#removed()
    this.#progress()
  }

  #tagsOf(seq: number): Event["tags"] {
    return new RawEvent(this.#statements.rawOf.get(seq)?.[0] as string).tags
  }

  /** Who has little is gone at once; of anybody else a row says so, and the sweep sees to it. */
  #leave(leaving: Leaving): void {
    // By number, as a gift wrap to oneself is found as both.
    const going = new Map<number, Stored>()
    let looked = 0
    for (const stored of this.#rowsOf(leaving, () => this.#transactions)) {
      if (stored !== undefined) going.set(stored.seq, stored)
      if (++looked < vanishRowsMax) continue
      this.#statements.leave.run(bytesOf(leaving.pubkey), leaving.cause, leaving.until, leaving.seq)
      this.#statements.someLeave.run()
      this.#hasLeftover = true
      // A sweep of theirs that is under way knows less.
      if (this.#sweeping?.leaving.pubkey === leaving.pubkey) this.#sweeping = undefined
      return
    }
    for (const stored of going.values()) this.take(stored)
  }

  /** Removes some of what has expired by `now` (Unix seconds) or is hidden, a transaction's worth; false for "that was all". */
  sweep(now: number): boolean {
    while (this.#left > 0) {
      const rows = this.#statements.expired.all(now, rowsMax)
      for (const stored of rows.map(storedOf)) if (this.#left > 0) this.#remove(stored)
      if (rows.length < rowsMax) break
    }
    while (this.#left > 0) {
      this.#sweeping ??= this.#nextLeaving()
      if (this.#sweeping === undefined) {
        this.#hasLeftover = false
        return false
      }
      const { leaving, rows } = this.#sweeping
      const next = rows.next()
      this.#left--
      this.#progress()
      if (next.done !== true) {
        if (next.value !== undefined) this.#remove(next.value)
        continue
      }
      this.#statements.left.run(bytesOf(leaving.pubkey), leaving.cause)
      if (this.#statements.leaving.get() === undefined) this.#statements.noneLeave.run()
      this.#sweeping = undefined
    }
    return true
  }

  #nextLeaving(): { readonly leaving: Leaving; readonly rows: LeavingRows.Rows } | undefined {
    const row = this.#statements.leaving.get()
    if (row === undefined) return undefined
    const [pubkey, cause, until, seq] = row as [string, Leaving["cause"], number, number]
    const leaving = { pubkey, cause, until, seq }
    return { leaving, rows: this.#rowsOf(leaving, () => this.#transactions) }
  }
}

const statementsOf = (db: DatabaseSync) => ({
  rawOf: prepare(db, "SELECT raw FROM event WHERE seq = ?"),
  remove: prepare(db, "DELETE FROM event WHERE seq = ?"),
  removeTag: prepare(db, "DELETE FROM tag WHERE key = ? AND created_at = ? AND id_key = ? AND seq = ?"),
  // As many bytes as before, where there was no time or one like it: then the text behind it is not written again.
  hide: prepare(
    db,
    `UPDATE event SET expiration = -abs(coalesce(expiration, 0)), address = CASE WHEN address IS NULL THEN NULL ELSE ? END
      WHERE seq = ?`
  ),
  expired: prepare(
    db,
    `SELECT ${storedColumns} FROM event INDEXED BY event_expiration WHERE expiration <= ? ORDER BY expiration LIMIT ?`
  ),
  idKnown: prepare(db, "SELECT 1 FROM removed_id WHERE id = ? AND pubkey = ?"),
  addressKnown: prepare(db, "SELECT 1 FROM removed_address WHERE address = ?"),
  count: prepare(db, "SELECT count FROM removal_count WHERE pubkey = ?"),
  counted: prepare(
    db,
    "INSERT INTO removal_count VALUES (?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count"
  ),
  removedId: prepare(db, "INSERT OR IGNORE INTO removed_id VALUES (?, ?)"),
  removedAddress: prepare(
    db,
    "INSERT INTO removed_address VALUES (?, ?) ON CONFLICT DO UPDATE SET until = max(until, excluded.until)"
  ),
  byAuthorKind: prepare(
    db,
    `SELECT ${storedColumns} FROM event INDEXED BY event_author WHERE pubkey_key = ? AND kind = ?`
  ),
  atAddress: prepare(db, `SELECT ${storedColumns} FROM event INDEXED BY event_address WHERE address = ?`),
  vanish: prepare(
    db,
    "INSERT INTO vanished VALUES (?, ?, 0) ON CONFLICT DO UPDATE SET until = max(until, excluded.until)"
  ),
  leave: prepare(
    db,
    `INSERT INTO leaving VALUES (?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET until = max(until, excluded.until), seq = max(seq, excluded.seq)`
  ),
  someLeave: prepare(db, "UPDATE commit_log SET leaving = abs(leaving) + 1"),
  noneLeave: prepare(db, "UPDATE commit_log SET leaving = -abs(leaving)"),
  left: prepare(db, "DELETE FROM leaving WHERE pubkey = ? AND cause = ?"),
  leaving: prepare(db, "SELECT lower(hex(pubkey)), cause, until, seq FROM leaving LIMIT 1")
})
