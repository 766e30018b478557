/**
 * Checks the profiles of the retry queue, many at a time, whenever they are due.
 *
 * A profile that is being checked stays in the queue until the write that settles it, so a stop simply ends the checks: the
 * next start finds them due. Of one author one profile is checked at a time, and the others let everybody else go first.
 * What is accepted here is stored and announced as anything else.
 */
import { Cause, Clock, Context, Effect, Exit, FiberMap, Latch, Layer } from "effect"
import { Database } from "../../database/Database.ts"
import type { MailboxClosed } from "../../lifecycle/Mailbox.ts"
import { Supervisor } from "../../lifecycle/Supervisor.ts"
import type { AdmissionOutcome } from "./Admission.ts"
import { count } from "./AdmissionCount.ts"
import { commit } from "./Commits.ts"
import { Judgement } from "./Judgement.ts"
import { Quarantine } from "./Quarantine.ts"
import { RetryQueue, type RetryView, type Waiting } from "./RetryQueue.ts"

/** Profiles in check at a time. */
export const checksMax = 64

/** Milliseconds between two looks at the queue, at least; and until a check that our own side has failed is tried again. */
const pause = 1000

export interface RetryStatus extends RetryView {
  readonly checking: number
  /** What checks of this run came to, once settled. */
  readonly outcomes: Readonly<Partial<Record<AdmissionOutcome["_tag"], number>>>
  readonly rejections: Readonly<Record<string, number>>
}

export class Retries extends Context.Service<Retries, {
  readonly status: Effect.Effect<RetryStatus>
}>()("profile-aggregator/aggregation/admission/Retries") {}

const make = Effect.fnUntraced(function*() {
  const database = yield* Database
  const judgement = yield* Judgement
  const queue = yield* RetryQueue
  const quarantine = yield* Quarantine
  const supervisor = yield* Supervisor
  const sender = yield* database.sender("aggregation/retries")
  /** Those in check: by event id, and the author of each. */
  const checks = yield* FiberMap.make<string>()
  const busy = new Map<string, string>()
  const done = Latch.makeUnsafe(false)
  const outcomes: Partial<Record<AdmissionOutcome["_tag"], number>> = {}
  const rejections: Record<string, number> = {}

  const settled = (outcome: AdmissionOutcome) => {
    // It is undetermined still, and was counted as such when it came.
    if (outcome._tag === "Undetermined") return Effect.void
    outcomes[outcome._tag] = (outcomes[outcome._tag] ?? 0) + 1
    if (outcome._tag === "Rejected") rejections[outcome.reason] = (rejections[outcome.reason] ?? 0) + 1
    return count(outcome)
  }

  const check = Effect.fnUntraced(function*(waiting: Waiting) {
    const decision = yield* judgement.resume(waiting)
    const written = yield* commit(sender, queue, [decision])
    yield* Effect.forEach(written, settled, { discard: true })
  })

  /** A check that dies is put off as if nobody had answered, or it would die again and again. */
  const putOff = Effect.fnUntraced(function*({ event, ...waiting }: Waiting) {
    const record = yield* queue.later(
      { event, since: waiting.since, attempts: waiting.attempts + 1 },
      { _tag: "Undetermined", reason: "not checked in time", retryAfter: 0 }
    )
    yield* commit(sender, queue, [{ operations: [record ?? queue.forget(event)], outcome: undefined }])
  })

  const guarded = (waiting: Waiting) =>
    quarantine.alone(waiting.event, check(waiting)).pipe(
      Effect.catchCauseIf(
        Cause.hasDies,
        (cause) => Effect.andThen(Effect.logError("check died", cause), putOff(waiting))
      ),
      // Our side is broken or stopping; the profile stays where it is.
      Effect.catch((error) => Effect.andThen(Effect.logDebug("check failed", Cause.fail(error)), Effect.sleep(pause))),
      Effect.ensuring(Effect.sync(() => {
        busy.delete(waiting.event.id)
        done.openUnsafe()
      }))
    )

  const start = Effect.fnUntraced(function*(waiting: Waiting) {
    const { id, pubkey } = waiting.event
    if ([...busy.values()].includes(pubkey)) return false
    busy.set(id, pubkey)
    yield* FiberMap.run(checks, id, guarded(waiting), { startImmediately: true })
    return true
  })

  /** Those whose author is in check get turns of their own, or the versions of one author would hide everybody else. */
  const postpone = Effect.fnUntraced(function*(held: ReadonlyArray<Waiting>) {
    const records = yield* Effect.forEach(held, (waiting) => queue.postpone(waiting, pause))
    yield* commit(sender, queue, [], records)
  })

  const untilMore = Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    const next = yield* queue.next(busy)
    const wait = next === undefined ? Effect.never : Effect.sleep(Math.max(pause, next - now))
    yield* Effect.raceAllFirst([queue.changed, done.await, wait])
  })

  /** Starts what is due and fits; waits until there may be more to do. */
  const turn = Effect.gen(function*() {
    done.closeUnsafe()
    const free = (quarantine.isCareful ? 1 : checksMax) - busy.size
    const due = free === 0 ? [] : yield* queue.due(free, busy)
    const held: Array<Waiting> = []
    for (const waiting of due) if (!(yield* start(waiting))) held.push(waiting)
    // Fewer than were asked for are all there are, and hide nobody.
    if (held.length > 0 && due.length === free) yield* postpone(held)
    if (held.length < due.length) return
    yield* free === 0 ? done.await : untilMore
  })

  yield* supervisor.fork(
    "aggregation/retries",
    Effect.forever(Effect.flatMap(Effect.exit(turn), (exit) => {
      if (Exit.isSuccess(exit) || Exit.hasInterrupts(exit)) return Effect.void
      return Effect.andThen(Effect.logError("retry queue is unreadable", exit.cause), Effect.sleep(pause))
    }))
  )

  return Retries.of({
    status: Effect.sync(() => ({
      ...queue.view(),
      checking: busy.size,
      outcomes: { ...outcomes },
      rejections: { ...rejections }
    }))
  })
})

export const layer: Layer.Layer<
  Retries,
  MailboxClosed,
  Database | Judgement | RetryQueue | Supervisor
> = Layer.effect(Retries, make())
