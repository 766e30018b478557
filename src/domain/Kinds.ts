/**
 * Which kinds mean something to this relay, and what: the one place to change for keeping one more.
 *
 * Which lists are kept is a setting. A kind that is among them is kept of everybody whose profile is, taken live and asked for by author, its deletions
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

/** Kept of an author whose profile is kept, unless the operator says otherwise. Each is replaceable: one of them per author. */
export const listKinds: ReadonlyArray<number> = [relayListKind, messageRelaysKind]

/** What the store of a relay of profiles serves by default, besides removals. */
export const keptKinds: ReadonlyArray<number> = [profileKind, ...listKinds]

/** The same as a text, such as "0, 10002 and 10050". */
export const keptInWords = new Intl.ListFormat("en-GB").format(keptKinds.map(String))

/** No policy of ours stands between authors and the end of what they published (NIP-09, NIP-62). */
export const removalKinds: ReadonlyArray<number> = [deletionKind, vanishKind]

/** What follows from which lists are kept (`LIST_KINDS`). */
export interface KeptKinds {
  readonly lists: ReadonlyArray<number>
  /** What the store serves, besides removals. */
  readonly kept: ReadonlyArray<number>
  /** What an upstream may bring, as soon as it has it. */
  readonly harvested: ReadonlyArray<number>
  /** What is looked for beside a profile: its author's lists, and whether the author is still there. */
  readonly companions: ReadonlyArray<number>
}

const made = new WeakMap<ReadonlyArray<number>, KeptKinds>()

/** Made once for each array: it is asked for with every event. */
export const kindsWith = (lists: ReadonlyArray<number>): KeptKinds => {
  const known = made.get(lists)
  if (known !== undefined) return known
  const kinds = {
    lists,
    kept: [profileKind, ...lists],
    harvested: [profileKind, ...removalKinds, ...lists],
    companions: [vanishKind, ...lists]
  }
  made.set(lists, kinds)
  return kinds
}

export const isRemoval = (kind: number): boolean => kind === deletionKind || kind === vanishKind

/** `kind:pubkey:` of everything that is kept of an author, as `a` tags write it. */
export const keptAddressesOf = (pubkey: string, kept: ReadonlyArray<number>): ReadonlyArray<string> =>
  kept.map((kind) => `${kind}:${pubkey}:`)

/** Does a deletion name the profile or a list of its author by address, with or without the colon at its end? */
export const deletesKept = (
  { pubkey, tags }: Pick<Event, "pubkey" | "tags">,
  kept: ReadonlyArray<number>
): boolean => {
  const addresses = keptAddressesOf(pubkey, kept)
  return tags.some(([name, value]) =>
    name === "a" && value !== undefined && addresses.some((address) => value === address || `${value}:` === address)
  )
}
