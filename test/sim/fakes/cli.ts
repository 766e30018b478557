/** No command line. */
import { Effect } from "effect"

export const program = () => Effect.void
