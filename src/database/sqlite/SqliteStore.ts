/**
 * The one writer of the file: applies batches, synchronously, each in one transaction.
 *
 * Runs in the ingester's thread, or inline for tests; knows nothing of either. Throws when storage fails, which is for
 * good: after a failed write or sync the kernel may have dropped pages, so nothing this process writes could be trusted.
 * A disk without room is no such failure: nothing was written then, and it says so.
 */
import type { DatabaseSync } from "node:sqlite"
import { addressOf, type Event, expirationOf, isAddressable } from "../../domain/Event.ts"
import { deletionKind, profileKind, vanishKind } from "../../domain/Kinds.ts"
import { isVanishFor } from "../../domain/RelayUrl.ts"
import { messageOf } from "../../observability/messageOf.ts"
import type { Outcome } from "../Database.ts"
import { verifiedNames } from "../Spaces.ts"
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
import { addressKey, prefixKey, tagKeys } from "./keys.ts"
import * as Precedence from "./Precedence.ts"
import { RawEvent } from "./rawEvent.ts"
import { Removal } from "./Removal.ts"
import { Backlog } from "./search/Backlog.ts"
import { Ranking } from "./search/Ranking.ts"
import { SearchIndex } from "./search/SearchIndex.ts"

const done: Outcome = { _tag: "Done" }
const tooMany: Outcome = { _tag: "TooManyRemovals" }

/**
 * Result codes that blame the write and not the storage: too big, constraint, mismatch, range (sqlite.org/rescode.html).
 * Errors without a code are our own.
 */
const blamesWrite: ReadonlySet<number> = new Set([18, 19, 20, 25])

const failsStorage = (error: unknown): boolean => {
  const code = (error as { readonly errcode?: unknown } | null)?.errcode
  return typeof code === "number" && !blamesWrite.has(code & 0xff)
}

/**
 * `SQLITE_FULL`: no room for a page of the log, which is rolled back as if it had never begun. `SQLITE_IOERR_SHMSIZE`: none for
 * the log's index, which is looked for before anything is written. A sync that fails is neither, whatever it blames.
 */
const wantsRoom: ReadonlySet<unknown> = new Set([13, 10 | (19 << 8)])
/** `SQLITE_IOERR_WRITE`: a page that was not taken, by which SQLite also names a quota that is used up (EDQUOT). */
const notTaken = 10 | (3 << 8)

export class SqliteStore {
  readonly #db: DatabaseSync
  readonly #relayUrl: string
  readonly #precedence: ReturnType<typeof Precedence.make>
  readonly #search: SearchIndex
  readonly #backlog: Backlog
  readonly #ranking: Ranking
  readonly #statements: ReturnType<typeof statementsOf>
  #seq: number
  #events: number
  readonly #removal: Removal
  readonly #progress: () => void
  readonly #isCramped: () => boolean

