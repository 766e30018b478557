/**
 * The one writer of the file: applies batches, synchronously, each in one transaction.
 *
 * Runs in the ingester's thread, or inline for tests; knows nothing of either. Throws when storage fails, which is for
 * good: after a failed write or sync the kernel may have dropped pages, so nothing this process writes could be trusted.
 */
import type { DatabaseSync } from "node:sqlite"
import { addressOf, type Event, expirationOf, isAddressable, isReplaceable } from "../../domain/Event.ts"
import { deletionKind, giftWrapKind, isRemoval, profileKind, vanishKind } from "../../domain/Kinds.ts"
import { isVanishFor } from "../../domain/RelayUrl.ts"
import { messageOf } from "../../observability/messageOf.ts"
import type { Outcome } from "../Database.ts"
import type {
  StoreAnswer,
  StoreBatch,
  StoreOperation,
  StoreRequest,
  StoreResult,
  StoreSizes,
  SweepAnswer
} from "../storeProtocol.ts"
import { prepare } from "./connection.ts"
import { addressKey, bytesOf, prefixKey, tagKey, tagKeys } from "./keys.ts"
import * as Precedence from "./Precedence.ts"
import { type Stored, storedColumns, storedOf } from "./Precedence.ts"
import { idOfRaw, kindOfRaw, pubkeyOfRaw, RawEvent } from "./rawEvent.ts"
import { SearchIndex } from "./search/SearchIndex.ts"

const done: Outcome = { _tag: "Done" }

/**
 * Result codes that blame the write and not the storage: too big, constraint, mismatch, range (sqlite.org/rescode.html).
 * Errors without a code are our own.
 */
const blamesWrite: ReadonlySet<number> = new Set([18, 19, 20, 25])

const failsStorage = (error: unknown): boolean => {
  const code = (error as { readonly errcode?: unknown } | null)?.errcode
  return typeof code === "number" && !blamesWrite.has(code & 0xff)
}

/** Rows that one transaction removes at most, so that one request to vanish does not hold up every other write. */
const removedMax = 2000

export class SqliteStore {
  readonly #db: DatabaseSync
  readonly #relayUrl: string
  readonly #precedence: ReturnType<typeof Precedence.make>
  readonly #search: SearchIndex
  readonly #statements: ReturnType<typeof statementsOf>
  #seq: number
  #events: number
  #pending: boolean

