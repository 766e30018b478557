/**
 * Every setting, once: its variable, default, bounds, meaning, and whether it can change while the service runs.
 *
 * What components read (`Settings`), the command-line flags (`Flags`), the table in `docs/configuration.md` and
 * `.env.example` all come from here, so none of them can say something else. Pure.
 * Longer than other files: it is one table, and what it is for is that there is no second one.
 */
import { keptInWords, listKinds } from "../domain/Kinds.ts"
import { killMillis } from "../lifecycle/watchdog.ts"
import {
  address,
  day,
  days,
  extendable,
  file,
  folder,
  line,
  list,
  listKind,
  network,
  type Notation,
  oneOf,
  onOff,
  phrase,
  pixels,
  pubkey,
  quota,
  relay,
  relays,
  seconds,
  secretKey,
  some,
  whole
} from "./Notation.ts"

export interface Setting<A> extends Notation<A> {
  /** Name in the environment and in `.env`. The flag is the same in kebab case: `PAGE_SIZE`, `--page-size`. */
  readonly variable: string
  /** One line. */
  readonly meaning: string
  /** As one would write it; empty: not set. */
  readonly default: string
  /** The default follows from another setting, and this says how. */
  readonly derived: boolean
  /** Never shown, and no flag, since everybody on a machine can read a command line. */
  readonly secret: boolean
  /** Of a rule: where everybody finds it (NIP-11), in `profile_rules`; undefined: under its own name. */
  readonly published: string | undefined
  /** Can change while the service runs. What cannot is read once, at the start: paths, ports, threads. */
  readonly isLive: boolean
}

const setting = <A>(variable: string, notation: Notation<A>, otherwise: string, meaning: string): Setting<A> => ({
  ...notation,
  variable,
  meaning,
  default: otherwise,
  derived: false,
  secret: false,
  published: undefined,
  isLive: true
})

/** The same, for as long as the service runs. */
const fixed = <A>(...row: Parameters<typeof setting<A>>): Setting<A> => ({ ...setting(...row), isLive: false })

/** The same as a setting, of texts. */
const phrases = (
  variable: string,
  many: string,
  otherwise: string,
  meaning: string,
  one: Notation<string> = phrase(true)
): Setting<ReadonlyArray<string>> => setting(variable, extendable(one, many, otherwise), otherwise, meaning)

