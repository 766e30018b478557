/** What a component can ask and tell while it is being stopped. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { TestClock } from "effect/testing"
import { ExitCode } from "../../src/lifecycle/Certificate.ts"
import { proofFailed, Shutdown } from "../../src/lifecycle/Shutdown.ts"

const fork = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })

describe("Shutdown", () => {
  it.effect("has whoever waits for the drain wait until it is said", () =>
    Effect.gen(function*() {
      const { drain, draining } = yield* Shutdown
      const waiting = yield* fork(draining)
      yield* Effect.yieldNow
      assert.isUndefined(waiting.pollUnsafe())
      yield* drain
      yield* Effect.yieldNow
      assert.isDefined(waiting.pollUnsafe())
    }).pipe(Effect.provide(Shutdown.layerTest)))

  it.effect("counts its last second from the first time that it is hurried", () =>
    Effect.gen(function*() {
      const { bounded, hurry } = yield* Shutdown
      yield* hurry
      yield* TestClock.adjust(600)
      yield* hurry
      const waiting = yield* fork(bounded("worker stop", Effect.never))
      yield* TestClock.adjust(399)
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(waiting.pollUnsafe(), yield* Effect.exit(Effect.succeed(Option.none())))
    }).pipe(Effect.provide(Shutdown.layerTest)))

  it.effect("enters a broken promise in the journal, with a detail where there is one", () =>
    Effect.gen(function*() {
      yield* proofFailed("stuck")
      yield* proofFailed("stuck", "at the gate")
      const { journal } = yield* Shutdown
      assert.deepStrictEqual(journal.causes, [
        { name: "stuck", code: ExitCode.ProofFailed },
        { name: "stuck", detail: "at the gate", code: ExitCode.ProofFailed }
      ])
    }).pipe(Effect.provide(Shutdown.layerTest)))
})
