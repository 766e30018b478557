/** The folder beside the store: whoever is in it keeps others out, and a machine without power keeps nobody out. */
import { Effect, Layer } from "effect"
import { run } from "../Run.ts"

export const layer = Layer.effectDiscard(Effect.acquireRelease(
  Effect.sync(() => {
    if (run().disk.isHeld) run().violate("lock", "the state folder was entered twice")
    run().disk.isHeld = true
  }),
  () => Effect.sync(() => void (run().disk.isHeld = false))
))