/** The settings have the shape of this table (`Decoded`). */
export const table = {
  bindAddr: fixed("BIND_ADDR", address, "127.0.0.1:8080", "Where to listen."),
  databasePath: fixed(
    "DATABASE_PATH",
    file,
    "./data/profile_aggregator.db",
    "The SQLite file. Its directory must exist, except for the default one, which is created."
  ),
  stateDir: {
    ...fixed(
      "STATE_DIR",
      folder,
      "<folder of DATABASE_PATH>",
      "Folder for what the service keeps beside its database: key, certificate. It must exist; every name begins with the database's."
    ),
    derived: true
  },
  relayUrl: {
    ...fixed(
      "RELAY_URL",
      relay,
      "ws://localhost:<port of BIND_ADDR>",
      "Public address of this relay (NIP-11, NIP-42)."
    ),
    derived: true
  },
  relayName: setting("RELAY_NAME", line(100), "profile aggregator", "Name of this relay (NIP-11)."),
  relayDescription: setting(
    "RELAY_DESCRIPTION",
    line(1000),
    `An indexer of the profiles worth having, and of their authors' relay lists: kinds ${keptInWords}.`,
    "Description of this relay (NIP-11)."
  ),
  relayIcon: setting("RELAY_ICON", line(1000), "", "URL of a square picture of this relay (NIP-11)."),
  relayBanner: setting("RELAY_BANNER", line(1000), "", "URL of a wide picture of this relay (NIP-11)."),
  relayTerms: setting("RELAY_TERMS", line(1000), "", "URL of the terms of service (NIP-11)."),
  relayContact: setting("RELAY_CONTACT", line(200), "", "How to reach its operator, such as a mailto: URI (NIP-11)."),
  relaySecretKey: {
    ...fixed("RELAY_SECRET_KEY", secretKey, "", "The relay's own key, instead of the one in RELAY_KEY_PATH."),
    secret: true
  },
  relayKeyPath: {
    ...fixed(
      "RELAY_KEY_PATH",
      file,
      "<STATE_DIR>/<name of DATABASE_PATH>.key",
      "File of the relay's key, mode 0600, made at the first start."
    ),
    derived: true
  },
  trustedProxies: setting(
    "TRUSTED_PROXIES",
    list(network, "CIDR blocks", 64),
    "",
    "Proxies in front of this relay, whose X-Forwarded-For says who the client is."
  ),
  metricsAllow: setting(
    "METRICS_ALLOW",
    list(network, "CIDR blocks", 64),
    "",
    "Networks that may read `/metrics`, besides this machine; by the address of the client, behind whatever proxy."
  ),
  metricsTokenPath: setting(
    "METRICS_TOKEN_FILE",
    line(4096),
    "",
    "File of a token: who sends it (`Authorization: Bearer …`) may read `/metrics`; read at each request."
  ),
  operators: setting(
    "ADMIN_PUBKEYS",
    list(pubkey, "pubkeys of 64 hex characters or `npub1…`", 64),
    "",
    "Who may manage the relay over HTTP (NIP-86); the first of them stands in the NIP-11 document."
  ),
  upstreams: setting("DISCOVERY_RELAY_URL", relays, "wss://relay.nos.social", "The upstreams: relays to harvest from."),
  admission: fixed(
    "ADMISSION",
    oneOf(["profiles", "open"]),
    "profiles",
    "What is kept: profiles and relay lists that pass the rules, or any valid event."
  ),
  listKinds: fixed(
    "LIST_KINDS",
    list(listKind, "kinds, 3 and 10_000 to 10_102", 32),
    listKinds.join(","),
    "Lists that are kept and served of authors whose profile is kept, such as follows (3) and those of NIP-51; one of each kind per author."
  ),
  writePolicy: fixed(
    "WRITE_POLICY",
    line(4096),
    "",
    "Program that is asked about every event before it is written, in strfry's plugin protocol."
  ),
  writePolicyTimeout: setting(
    "WRITE_POLICY_TIMEOUT_SECS",
    seconds(0.05, 8),
    "5",
    "How long it may take to answer, before it is killed and started again."
  ),
  writePolicyFailure: setting(
    "WRITE_POLICY_FAILURE",
    oneOf(["refuse", "accept"]),
    "refuse",
    "What becomes of events while it does not answer: refused with `error:`, and harvested ones read again; or judged without it."
  ),
  pageSize: setting("PAGE_SIZE", whole(1, 5000, "events"), "500", "Events asked for per harvest page."),
  initialBackoff: setting("INITIAL_BACKOFF_SECS", seconds(0.05, 3600), "2", "First pause after an upstream failed."),
  maxBackoff: setting(
    "MAX_BACKOFF_SECS",
    seconds(0.05, 86_400),
    "300",
    "Longest pause between attempts at an upstream."
  ),
  logLevel: setting(
    "LOG_LEVEL",
    oneOf(["Trace", "Debug", "Info", "Warn", "Error", "None"]),
    "Info",
    "The least important log lines to write."
  ),
  logFormat: fixed(
    "LOG_FORMAT",
    oneOf(["auto", "pretty", "json"]),
    "auto",
    "How log lines look; auto is pretty on a terminal, JSON lines otherwise."
  ),
  verifierThreads: fixed(
    "VERIFIER_THREADS",
    whole(0, 64, "threads"),
    "0",
    "Threads that check signatures; 0 is as many as the machine has cores to spare."
  ),
  verifierEngine: fixed(
    "VERIFIER_ENGINE",
    oneOf(["auto", "libsecp256k1", "secp256k1-native", "wasm", "noble"]),
    "auto",
    "What checks signatures; auto is the fastest that passes its self-test."
  ),
  fetchAllow: setting(
    "FETCH_ALLOW",
    list(network, "CIDR blocks", 64),
    "",
    "Private networks that pictures and learnt relays may be fetched from, on any port."
  ),
  hostPerMinute: setting(
    "HOST_REQUESTS_PER_MINUTE",
    whole(1, 100_000, "requests a minute"),
    "30",
    "How often one host is asked for pictures and NIP-05 documents, so many at once when it was idle."
  ),
  hostQuotas: setting(
    "HOST_QUOTAS",
    extendable(quota, "`host=requests a minute`", "i.imgur.com=8"),
    "i.imgur.com=8",
    "The same for exactly these hosts."
  ),
  pictureMin: setting("PICTURE_MIN", pixels, "300x600", "Smallest picture of a profile that is kept."),
  outboxRelays: setting(
    "OUTBOX_RELAY_URLS",
    relays,
    "wss://relay.damus.io,wss://nos.lol,wss://relay.primal.net",
    "Relays, besides the upstreams, where authors' relay lists and posts are looked for; ones that keep posts of everybody."
  ),
  proofKinds: setting(
    "PROOF_KINDS",
    some(whole(0, 65_535), "event kinds, 0 to 65_535", 32),
    "1",
    "One event of any of these kinds proves that an author really posts."
  ),
  proofQuorum: setting(
    "PROOF_QUORUM",
    whole(0, 64, "relays"),
    "2",
    "How many relays must have answered that they hold nothing by an author before that rejects, or all where fewer can be asked; 0: it never does."
  ),
  proofMin: setting(
    "PROOF_MIN",
    whole(1, 20, "events"),
    "1",
    "How many events of these kinds an author must be found to have."
  ),
  proof: setting(
    "PROOF",
    oneOf(["on", "off"]),
    "on",
    "Whether an author must be found to have posted, at relays that are asked."
  ),
  pictures: setting(
    "PICTURES",
    oneOf(["on", "off"]),
    "on",
    "Whether pictures are fetched and measured; off judges their URL alone."
  ),
  nip05: setting(
    "NIP05",
    oneOf(["off", "check", "require"]),
    "check",
    "Whether domains are asked whose their NIP-05 names are: check keeps what they say, for searches and for who comes first there; require rejects profiles without a name that is theirs."
  ),
  openRanking: setting(
    "OPEN_RANKING",
    onOff,
    "off",
    "Whether programs may search by the Open Ranking protocol: POST /search/pubkeys, and what there is at /.well-known/open-ranking."
  ),
  profileGrace: setting(
    "PROFILE_GRACE",
    days(0, 3650),
    "30",
    "How long the last accepted profile is served on after a newer version of it was rejected."
  ),
  retriesMax: setting(
    "MAX_RETRIES",
    whole(100, 1_000_000, "profiles"),
    "20_000",
    "Profiles that wait to be checked, or to be checked again."
  ),
  announceDelay: setting(
    "ANNOUNCE_DELAY_SECS",
    seconds(0, 5),
    "0",
    "How long /ready says 503 at a stop before the listener closes; 5 behind a load balancer."
  ),
  signalExit: fixed(
    "SIGNAL_EXIT",
    oneOf(["zero", "conventional"]),
    "zero",
    "Exit code of a clean stop by a signal: 0, or 128 + the signal's number."
  ),
  watchdogKill: fixed(
    "WATCHDOG_KILL_SECS",
    seconds(1, 3600),
    String(killMillis / 1000),
    "A process whose event loop stands still for so long is killed."
  ),
  rules: {
    createdAtMin: setting("CREATED_AT_MIN", day, "2020-01-01", "Events from before are rejected."),
    nameMin: setting(
      "NAME_MIN",
      whole(0, 100, "characters that show something"),
      "1",
      "Shortest name, of either sort, of a profile that is kept; 0: it needs none."
    ),
    aboutMin: setting(
      "ABOUT_MIN",
      whole(0, 10_000, "characters that show something"),
      "1",
      "Shortest text about the author of a profile that is kept; 0: it needs none."
    ),
    deletedNames: phrases(
      "DELETED_NAMES",
      "names",
      "account deleted",
      "Names, or the text about one who is called nobody, that clients give to a deleted account."
    ),
    bridgeTags: phrases("BRIDGE_TAGS", "names of tags", "proxy,mostr", "Tags that mark the author as bridged."),
    bridgeLabels: phrases(
      "BRIDGE_LABELS",
      "labels or their namespaces",
      "pink.momostr",
      "Labels (NIP-32) that mark the author as bridged.",
      phrase(false)
    ),
    bridgeDomains: phrases(
      "BRIDGE_DOMAINS",
      "domains, or single parts of one",
      "mostr.pub,mostr-pub,momostr.pink,brid.gy",
      "Domains of bridges; a NIP-05 name there, or below, marks its author as bridged."
    ),
    bridgeAddresses: setting(
      "BRIDGE_ADDRESSES",
      onOff,
      "on",
      "Whether a NIP-05 name like name_at_host.tld@… marks its author as bridged."
    ),
    bridgeNames: phrases(
      "BRIDGE_NAMES",
      "endings of names",
      "(rss feed)",
      "Endings of a name that mark its author as a feed."
    ),
    pictureSchemes: setting(
      "PICTURE_SCHEMES",
      some(oneOf(["https", "http", "data"]), "`https`, `http`, `data`", 3),
      "https,http,data",
      "Schemes that the URL of a picture may have."
    ),
    pictureUrlMax: {
      ...setting("PICTURE_URL_MAX", whole(16, 2048, "characters"), "2_048", "Longest URL of a picture."),
      published: "picture_url.max_length"
    },
    pictureAddressHosts: setting(
      "PICTURE_ADDRESS_HOSTS",
      onOff,
      "on",
      "Whether the URL of a picture may name its host by an IP address."
    ),
    picturePageHosts: phrases(
      "PICTURE_PAGE_HOSTS",
      "hosts",
      "imgur.com,www.imgur.com",
      "Hosts that answer with a page about the picture."
    ),
    picturePlaceholders: phrases(
      "PICTURE_PLACEHOLDERS",
      "parts of a path behind a slash, hosts, or words",
      "/favicon.ico,rss-to-nostr,default-avatar,placeholder,randomuser.me",
      "What marks a picture of nobody: `/path`, `host.example` and all below it, or a whole word in either."
    )
  },
  limits: {
    frameBytesMax: setting("MAX_MESSAGE_BYTES", whole(1024, 16_777_216, "bytes"), "131_072", "One client message."),
    jsonDepthMax: setting("MAX_JSON_DEPTH", whole(4, 256, "levels"), "16", "Nesting of one client message."),
    subscriptionsMax: setting("MAX_SUBSCRIPTIONS", whole(1, 10_000), "32", "Open subscriptions per connection."),
    filtersMax: setting("MAX_FILTERS", whole(1, 1000), "16", "Filters in one REQ."),
    filterValuesMax: setting(
      "MAX_FILTER_VALUES",
      whole(1, 100_000),
      "2_000",
      "Values in one filter, all its lists together."
    ),
    limitMax: setting("MAX_LIMIT", whole(1, 50_000, "events"), "5_000", "Stored events per filter, at most."),
    limitDefault: setting(
      "DEFAULT_LIMIT",
      whole(1, 50_000, "events"),
      "500",
      "Stored events per filter that does not say, unless it can match more by its ids or authors; at most MAX_LIMIT."
    ),
    subscriptionIdMax: setting("MAX_SUBSCRIPTION_ID_LENGTH", whole(1, 64, "characters"), "64", "Subscription id."),
    eventTagsMax: setting("MAX_EVENT_TAGS", whole(1, 100_000), "2_000", "Tags of one event."),
    contentMax: setting(
      "MAX_CONTENT_LENGTH",
      whole(1, 16_777_216, "characters"),
      "65_536",
      "Content of one event."
    ),
    syncItemsMax: setting(
      "MAX_SYNC_EVENTS",
      whole(0, 10_000_000, "events"),
      "1_000_000",
      "Events of one reconciliation (NIP-77); 0 offers none."
    ),
    powMin: setting(
      "MIN_POW",
      whole(0, 64, "bits"),
      "0",
      "Proof of work of a client's event (NIP-13); deletions and requests to vanish need none."
    ),
    createdAtFutureMax: setting(
      "MAX_CREATED_AT_AHEAD_SECS",
      whole(0, 31_536_000, "seconds"),
      "900",
      "How far an event's created_at may be ahead of our clock."
    ),
    connectionsMax: setting("MAX_CONNECTIONS", whole(1, 1_000_000), "10_000", "Open client connections."),
    connectionsPerAddressMax: setting(
      "MAX_CONNECTIONS_PER_ADDRESS",
      whole(1, 1_000_000),
      "100",
      "Open client connections from one address."
    ),
    ratePerConnection: setting(
      "RATE_PER_CONNECTION",
      whole(0, 1_000_000, "units a second"),
      "2_000",
      "Work for one connection, about 0.1 ms each (an EVENT is one, a REQ 1 to 100, a COUNT 20); twice as much at once; who has used it up is not read for a while; 0: no limit."
    ),
    ratePerAddress: setting(
      "RATE_PER_ADDRESS",
      whole(0, 1_000_000, "units a second"),
      "2_500",
      "The same for all connections from one address, or one /64 of IPv6, and for all of one pubkey (NIP-42)."
    ),
    outboundBytesMax: setting(
      "MAX_OUTBOUND_BYTES",
      whole(262_144, 1_073_741_824, "bytes"),
      "8_388_608",
      "What may wait for one client that does not read, before it is cut (close code 1013)."
    ),
    outboundTotalBytesMax: setting(
      "MAX_OUTBOUND_TOTAL_BYTES",
      whole(4_194_304, 68_719_476_736, "bytes"),
      "134_217_728",
      "The same for all clients together; over it, those who have read nothing for longest are cut first."
    ),
    liveReadersMax: setting(
      "MAX_LIVE_READERS",
      whole(0, 100_000),
      "256",
      "Browsers and programs that follow the live figures at a time (server-sent events); 0 offers none."
    ),
    liveReadersPerAddressMax: setting(
      "MAX_LIVE_READERS_PER_ADDRESS",
      whole(0, 100_000),
      "4",
      "The same from one address."
    ),
    headerTimeout: setting("HEADER_TIMEOUT_SECS", seconds(0.1, 300), "10", "How long a request's headers may take."),
    idleTimeout: setting(
      "IDLE_TIMEOUT_SECS",
      seconds(1, 86_400),
      "120",
      "A connection that neither sends nor answers pings for so long is closed."
    )
  }
}

