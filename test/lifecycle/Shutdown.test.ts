/** What a stop owes when more than one thing goes wrong. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Fiber, Layer, Option } from "effect"
import { TestClock } from "effect/testing"
import { drain } from "../../src/aggregation/admission/Admission.ts"
import * as StoreWriter from "../../src/database/StoreWriter.ts"
import { certify, ExitCode } from "../../src/lifecycle/Certificate.ts"
import { Journal } from "../../src/lifecycle/Journal.ts"
import { launch } from "../../src/lifecycle/Launch.ts"
import { announce, type Budget, Shutdown } from "../../src/lifecycle/Shutdown.ts"
import { StartError } from "../../src/lifecycle/StartError.ts"
import { Supervisor } from "../../src/lifecycle/Supervisor.ts"

const { budgets } = StoreWriter

const lifecycle = Supervisor.layer.pipe(Layer.provideMerge(Shutdown.layerTest))

const diskFull = new StartError({ component: "database", message: "the disk is full", exitCode: ExitCode.Storage })

/** Launches one component with this finalizer, stops it, and certifies the stop. */
const stopped = Effect.fnUntraced(function*(finalizer: Effect.Effect<void, never, Shutdown | Supervisor>) {
  const { journal } = yield* Shutdown
  const app = Layer.effectDiscard(Effect.andThen(announce("database"), Effect.addFinalizer(() => finalizer)))
  const root = yield* Effect.forkChild(launch(app), { startImmediately: true })
  while (journal.state !== "ready") yield* Effect.yieldNow
  journal.stop({ name: "SIGTERM", code: ExitCode.Clean })
  yield* Fiber.interrupt(root)
  return certify(journal, [])
})

describe("a component that fails while it is being released", () => {
  it.effect("is in the certificate, with the exit code that it asks for", () =>
    Effect.gen(function*() {
      const certificate = yield* stopped(Supervisor.use(({ fail }) => fail("database", Cause.fail(diskFull))))
      assert.deepStrictEqual(
        [certificate.cause, certificate.failures, certificate.code],
        ["SIGTERM", ["component failed: the disk is full"], ExitCode.Storage]
      )
    }).pipe(Effect.provide(lifecycle)))

  it.effect("is named once, however many fibers report it", () =>
    Effect.gen(function*() {
      const fail = Supervisor.use(({ fail }) => fail("database", Cause.fail(diskFull)))
      const certificate = yield* stopped(Effect.andThen(fail, fail))
      assert.deepStrictEqual(certificate.failures, ["component failed: the disk is full"])
    }).pipe(Effect.provide(lifecycle)))
})

describe("the second after a second signal", () => {
  /** How long a wait that never ends is waited for, once the operator is in a hurry. */
  const waited = Effect.fnUntraced(function*(...budgets: ReadonlyArray<Budget>) {
    const { bounded, hurry } = yield* Shutdown
    const done = yield* Deferred.make<ReadonlyArray<number>>()
    yield* hurry
    yield* Effect.forkChild(
      Effect.forEach(
        budgets,
        (budget) => Effect.andThen(bounded(budget, Effect.never), Effect.clockWith((clock) => clock.currentTimeMillis))
      ).pipe(Effect.flatMap((ends) => Deferred.succeed(done, ends))),
      { startImmediately: true }
    )
    yield* TestClock.adjust("2 seconds")
    return yield* Deferred.await(done)
  })

  it.effect("is not spent on clients that do not say goodbye: what is accepted is still committed", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* waited(drain, { name: "mute", millis: 1000, cut: 250 }, budgets.drain), [
        0,
        250,
        1000
      ])
    }).pipe(Effect.provide(lifecycle)))

  it.effect("is one second for all that is left", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* waited({ name: "sockets end", millis: 1000 }, budgets.exit, budgets.checkpoint), [
        1000,
        1000,
        1000
      ])
    }).pipe(Effect.provide(lifecycle)))

  it.effect("costs no answer that is there already", () =>
    Effect.gen(function*() {
      const { bounded, hurry } = yield* Shutdown
      yield* hurry
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(yield* bounded(budgets.drain, Effect.succeed(1)), Option.some(1))
    }).pipe(Effect.provide(lifecycle)))
})

