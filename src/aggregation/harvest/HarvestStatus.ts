/**
 * How the harvest is going, readable at any time: for the log line, the pages and the metrics.
 */
import { Context, type Effect } from "effect"
import type { Coverage, Order } from "../../domain/HarvestWindow.ts"
import type { AdmissionOutcome } from "../admission/Admission.ts"
import type { RetryStatus } from "../admission/Retries.ts"

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
  /** Of those events, how many were known well enough to be spared the check of their signature. */
  readonly spared: number
  /** Events judged per second, lately: between the last two lines of progress. */
  readonly perSecond: number
  /** Events and frames dropped unseen by the judge: not asked for, or nothing of the kind. */
  readonly dropped: number
  /** Pages read to their end. */
  readonly pages: number
  /** Seconds of which the upstream may hold more events than it hands out. */
  readonly saturated: number
  /** Whether it answers in the language of NIP-77. */
  readonly reconciles: "unknown" | "yes" | "no"
  /** Profiles whose lists and removals it was asked for since the start, each time counted. */
  readonly authorsAsked: number
  /** Events kept that its pages had missed, and a reconciliation found. */
  readonly missed: number
  /** Why the last connection ended or was not made; fit for a log line. */
  readonly lastError: string | undefined
  /** Unix milliseconds of the next dial, while `waiting`. */
  readonly nextAttempt: number | undefined
}

/** How much of the seconds from `floor` to `now` has been read, 0 to 1. */
export const coveredShare = (covered: Coverage, floor: number, now: number): number => {
  let seconds = 0
  for (const [from, to] of covered) seconds += Math.max(0, Math.min(to, now) - Math.max(from, floor) + 1)
  return seconds / (now - floor + 1)
}

export class HarvestStatus extends Context.Service<HarvestStatus, {
  /** In configured order. */
  readonly upstreams: Effect.Effect<ReadonlyArray<UpstreamStatus>>
  /** Profiles that are asked about, whoever brought them. */
  readonly retries: Effect.Effect<RetryStatus>
}>()("profile-aggregator/aggregation/harvest/HarvestStatus") {}

/** One upstream's status while it is being written. */
export class Progress {
  readonly url: string
  state: UpstreamState = "connecting"
  phase: UpstreamPhase = "history"
  covered: Coverage = []
  dropped = 0
  pages = 0
  saturated = 0
  spared = 0
  reconciles: UpstreamStatus["reconciles"] = "unknown"
  missed = 0
  authorsAsked = 0
  /** Events in the longest page that it has handed out. */
  longestPage = 0
  /** Set while both sides are compared; found set by the next connection, it says how this one ended. */
  isReconciling = false
  lastError: string | undefined
  nextAttempt: number | undefined
  /** The order of the last page that had one; and whether its pages have shown that there is none to go by. */
  order: Order | undefined
  isUnordered = false
  /** Events the upstream takes to be asked for at a time, once it has refused more. */
  pageSizeMax = Number.POSITIVE_INFINITY
  /** Filters of one question that it has said beforehand it takes (NIP-11). */
  filtersMax = Number.POSITIVE_INFINITY
  /** It has been asked for what it says beforehand. */
  isInformed = false
  readonly #pageSize: () => number
  readonly #outcomes: Partial<Record<AdmissionOutcome["_tag"], number>> = {}
  readonly #rejections: Record<string, number> = {}
  #judged = 0
  #perSecond = 0
  /** When, and at which count, the rate was last taken. */
  #sample = { at: 0, judged: 0 }

  /** `pageSize`: events to ask for at a time, as it is set at the moment. */
  constructor(url: string, pageSize: () => number) {
    this.url = url
    this.#pageSize = pageSize
  }

  /** Events to ask for at a time. */
  get pageSize(): number {
    return Math.min(this.#pageSize(), this.pageSizeMax)
  }

  count(outcome: AdmissionOutcome): void {
    this.#judged++
    this.#outcomes[outcome._tag] = (this.#outcomes[outcome._tag] ?? 0) + 1
    if (outcome._tag === "Rejected") {
      this.#rejections[outcome.reason] = (this.#rejections[outcome.reason] ?? 0) + 1
    }
  }

  /** Takes the rate since the last time it was taken. `now`: Unix milliseconds. */
  sample(now: number): void {
    const { at, judged } = this.#sample
    if (now > at) this.#perSecond = ((this.#judged - judged) * 1000) / (now - at)
    this.#sample = { at: now, judged: this.#judged }
  }

  view(): UpstreamStatus {
    const { url, state, phase, covered, dropped, pages, saturated, spared, reconciles, missed } = this
    const { authorsAsked, lastError, nextAttempt } = this
    return {
      url,
      state,
      phase,
      covered,
      outcomes: { ...this.#outcomes },
      rejections: { ...this.#rejections },
      spared,
      perSecond: this.#perSecond,
      dropped,
      pages,
      saturated,
      reconciles,
      authorsAsked,
      missed,
      lastError,
      nextAttempt
    }
  }
}
