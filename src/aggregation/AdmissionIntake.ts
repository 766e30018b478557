/**
 * Admission behind its mailbox: one pipeline per submitted event, judge → save → answer, many at a time.
 *
 * A slow check holds nobody else up: it occupies one of `pipelinesMax` places. When all are taken the mailbox fills, and
 * then its senders wait. At release what was accepted is still judged, saved and answered, exactly once; only checks that
 * would wait for the network are cut, and after the `drain` budget whatever is left.
 */
import { Deferred, Effect, Exit, FiberSet, Layer, Metric, Option, Semaphore } from "effect"
import { Database, type DatabaseSender } from "../database/Database.ts"
import type { Event } from "../domain/Event.ts"
import * as Mailbox from "../lifecycle/Mailbox.ts"
import { Shutdown } from "../lifecycle/Shutdown.ts"
import { aggregationAdmissions, aggregationRejections } from "../observability/Metrics.ts"
import { Admission, type AdmissionOutcome } from "./Admission.ts"
import { type Decision, Judgement, shuttingDown } from "./Judgement.ts"

/** Events judged at a time, clients' and upstreams' live ones together. */
export const pipelinesMax = 256

/** Events waiting for a place before senders have to. */
const capacity = 1024

interface Submission {
  readonly event: Event
  readonly reply: Deferred.Deferred<AdmissionOutcome>
}

/** Counts one answer, in total and by reason. */
export const count = (outcome: AdmissionOutcome): Effect.Effect<void> => {
  const counted = Metric.update(aggregationAdmissions[outcome._tag], 1)
  if (outcome._tag !== "Rejected") return counted
  return Effect.andThen(counted, Metric.update(aggregationRejections(outcome.reason), 1))
}

/** Writes what was decided about one event. */
const settle = Effect.fnUntraced(function*(database: DatabaseSender, { operations, outcome }: Decision) {
  if (operations.length === 0) return outcome ?? shuttingDown
  const [saved] = yield* database.write(operations)
  return outcome ?? (saved as Exclude<typeof saved, undefined | { readonly _tag: "Done" }>)
}, (effect) =>
  Effect.catchTags(effect, {
    DatabaseError: () => Effect.succeed<AdmissionOutcome>({ _tag: "Failed", detail: "storage is unavailable" }),
    MailboxClosed: () => Effect.succeed<AdmissionOutcome>(shuttingDown)
  }))

const make = Effect.fnUntraced(function*() {
  const shutdown = yield* Shutdown
  const { judge } = yield* Judgement
  const database = yield* (yield* Database).sender("aggregation/admission")
  const stopping = yield* Deferred.make<void>()
  const giveUp = Deferred.await(stopping)
  const places = yield* Semaphore.make(pipelinesMax)
  // Acquired before the mailbox, so that nothing interrupts a pipeline while the mailbox drains.
  const pipelines = yield* FiberSet.make<AdmissionOutcome>()
  let cut = false

  const pipeline = ({ event, reply }: Submission) =>
    Effect.flatMap(judge(event, giveUp), (decision) => settle(database, decision)).pipe(
      Effect.onExit((exit) => {
        // A defect is answered like any failure of ours; it must not leave a client waiting.
        const outcome = Exit.isSuccess(exit)
          ? exit.value
          : Exit.hasInterrupts(exit)
          ? shuttingDown
          : { _tag: "Failed", detail: "internal error" } as const
        const report = Exit.isFailure(exit) && Exit.hasDies(exit)
          ? Effect.logError("admission died", exit.cause)
          : Effect.void
        return Effect.andThen(Deferred.succeed(reply, outcome), Effect.andThen(report, count(outcome)))
      }),
      Effect.ensuring(places.release(1))
    )

  const start = (submission: Submission): Effect.Effect<unknown> =>
    cut
      ? Deferred.succeed(submission.reply, shuttingDown)
      : Effect.andThen(places.take(1), FiberSet.run(pipelines, pipeline(submission)))

  const { mailbox } = yield* Mailbox.make<Submission, never>({
    name: "aggregation",
    capacity,
    batchMax: pipelinesMax,
    // Once stopping, a batch ends with its pipelines: the mailbox takes an idle consumer for the end of all answers.
    handle: (batch) =>
      Effect.forEach(batch, start, { discard: true }).pipe(
        Effect.andThen(Deferred.isDone(stopping)),
        Effect.flatMap((isStopping) => isStopping ? FiberSet.awaitEmpty(pipelines) : Effect.void)
      ),
    budget: "drain"
  })

  // Runs before the mailbox closes: whoever could submit was released before this component, so this is the last of it.
  yield* Effect.addFinalizer(() =>
    Effect.gen(function*() {
      yield* Deferred.succeed(stopping, undefined)
      const drained = yield* shutdown.bounded("drain", FiberSet.awaitEmpty(pipelines))
      if (Option.isSome(drained)) return
      cut = true
      yield* FiberSet.clear(pipelines)
    })
  )

  return Admission.of({
    sender: Effect.fn("Admission.sender")((holder: string) =>
      Effect.map(mailbox.sender(holder), (sender) => ({
        submit: (event: Event) =>
          sender.ask((reply: Deferred.Deferred<AdmissionOutcome>): Submission => ({ event, reply }))
      }))
    )
  })
})

export const layer = Layer.effect(Admission, make())
