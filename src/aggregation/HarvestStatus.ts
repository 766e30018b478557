/**
 * How the harvest is going, readable at any time: for the log line, the pages and the metrics.
 */
import { Context, type Effect } from "effect"
import type { Coverage } from "../domain/HarvestWindow.ts"
import type { AdmissionOutcome } from "./Admission.ts"
import type { RetryStatus } from "./Retries.ts"

/** What an upstream's connection is doing. */
export type UpstreamState = "connecting" | "connected" | "waiting"

/** What it is read for: `history` pages through what is not covered yet, `live` listens and looks again now and then. */
export type UpstreamPhase = "history" | "live"

export interface UpstreamStatus {
  /** As configured. */
  readonly url: string
  readonly state: UpstreamState
  readonly phase: UpstreamPhase
  /** Ranges of `created_at` that have been read. */
  readonly covered: Coverage
  /** Events it has sent that were judged, by outcome; those left to the retry queue are `Undetermined` here for good. */
  readonly outcomes: Readonly<Partial<Record<AdmissionOutcome["_tag"], number>>>
  /** Rejected ones, by reason. */
  readonly rejections: Readonly<Record<string, number>>
  /** Events and frames dropped unseen by the judge: not asked for, or nothing of the kind. */
  readonly dropped: number
  /** Pages read to their end. */
  readonly pages: number
  /** Seconds of which the upstream may hold more events than it hands out. */
  readonly saturated: number
  /** Why the last connection ended or was not made; fit for a log line. */
  readonly lastError: string | undefined
  /** Unix milliseconds of the next dial, while `waiting`. */
  readonly nextAttempt: number | undefined
}

export class HarvestStatus extends Context.Service<HarvestStatus, {
  /** In configured order. */
  readonly upstreams: Effect.Effect<ReadonlyArray<UpstreamStatus>>
  /** Profiles that are asked about, whoever brought them. */
  readonly retries: Effect.Effect<RetryStatus>
}>()("profile-aggregator/aggregation/HarvestStatus") {}

/** One upstream's status while it is being written. */
export class Progress {
  readonly url: string
  state: UpstreamState = "connecting"
  phase: UpstreamPhase = "history"
  covered: Coverage = []
  dropped = 0
  pages = 0
  saturated = 0
  lastError: string | undefined
  nextAttempt: number | undefined
  /** Events to ask for at a time; smaller once the upstream has refused more. */
  pageSize: number
  readonly #outcomes: Partial<Record<AdmissionOutcome["_tag"], number>> = {}
  readonly #rejections: Record<string, number> = {}

  constructor(url: string, pageSize: number) {
    this.url = url
    this.pageSize = pageSize
  }

  count(outcome: AdmissionOutcome): void {
    this.#outcomes[outcome._tag] = (this.#outcomes[outcome._tag] ?? 0) + 1
    if (outcome._tag === "Rejected") {
      this.#rejections[outcome.reason] = (this.#rejections[outcome.reason] ?? 0) + 1
    }
  }

  view(): UpstreamStatus {
    const { url, state, phase, covered, dropped, pages, saturated, lastError, nextAttempt } = this
    const [outcomes, rejections] = [{ ...this.#outcomes }, { ...this.#rejections }]
    return { url, state, phase, covered, outcomes, rejections, dropped, pages, saturated, lastError, nextAttempt }
  }
}
