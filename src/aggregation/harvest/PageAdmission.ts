/**
 * What becomes of the events that one connection brings: judged many at a time, written in one transaction with whatever
 * they prove.
 */
import { Array as Arr, Effect, Metric } from "effect"
import { type DatabaseSender, reasonOf, type RecordWrite } from "../../database/Database.ts"
import type { Event } from "../../domain/Event.ts"
import type { Source } from "../../domain/Gate.ts"
import { profileKind } from "../../domain/Kinds.ts"
import { aggregationEventsHarvested, aggregationEventsSpared } from "../../observability/Metrics.ts"
import type { AdmissionOutcome } from "../admission/Admission.ts"
import { count } from "../admission/AdmissionCount.ts"
import { commit } from "../admission/Commits.ts"
import { Judgement } from "../admission/Judgement.ts"
import type { Entrant } from "../admission/Pipeline.ts"
import { Quarantine } from "../admission/Quarantine.ts"
import { RetryQueue } from "../admission/RetryQueue.ts"
import { UpstreamError } from "../upstream/UpstreamError.ts"
import type { Progress } from "./HarvestStatus.ts"

/** Events of one page judged at a time, in two groups: while one waits for its signatures, the other is looked up. */
const judgedMax = 64

/** Forgeries on one connection before it is ended. */
const forgeriesMax = 100

const ours = (detail: string) => new UpstreamError({ reason: "ours", detail })

/** Judges events and writes what is kept, with `records`, in one transaction; answers what became of each. */
export type Admit = (
  events: ReadonlyArray<Event>,
  records: ReadonlyArray<RecordWrite>
) => Effect.Effect<ReadonlyArray<AdmissionOutcome>, UpstreamError>

/** For one connection: it counts forgeries. */
export const make = Effect.fnUntraced(function*(sender: DatabaseSender, progress: Progress) {
  const { judgeMany } = yield* Judgement
  const queue = yield* RetryQueue
  const quarantine = yield* Quarantine
  const source: Source = { by: "upstream", address: progress.url }
  let forgeries = 0

  /** Judges some, and writes them with what they prove, if all of them could be judged. */
  const settle = Effect.fnUntraced(function*(events: ReadonlyArray<Event>, records: ReadonlyArray<RecordWrite>) {
    const entrants = events.map((event): Entrant => ({ event, source }))
    const judged = yield* Effect.forEach(Arr.chunksOf(entrants, judgedMax / 2), (some) => judgeMany(some), {
      concurrency: 2
    })
    const decisions = judged.flat()
    const isWhole = decisions.every(({ outcome }) => outcome?._tag !== "Failed")
    // What could not be judged must be read again, so nothing may be recorded as covered.
    const outcomes = yield* Effect.mapError(
      commit(sender, queue, decisions, isWhole ? records : []),
      (error) => ours(error._tag === "DatabaseError" ? reasonOf(error) : "shutting down")
    )
    return { decisions, isWhole, outcomes }
  })

  /** The same one by one; what they prove is written last. */
  const settleEach = Effect.fnUntraced(function*(events: ReadonlyArray<Event>, records: ReadonlyArray<RecordWrite>) {
    const settled = yield* Effect.forEach(events, (event) => quarantine.alone(event, settle([event], [])))
    const isWhole = settled.every((one) => one.isWhole)
    if (isWhole) yield* settle([], records)
    return {
      decisions: settled.flatMap(({ decisions }) => decisions),
      isWhole,
      outcomes: settled.flatMap(({ outcomes }) => outcomes)
    }
  })

  const admit: Admit = Effect.fnUntraced(function*(events, records) {
    yield* Metric.update(aggregationEventsHarvested, events.length)
    // What has to be asked about is left to the retry queue; while too much waits there, so do we, and so the upstream.
    yield* queue.room
    const { decisions, isWhole, outcomes } = yield* (quarantine.isCareful ? settleEach : settle)(events, records)
    const sparedBefore = progress.spared
    const all = outcomes.map((outcome, i) => {
      // A profile that waits already is not new, from wherever it came first.
      const isKnown = outcome._tag === "Undetermined" && decisions[i]?.operations.length === 0 &&
        events[i]?.kind === profileKind
      const counted = isKnown ? { _tag: "Duplicate" } as const : outcome
      progress.count(counted)
      if (decisions[i]?.isUnverified === true) progress.spared++
      if (outcome._tag === "Invalid") forgeries++
      return counted
    })
    yield* Effect.forEach(all, count, { discard: true })
    yield* Metric.update(aggregationEventsSpared, progress.spared - sparedBefore)
    const error = isWhole
      ? forgeries > forgeriesMax
        ? new UpstreamError({ reason: "misbehaved", detail: `${forgeries} forged events` })
        : undefined
      : ours("events could not be judged")
    if (error !== undefined) return yield* error
    return all
  })
  return admit
})
