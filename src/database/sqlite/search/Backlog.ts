/**
 * Profiles that are to be entered in the index once more, because it is new or what profiles are found by has changed: newest
 * first, in bounded steps beside all other writes, which a stop or a crash between two of them costs nothing of. Until a
 * profile's turn comes it is found by what it was found by before.
 */
import type { DatabaseSync } from "node:sqlite"
import { prepare } from "../connection.ts"
import { RawEvent } from "../rawEvent.ts"
import type { SearchIndex } from "./SearchIndex.ts"

/** Profiles of one step: about 30 ms, for which other writes wait. */
export const stepMax = 256

export class Backlog {
  readonly #index: SearchIndex
  readonly #statements: ReturnType<typeof statementsOf>
  readonly #progress: () => void

  /** `progress` is called for each profile. */
  constructor(db: DatabaseSync, index: SearchIndex, progress: () => void = () => {}) {
    this.#index = index
    this.#progress = progress
    this.#statements = statementsOf(db)
  }

  /** Hands the next profiles to the index, in the transaction that its caller has begun, and says how many; 0 is the end. */
  step(): number {
    const { done, left, next, reached } = this.#statements
    const after = left.get()
    if (after === undefined) return 0
    const rows = next.all(after[0] as number, after[1] as number)
    for (const [, , seq, raw] of rows) {
      this.#index.again(seq as number, new RawEvent(raw as string))
      this.#progress()
    }
    const last = rows.at(-1)
    if (last === undefined) {
      done.run()
      this.#index.settled()
    } else reached.run(last[0] as number, last[1] as number)
    return rows.length
  }
}

const statementsOf = (db: DatabaseSync) => ({
  left: prepare(db, "SELECT created_at, id_key FROM search_backlog"),
  next: prepare(
    db,
    `SELECT created_at, id_key, seq, raw FROM event INDEXED BY event_kind
      WHERE kind = 0 AND created_at <= ?1 AND (created_at < ?1 OR id_key > ?2)
      ORDER BY created_at DESC, id_key LIMIT ${stepMax}`
  ),
  reached: prepare(db, "UPDATE search_backlog SET created_at = ?, id_key = ?"),
  done: prepare(db, "DELETE FROM search_backlog")
})
