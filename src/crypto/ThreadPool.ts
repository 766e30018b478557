/**
 * Hands jobs to verifier threads, and copes with threads that fail.
 *
 * A thread that crashed, hung past the deadline or answered nonsense is replaced; what it had in hand is tried once more,
 * elsewhere. A job that fails twice is answered as failed, which says nothing about its signatures. Three failures in a
 * minute are no accident: the service stops.
 */
import { Cause, Clock, type Duration, Effect, Exit, FiberSet, Metric } from "effect"
import { type Budget, Shutdown } from "../lifecycle/Shutdown.ts"
import { Supervisor } from "../lifecycle/Supervisor.ts"
import { cryptoThreads, cryptoThreadsReplaced } from "../observability/Metrics.ts"
import { recordBytes } from "./protocol.ts"
import { ThreadFailed, type VerifierThread } from "./VerifierThread.ts"

/** Messages a thread is given before it has answered: one to work on, one so that it need not wait for the next. */
const inFlightMax = 2
/** So many failures within `failureWindow` (milliseconds) stop the service. */
const failuresMax = 3
const failureWindow = 60_000

/** What a stop allows a thread to finish the job in hand. */
export const threadStop: Budget = { name: "worker stop", millis: 1000 }

/** A piece of work that can be handed over more than once. */
export interface PoolJob {
  /** Fresh records each time, as the buffer is given away. */
  readonly pack: () => Uint8Array<ArrayBuffer>
  /** Called exactly once: one byte per record, or what became of the last thread that tried. */
  readonly answer: (exit: Exit.Exit<Uint8Array, ThreadFailed>) => Effect.Effect<void>
}

export interface ThreadPool {
  /** Waits for a thread with room, hands the job over, and returns without waiting for its answer. */
  readonly submit: (job: PoolJob) => Effect.Effect<void>
  /** Jobs handed over and not answered yet. */
  readonly inFlight: () => number
  /** How often there was an answer, failure, replacement or `poke`: read it before looking, and wait with it after. */
  readonly changes: () => number
  /** Resolves at the first change after so many; at once when it has come between the look and the wait. */
  readonly changedSince: (changes: number) => Effect.Effect<void>
  /** Counts as a change: the waiter should look again at something the pool does not know. */
  readonly poke: () => void
}

export interface Options {
  /** At least 1. */
  readonly threads: number
  readonly spawn: Effect.Effect<VerifierThread, ThreadFailed>
  /** Within which a thread has to answer a job. */
  readonly jobDeadline: Duration.Input
  /** Within which a thread has to be ready. */
  readonly spawnDeadline: Duration.Input
}

interface Slot {
  readonly thread: VerifierThread
  inFlight: number
  retired: boolean
}

