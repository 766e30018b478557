/** The NIP-11 document: what this relay is, can do, and refuses. Every limit in it is enforced as it says. */
import manifest from "../../../package.json" with { type: "json" }
import type { Moderation } from "../../aggregation/admission/Moderation.ts"
import { publishedRules } from "../../aggregation/evidence/Rules.ts"
import type { SettingsShape } from "../../config/Settings.ts"
import { searchSorts } from "../../domain/SearchQuery.ts"
import { formulaSaid } from "../../domain/Standing.ts"

/**
 * NIPs that work, and nothing else: 1 basics, 9 deletion, 11 this document, 13 proof of work, 40 expiration,
 * 42 authentication, 45 COUNT, 50 search, 62 vanishing, 65 relay lists, 67 EOSE hints, 70 protected events,
 * 77 negentropy. Where any event is kept also 2 follow lists, and 17 and 59, whose messages are for those they concern.
 * Where there are operators 86 management, and 98 by which they sign.
 */
const supportedNips = ({ admission, limits, operators }: SettingsShape): ReadonlyArray<number> =>
  [1, 9, 11, 13, 40, 42, 45, 50, 62, 65, 67, 70].concat(
    admission === "open" ? [2, 17, 59] : [],
    limits.syncItemsMax > 0 ? [77] : [],
    operators.length > 0 ? [86, 98] : []
  ).toSorted((a, b) => a - b)

export interface RelayInformation {
  readonly name: string
  readonly description: string
  /** Public key of who answers for the relay, and its own, in hex. */
  readonly pubkey: string
  readonly self: string
  readonly icon?: string
  readonly banner?: string
  readonly terms_of_service?: string
  readonly contact?: string
  readonly supported_nips: ReadonlyArray<number>
  readonly software: string
  readonly version: string
  readonly limitation: Readonly<Record<string, number | boolean>>
  /** Not of the NIP: what orders answers to a search (NIP-50), and which `sort:` there are. */
  readonly search: { readonly sorts: ReadonlyArray<string>; readonly ranking: ReadonlyArray<string> }
  /** Not of the NIP: what a profile is held to; absent where any event is kept. */
  readonly profile_rules?: ReturnType<typeof publishedRules>
}

/** An empty text is none. */
const given = <K extends string>(name: K, text: string): { readonly [N in K]?: string } =>
  (text === "" ? {} : { [name]: text }) as { readonly [N in K]?: string }

export const relayInformation = (
  settings: SettingsShape,
  /** The relay's own. */
  pubkey: string,
  changed: Moderation["Service"]["text"],
  /** Unix seconds. */
  now: number
): RelayInformation => {
  const { limits } = settings
  return {
    name: changed("name") ?? settings.relayName,
    description: changed("description") ?? settings.relayDescription,
    pubkey: settings.operators[0] ?? pubkey,
    self: pubkey,
    ...given("icon", changed("icon") ?? settings.relayIcon),
    ...given("banner", settings.relayBanner),
    ...given("contact", settings.relayContact),
    ...given("terms_of_service", settings.relayTerms),
    supported_nips: supportedNips(settings),
    software: manifest.homepage,
    version: manifest.version,
    limitation: {
      max_message_length: limits.frameBytesMax,
      max_subscriptions: limits.subscriptionsMax,
      max_limit: limits.limitMax,
      max_subid_length: limits.subscriptionIdMax,
      max_event_tags: limits.eventTagsMax,
      max_content_length: limits.contentMax,
      // Not of the NIP: units of work a second, and twice as many at once (`RateLimit`).
      ...(limits.ratePerConnection > 0 ? { rate_per_connection: limits.ratePerConnection } : {}),
      ...(limits.ratePerAddress > 0 ? { rate_per_address: limits.ratePerAddress } : {}),
      // Seconds back from now (NIP-11): of a fixed date where only profiles are kept.
      ...(settings.admission === "profiles"
        ? { created_at_lower_limit: Math.max(0, now - settings.rules.createdAtMin) }
        : {}),
      created_at_upper_limit: limits.createdAtFutureMax,
      default_limit: limits.limitDefault,
      min_pow_difficulty: limits.powMin,
      auth_required: false,
      payment_required: false,
      // A client is expected to know that only profiles are kept (NIP-11).
      restricted_writes: settings.admission === "profiles"
    },
    search: { sorts: searchSorts, ranking: formulaSaid },
    ...(settings.admission === "profiles" ? { profile_rules: publishedRules(settings) } : {})
  }
}
