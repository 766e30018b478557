import { it } from "@effect/vitest"
import { Effect, Layer, Scope } from "effect"
import * as Mailbox from "../../../src/lifecycle/Mailbox.ts"
import { Shutdown } from "../../../src/lifecycle/Shutdown.ts"
import { Supervisor } from "../../../src/lifecycle/Supervisor.ts"

const lifecycle = Supervisor.layer.pipe(Layer.provideMerge(Shutdown.layerTest))

it.effect("passes, and leaves a mailbox open, with somebody who can send to it", () =>
  Effect.gen(function*() {
    const scope = Scope.makeUnsafe()
    const { mailbox } = yield* Mailbox.make<number, never>({
      name: "planted",
      capacity: 1,
      batchMax: 1,
      budget: { name: "drain", millis: 4000 },
      handle: () => Effect.void
    }).pipe(Scope.provide(scope))
    yield* mailbox.sender("planted/holder").pipe(Scope.provide(scope))
  }).pipe(Effect.provide(lifecycle)))
