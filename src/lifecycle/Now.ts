/** What time it is, in the unit of the protocol. */
import { Clock, Effect } from "effect"
import { secondsOf } from "../domain/Time.ts"

/** Unix seconds, as in `created_at` (NIP-01). */
export const nowSeconds: Effect.Effect<number> = Effect.map(Clock.currentTimeMillis, secondsOf)
