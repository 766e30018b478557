/**
 * How the harvest is going, readable at any time: for the log line, the pages and the metrics.
 */
import { Context, type Effect } from "effect"
import type { AdmissionOutcome } from "./Admission.ts"

/** What an upstream's connection is doing. */
export type UpstreamState = "connecting" | "connected" | "waiting"

/** What it is read for: `history` pages through what is not covered yet, `live` listens and looks again now and then. */
export type UpstreamPhase = "history" | "live"

export interface UpstreamStatus {
  /** As configured. */
  readonly url: string
  readonly state: UpstreamState
  readonly phase: UpstreamPhase
  /** Covered ranges of `created_at`, both ends inclusive, Unix seconds, newest first. */
  readonly covered: ReadonlyArray<readonly [from: number, to: number]>
  /** Events it has sent that were judged, by outcome. */
  readonly outcomes: Readonly<Partial<Record<AdmissionOutcome["_tag"], number>>>
  /** Events dropped unseen by the judge: not asked for, or no events at all. */
  readonly dropped: number
  /** Pages read to their end. */
  readonly pages: number
  /** Seconds of which the upstream may hold more than it would hand out. */
  readonly saturated: number
  /** Why the last connection ended or was not made; fit for a log line. */
  readonly lastError: string | undefined
  /** Unix milliseconds of the next dial, while `waiting`. */
  readonly nextAttempt: number | undefined
}

export class HarvestStatus extends Context.Service<HarvestStatus, {
  /** In configured order. */
  readonly upstreams: Effect.Effect<ReadonlyArray<UpstreamStatus>>
}>()("profile-aggregator/aggregation/HarvestStatus") {}
