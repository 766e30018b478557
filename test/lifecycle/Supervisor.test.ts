/** Fibers that somebody watches: what a death of one does, and what is no death. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Layer, Logger, Scope } from "effect"
import { ExitCode } from "../../src/lifecycle/Certificate.ts"
import { Shutdown } from "../../src/lifecycle/Shutdown.ts"
import { StartError } from "../../src/lifecycle/StartError.ts"
import { detailOf, Supervisor } from "../../src/lifecycle/Supervisor.ts"

const lifecycle = Supervisor.layer.pipe(Layer.provideMerge(Shutdown.layerTest))

describe("a watched fiber", () => {
  it.effect("that fails stops the service, once for all that report the same, with the code its error asks for", () =>
    Effect.gen(function*() {
      const { failed, fork } = yield* Supervisor
      const { journal } = yield* Shutdown
      const full = new StartError({ component: "database", message: "disk full", exitCode: ExitCode.Storage })
      yield* fork("one", Effect.fail(full))
      yield* fork("another", Effect.fail(full))
      yield* fork("a third", Effect.die(new Error("a bug")))
      const exit = yield* Effect.exit(failed)
      assert.strictEqual(Exit.isFailure(exit) && Cause.squash(exit.cause), full)
      assert.deepStrictEqual(journal.causes, [
        { name: "component failed", detail: "disk full", code: ExitCode.Storage },
        { name: "component failed", detail: "a bug", code: ExitCode.ComponentFailed }
      ])
      assert.strictEqual(journal.state, "draining")
    }).pipe(Effect.scoped, Effect.provide(lifecycle)))

  it.effect("may end, or be ended, without anything coming of it", () =>
    Effect.gen(function*() {
      const { failed, fork } = yield* Supervisor
      const { journal } = yield* Shutdown
      yield* fork("ends", Effect.void)
      yield* Fiber.interrupt(yield* fork("is ended", Effect.never))
      const waiting = yield* Effect.forkChild(failed, { startImmediately: true })
      yield* Effect.yieldNow
      assert.isUndefined(waiting.pollUnsafe())
      assert.deepStrictEqual([journal.causes, journal.fibers.size], [[], 0])
    }).pipe(Effect.scoped, Effect.provide(lifecycle)))

  it.effect("that dies while it is being interrupted is a failure all the same", () =>
    Effect.gen(function*() {
      const { fork } = yield* Supervisor
      const { journal } = yield* Shutdown
      const fiber = yield* fork("dies", Effect.ensuring(Effect.never, Effect.die("broken finalizer")))
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(journal.causes.map(({ detail }) => detail), ["broken finalizer"])
    }).pipe(Effect.scoped, Effect.provide(lifecycle)))

  it.effect("has begun when fork returns, is listed while it runs, and ends with its scope", () =>
    Effect.gen(function*() {
      const { fork } = yield* Supervisor
      const { journal } = yield* Shutdown
      const scope = yield* Scope.make()
      let begun = false
      let ended = false
      const fiber = yield* fork(
        "works",
        Effect.onExit(
          Effect.andThen(Effect.sync(() => begun = true), Effect.never),
          () => Effect.sync(() => void (ended = true))
        )
      ).pipe(Scope.provide(scope))
      assert.isTrue(begun)
      assert.deepStrictEqual([...journal.fibers], [{ name: "works", since: 0 }])
      yield* Scope.close(scope, Exit.void)
      // The scope does not close before its fibers have ended.
      assert.deepStrictEqual([ended, fiber.pollUnsafe() === undefined, journal.fibers.size], [true, false, 0])
    }).pipe(Effect.scoped, Effect.provide(lifecycle)))

  it.effect("is named in the log when it fails", () =>
    Effect.gen(function*() {
      const lines: Array<unknown> = []
      const logger = Logger.make(({ fiber, logLevel, message }) => {
        lines.push([logLevel, Array.isArray(message) ? message[0] : message, typeof fiber])
      })
      yield* Supervisor.use(({ fail }) => fail("harvest", Cause.die("a bug"))).pipe(
        Effect.provide(Logger.layer([logger]))
      )
      assert.deepStrictEqual(lines, [["Error", "component failed", "object"]])
    }).pipe(Effect.provide(lifecycle)))
})

describe("the line about a failure", () => {
  it("is the error's message, or the value itself, cut to 500 characters", () => {
    assert.strictEqual(detailOf(Cause.fail(new Error("why"))), "why")
    assert.strictEqual(detailOf(Cause.die("because")), "because")
    assert.strictEqual(detailOf(Cause.die("x".repeat(501))), "x".repeat(500))
  })
})
