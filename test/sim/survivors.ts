/** Mutants that no test is meant to notice, and why. */

interface Reason {
  readonly file: string
  /** What the mutant did, or how it begins. */
  readonly what: string
  readonly why: string
}

const reasons: ReadonlyArray<Reason> = []

export const reasonOf = (file: string, what: string): string | undefined =>
  reasons.find((reason) => reason.file === file && what.startsWith(reason.what))?.why
