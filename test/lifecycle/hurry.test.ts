/** What a component can ask and tell while it is being stopped. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { TestClock } from "effect/testing"
import { Shutdown } from "../../src/lifecycle/Shutdown.ts"

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
      const waiting = yield* fork(bounded({ name: "worker stop", millis: 5000 }, Effect.never))
      yield* TestClock.adjust(399)
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(waiting.pollUnsafe(), yield* Effect.exit(Effect.succeed(Option.none())))
    }).pipe(Effect.provide(Shutdown.layerTest)))
})
