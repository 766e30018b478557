import { it } from "@effect/vitest"
import { Effect } from "effect"

const forgotten = Effect.fn("Planted.forgotten")(function*() {
  return yield* Effect.never
})

it.effect("passes, and leaves a fiber", () => Effect.forkDetach(forgotten(), { startImmediately: true }))
