/** Somebody as pages and programs see them: a kind 0 event, and what the relay knows of its author. Pure. */
import type { Event } from "../domain/Event.ts"
import { labelOf, lineOf, type Profile } from "../domain/Profile.ts"
import { npubOf } from "../domain/PublicKey.ts"
import type { Why } from "../domain/Standing.ts"

/** What the domain of a NIP-05 name says of it. */
export interface Nip05Name {
  /** As people write it: `name@domain`, or only the domain for `_@domain` (NIP-05). */
  readonly text: string
  /** Whether it is the author's; undefined while nobody could tell. */
  readonly verified: boolean | undefined
  /** When the domain was asked: Unix seconds. */
  readonly checkedAt: number | undefined
}

export interface Person {
  readonly pubkey: string
  readonly npub: string
  /** What to call them; never empty. */
  readonly label: string
  readonly name: string
  readonly about: string
  readonly website: string
  /** Where to send money (NIP-57). */
  readonly lightning: string
  readonly nip05: Nip05Name | undefined
  /** Says of itself that it is automated (NIP-24). */
  readonly bot: boolean
  /** `created_at` of this version: Unix seconds. */
  readonly updatedAt: number
  /** When the relay saw the account first: Unix seconds; undefined where it did not write that down. */
  readonly firstSeenAt: number | undefined
  /** Why the account stands where it does among equal answers to a search. */
  readonly why: Why
}

/** Characters of a bio on a page of its own; on a card there are fewer lines anyway. */
const aboutMax = 4000

/** A key short enough to read, and long enough to tell two apart. */
export const shortKeyOf = (npub: string): string => `${npub.slice(0, 12)}…${npub.slice(-4)}`

/** Lines of a text that can be shown: without invisible characters, at most so many characters, no two blank lines. */
export const linesOf = (text: string, max: number = aboutMax): string =>
  text
    .slice(0, max * 4)
    .split(/\r\n?|[\n\u2028\u2029]/u)
    .map((line) => lineOf(line, max))
    .join("\n")
    .replace(/\n{3,}/gu, "\n\n")
    .trim()
    .slice(0, max)

export const personOf = (
  event: Pick<Event, "pubkey" | "created_at">,
  profile: Profile,
  known: Pick<Person, "nip05" | "firstSeenAt"> & Omit<Why, "nip05Verified">
): Person => {
  const npub = npubOf(event.pubkey)
  return {
    pubkey: event.pubkey,
    npub,
    label: labelOf(profile) || shortKeyOf(npub),
    name: lineOf(profile.name),
    about: linesOf(profile.about),
    website: profile.website.slice(0, 2048),
    lightning: lineOf(profile.lud16),
    nip05: known.nip05,
    bot: profile.bot,
    updatedAt: event.created_at,
    firstSeenAt: known.firstSeenAt,
    why: {
      bucket: known.bucket,
      nip05Verified: known.nip05?.verified,
      resembles: known.resembles,
      trustedFollowers: known.trustedFollowers,
      rankedAt: known.rankedAt
    }
  }
}
