import { npubOf } from "./PublicKey.ts"

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
const weights = { newcomer: 2, ownDomain: 4, provider: 2, silent: -1, year: 1, copy: -3 } as const

/** How well known the best known are. */
export const bucketMax = 15

/** Whole years that count. */
const yearsMax = 3
const year = 31_557_600

/** From 0, the least, to 15; `now` in Unix seconds. */
export const standingOf = ({ confirmed, isCopy, isSilent, seen }: Signals, now: number): number => {
  const years = Math.min(yearsMax, Math.max(0, Math.floor((now - seen) / year)))
  const sum = weights.newcomer + years * weights.year +
    (confirmed === "own domain" ? weights.ownDomain : confirmed === "provider" ? weights.provider : 0) +
    (isSilent ? weights.silent : 0) + (isCopy ? weights.copy : 0)
  return Math.min(bucketMax, Math.max(0, sum))
}

/** What is said of an author's place: the figures that every answer about somebody carries. */
export interface Why {
  /** As `standingOf` has it; undefined before anybody has looked. */
  readonly bucket: number | undefined
  /** Whether the domain of the NIP-05 name says that it is theirs; undefined without a name, and while nobody could tell. */
  readonly nip05Verified: boolean | undefined
  /** Whoever has the same folded name and the same picture and was here first, or has the name by right: a pubkey. */
  readonly resembles: string | undefined
  /** How many accounts that this relay trusts follow the author; undefined where nobody has counted. */
  readonly trustedFollowers: number | undefined
  /** When they were counted: Unix seconds. */
  readonly rankedAt: number | undefined
}

const dateOf = (seconds: number): string => new Date(seconds * 1000).toISOString().slice(0, 10)

/** In one plain sentence why somebody stands where they do among equal answers. */
export const standingSaid = ({ bucket, nip05Verified, rankedAt, resembles, trustedFollowers }: Why): string => {
  if (bucket === undefined) return "How well known the account is here has not been looked at yet."
  const reasons = [
    nip05Verified === undefined
      ? "no NIP-05 name of it is verified"
      : nip05Verified
      ? "its NIP-05 name is verified"
      : "the domain of its NIP-05 name does not confirm it",
    ...(trustedFollowers === undefined ? [] : [
      `${trustedFollowers} ${
        trustedFollowers === 1 ? "account that this relay trusts follows" : "accounts that this relay trusts follow"
      } it${rankedAt === undefined ? "" : `, counted on ${dateOf(rankedAt)}`}`
    ]),
    ...(resembles === undefined
      ? []
      : [
        `it has the name and the picture of a profile that was here first or has the name by right, ${
          npubOf(resembles)
        }`
      ])
  ]
  const last = reasons.at(-1)!
  const said = reasons.length === 1 ? last : `${reasons.slice(0, -1).join(", ")}, and ${last}`
  return `The account stands at ${bucket} of ${bucketMax} among equal answers to a search: ${said}.`
}

/** How answers to a search are put in order, for people: weights are those that count. */
export const formulaSaid: ReadonlyArray<string> = [
  `Everybody has ${weights.newcomer} points to begin with.`,
  `A verified NIP-05 name gives ${weights.ownDomain} at a domain of one's own, and ${weights.provider} at one that many share.`,
  `Each whole year since the account was first seen here gives ${weights.year}, at most ${yearsMax * weights.year}.`,
  `Where posts were looked for and none was found, ${-weights.silent} is taken off.`,
  `Who has the name and the picture of somebody who was here first, or has the name by right, loses ${-weights.copy}.`
]
