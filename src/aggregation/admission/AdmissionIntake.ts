/**
 * Admission behind its mailbox: one pipeline per submitted event, judge → save → answer, many at a time. On an open relay,
 * where no check waits for the network, events that have come meanwhile share one: a fiber, a message to the verifier
 * threads and a message to the ingester for dozens of events, where one for each costs three times as much.
 *
 * A slow check holds nobody else up, but for later events of the same author, which keep their order: it occupies one of
 * `pipelinesMax` places, for `patience` at most, then it is left to the retry queue. When all places are taken the mailbox
 * fills, and then its senders wait; each of them has its answer within `answerTimeout` all the same. At release what was
 * accepted is still judged, saved and answered, exactly once; only checks that would wait for the network are cut (the
 * retry queue keeps their profiles), and after the `drain` budget whatever is left.
 */
import { Clock, Deferred, Effect, Exit, FiberSet, Latch, Layer, Option, Semaphore } from "effect"
import { Database } from "../../database/Database.ts"
import type { Event } from "../../domain/Event.ts"
import type { Source } from "../../domain/Gate.ts"
import { Undetermined } from "../../domain/Quality.ts"
import * as Mailbox from "../../lifecycle/Mailbox.ts"
import { Shutdown } from "../../lifecycle/Shutdown.ts"
import { Supervisor } from "../../lifecycle/Supervisor.ts"
import { Admission, type AdmissionOutcome, type AdmissionSender, drain } from "./Admission.ts"
import { countAll } from "./AdmissionCount.ts"
import { commit, commitEach, unwritten } from "./Commits.ts"
import { Judgement, shuttingDown } from "./Judgement.ts"
import { RetryQueue } from "./RetryQueue.ts"

/** Events judged at a time, clients' and upstreams' live ones together. */
export const pipelinesMax = 256

/** Events of one pipeline on an open relay: the next ones are checked while these are on their way to the disk. */
const togetherMax = 64

/** Milliseconds from an event's arrival after which it is left to the retry queue. */
export const patience = 9000
/** Those after which it is answered anyway. */
export const answerTimeout = 10_000

/** Milliseconds of a drain that checks may still take which wait for strangers. */
const checkMillis = 1000

/** Events waiting for a place before senders have to. */
const capacity = 1024

interface Submission {
  readonly event: Event
  readonly source: Source
  /** Unix milliseconds. */
  readonly at: number
  /** Only the first call counts. */
  readonly answer: (outcome: AdmissionOutcome) => void
}

/** The place of a pipeline among those that have events of the same authors. */
interface Turn {
  /** Succeeds when it is this one's. */
  readonly before: Effect.Effect<void>
  /** Lets the next one go ahead, which its end does in any case. */
  readonly passed: () => void
}

/** Whoever does not say where an event comes from has it from some relay. */
const unnamed: Source = { by: "upstream", address: "" }

const unanswered = Undetermined("not checked in time", 30_000)

/** Comes when an event that arrived `at` has been waited for long enough. */
const late = (at: number) =>
  Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.as(Effect.sleep(at + patience - now), "late" as const))

/**
 * Answers submissions that are overdue: one timer for all of them, where a timeout around each would be a fifth of what an
 * event costs this thread. In the order of arrival, so only the first has to be looked at.
 */
class Overdue {
  readonly #unanswered = new Set<Submission>()
  readonly #some = Latch.makeUnsafe(false)

  add(submission: Submission): void {
    this.#unanswered.add(submission)
    if (this.#unanswered.size === 1) this.#some.openUnsafe()
  }

  remove(submission: Submission): void {
    this.#unanswered.delete(submission)
    if (this.#unanswered.size === 0) this.#some.closeUnsafe()
  }

  /** Answers what is due now, and waits for the next one that may be. */
  readonly look: Effect.Effect<void> = Effect.andThen(
    this.#some.await,
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      for (const submission of this.#unanswered) {
        const left = submission.at + answerTimeout - now
        if (left > 0) return Effect.sleep(left)
        this.remove(submission)
        submission.answer(unanswered)
      }
      return Effect.void
    })
  )
}

/** What those who submit have in common. */
interface Intake {
  readonly clock: Clock.Clock
  readonly overdue: Overdue
  /** Events that wait for a place. */
  readonly depth: Effect.Effect<number>
}

