import { it } from "@effect/vitest"
import { Effect } from "effect"

it.live("passes, and leaves nothing: what it began comes to an end in the background", () =>
  Effect.forkDetach(Effect.sleep(50), { startImmediately: true }))
