/** A copy of a store, as commands tell of it. */
export interface Copied {
  readonly events: number
  /** Of its last commit. */
  readonly seq: number
  readonly bytes: number
}

/** Called after each step: how much is done of how much, in units of the engine. */
export type CopyProgress = (done: number, total: number) => void