/** One holder's way in. There is one for each client, so it keeps its lease and nothing else. */
class Submitter implements AdmissionSender {
  readonly #intake: Intake
  readonly #lease: Mailbox.Sender<Submission>

  constructor(intake: Intake, lease: Mailbox.Sender<Submission>) {
    this.#intake = intake
    this.#lease = lease
  }

  submit(event: Event, source: Source = unnamed): Effect.Effect<AdmissionOutcome, Mailbox.MailboxClosed> {
    const { clock, depth, overdue } = this.#intake
    return Effect.flatMap(depth, (waiting) => {
      const at = clock.currentTimeMillisUnsafe()
      const asked = this.#lease.ask((reply: Deferred.Deferred<AdmissionOutcome>) => {
        const submission: Submission = {
          event,
          source,
          at,
          answer: (outcome) => Deferred.doneUnsafe(reply, Exit.succeed(outcome))
        }
        overdue.add(submission)
        return submission
      })
      if (waiting < capacity) return asked
      // It would have to wait for its place in the mailbox, where nobody can answer it.
      return Effect.timeoutOrElse(asked, {
        duration: answerTimeout,
        orElse: () => Effect.succeed<AdmissionOutcome>(unanswered)
      })
    })
  }

  offer(
    event: Event,
    source: Source,
    answered: (exit: Exit.Exit<AdmissionOutcome, Mailbox.MailboxClosed>) => void
  ): boolean {
    const { clock, overdue } = this.#intake
    let submission: Submission | undefined
    const isOffered = this.#lease.offer<AdmissionOutcome>(
      (answer) => submission = { event, source, at: clock.currentTimeMillisUnsafe(), answer },
      answered
    )
    if (isOffered && submission !== undefined) overdue.add(submission)
    return isOffered
  }
}

