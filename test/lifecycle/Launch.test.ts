/** One path through a service's life, however it ends: acquired, ready, released, certified. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Layer } from "effect"
import { certify, ExitCode } from "../../src/lifecycle/Certificate.ts"
import type { Journal } from "../../src/lifecycle/Journal.ts"
import { attach, launch, teardown } from "../../src/lifecycle/Launch.ts"
import type { ProcessHost } from "../../src/lifecycle/process.ts"
import { announce, Shutdown } from "../../src/lifecycle/Shutdown.ts"
import { StartError } from "../../src/lifecycle/StartError.ts"
import { Supervisor } from "../../src/lifecycle/Supervisor.ts"

const lifecycle = Supervisor.layer.pipe(Layer.provideMerge(Shutdown.layerTest))

const component = <E = never>(
  name: string,
  build: Effect.Effect<void, E, Supervisor> = Effect.void,
  finalizer: Effect.Effect<void> = Effect.void
) =>
  Layer.effectDiscard(
    Effect.andThen(announce(name), Effect.andThen(Effect.addFinalizer(() => finalizer), build))
  )

/** A process that is only a journal: what `attach` and `teardown` ask of it. */
const hostOf = (journal: Journal) => {
  let stop: (() => void) | undefined
  let hurry: (() => void) | undefined
  const codes: Array<number> = []
  const host: ProcessHost = {
    journal,
    output: undefined as unknown as ProcessHost["output"],
    onStop: (callback) => void (stop = callback),
    onHurry: (callback) => void (hurry = callback),
    stop: (cause) => journal.stop(cause),
    serving: () => {},
    command: () => (code) => void codes.push(code),
    finish: (code) => void codes.push(code),
    setSignalExit: () => {},
    setWatchdogKill: () => {},
    keepCertificate: () => {}
  }
  return { host, codes, stop: () => stop?.(), hurry: () => hurry?.() }
}

describe("launch", () => {
  it.effect("is ready once everything is acquired, goes on until it is interrupted, and releases in reverse", () =>
    Effect.gen(function*() {
      const { journal } = yield* Shutdown
      const gate = yield* Deferred.make<void>()
      const app = component("websocket", Deferred.await(gate)).pipe(Layer.provideMerge(component("database")))
      const root = yield* Effect.forkChild(launch(app), { startImmediately: true })
      yield* Effect.yieldNow
      assert.deepStrictEqual([journal.acquired, journal.state], [["database", "websocket"], "starting"])
      yield* Deferred.succeed(gate, undefined)
      while (journal.state === "starting") yield* Effect.yieldNow
      assert.deepStrictEqual([journal.state, root.pollUnsafe()], ["ready", undefined])
      const exit = yield* Effect.andThen(Fiber.interrupt(root), Fiber.await(root))
      assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
      assert.deepStrictEqual(journal.released, ["websocket", "database"])
      assert.deepStrictEqual([journal.causes, journal.state], [[], "releasing"])
    }).pipe(Effect.provide(lifecycle)))

  it.effect("releases everything when a component fails, and raises nothing, as the journal has it", () =>
    Effect.gen(function*() {
      const { journal } = yield* Shutdown
      const fails = Supervisor.use(({ fail }) => fail("harvest", Cause.die("a bug")))
      const app = component("aggregation", fails).pipe(Layer.provideMerge(component("database")))
      assert.isTrue(Exit.isSuccess(yield* Effect.exit(launch(app))))
      assert.deepStrictEqual(journal.released, ["aggregation", "database"])
      assert.deepStrictEqual([certify(journal, []).cause, certify(journal, []).code], ["component failed: a bug", 1])
    }).pipe(Effect.provide(lifecycle)))

  it.effect("releases what was acquired when a component cannot start, and says why once", () =>
    Effect.gen(function*() {
      const { journal } = yield* Shutdown
      const inUse = new StartError({ component: "websocket", message: "port in use", exitCode: ExitCode.Unavailable })
      const app = component("websocket", Effect.fail(inUse)).pipe(Layer.provideMerge(component("database")))
      assert.isTrue(Exit.isSuccess(yield* Effect.exit(launch(app))))
      assert.deepStrictEqual(journal.causes, [{ name: "start failed", detail: "port in use", code: 69 }])
      assert.deepStrictEqual(journal.released, ["websocket", "database"])
      assert.notStrictEqual(journal.state, "ready")
    }).pipe(Effect.provide(lifecycle)))

  it.effect("that is interrupted while starting is no failed start", () =>
    Effect.gen(function*() {
      const { journal } = yield* Shutdown
      const app = component("websocket", Effect.never).pipe(Layer.provideMerge(component("database")))
      const root = yield* Effect.forkChild(launch(app), { startImmediately: true })
      while (journal.acquired.length < 2) yield* Effect.yieldNow
      yield* Fiber.interrupt(root)
      assert.deepStrictEqual([journal.causes, journal.released], [[], ["websocket", "database"]])
    }).pipe(Effect.provide(lifecycle)))

  it.effect("raises a finalizer's defect, after the other finalizers have run", () =>
    Effect.gen(function*() {
      const { journal } = yield* Shutdown
      const app = component("websocket", Effect.void, Effect.die("broken finalizer")).pipe(
        Layer.provideMerge(component("database"))
      )
      const root = yield* Effect.forkChild(launch(app), { startImmediately: true })
      while (journal.state !== "ready") yield* Effect.yieldNow
      const exit = yield* Effect.andThen(Fiber.interrupt(root), Fiber.await(root))
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      assert.deepStrictEqual(journal.released, ["websocket", "database"])
    }).pipe(Effect.provide(lifecycle)))
})