describe("a component that nobody here has heard of", () => {
  it.effect("brings its name, its budgets, its proofs and what it states", () =>
    Effect.gen(function*() {
      const { bounded, journal, prove, state } = yield* Shutdown
      let rendered = 0
      let isClosed = true
      const pages = Layer.effectDiscard(Effect.gen(function*() {
        yield* announce("pages")
        yield* prove("pagesClosed", () => isClosed)
        yield* prove("pagesBuilt", true)
        yield* state("pages", () => ({ rendered }))
        yield* Effect.addFinalizer(() => bounded({ name: "pages drain", millis: 1, isHarmless: true }, Effect.never))
      }))
      yield* Effect.forkChild(Effect.scoped(Layer.build(pages)))
      yield* TestClock.adjust(1)
      rendered = 3
      const certificate = certify(journal, [])
      assert.deepStrictEqual(
        [certificate.released, certificate.forced, certificate.code],
        [["pages"], ["pages drain"], ExitCode.Clean]
      )
      assert.include(JSON.stringify(certificate), `"pagesClosed":true,"pagesBuilt":true},"pages":{"rendered":3}}`)
      isClosed = false
      assert.strictEqual(certify(journal, []).code, ExitCode.ProofFailed)
    }).pipe(Effect.provide(lifecycle)))
})

/** What the release of a store comes to whose ingester has not ended, once this budget has fired; no budget: none has. */
const released = (change: Partial<StoreWriter.StoreWriter>, expired?: Budget) =>
  Effect.gen(function*() {
    const { bounded, journal } = yield* Shutdown
    const { release } = yield* StoreWriter.guarded({
      apply: () => Effect.never,
      sweep: () => Effect.never,
      died: Effect.never,
      close: Effect.succeed("checkpointed"),
      exited: Effect.void,
      sizes: { seq: 0, events: 0 },
      ...change
    }, { isDrained: () => false })
    const ending = yield* Effect.forkChild(
      Effect.andThen(expired === undefined ? Effect.void : bounded(expired, Effect.never), release)
    )
    yield* TestClock.adjust("10 seconds")
    yield* Fiber.join(ending)
    return certify(journal, []).code
  }).pipe(Effect.provide(lifecycle))

describe("the exit code of a stop whose ingester was not seen to end", () => {
  it.effect("is 70 when nothing kept anybody from waiting for it", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* released({}), ExitCode.ProofFailed)
      assert.strictEqual(yield* released({}, { name: "close handshakes", millis: 1 }), ExitCode.ProofFailed)
    }))

  it.effect("is 75 when its budget expired", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* released({}, budgets.drain), ExitCode.CutShort)
      assert.strictEqual(yield* released({ exited: Effect.never }), ExitCode.CutShort)
    }))

  it.effect("is 0 when the log could not be folded in time: the next start does it", () =>
    Effect.map(released({ close: Effect.never }), (code) => assert.strictEqual(code, ExitCode.Clean)))
})

describe("a forced end", () => {
  it.effect("says of an open store that it is open", () =>
    Effect.gen(function*() {
      const { journal } = yield* Shutdown
      assert.strictEqual(certify(journal, []).wal, "not opened")
      yield* StoreWriter.guarded({
        apply: () => Effect.never,
        sweep: () => Effect.never,
        died: Effect.never,
        close: Effect.succeed("checkpointed"),
        exited: Effect.void,
        sizes: { seq: 0, events: 0 }
      }, { isDrained: () => false })
      assert.strictEqual(certify(journal, []).wal, "open: the next start reads the log")
    }).pipe(Effect.provide(lifecycle)))
})

describe("a journal", () => {
  it("says once that a stop has begun, whoever began it", () => {
    let begun = 0
    const journal = new Journal({ now: () => 0, wallTime: () => 0, emit: () => {}, stopping: () => void begun++ })
    journal.transition("ready")
    assert.strictEqual(begun, 0)
    journal.stop({ name: "component failed", code: ExitCode.ComponentFailed })
    journal.stop({ name: "SIGTERM", code: ExitCode.Clean })
    assert.strictEqual(begun, 1)
  })
})
