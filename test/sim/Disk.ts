/**
 * The disk of a history, which outlives the machine: the service's own store over memory, what should be in it, and what every
 * transaction costs.
 *
 * Only `sync` and `sweep` change it, all at once at the moment of their sync: everything before that moment would be gone
 * after a power cut, everything after it would not.
 */
import { Effect } from "effect"
import { DatabaseSync } from "node:sqlite"
import type { Outcome } from "../../src/database/Database.ts"
import { prepare, type Statement } from "../../src/database/sqlite/connection.ts"
import { migrate } from "../../src/database/sqlite/DatabaseFile.ts"
import { SqliteStore } from "../../src/database/sqlite/SqliteStore.ts"
import type {
  StoreAnswer,
  StoreBatch,
  StoreOperation,
  StoreSizes,
  SweepAnswer
} from "../../src/database/storeProtocol.ts"
import type { Event } from "../../src/domain/Event.ts"
import { isForged } from "./events.ts"
import { Kept } from "./Kept.ts"
import { changesMax, removalsMax } from "./scale.ts"

/** Our own address; requests to vanish name all relays. */
const relayUrl = "wss://relay.example"

/** An empty store, migrated once. */
const empty = await (async () => {
  const path = "file:/empty?vfs=memdb"
  const db = new DatabaseSync(path)
  await Effect.runPromise(migrate(path))
  // Without it, what another connection wrote is not all in the image.
  db.exec("VACUUM")
  const bytes = db.serialize()
  db.close()
  return bytes
})()

/** What one transaction was. */
export interface Cost {
  /** Rows and index entries that it changed, as SQLite counts them. */
  readonly changes: number
  /** How often the store said that it gets on. */
  readonly signs: number
}

export class Disk {
  readonly connection: DatabaseSync
  readonly kept = new Kept()
  readonly records = new Map<string, { readonly value: string; readonly due: number | null }>()
  isOpen = false
  isWriting = false
  /** Somebody is in the state folder. */
  isHeld = false
  applied = 0
  /** The storage has failed, and the service was told. */
  hasFailed = false
  /** Events with a signature that nobody should have believed. */
  forgeries = 0
  /** Events that were stored in this life. */
  saved = 0
  /** Ids that some client was told `OK true` of, in this life or an earlier one. */
  readonly acknowledged = new Set<string>()
  /** Transactions of this life that a crawling disk takes its time for. */
  crawls = 0
  #store: SqliteStore
  #signs = 0
  readonly #violate: Array<(invariant: string, what: string) => void> = []
  readonly #changes: Statement

  constructor() {
    this.connection = new DatabaseSync(":memory:")
    this.connection.deserialize(empty)
    this.#store = this.#open()
    this.#changes = prepare(this.connection, "SELECT total_changes()")
  }

  #open(): SqliteStore {
    return new SqliteStore(this.connection, relayUrl, () => void this.#signs++)
  }

  /** The machine starts: nobody has the file open, and what was on it is there. `violate` is told what is wrong with it. */
  boot(violate: (invariant: string, what: string) => void): void {
    this.#violate[0] = violate
    this.isOpen = false
    this.isWriting = false
    this.isHeld = false
    this.applied = 0
    this.hasFailed = false
    this.saved = 0
    this.crawls = 0
    this.#store = this.#open()
  }

  /** Nobody will start it again. */
  close(): void {
    this.connection.close()
  }

  get sizes(): StoreSizes {
    return this.#store.sizes
  }

  sync(batch: StoreBatch): { readonly answer: StoreAnswer; readonly cost: Cost } {
    const measured = this.#measured(() => this.#store.apply(batch))
    batch.writes.forEach((operations, i) => {
      const result = measured.answer.results[i]
      if (result?._tag !== "Applied") return
      operations.forEach((operation, k) => this.#note(operation, result.outcomes[k]))
    })
    return measured
  }

  sweep(now: number): { readonly answer: SweepAnswer; readonly cost: Cost } {
    return this.#measured(() => this.#store.sweep(now))
  }

  #measured<A>(transaction: () => A): { readonly answer: A; readonly cost: Cost } {
    const before = Number(this.#changes.get()?.[0])
    this.#signs = 0
    const answer = transaction()
    const changes = Number(this.#changes.get()?.[0]) - before
    if (changes > changesMax) this.#wrong("work", `one transaction changed ${changes} rows and index entries`)
    return { answer, cost: { changes, signs: this.#signs } }
  }

  #wrong(invariant: string, what: string): void {
    this.#violate[0]?.(invariant, what)
  }

  /** What became of an operation, held against what should have. */
  #note(operation: StoreOperation, outcome: Outcome | undefined): void {
    if (operation._tag === "Save") {
      const event = JSON.parse(operation.raw) as Event
      const isUnwanted = this.kept.isUnwanted(event)
      if (outcome?._tag === "Saved") {
        if (isUnwanted) this.#wrong("removal", `${event.id} was stored, and its author had asked for it not to be`)
        if (isForged(event)) this.forgeries++
        this.saved++
        this.kept.add(event, outcome.seq)
      } else if (outcome?._tag === "Deleted" && !isUnwanted) {
        this.#wrong("removal", `${event.id} was refused, and nobody had asked for that`)
      } else if (outcome?._tag === "Duplicate" && !this.kept.there.has(event.id)) {
        this.#wrong("removal", `${event.id} is said to be there, and is not`)
      }
    }
    if (operation._tag === "Record") {
      const key = `${operation.space} ${operation.key}`
      if (operation.value === null) this.records.delete(key)
      else this.records.set(key, { value: operation.value, due: operation.due })
    }
  }

  /** At the end of a life: rows that are hidden and not swept yet, of authors who leave or one by one. */
  get leftover(): number {
    const [left = 0] = prepare(
      this.connection,
      "SELECT (SELECT count(*) FROM leaving) + (SELECT count(*) FROM event WHERE expiration <= 0)"
    ).get() ?? []
    return Number(left)
  }

  /** The most that is remembered of one author's removals, of what was not here. */
  judge(): void {
    const most = Number(prepare(this.connection, "SELECT coalesce(max(count), 0) FROM removal_count").get()?.[0])
    if (most > removalsMax) this.#wrong("work", `${most} removals are remembered of one author`)
  }
}