describe("attach", () => {
  it.effect("interrupts the program at a stop request, and tells waits of a second signal", () =>
    Effect.gen(function*() {
      const { impatient, journal } = yield* Shutdown
      const { host, hurry, stop } = hostOf(journal)
      const root = yield* Effect.forkChild(attach(host, Effect.never), { startImmediately: true })
      const patience = yield* Effect.forkChild(impatient, { startImmediately: true })
      assert.isUndefined(root.pollUnsafe())
      stop()
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(root)))
      assert.isUndefined(patience.pollUnsafe())
      hurry()
      yield* Fiber.join(patience)
    }).pipe(Effect.provide(lifecycle)))

  it.effect("hands on what the program comes to", () =>
    Effect.gen(function*() {
      const { journal } = yield* Shutdown
      assert.strictEqual(yield* attach(hostOf(journal).host, Effect.succeed(7)), 7)
    }).pipe(Effect.provide(lifecycle)))
})

/** The code that the process was handed, and the causes in its journal, when the program ends like this. */
const ended = (exit: Exit.Exit<unknown, unknown>) =>
  Effect.map(Shutdown, ({ journal }) => {
    const { codes, host } = hostOf(journal)
    teardown(host)(exit, () => {})
    return { codes, causes: journal.causes }
  }).pipe(Effect.provide(Layer.fresh(Shutdown.layerTest)))

describe("teardown", () => {
  const wrongUse = new StartError({ component: "cli", message: "no such flag", exitCode: ExitCode.Usage })

  it.effect("ends a program that succeeded or was interrupted with 0", () =>
    Effect.gen(function*() {
      const interrupted = yield* Effect.exit(Effect.interrupt)
      for (const exit of [Exit.void, interrupted]) {
        assert.deepStrictEqual(yield* ended(exit), { codes: [0], causes: [] })
      }
    }))

  it.effect("ends one that failed with the code that its error carries, or 1", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* ended(Exit.fail(wrongUse)), { codes: [64], causes: [] })
      assert.deepStrictEqual(yield* ended(Exit.fail("no")), { codes: [1], causes: [] })
    }))

  it.effect("enters a defect in the journal, as only a finalizer can have raised it: 70", () =>
    Effect.gen(function*() {
      const { causes } = yield* ended(Exit.die("broken"))
      assert.deepStrictEqual(causes, [{ name: "finalizer defect", detail: "broken", code: ExitCode.ProofFailed }])
    }))
})
