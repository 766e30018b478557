/**
 * Is this author a copy of somebody from another network?
 *
 * Bridges mirror accounts of the fediverse, Bluesky and feeds. They mark some of their events and not others, so the
 * question is about the author: one mark on one event answers it. A `fields` array in a profile is no mark, as native
 * clients write it too, and neither is a bridge's relay in a relay list.
 */
import type { Event } from "./Event.ts"
import type { Profile } from "./Profile.ts"

/** What gave the bridge away, from the most certain to the least. */
export type BridgeEvidence =
  | "proxy tag"
  | "bridge label"
  | "bridge domain"
  | "bridged address"
  | "feed name"

export interface BridgeRules {
  /** Names of tags that say so: `proxy` (NIP-48), and what Mostr wrote before there was one. Case does not count. */
  readonly bridgeTags: ReadonlyArray<string>
  /** Namespaces or values of NIP-32 labels. */
  readonly bridgeLabels: ReadonlyArray<string>
  /** Domains of a NIP-05 name: the domain itself and all below it. One without a dot is any single part of a name. */
  readonly bridgeDomains: ReadonlyArray<string>
  /** `alice_at_example.social@anywhere`: how a bridge spells an address of the fediverse. */
  readonly bridgeAddresses: boolean
  /** Endings of a name in lower case. */
  readonly bridgeNames: ReadonlyArray<string>
}

const isLabelled = (tag: ReadonlyArray<string>, labels: ReadonlyArray<string>): boolean =>
  labels.some((label) =>
    (tag[0] === "L" && tag[1] === label) || (tag[0] === "l" && (tag[2] === label || tag[1]?.startsWith(`${label}.`)))
  )

/** The domain in lower case, from what people write as a NIP-05 name: `name@domain`, `@name@domain` or a domain. */
export const nip05Domain = (nip05: string): string => {
  const [host = ""] = nip05.slice(nip05.lastIndexOf("@") + 1).trim().toLowerCase().split(/[:/]/, 1)
  return host.endsWith(".") ? host.slice(0, -1) : host
}

/** `alice_at_example.social@anywhere`, looked at by its marks: a pattern over all of it would go back and forth. */
const isBridgedAddress = (nip05: string): boolean => {
  const local = nip05.slice(0, Math.max(0, nip05.indexOf("@"))).toLowerCase()
  const dot = local.lastIndexOf(".")
  const mark = local.indexOf("_at_", 1)
  return mark > 0 && mark + "_at_".length < dot && dot < local.length - 1
}

const isWithin = (domain: string, suffix: string): boolean =>
  suffix.includes(".") ? domain === suffix || domain.endsWith(`.${suffix}`) : domain.split(".").includes(suffix)

/** What one event says about its author. */
export const bridgeEvidenceOf = (
  event: Pick<Event, "tags">,
  profile: Pick<Profile, "nip05" | "name" | "displayName"> | undefined,
  rules: BridgeRules
): BridgeEvidence | undefined => {
  if (event.tags.some((tag) => tag[0] !== undefined && rules.bridgeTags.includes(tag[0].toLowerCase()))) {
    return "proxy tag"
  }
  if (event.tags.some((tag) => isLabelled(tag, rules.bridgeLabels))) return "bridge label"
  if (profile === undefined) return undefined
  const domain = nip05Domain(profile.nip05)
  if (rules.bridgeDomains.some((suffix) => isWithin(domain, suffix))) return "bridge domain"
  if (rules.bridgeAddresses && isBridgedAddress(profile.nip05)) return "bridged address"
  const named = [profile.name, profile.displayName].map((name) => name.toLowerCase())
  return rules.bridgeNames.some((ending) => named.some((name) => name.endsWith(ending))) ? "feed name" : undefined
}
