/** A key that was there before. */
import { Effect } from "effect"

export const make = Effect.succeed({ pubkey: "b".repeat(64), sign: () => "a".repeat(128) })
