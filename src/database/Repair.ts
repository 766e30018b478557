/** What it takes to repair a store, and what has come of it. */
import type { Effect } from "effect"
import type { Event } from "../domain/Event.ts"
import type { StartError } from "../lifecycle/StartError.ts"
import type { CopyProgress } from "./Copy.ts"

export interface RepairOptions {
  /** Says of each event whether its id and signature are its own. */
  readonly judge: (events: ReadonlyArray<Event>) => Effect.Effect<ReadonlyArray<boolean>, StartError>
  readonly told: CopyProgress
}

export interface Repaired {
  /** That were looked at. */
  readonly events: number
  /** That were not what was signed, and are gone: upstreams will be asked for them. */
  readonly lost: number
  /** That were whole and would not have been found by what they say. */
  readonly moved: number
}
