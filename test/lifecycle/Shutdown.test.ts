/** What a stop owes when more than one thing goes wrong. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Fiber, Layer, Option } from "effect"
import { TestClock } from "effect/testing"
import { certify, ExitCode } from "../../src/lifecycle/Certificate.ts"
import { Journal } from "../../src/lifecycle/Journal.ts"
import { launch } from "../../src/lifecycle/Launch.ts"
import { announce, type Budget, Shutdown } from "../../src/lifecycle/Shutdown.ts"
import { StartError } from "../../src/lifecycle/StartError.ts"
import { Supervisor } from "../../src/lifecycle/Supervisor.ts"

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
      assert.deepStrictEqual(yield* waited("drain", "close handshakes", "ingester drain"), [0, 250, 1000])
    }).pipe(Effect.provide(lifecycle)))

  it.effect("is one second for all that is left", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* waited("sockets end", "worker stop", "checkpoint"), [1000, 1000, 1000])
    }).pipe(Effect.provide(lifecycle)))

  it.effect("costs no answer that is there already", () =>
    Effect.gen(function*() {
      const { bounded, hurry } = yield* Shutdown
      yield* hurry
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(yield* bounded("ingester drain", Effect.succeed(1)), Option.some(1))
    }).pipe(Effect.provide(lifecycle)))
})

/** What a stop exits with whose ingester was not seen to end, and in which these budgets fired. */
const codeWith = (...forced: ReadonlyArray<string>) => {
  const journal = new Journal({ now: () => 0, wallTime: () => 0, emit: () => {} })
  journal.ingesterExited = false
  journal.forced.push(...forced)
  return certify(journal, []).code
}

describe("the exit code of a stop whose ingester was not seen to end", () => {
  it("is 70 when nothing kept anybody from waiting for it", () => {
    assert.strictEqual(codeWith(), ExitCode.ProofFailed)
    assert.strictEqual(codeWith("close handshakes"), ExitCode.ProofFailed)
  })

  it("is 75 when its budget expired", () => {
    for (const budget of ["ingester drain", "worker stop"]) {
      assert.strictEqual(codeWith(budget), ExitCode.CutShort, budget)
    }
  })
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
