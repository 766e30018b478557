/**
 * Which kinds mean something to this relay, and what: the one place to change for keeping one more.
 *
 * A kind that is added to `listKinds` is kept of everybody whose profile is, taken live and asked for by author, its deletions
 * are harvested, and the relay says so of itself. How kinds in general are stored is `Event`'s (`isReplaceable` and others).
 */
import type { Event } from "./Event.ts"

/** Profile (NIP-01, NIP-24): what is harvested in full, and judged by the rules. */
export const profileKind = 0
/** Request to delete (NIP-09). */
export const deletionKind = 5
/** Request to vanish (NIP-62). */
export const vanishKind = 62
/** Message that is wrapped for the keys in its `p` tags (NIP-59). */
export const giftWrapKind = 1059
/** Which relays an author uses (NIP-65). */
export const relayListKind = 10_002
/** Where an author takes direct messages (NIP-17). */
export const messageRelaysKind = 10_050

/** Kept of an author whose profile is kept. Each is replaceable: one of them per author. */
export const listKinds: ReadonlyArray<number> = [relayListKind, messageRelaysKind]

/** What the store of a relay of profiles serves, besides removals. */
export const keptKinds: ReadonlyArray<number> = [profileKind, ...listKinds]

/** The same as a text, such as "0, 10002 and 10050". */
export const keptInWords = new Intl.ListFormat("en-GB").format(keptKinds.map(String))

/** No policy of ours stands between authors and the end of what they published (NIP-09, NIP-62). */
export const removalKinds: ReadonlyArray<number> = [deletionKind, vanishKind]

/** What an upstream may bring, as soon as it has it. */
export const harvestedKinds: ReadonlyArray<number> = [profileKind, ...removalKinds, ...listKinds]

/** What is looked for beside a profile: its author's lists, and whether the author is still there. */
export const companionKinds: ReadonlyArray<number> = [vanishKind, ...listKinds]

export const isRemoval = (kind: number): boolean => kind === deletionKind || kind === vanishKind

/** `kind:pubkey:` of everything that is kept of an author, as `a` tags write it. */
export const keptAddressesOf = (pubkey: string): ReadonlyArray<string> => keptKinds.map((kind) => `${kind}:${pubkey}:`)

/** Does a deletion name the profile or a list of its author by address, with or without the colon at its end? */
export const deletesKept = ({ pubkey, tags }: Pick<Event, "pubkey" | "tags">): boolean => {
  const addresses = keptAddressesOf(pubkey)
  return tags.some(([name, value]) =>
    name === "a" && value !== undefined && addresses.some((address) => value === address || `${value}:` === address)
  )
}
