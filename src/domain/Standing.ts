/**
 * How well known an author is, in four bits, from what this relay has seen itself; it orders answers to a search that are
 * equally good, and neither admits nor removes anybody.
 */
export interface Signals {
  /** The NIP-05 name was verified: at a domain of the author's own, at one that many share, or not. */
  readonly confirmed: "own domain" | "provider" | undefined
  /** Posts were looked for and not found. */
  readonly isSilent: boolean
  /** Unix seconds when the first profile of the author was seen here. */
  readonly seen: number
  /** Somebody with the same name and the same picture was seen here first. */
  readonly isCopy: boolean
}

/** What each signal is worth. */
export const weights = { newcomer: 2, ownDomain: 4, provider: 2, silent: -1, year: 1, copy: -3 } as const

/** Whole years that count. */
const yearsMax = 3
const year = 31_557_600

/** From 0, the least, to 15; `now` in Unix seconds. */
export const standingOf = ({ confirmed, isCopy, isSilent, seen }: Signals, now: number): number => {
  const years = Math.min(yearsMax, Math.max(0, Math.floor((now - seen) / year)))
  const sum = weights.newcomer + years * weights.year +
    (confirmed === "own domain" ? weights.ownDomain : confirmed === "provider" ? weights.provider : 0) +
    (isSilent ? weights.silent : 0) + (isCopy ? weights.copy : 0)
  return Math.min(15, Math.max(0, sum))
}