const make = Effect.fnUntraced(function*() {
  const shutdown = yield* Shutdown
  const supervisor = yield* Supervisor
  const clock = yield* Clock.Clock
  const { asksNobody, judgeMany } = yield* Judgement
  const database = yield* (yield* Database).sender("aggregation/admission")
  const stopping = yield* Deferred.make<void>()
  // A check that hangs must not outlast the drain. One moment for all: an event taken later gets no second of its own.
  const cutting = yield* Deferred.make<void>()
  yield* supervisor.fork(
    "aggregation/cutting",
    Effect.andThen(shutdown.draining, Effect.andThen(Effect.sleep(checkMillis), Deferred.succeed(cutting, undefined)))
  )
  const stop = Effect.as(
    Effect.raceFirst(Deferred.await(stopping), Deferred.await(cutting)),
    "stopping" as const
  )
  const queue = yield* RetryQueue
  const places = yield* Semaphore.make(pipelinesMax)
  // Acquired before the mailbox, so that nothing interrupts a pipeline while the mailbox drains.
  const pipelines = yield* FiberSet.make<ReadonlyArray<AdmissionOutcome>>()
  const overdue = new Overdue()
  yield* supervisor.fork("aggregation/overdue", Effect.forever(overdue.look, { disableYield: true }))
  let cut = false

  /** The last pipeline that has an event of this author: the next one waits until it cannot overtake it any more. */
  const latest = new Map<string, Deferred.Deferred<void>>()

  /** Alone, with all the time that a check may take. */
  const admit = Effect.fnUntraced(function*(submission: Submission, { before }: Turn) {
    yield* before
    const decisions = yield* judgeMany([submission], Effect.raceFirst(late(submission.at), stop))
    return yield* commit(database, queue, decisions)
  }, (effect) =>
    Effect.catchTags(effect, {
      DatabaseError: (error) => Effect.succeed<ReadonlyArray<AdmissionOutcome>>([unwritten(error)]),
      MailboxClosed: () => Effect.succeed<ReadonlyArray<AdmissionOutcome>>([shuttingDown])
    }))

  /**
   * Together. Nothing here waits for the world, so the turn of an author's earlier events need not come before the commit;
   * and what is queued in order is applied in order, so the next ones need not wait for the disk.
   */
  const admitAll = Effect.fnUntraced(function*(group: ReadonlyArray<Submission>, { before, passed }: Turn) {
    const decisions = yield* judgeMany(group)
    yield* before
    return yield* commitEach(database, queue, decisions, passed)
  }, (effect, group) =>
    Effect.catchTag(
      effect,
      "MailboxClosed",
      () => Effect.succeed<ReadonlyArray<AdmissionOutcome>>(group.map(() => shuttingDown))
    ))

  /** Answers a group whatever becomes of it, and gives its places back. */
  const pipeline = (
    group: ReadonlyArray<Submission>,
    admitted: Effect.Effect<ReadonlyArray<AdmissionOutcome>>,
    done: Deferred.Deferred<void>
  ) =>
    admitted.pipe(
      Effect.onExit((exit) => {
        // A defect is answered like any failure of ours; it must not leave a client waiting.
        const failure = Exit.hasInterrupts(exit) ? shuttingDown : { _tag: "Failed", detail: "internal error" } as const
        const outcomes = group.map((submission, i): AdmissionOutcome => {
          const outcome = Exit.isSuccess(exit) ? exit.value[i] ?? shuttingDown : failure
          overdue.remove(submission)
          submission.answer(outcome)
          return outcome
        })
        const report = Exit.isFailure(exit) && Exit.hasDies(exit)
          ? Effect.logError("admission died", exit.cause)
          : Effect.void
        return Effect.andThen(report, countAll(outcomes))
      }),
      Effect.ensuring(Effect.suspend(() => {
        Deferred.doneUnsafe(done, Exit.void)
        for (const { event: { pubkey } } of group) if (latest.get(pubkey) === done) latest.delete(pubkey)
        return places.release(group.length)
      }))
    )

  /** Starts a pipeline once there is room for it. */
  const start = (
    group: ReadonlyArray<Submission>,
    admit: (turn: Turn) => Effect.Effect<ReadonlyArray<AdmissionOutcome>>
  ): Effect.Effect<unknown> => {
    if (cut) return Effect.sync(() => group.forEach(({ answer }) => answer(shuttingDown)))
    return Effect.andThen(
      places.take(group.length),
      Effect.suspend(() => {
        const done = Deferred.makeUnsafe<void>()
        const earlier = new Set<Deferred.Deferred<void>>()
        for (const { event: { pubkey } } of group) {
          const before = latest.get(pubkey)
          if (before !== undefined && before !== done) earlier.add(before)
          latest.set(pubkey, done)
        }
        const before = earlier.size === 0 ? Effect.void : Effect.forEach(earlier, Deferred.await, { discard: true })
        const passed = () => Deferred.doneUnsafe(done, Exit.void)
        return FiberSet.run(pipelines, pipeline(group, admit({ before, passed }), done))
      })
    )
  }

  const startAll = (batch: ReadonlyArray<Submission>): Effect.Effect<unknown> =>
    asksNobody
      ? start(batch, (turn) => admitAll(batch, turn))
      : Effect.forEach(batch, (submission) => start([submission], (turn) => admit(submission, turn)), {
        discard: true
      })

  const { mailbox } = yield* Mailbox.make<Submission, never>({
    name: "aggregation",
    capacity,
    batchMax: togetherMax,
    // Once stopping, a batch ends with its pipelines: the mailbox takes an idle consumer for the end of all answers.
    handle: (batch) =>
      startAll(batch).pipe(
        Effect.andThen(Deferred.isDone(stopping)),
        Effect.flatMap((isStopping) => isStopping ? FiberSet.awaitEmpty(pipelines) : Effect.void)
      ),
    budget: drain
  })

  // Runs before the mailbox closes: whoever could submit was released before this component, so this is the last of it.
  yield* Effect.addFinalizer(() =>
    Effect.gen(function*() {
      yield* Deferred.succeed(stopping, undefined)
      const drained = yield* shutdown.bounded(drain, FiberSet.awaitEmpty(pipelines))
      if (Option.isSome(drained)) return
      cut = true
      yield* FiberSet.clear(pipelines)
    })
  )

  const intake: Intake = { clock, overdue, depth: mailbox.depth }
  return Admission.of({
    sender: mailbox.senderAs("Admission.sender", (lease) => new Submitter(intake, lease))
  })
})

export const layer = Layer.effect(Admission, make())