  /**
   * `relayUrl`: our own address; a request to vanish counts when it names it, or all relays (NIP-62). `progress` is called
   * whenever something was done, so that a long transaction can be told from a hung disk. `isCramped`: is there no room for
   * a page now? It is asked when one was not taken, for a reason that SQLite keeps to itself.
   */
  constructor(
    db: DatabaseSync,
    relayUrl: string,
    progress: () => void = () => {},
    isCramped: () => boolean = () => false
  ) {
    this.#db = db
    this.#relayUrl = relayUrl
    this.#precedence = Precedence.make(this.#db)
    this.#search = new SearchIndex(this.#db)
    this.#backlog = new Backlog(this.#db, this.#search, progress)
    this.#ranking = new Ranking(this.#db, this.#search, progress)
    this.#statements = statementsOf(this.#db)
    const [seq, events] = prepare(this.#db, "SELECT seq, events FROM commit_log").get() ?? [0, 0]
    this.#seq = seq as number
    this.#events = events as number
    this.#progress = progress
    this.#isCramped = isCramped
    this.#removal = new Removal(this.#db, {
      precedence: this.#precedence,
      search: this.#search,
      progress,
      removed: () => void this.#events--
    })
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
    try {
      // A write that fails is a rarity, so nobody pays for savepoints until one has: then the batch is done again.
      const results = this.#transaction(
        batch.now,
        () => batch.writes.map((write) => this.#write(write, batch.now)),
        () => batch.writes.map((write) => this.#attempt(write, batch.now))
      )
      return { results, hasLeftover: this.#removal.hasLeftover, ...this.sizes }
    } catch (error) {
      if (!this.#isWithoutRoom(error)) throw error
      const refused: StoreResult = { _tag: "Refused", message: messageOf(error) }
      return { results: batch.writes.map(() => refused), isFull: true, ...this.sizes }
    }
  }

  /** Removes some of what has expired by `now` (Unix seconds) and of what is hidden already; then, searches are seen to. */
  sweep(now: number): SweepAnswer {
    try {
      const isLeft = this.#transaction(now, () => this.#removal.sweep(now))
      const indexed = isLeft ? 0 : this.#transaction(now, () => this.#backlog.step())
      const isBusy = isLeft || indexed > 0
      const isMore = isBusy || this.#transaction(now, () => this.#ranking.step(now))
      if (!isMore) this.#transaction(now, () => this.#ranking.again(now))
      return { done: !isMore, indexed, ...this.sizes }
    } catch (error) {
      if (!this.#isWithoutRoom(error)) throw error
      return { done: true, indexed: 0, isFull: true, ...this.sizes }
    }
  }

  /** Folds the WAL into the file and closes it; says what became of the WAL. */
  close(): string {
    const [busy] = prepare(this.#db, "PRAGMA wal_checkpoint(TRUNCATE)").get() ?? []
    this.#db.close()
    return busy === 1 ? "skipped: a reader was still open" : "checkpointed"
  }

  /** Nothing was written, as there was no room for it. */
  #isWithoutRoom(error: unknown): boolean {
    const code = (error as { readonly errcode?: unknown } | null)?.errcode
    return wantsRoom.has(code) || (code === notTaken && this.#isCramped())
  }

  /** Runs `body`; when it fails for a reason that is not the storage's, rolls back and runs `fallback` instead. */
  #transaction<A>(now: number, body: () => A, fallback?: () => A): A {
    const { begin, commit, log, rollback } = this.#statements
    const before = this.sizes
    try {
      begin.run()
      this.#removal.begin()
      const result = body()
      this.#ranking.settle(now)
      this.#search.flush()
      if (this.#seq !== before.seq || this.#events !== before.events) log.run(this.#seq, this.#events)
      commit.run()
      return result
    } catch (error) {
      this.#seq = before.seq
      this.#events = before.events
      this.#removal.undo()
      if (this.#db.isTransaction) rollback.run()
      this.#ranking.forget()
      this.#search.forget()
      if (fallback === undefined || failsStorage(error)) throw error
      return this.#transaction(now, fallback)
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
      this.#removal.undo()
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
          if (stored !== undefined) this.#removal.take(stored)
        }
        return done
      case "DeleteAuthor":
        this.#removal.ban(operation.pubkey, this.#seq)
        return done
      default:
        if (operation.value === null) this.#statements.forget.run(operation.space, operation.key)
        else this.#statements.remember.run(operation.space, operation.key, operation.value, operation.due)
        if (operation.space === verifiedNames) this.#ranking.touch(operation.key)
        return done
    }
  }

  #save(event: Event, raw: string, now: number): Outcome {
    const standing = this.#precedence.judge(event, now)
    if (standing._tag !== "New") return standing
    if (event.kind === deletionKind && !this.#removal.deletion(event)) return tooMany
    if (standing.replaces !== undefined) this.#removal.take(standing.replaces)
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
    this.#progress()
    this.#seq = seq
    this.#events++
    if (event.kind === profileKind) this.#search.added(seq, event)
    if (event.kind === vanishKind && isVanishFor(event, this.#relayUrl)) this.#removal.vanish(event)
    return { _tag: "Saved", seq }
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
    remember: prepare(
      db,
      `INSERT INTO record VALUES (?, ?, ?, ?)
        ON CONFLICT (space, key) DO UPDATE SET value = excluded.value, due = excluded.due`
    ),
    forget: prepare(db, "DELETE FROM record WHERE space = ? AND key = ?")
  }
}