  /** `relayUrl`: our own address; a request to vanish counts when it names it, or all relays (NIP-62). */
  constructor(db: DatabaseSync, relayUrl: string) {
    this.#db = db
    this.#relayUrl = relayUrl
    this.#precedence = Precedence.make(this.#db)
    this.#search = new SearchIndex(this.#db)
    this.#statements = statementsOf(this.#db)
    const [seq, events] = prepare(this.#db, "SELECT seq, events FROM commit_log").get() ?? [0, 0]
    this.#seq = seq as number
    this.#events = events as number
    this.#pending = this.#statements.pending.get() !== undefined
  }

  get sizes(): StoreSizes {
    return { seq: this.#seq, events: this.#events }
  }

  /** The connection, for a reader in the same thread. */
  get connection(): DatabaseSync {
    return this.#db
  }

  /** What the ingester's thread is asked for. */
  request(request: StoreRequest): StoreAnswer | SweepAnswer {
    return request._tag === "Apply" ? this.apply(request.batch) : this.sweep(request.now)
  }

  /** Applies all writes in one transaction that is on disk when this returns. */
  apply(batch: StoreBatch): StoreAnswer {
    // A write that fails is a rarity, so nobody pays for savepoints until one has: then the batch is done again.
    const results = this.#transaction(
      () => batch.writes.map((write) => this.#write(write, batch.now)),
      () => batch.writes.map((write) => this.#attempt(write, batch.now))
    )
    return { results, ...this.sizes }
  }

  /** Removes some of what has expired by `now` (Unix seconds) and of what vanished authors left. */
  sweep(now: number): SweepAnswer {
    const removed = this.#transaction(() => {
      const expired = this.#statements.expired.all(now, removedMax).map(storedOf)
      for (const stored of expired) this.#remove(stored)
      return expired.length + (this.#pending ? this.#sweepVanished(removedMax - expired.length) : 0)
    })
    return { done: removed < removedMax, ...this.sizes }
  }

  /** Folds the WAL into the file and closes it; says what became of the WAL. */
  close(): string {
    const [busy] = prepare(this.#db, "PRAGMA wal_checkpoint(TRUNCATE)").get() ?? []
    this.#db.close()
    return busy === 1 ? "skipped: a reader was still open" : "checkpointed"
  }

  /** Runs `body`; when it fails for a reason that is not the storage's, rolls back and runs `fallback` instead. */
  #transaction<A>(body: () => A, fallback?: () => A): A {
    const { begin, commit, log, rollback } = this.#statements
    const before = this.sizes
    try {
      begin.run()
      const result = body()
      this.#search.flush()
      if (this.#seq !== before.seq || this.#events !== before.events) log.run(this.#seq, this.#events)
      commit.run()
      return result
    } catch (error) {
      this.#seq = before.seq
      this.#events = before.events
      this.#search.forget()
      if (this.#db.isTransaction) rollback.run()
      if (fallback === undefined || failsStorage(error)) throw error
      return this.#transaction(fallback)
    }
  }

  #write(operations: ReadonlyArray<StoreOperation>, now: number): StoreResult {
    return { _tag: "Applied", outcomes: operations.map((operation) => this.#operate(operation, now)) }
  }

  /** A write that may fail by itself. */
  #attempt(operations: ReadonlyArray<StoreOperation>, now: number): StoreResult {
    const { release, savepoint, undo } = this.#statements
    const before = this.sizes
    savepoint.run()
    try {
      return this.#write(operations, now)
    } catch (error) {
      if (failsStorage(error)) throw error
      undo.run()
      this.#seq = before.seq
      this.#events = before.events
      return { _tag: "Refused", message: messageOf(error) }
    } finally {
      if (this.#db.isTransaction) release.run()
    }
  }

  #operate(operation: StoreOperation, now: number): Outcome {
    switch (operation._tag) {
      case "Save":
        return this.#save(new RawEvent(operation.raw), operation.raw, now)
      case "Delete":
        for (const id of operation.ids) {
          const stored = this.#precedence.find(id)
          if (stored !== undefined) this.#remove(stored)
        }
        return done
      default:
        if (operation.value === null) this.#statements.forget.run(operation.space, operation.key)
        else this.#statements.remember.run(operation.space, operation.key, operation.value, operation.due)
        return done
    }
  }

  #save(event: Event, raw: string, now: number): Outcome {
    const standing = this.#precedence.judge(event, now)
    if (standing._tag !== "New") return standing
    if (standing.replaces !== undefined) this.#remove(standing.replaces)
    const seq = this.#seq + 1
    const keys = tagKeys(event.tags)
    const idKey = prefixKey(event.id)
    this.#statements.insert.run(
      seq,
      idKey,
      prefixKey(event.pubkey),
      event.kind,
      event.created_at,
      expirationOf(event) ?? null,
      isAddressable(event.kind) ? addressKey(addressOf(event) ?? "") : null,
      keys.length,
      raw
    )
    for (const key of keys) this.#statements.insertTag.run(key, event.created_at, idKey, seq)
    this.#seq = seq
    this.#events++
    if (event.kind === profileKind) this.#search.added(seq, event)
    if (event.kind === deletionKind) this.#applyDeletion(event)
    if (event.kind === vanishKind) this.#applyVanish(event)
    return { _tag: "Saved", seq }
  }

  #remove({ created_at, head, seq, tags }: Stored): void {
    if (tags > 0) {
      const idKey = prefixKey(idOfRaw(head))
      for (const key of tagKeys(this.#tagsOf(seq))) this.#statements.removeTag.run(key, created_at, idKey, seq)
    }
    this.#statements.remove.run(seq)
    if (kindOfRaw(head) === profileKind) this.#search.removed(created_at, idOfRaw(head))
    this.#events--
  }

  #tagsOf(seq: number): Event["tags"] {
    return new RawEvent(this.#statements.rawOf.get(seq)?.[0] as string).tags
  }

  /** Removes what a kind 5 event names and its author owns, now and whenever it arrives later (NIP-09). */
  #applyDeletion(request: Event): void {
    for (const [name, value] of request.tags) {
      if (value === undefined) continue
      if (name === "e" && /^[0-9a-f]{64}$/.test(value)) this.#removeId(value, request.pubkey)
      if (name === "a") this.#removeAddress(value, request)
    }
  }

  #removeId(id: string, pubkey: string): void {
    const stored = this.#precedence.find(id)
    if (stored === undefined) {
      // Whose it is will show when it comes; until then the claim stands beside its claimant.
      this.#statements.removedId.run(bytesOf(id), bytesOf(pubkey))
      return
    }
    const kind = kindOfRaw(stored.head)
    if (pubkeyOfRaw(stored.head) !== pubkey || isRemoval(kind)) return
    this.#statements.removedId.run(bytesOf(id), bytesOf(pubkey))
    this.#remove(stored)
  }

  #removeAddress(value: string, request: Event): void {
    const [, digits, pubkey, d] = /^(\d{1,5}):([0-9a-f]{64})(?::(.*))?$/s.exec(value) ?? []
    const kind = Number(digits)
    if (pubkey !== request.pubkey || !(isReplaceable(kind) || isAddressable(kind))) return
    const address = addressKey(`${kind}:${pubkey}:${isAddressable(kind) ? d ?? "" : ""}`)
    this.#statements.removedAddress.run(address, request.created_at)
    const rows = isAddressable(kind)
      ? this.#statements.atAddress.all(address)
      : this.#statements.byAuthorKind.all(prefixKey(pubkey), kind)
    for (const stored of rows.map(storedOf)) {
      if (stored.created_at <= request.created_at && pubkeyOfRaw(stored.head) === pubkey) this.#remove(stored)
    }
  }