/** Fails when the first threads cannot be started. */
export const make = Effect.fnUntraced(function*(options: Options) {
  const shutdown = yield* Shutdown
  const supervisor = yield* Supervisor
  const slots = new Set<Slot>()
  const waiters = new Set<() => void>()
  let failures: ReadonlyArray<number> = []
  let inFlight = 0
  /** Why no job is accepted any more. */
  let refusal: ThreadFailed | undefined

  let changes = 0
  const poke = () => {
    changes += 1
    // A copy, as a waiter that looks and waits again would be met again.
    for (const resume of Array.from(waiters)) resume()
  }
  const changedSince = (seen: number) =>
    Effect.callback<void>((resume) => {
      if (changes !== seen) return resume(Effect.void)
      const waiter = () => {
        waiters.delete(waiter)
        resume(Effect.void)
      }
      waiters.add(waiter)
      return Effect.sync(() => waiters.delete(waiter))
    })
  const refuse = (error: ThreadFailed) => {
    refusal ??= error
    poke()
  }

  // Acquired first, released last: by then the jobs have been answered, and what is left are watchers of dead threads.
  const fibers = yield* FiberSet.make()
  const fork = <A, E>(name: string, effect: Effect.Effect<A, E>) =>
    Effect.asVoid(FiberSet.run(fibers, supervisor.watch(name, effect)))

  const spawn = options.spawn.pipe(
    Effect.timeoutOrElse({
      duration: options.spawnDeadline,
      orElse: () => Effect.fail(new ThreadFailed({ reason: "hung", detail: "was not ready in time" }))
    })
  )

  /** Counts a failure; true when there were so many that the service has to stop. */
  const countFailure = Effect.fnUntraced(function*(error: ThreadFailed) {
    const now = yield* Clock.currentTimeMillis
    failures = [...failures.filter((at) => now - at < failureWindow), now]
    yield* Metric.update(cryptoThreadsReplaced[error.reason === "hung" ? "hung" : "crashed"], 1)
    yield* Metric.update(cryptoThreads, slots.size)
    yield* Effect.logWarning("verifier thread failed").pipe(
      Effect.annotateLogs({ component: "crypto", reason: error.reason, detail: error.detail, recent: failures.length })
    )
    if (failures.length < failuresMax) return false
    refuse(error)
    yield* supervisor.fail("crypto threads", Cause.fail(error))
    return true
  })

  const add = (thread: VerifierThread) => {
    const slot: Slot = { thread, inFlight: 0, retired: false }
    slots.add(slot)
    poke()
    return Effect.andThen(
      Metric.update(cryptoThreads, slots.size),
      fork("crypto/thread", thread.failed.pipe(Effect.catch((error) => retire(slot, error))))
    )
  }

  const replace: Effect.Effect<void> = Effect.suspend(() => {
    if (refusal !== undefined) return Effect.void
    return Effect.matchEffect(spawn, {
      onSuccess: (thread) => Effect.suspend(() => refusal === undefined ? add(thread) : thread.kill),
      onFailure: (error) => Effect.flatMap(countFailure(error), (fatal) => fatal ? Effect.void : replace)
    })
  })

  /** Takes a thread out of service; whoever notices its failure first does the rest. */
  const retire = (slot: Slot, error: ThreadFailed): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (slot.retired || refusal !== undefined) return Effect.void
      slot.retired = true
      slots.delete(slot)
      // Seen through even when the pool is being released, which then waits for it.
      return fork("crypto/thread end", Effect.uninterruptible(slot.thread.kill)).pipe(
        Effect.andThen(countFailure(error)),
        Effect.flatMap((fatal) => fatal ? Effect.void : fork("crypto/thread replacement", replace))
      )
    })

  const free = (): Slot | undefined => {
    let best: Slot | undefined
    for (const slot of slots) {
      if (slot.inFlight < inFlightMax && (best === undefined || slot.inFlight < best.inFlight)) best = slot
    }
    return best
  }

  /** Reserves room on a thread. Bounded by the deadlines of jobs and of starting a thread. */
  const reserve: Effect.Effect<Slot, ThreadFailed> = Effect.suspend(() => {
    if (refusal !== undefined) return Effect.fail(refusal)
    const seen = changes
    const slot = free()
    if (slot === undefined) return Effect.andThen(changedSince(seen), reserve)
    slot.inFlight++
    return Effect.succeed(slot)
  })

  const attempt = (slot: Slot, job: PoolJob): Effect.Effect<Uint8Array, ThreadFailed> =>
    Effect.suspend(() => {
      const records = job.pack()
      const count = records.length / recordBytes
      return slot.thread.verify(records).pipe(
        Effect.timeoutOrElse({
          duration: options.jobDeadline,
          orElse: () => Effect.fail(new ThreadFailed({ reason: "hung", detail: "did not answer a job in time" }))
        }),
        Effect.filterOrFail(
          (verdicts) => verdicts.length === count,
          (verdicts) =>
            new ThreadFailed({ reason: "confused", detail: `${verdicts.length} answers for ${count} records` })
        )
      )
    }).pipe(
      Effect.tapError((error) => retire(slot, error)),
      Effect.ensuring(Effect.sync(() => {
        slot.inFlight--
        poke()
      }))
    )

  const execute = (slot: Slot, job: PoolJob) =>
    attempt(slot, job).pipe(
      // The failed thread is out of service, so this is another one.
      Effect.catch(() => Effect.flatMap(reserve, (second) => attempt(second, job))),
      Effect.onExit((exit) =>
        // Answered before it is counted as answered: with nothing in flight the mailbox may end.
        Effect.ensuring(
          job.answer(exit),
          Effect.sync(() => {
            inFlight--
            poke()
          })
        )
      ),
      Effect.ignore
    )

  const submit = (job: PoolJob) =>
    Effect.matchEffect(reserve, {
      onFailure: (error) => job.answer(Exit.fail(error)),
      onSuccess: (slot) => {
        inFlight++
        return fork("crypto/job", execute(slot, job))
      }
    })

  const endAll = (end: (thread: VerifierThread) => Effect.Effect<void>) =>
    Effect.forEach([...slots], (slot) => end(slot.thread), { concurrency: "unbounded", discard: true })

  yield* Effect.addFinalizer(() =>
    Effect.gen(function*() {
      refuse(new ThreadFailed({ reason: "stopped", detail: "the service is stopping" }))
      // Work that is left has already had its time: the mailbox was cut while it waited for it.
      if (inFlight === 0) {
        const stopped = yield* shutdown.bounded(threadStop, endAll((thread) => thread.stop))
        if (stopped._tag === "Some") return
      }
      yield* endAll((thread) => thread.kill)
    })
  )

  yield* Effect.forEach(
    Array.from({ length: options.threads }),
    () => Effect.uninterruptibleMask((restore) => Effect.flatMap(restore(spawn), add)),
    { concurrency: "unbounded", discard: true }
  )

  const pool: ThreadPool = { submit, inFlight: () => inFlight, changes: () => changes, changedSince, poke }
  return { pool, threads: Array.from(slots, ({ thread }) => thread) }
})
