/**
 * Every setting of the service.
 */
import { Context, type Duration, type Option, type Redacted } from "effect"

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

export class Settings extends Context.Service<Settings, SettingsShape>()("profile-aggregator/Config/Settings") {}
