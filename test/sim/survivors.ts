/** Mutants that no test is meant to notice, and why. One that is noticed after all, or is no mutant any more, is an error. */
import type { Mutant } from "./Mutations.ts"

export interface Reason {
  /** Below `src/`. */
  readonly file: string
  /** What the mutant did, or how it begins. */
  readonly what: string
  /** Part of the line that it did it to. */
  readonly at: string
  readonly why: string
}

export const reasons: ReadonlyArray<Reason> = []

/** The reason that is meant for a mutant. */
export const reasonOf = (file: string, mutant: Mutant): Reason | undefined =>
  reasons.find((reason) =>
    reason.file === file && mutant.what.startsWith(reason.what) && mutant.text.includes(reason.at)
  )
