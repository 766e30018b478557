import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Scope, Stream } from "effect"
import { Shutdown } from "../../src/lifecycle/Shutdown.ts"
import { Supervisor } from "../../src/lifecycle/Supervisor.ts"
import * as Live from "../../src/web/Live.ts"

const lifecycle = Supervisor.layer.pipe(Layer.provideMerge(Layer.fresh(Shutdown.layerTest)))

const made = Effect.gen(function*() {
  const shutdown = yield* Shutdown
  const live = yield* Live.make({
    frame: Effect.succeed("{}"),
    readersMax: () => 5,
    readersPerClientMax: () => 3,
    shutdown,
    supervisor: yield* Supervisor
  })
  return { live, shutdown }
})

/** Of one request. */
const scoped = Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))

describe("Live", () => {
  it.effect("takes no more at once than it may, read or not, and others once a request is over", () =>
    Effect.gen(function*() {
      const { live } = yield* made
      const first = yield* scoped
      const ask = (client: string, scope: Scope.Scope) => Scope.provide(live.open(client), scope)
      const burst = yield* Effect.all(Array.from({ length: 20 }, () => ask("one", first)), { concurrency: "unbounded" })
      assert.lengthOf(burst.filter((stream) => stream !== undefined), 3)
      const second = yield* scoped
      const others = yield* Effect.all(Array.from({ length: 20 }, (_, i) => ask(`other ${i}`, second)), {
        concurrency: "unbounded"
      })
      assert.lengthOf(others.filter((stream) => stream !== undefined), 2)

      yield* Scope.close(first, Exit.void)
      const third = yield* scoped
      const again = yield* Effect.all(Array.from({ length: 4 }, () => ask("one", third)))
      assert.deepStrictEqual(again.map((stream) => stream !== undefined), [true, true, true, false])
    }).pipe(Effect.scoped, Effect.provide(lifecycle)))

  it.effect("says goodbye to who reads at a stop, and waits until nobody reads", () =>
    Effect.gen(function*() {
      const { live, shutdown } = yield* made
      const frames = yield* Effect.scoped(Effect.gen(function*() {
        const stream = yield* live.open("one")
        assert.isDefined(stream)
        yield* shutdown.drain
        return yield* Stream.runCollect(stream ?? Stream.empty)
      }))
      assert.strictEqual(frames.at(-1), "event: bye\ndata: {}\n\n")
      yield* live.ended
    }).pipe(Effect.scoped, Effect.provide(lifecycle)))
})
