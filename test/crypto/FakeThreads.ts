/** Verifier threads that misbehave on request, without threads: what the pool sees of them, on the test clock. */
import { Deferred, Effect, Latch } from "effect"
import { loaders } from "../../src/crypto/engines/EngineSelection.ts"
import { verifyRecords } from "../../src/crypto/protocol.ts"
import { ThreadFailed, type VerifierThread } from "../../src/crypto/VerifierThread.ts"

/**
 * What a thread does with a job. `waits`: until the gate opens. `crashes`: dies of the first one. `hangs`: neither
 * answers nor ends before it is killed. `lies`: leaves out an answer.
 */
export type Behaviour = "answers" | "waits" | "crashes" | "hangs" | "lies"

export interface FakeThreads {
  readonly spawn: Effect.Effect<VerifierThread, ThreadFailed>
  /** Threads made so far. */
  readonly spawned: () => number
  /** Records in each job, in the order in which threads were given them. */
  readonly jobs: ReadonlyArray<number>
  /** How threads ended, in order. */
  readonly ends: ReadonlyArray<"stopped" | "killed">
  /** Jobs of `waits` threads go on. */
  readonly gate: Latch.Latch
  /** Makes the thread that was spawned as the n-th end for no reason. */
  readonly die: (n: number) => Effect.Effect<void>
}

/** The n-th thread behaves as the n-th word says, and those after the last word as it does; `fails` does not start. */
export const make = Effect.fnUntraced(function*(...behaviours: ReadonlyArray<Behaviour | "fails">) {
  const engine = yield* Effect.promise(loaders.wasm)
  const gate = yield* Latch.make(false)
  const jobs: Array<number> = []
  const ends: Array<"stopped" | "killed"> = []
  const failures: Array<Deferred.Deferred<never, ThreadFailed>> = []

  const threadOf = Effect.fnUntraced(function*(behaviour: Behaviour) {
    const failed = yield* Deferred.make<never, ThreadFailed>()
    const ended = yield* Deferred.make<void>()
    failures.push(failed)
    const crash = new ThreadFailed({ reason: "crashed", detail: "as told" })
    const killed = Effect.andThen(
      Deferred.await(ended),
      Effect.fail(new ThreadFailed({ reason: "stopped", detail: "killed" }))
    )
    const answerTo = (records: Uint8Array): Effect.Effect<Uint8Array, ThreadFailed> => {
      const answered = Effect.sync(() => verifyRecords(engine, records))
      switch (behaviour) {
        case "answers":
          return answered
        case "waits":
          return Effect.andThen(gate.await, answered)
        case "lies":
          return Effect.map(answered, (verdicts) => verdicts.subarray(1))
        case "crashes":
          return Effect.andThen(Deferred.fail(failed, crash), Effect.fail(crash))
        default:
          return Effect.never
      }
    }
    const thread: VerifierThread = {
      engine: "wasm",
      refused: [],
      verify: (records) =>
        Effect.suspend(() => {
          jobs.push(records.length / 128)
          return Effect.raceFirst(answerTo(records), killed)
        }),
      failed: Deferred.await(failed),
      stop: Effect.suspend(() => {
        if (behaviour === "hangs") return Effect.never
        ends.push("stopped")
        return Effect.void
      }),
      kill: Effect.suspend(() => {
        ends.push("killed")
        return Effect.asVoid(Deferred.succeed(ended, undefined))
      })
    }
    return thread
  })

  let spawned = 0
  const fake: FakeThreads = {
    spawn: Effect.suspend(() => {
      const behaviour = behaviours[Math.min(spawned++, behaviours.length - 1)] ?? "answers"
      return behaviour === "fails"
        ? Effect.fail(new ThreadFailed({ reason: "crashed", detail: "did not start" }))
        : threadOf(behaviour)
    }),
    spawned: () => spawned,
    jobs,
    ends,
    gate,
    die: (n) =>
      Effect.suspend(() => {
        const failed = failures[n]
        if (failed === undefined) return Effect.die(new Error(`there is no thread ${n}`))
        return Effect.asVoid(Deferred.fail(failed, new ThreadFailed({ reason: "crashed", detail: "for no reason" })))
      })
  }
  return fake
})
