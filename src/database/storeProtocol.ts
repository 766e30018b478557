/**
 * What the ingester asks of the store, as plain data: the same whether the store is in its thread or in ours.
 */
import type { Delete, DeleteAuthor, Outcome, RecordWrite } from "./Database.ts"

/** An operation on its way to the store. An event travels as its canonical JSON, the cheapest thing to hand over. */
export type StoreOperation = { readonly _tag: "Save"; readonly raw: string } | Delete | DeleteAuthor | RecordWrite

/** One transaction: every write of it is atomic, and all of them reach the disk together. */
export interface StoreBatch {
  /** Unix seconds, for what expires. */
  readonly now: number
  readonly writes: ReadonlyArray<ReadonlyArray<StoreOperation>>
}

/** What became of one write: an outcome for each operation, or why none of them was applied. */
export type StoreResult =
  | { readonly _tag: "Applied"; readonly outcomes: ReadonlyArray<Outcome> }
  | { readonly _tag: "Refused"; readonly message: string }

export interface StoreSizes {
  /** The last sequence number that was committed. */
  readonly seq: number
  /** Events stored. */
  readonly events: number
}

export interface StoreAnswer extends StoreSizes {
  readonly results: ReadonlyArray<StoreResult>
  /** Something is hidden and still to be swept. Absent: no. */
  readonly hasLeftover?: boolean
  /** There is no room on the disk: all was rolled back, and every write is refused. Absent: there is. */
  readonly isFull?: boolean
}

export interface SweepAnswer extends StoreSizes {
  /** Nothing is left to do. */
  readonly done: boolean
  /** Stored profiles that were entered in the index of searches once more. */
  readonly indexed: number
  /** There is no room on the disk, so nothing was done. Absent: there is. */
  readonly isFull?: boolean
}

export type StoreRequest =
  | { readonly _tag: "Apply"; readonly batch: StoreBatch }
  /** Removes what has expired by `now` (Unix seconds) and what is left of vanished authors, and sees to searches; a part at a time. */
  | { readonly _tag: "Sweep"; readonly now: number }