  /** Removes everything by the author up to the request, if it is meant for us (NIP-62). */
  #applyVanish(request: Event): void {
    if (!isVanishFor(request, this.#relayUrl)) return
    this.#statements.vanish.run(bytesOf(request.pubkey), request.created_at)
    this.#pending = true
    this.#sweepVanished(removedMax)
  }

  /** Deletes what vanished authors left, at most so many rows; the rest waits for `sweep`. */
  #sweepVanished(rowsMax: number): number {
    let removed = 0
    for (const [pubkeyBytes, until] of this.#statements.pending.all()) {
      const pubkey = Buffer.from(pubkeyBytes as Uint8Array).toString("hex")
      const left = () => rowsMax - removed
      for (const stored of this.#statements.byAuthor.all(prefixKey(pubkey), until as number, left()).map(storedOf)) {
        removed++
        if (pubkeyOfRaw(stored.head) === pubkey) this.#remove(stored)
      }
      const wraps = this.#statements.byTag.all(tagKey("p", pubkey), until as number, giftWrapKind, left())
      for (const stored of wraps.map(storedOf)) {
        removed++
        if (this.#tagsOf(stored.seq).some((tag) => tag[0] === "p" && tag[1] === pubkey)) this.#remove(stored)
      }
      if (left() <= 0) return removed
      this.#statements.settled.run(pubkeyBytes as Uint8Array)
    }
    this.#pending = false
    return removed
  }
}

const statementsOf = (db: DatabaseSync) => {
  return {
    begin: prepare(db, "BEGIN IMMEDIATE"),
    commit: prepare(db, "COMMIT"),
    rollback: prepare(db, "ROLLBACK"),
    savepoint: prepare(db, "SAVEPOINT write"),
    undo: prepare(db, "ROLLBACK TO write"),
    release: prepare(db, "RELEASE write"),
    log: prepare(db, "UPDATE commit_log SET seq = ?, events = ? WHERE one = 1"),
    insert: prepare(db, "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"),
    insertTag: prepare(db, "INSERT INTO tag VALUES (?, ?, ?, ?)"),
    rawOf: prepare(db, "SELECT raw FROM event WHERE seq = ?"),
    remove: prepare(db, "DELETE FROM event WHERE seq = ?"),
    removeTag: prepare(db, "DELETE FROM tag WHERE key = ? AND created_at = ? AND id_key = ? AND seq = ?"),
    remember: prepare(
      db,
      `INSERT INTO record VALUES (?, ?, ?, ?)
        ON CONFLICT (space, key) DO UPDATE SET value = excluded.value, due = excluded.due`
    ),
    forget: prepare(db, "DELETE FROM record WHERE space = ? AND key = ?"),
    removedId: prepare(db, "INSERT OR IGNORE INTO removed_id VALUES (?, ?)"),
    removedAddress: prepare(
      db,
      "INSERT INTO removed_address VALUES (?, ?) ON CONFLICT DO UPDATE SET until = max(until, excluded.until)"
    ),
    vanish: prepare(
      db,
      `INSERT INTO vanished VALUES (?, ?, 1)
        ON CONFLICT DO UPDATE SET until = max(until, excluded.until), pending = 1`
    ),
    pending: prepare(db, "SELECT pubkey, until FROM vanished WHERE pending = 1"),
    settled: prepare(db, "UPDATE vanished SET pending = 0 WHERE pubkey = ?"),
    expired: prepare(
      db,
      `SELECT ${storedColumns} FROM event INDEXED BY event_expiration WHERE expiration <= ? LIMIT ?`
    ),
    byAuthorKind: prepare(
      db,
      `SELECT ${storedColumns} FROM event INDEXED BY event_author WHERE pubkey_key = ? AND kind = ?`
    ),
    byAuthor: prepare(
      db,
      `SELECT ${storedColumns} FROM event INDEXED BY event_author
        WHERE pubkey_key = ? AND created_at <= ? AND kind <> ${vanishKind} LIMIT ?`
    ),
    atAddress: prepare(db, `SELECT ${storedColumns} FROM event INDEXED BY event_address WHERE address = ?`),
    byTag: prepare(
      db,
      `SELECT ${storedColumns} FROM tag CROSS JOIN event ON event.seq = tag.seq
        WHERE tag.key = ? AND tag.created_at <= ? AND event.kind = ? LIMIT ?`
    )
  }
}
