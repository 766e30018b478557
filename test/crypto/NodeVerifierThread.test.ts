/** Real threads, whole and broken. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Layer, Option, Redacted } from "effect"
import { Settings } from "../../src/config/Settings.ts"
import type { EnginePreference } from "../../src/crypto/engines/EngineSelection.ts"
import * as NodeVerifierThread from "../../src/crypto/NodeVerifierThread.ts"
import { pack } from "../../src/crypto/protocol.ts"
import { Verifier } from "../../src/crypto/Verifier.ts"
import { ThreadFailed, type VerifierThread } from "../../src/crypto/VerifierThread.ts"
import * as WorkerVerifier from "../../src/crypto/WorkerVerifier.ts"
import { Shutdown } from "../../src/lifecycle/Shutdown.ts"
import { Supervisor } from "../../src/lifecycle/Supervisor.ts"
import { signed, withForgedSignature } from "../support/events.ts"
import type { Fault } from "./brokenThread.ts"

const broken = (fault: Fault) =>
  NodeVerifierThread.spawn({
    preference: fault as string as EnginePreference,
    entry: new URL("./brokenThread.ts", import.meta.url)
  })
const acquire = (spawn: Effect.Effect<VerifierThread, ThreadFailed>) =>
  Effect.acquireRelease(spawn, (thread) => thread.kill)
const failureOf = (exit: Exit.Exit<unknown, unknown>) => Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
const records = () => pack([signed(), withForgedSignature(signed()), signed({ content: "third" })])

describe("NodeVerifierThread", () => {
  it.live("answers jobs in order, one byte per record, and takes the buffers", () =>
    Effect.gen(function*() {
      const thread = yield* acquire(NodeVerifierThread.spawn({ preference: "wasm" }))
      assert.strictEqual(thread.engine, "wasm")
      const job = records()
      const answers = yield* Effect.all([thread.verify(job), thread.verify(pack([signed()]))], {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(answers.map((answer) => [...answer]), [[1, 0, 1], [1]])
      assert.strictEqual(job.byteLength, 0)
    }).pipe(Effect.scoped))

  it.live("falls back from an engine the machine lacks, and says so", () =>
    Effect.gen(function*() {
      const thread = yield* acquire(NodeVerifierThread.spawn({ preference: "auto" }))
      assert.isTrue(
        thread.engine === "libsecp256k1" ?
          thread.refused.length === 0 :
          thread.refused[0]?.reason.includes("not installed")
      )
      assert.deepStrictEqual([...(yield* thread.verify(records()))], [1, 0, 1])
    }).pipe(Effect.scoped))

  it.live("ends by itself when it is stopped, and then refuses jobs", () =>
    Effect.gen(function*() {
      const thread = yield* acquire(NodeVerifierThread.spawn({ preference: "wasm" }))
      yield* thread.stop
      const failure = failureOf(yield* Effect.exit(thread.verify(records())))
      assert.instanceOf(failure, ThreadFailed)
      assert.strictEqual(failure.reason, "stopped")
      yield* thread.stop
    }).pipe(Effect.scoped))

  it.live.each<Fault>(["throw", "reject", "exit", "memory"])(
    "fails what it holds when it crashes: %s",
    (fault) =>
      Effect.gen(function*() {
        const thread = yield* acquire(broken(fault))
        const jobs = yield* Effect.forEach([1, 2], () => Effect.exit(thread.verify(records())), {
          concurrency: "unbounded"
        })
        for (const failure of [...jobs.map(failureOf), yield* Effect.flip(thread.failed)]) {
          assert.instanceOf(failure, ThreadFailed)
          assert.strictEqual(failure.reason, "crashed")
        }
        assert.instanceOf(failureOf(yield* Effect.exit(thread.verify(records()))), ThreadFailed)
      }).pipe(Effect.scoped)
  )

  it.live("can be ended in an endless loop, which a stop cannot", () =>
    Effect.gen(function*() {
      const thread = yield* acquire(broken("spin"))
      const job = yield* Effect.forkChild(Effect.exit(thread.verify(records())), { startImmediately: true })
      assert.isTrue(Option.isNone(yield* Effect.timeoutOption(thread.stop, "100 millis")))
      yield* thread.kill
      assert.strictEqual((failureOf(yield* Fiber.join(job)) as ThreadFailed).reason, "stopped")
    }).pipe(Effect.scoped))

  it.live("fails to start when its entry throws", () =>
    Effect.gen(function*() {
      const failure = failureOf(yield* Effect.exit(broken("throw at start")))
      assert.include(String(failure), "on purpose")
    }))

  it.live("fails to start where there is no entry", () =>
    Effect.gen(function*() {
      for (const entry of [new URL("./missing.ts", import.meta.url), new URL("http://entry.example/worker.ts")]) {
        const exit = yield* Effect.exit(NodeVerifierThread.spawn({ preference: "auto", entry }))
        assert.instanceOf(failureOf(exit), ThreadFailed)
      }
    }))

  it.live("ends with the fiber that waits for it to be ready", () =>
    Effect.gen(function*() {
      const started = yield* Effect.timeoutOption(broken("mute"), "100 millis")
      assert.isTrue(Option.isNone(started))
    }))
})

describe("WorkerVerifier over real threads that break", () => {
  const settings = Settings.layerTest({ relaySecretKey: Option.some(Redacted.make("5a".padStart(64, "3"))) })
  const Lifecycle = Supervisor.layer.pipe(Layer.provideMerge(Shutdown.layerTest))

  it.live.each<Fault>(["throw", "reject", "exit", "memory"])(
    "answers all the same when the first one crashes: %s",
    (fault) => {
      let spawned = 0
      const layer = WorkerVerifier.layerWith(() => ({
        spawn: (preference) =>
          Effect.suspend(() => spawned++ === 0 ? broken(fault) : NodeVerifierThread.spawn({ preference })),
        threads: 2,
        preference: "wasm"
      }))
      return Effect.gen(function*() {
        const { verify } = yield* (yield* Verifier).sender("test")
        const events = Array.from({ length: 300 }, (_, i) => signed({ content: `${i}` }, i % 3))
        const answers = yield* Effect.forEach(events, verify, { concurrency: "unbounded" })
        assert.deepStrictEqual(answers, events.map(() => "Valid" as const))
        // The replacement may still be starting: two threads at first, and that one.
        assert.strictEqual(spawned, 3)
      }).pipe(Effect.scoped, Effect.provide(layer.pipe(Layer.provide(settings), Layer.provideMerge(Lifecycle))))
    }
  )
})
