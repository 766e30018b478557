/**
 * Is this author a copy of somebody from another network?
 *
 * Bridges mirror accounts of the fediverse, Bluesky and feeds. They mark some of their events and not others, so the
 * question is about the author: one mark on one event answers it. A `fields` array in a profile is no mark, as native
 * clients write it too, and neither is a bridge's relay in a relay list.
 */
import type { Event } from "./Event.ts"
import { nip05Spelling } from "./Nip05.ts"
import { comparable, type Profile } from "./Profile.ts"

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
  /** Endings of a name, by what is shown. */
  readonly bridgeNames: ReadonlyArray<string>
}

const isLabelled = (tag: ReadonlyArray<string>, labels: ReadonlyArray<string>): boolean =>
  labels.some((label) =>
    (tag[0] === "L" && tag[1] === label) || (tag[0] === "l" && (tag[2] === label || tag[1]?.startsWith(`${label}.`)))
  )

/** What stands behind the scheme of a URL, up to its path. */
const authorityOf = (text: string): string => {
  const scheme = /^[a-z][a-z0-9+.-]*:\/\//.exec(text.slice(0, 32))?.[0] ?? ""
  return text.slice(scheme.length).split(/[/?#\\]/, 1)[0] ?? ""
}

/**
 * The domain in lower case, from what people write as a NIP-05 name: `name@domain`, `@name@domain`, a domain, or a URL of one.
 */
export const nip05Domain = (nip05: string): string => {
  const authority = authorityOf(nip05Spelling(nip05))
  const [host = ""] = authority.slice(authority.lastIndexOf("@") + 1).trim().split(":", 1)
  return host.endsWith(".") ? host.slice(0, -1) : host
}

/** Words that follow "at" in names of people: `look_at_me.now` is no address at the host `me.now`. */
const wordsAfterAt: ReadonlySet<string> = new Set(
  ("me my us it you your him her them this that the all home work school sea war peace rest ease play risk night noon dawn dusk " +
    "last least once large heart hand first")
    .split(" ")
)

/** `alice_at_social.example` of `alice_at_social.example@bridge.example`: a name at a host. */
const isBridgedAddress = (nip05: string): boolean => {
  const [local = "", domain] = nip05Spelling(nip05).split("@", 2)
  const at = local.lastIndexOf("_at_")
  if (at < 1 || domain === undefined) return false
  const labels = local.slice(at + 4).split(".")
  return labels.length > 1 && !labels.includes("") && !wordsAfterAt.has(labels[0] as string)
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
  const named = [profile.name, profile.displayName].map(comparable)
  const endings = rules.bridgeNames.map(comparable)
  return endings.some((ending) => named.some((name) => name.endsWith(ending))) ? "feed name" : undefined
}
