/**
 * Every setting of the service.
 */
import { Context, Duration, Layer, Option, type Redacted } from "effect"

/** A block of addresses in CIDR notation, ready for `net.BlockList.addSubnet`. */
export interface Network {
  readonly address: string
  readonly prefix: number
  readonly family: "ipv4" | "ipv6"
}

export interface SettingsShape {
  /** Where to listen. Port 0 takes a free one. */
  readonly bindAddr: { readonly host: string; readonly port: number }
  /** The SQLite file; its directory must exist. */
  readonly databasePath: string
  /** Public address of this relay, as in NIP-11 and NIP-42. */
  readonly relayUrl: string
  readonly relayName: string
  readonly relayDescription: string
  readonly relayContact: string
  /** From the environment; otherwise the key is kept in `relayKeyPath`. */
  readonly relaySecretKey: Option.Option<Redacted.Redacted>
  /** File with the generated key, mode 0600; default: `<databasePath>.key`. */
  readonly relayKeyPath: string
  /** Relays to harvest from. */
  readonly upstreams: ReadonlyArray<string>
  /** `profiles` keeps kinds 0, 10002 and 10050 that pass the rules; `open` keeps any valid event. */
  readonly admission: "profiles" | "open"
  /** Events per harvest page. */
  readonly pageSize: number
  readonly initialBackoff: Duration.Duration
  readonly maxBackoff: Duration.Duration
  readonly logLevel: "Trace" | "Debug" | "Info" | "Warn" | "Error" | "None"
  readonly logFormat: "auto" | "pretty" | "json"
  /** 0: as many as the machine has cores to spare. */
  readonly verifierThreads: number
  readonly verifierEngine: "auto" | "libsecp256k1" | "secp256k1-native" | "wasm" | "noble"
  /** Networks that the fetcher may contact although their addresses are special, on any port. */
  readonly fetchAllow: ReadonlyArray<Network>
  /** Pixels; a smaller picture is rejected. */
  readonly pictureMin: { readonly width: number; readonly height: number }
  /** Relays, besides the upstreams, where authors' relay lists and posts are looked for. */
  readonly outboxRelays: ReadonlyArray<string>
  /** Kinds of which one event proves that an author really posts. */
  readonly proofKinds: ReadonlyArray<number>
  /** Readiness says 503 for so long before the listener closes. */
  readonly announceDelay: Duration.Duration
  /** `conventional`: a clean stop by a signal exits with 128 + its number. */
  readonly signalExit: "zero" | "conventional"
  readonly limits: {
    /** Bytes of one client message. */
    readonly frameBytesMax: number
    readonly jsonDepthMax: number
    readonly subscriptionsMax: number
    readonly filtersMax: number
    /** Values in one filter, all its lists together. */
    readonly filterValuesMax: number
    /** Stored events per filter, at most and when the filter does not say. */
    readonly limitMax: number
    readonly limitDefault: number
    readonly subscriptionIdMax: number
    readonly eventTagsMax: number
    /** Characters. */
    readonly contentMax: number
    /** Seconds an event may be ahead of our clock. */
    readonly createdAtFutureMax: number
    readonly connectionsMax: number
    readonly connectionsPerAddressMax: number
    /** Bytes waiting to be read by one client before it is cut with 1013. */
    readonly outboundBytesMax: number
    readonly headerTimeout: Duration.Duration
    /** A connection that neither sends nor answers pings for so long is closed. */
    readonly idleTimeout: Duration.Duration
  }
}

/** What each setting is when nobody says otherwise. */
const defaults: SettingsShape = {
  bindAddr: { host: "127.0.0.1", port: 8080 },
  databasePath: "./data/profile_aggregator.db",
  relayUrl: "ws://localhost:8080",
  relayName: "profile aggregator",
  relayDescription: "A relay that keeps the profiles worth having.",
  relayContact: "",
  relaySecretKey: Option.none(),
  relayKeyPath: "./data/profile_aggregator.db.key",
  upstreams: ["wss://relay.nos.social"],
  admission: "profiles",
  pageSize: 500,
  initialBackoff: Duration.seconds(2),
  maxBackoff: Duration.seconds(300),
  logLevel: "Info",
  logFormat: "auto",
  verifierThreads: 0,
  verifierEngine: "auto",
  fetchAllow: [],
  pictureMin: { width: 300, height: 600 },
  outboxRelays: [],
  proofKinds: [1],
  announceDelay: Duration.zero,
  signalExit: "zero",
  limits: {
    frameBytesMax: 131_072,
    jsonDepthMax: 16,
    subscriptionsMax: 32,
    filtersMax: 16,
    filterValuesMax: 2000,
    limitMax: 5000,
    limitDefault: 500,
    subscriptionIdMax: 64,
    eventTagsMax: 2000,
    contentMax: 65_536,
    createdAtFutureMax: 900,
    connectionsMax: 10_000,
    connectionsPerAddressMax: 100,
    outboundBytesMax: 8_388_608,
    headerTimeout: Duration.seconds(10),
    idleTimeout: Duration.seconds(120)
  }
}

/** Some settings, the rest by default. */
export type Overrides = Partial<Omit<SettingsShape, "limits">> & { readonly limits?: Partial<SettingsShape["limits"]> }

const override = (overrides: Overrides): SettingsShape => ({
  ...defaults,
  ...(overrides.databasePath === undefined ? {} : { relayKeyPath: `${overrides.databasePath}.key` }),
  ...overrides,
  limits: { ...defaults.limits, ...overrides.limits }
})

export class Settings extends Context.Service<Settings, SettingsShape>()("profile-aggregator/Config/Settings") {
  static readonly defaults: SettingsShape = defaults

  /** Defaults and overrides, read from nowhere: for tests. */
  static readonly layerTest = (overrides: Overrides = {}): Layer.Layer<Settings> =>
    Layer.succeed(Settings, override(overrides))
}