/** What a part of the table decodes to. */
export type Decoded<T> = {
  readonly [K in keyof T]: T[K] extends Setting<infer A> ? A : Decoded<T[K]>
}

/** Settings that stand together. */
export const groups = ["limits", "rules"] as const
export type Group = (typeof groups)[number]

/** One setting and where its value stands in the settings. */
export interface Row {
  readonly path: readonly [string] | readonly [Group, string]
  readonly setting: Setting<unknown>
}

const { limits, rules, ...others } = table

const rowsOf = (group: Group, settings: Readonly<Record<string, Setting<unknown>>>): ReadonlyArray<Row> =>
  Object.entries(settings).map(([name, setting]) => ({ path: [group, name], setting }))

/** The table, row by row. */
export const rows: ReadonlyArray<Row> = [
  ...Object.entries<Setting<unknown>>(others).map(([name, setting]): Row => ({ path: [name], setting })),
  ...rowsOf("rules", rules),
  ...rowsOf("limits", limits)
]

/** Name of the command-line flag, without its dashes. */
export const flagName = (setting: Setting<unknown>): string => setting.variable.toLowerCase().replaceAll("_", "-")

/** The table of `docs/configuration.md`. */
export const markdown = (): string =>
  [
    "| Variable | Flag | Default | Allowed | Meaning |",
    "|---|---|---|---|---|",
    ...rows.map(({ setting }) =>
      [
        "",
        ` \`${setting.variable}\` `,
        setting.secret ? " – " : ` \`--${flagName(setting)}\` `,
        setting.default === "" ? " – " : ` \`${setting.default}\` `,
        ` ${setting.allowed} `,
        ` ${setting.meaning} `,
        ""
      ].join("|")
    )
  ].join("\n")

/** `.env.example`: every setting at its default, commented out. */
export const dotEnvExample = (): string =>
  [
    "# Copy to .env and uncomment what should differ. Flags win over the environment, the environment over this file.",
    ...rows.flatMap(({ setting }) => [
      "",
      `# ${setting.meaning}`,
      `# Allowed: ${setting.allowed.replaceAll("`", "")}.`,
      `# ${setting.variable}=${setting.default}`
    ]),
    ""
  ].join("\n")
