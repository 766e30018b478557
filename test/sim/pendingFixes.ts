/** Faults of the source that were found and are not repaired yet: what repairs them, so that others show behind them. */
import type { Rewrite } from "./rewriting.ts"

/** Where the source has them already, nothing is changed. */
export const pendingFixes: ReadonlyArray<Rewrite> = []
