/**
 * Every setting of the service, as the components read it. What each is called, allows and defaults to stands in
 * `ConfigTable`; where values come from, below: flags win over the environment, and that over a `.env` file.
 */
import {
  ConfigProvider,
  Context,
  Duration,
  Effect,
  FileSystem,
  Layer,
  Option,
  type PlatformError,
  type Redacted
} from "effect"
import { ExitCode } from "../lifecycle/Certificate.ts"
import { StartError } from "../lifecycle/StartError.ts"
import { escape } from "../observability/Escape.ts"
import type { Network } from "./Notation.ts"
import { type Decoded, flagName, type Group, type Row, rows, type table } from "./SettingsTable.ts"

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
  /** Networks of proxies whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: ReadonlyArray<Network>
  /** Pubkeys of those who may manage the relay (NIP-86). */
  readonly operators: ReadonlyArray<string>
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
  /** Requests to one host, by default and to these, by which each of them is asked. */
  readonly hostPerMinute: number
  readonly hostQuotas: ReadonlyArray<{ readonly host: string; readonly perMinute: number }>
  /** Pixels; a smaller picture is rejected. */
  readonly pictureMin: { readonly width: number; readonly height: number }
  /** Relays, besides the upstreams, where authors' relay lists and posts are looked for. */
  readonly outboxRelays: ReadonlyArray<string>
  /** Kinds of which one event proves that an author really posts. */
  readonly proofKinds: ReadonlyArray<number>
  /** Relays that must have answered with nothing before an author counts as one who never posted; 0: never. */
  readonly proofQuorum: number
  /** How many such events it takes. */
  readonly proofMin: number
  /** Rules that ask others; `off` leaves them out. */
  readonly proof: "on" | "off"
  readonly pictures: "on" | "off"
  /** `check` only keeps whose NIP-05 names are; `require` makes it a rule. */
  readonly nip05: "off" | "check" | "require"
  /** A last accepted version is served on for so long after a newer one was rejected. */
  readonly profileGrace: Duration.Duration
  /** Profiles that wait to be checked, or checked again. */
  readonly retriesMax: number
  /** Readiness says 503 for so long before the listener closes. */
  readonly announceDelay: Duration.Duration
  /** `conventional`: a clean stop by a signal exits with 128 + its number. */
  readonly signalExit: "zero" | "conventional"
  /** What a profile is held to by what it says itself; `domain/Quality` says what each means. */
  readonly rules: {
    /** Unix seconds. */
    readonly createdAtMin: number
    /** Characters that show something. */
    readonly nameMin: number
    readonly aboutMin: number
    readonly deletedNames: ReadonlyArray<string>
    readonly bridgeTags: ReadonlyArray<string>
    readonly bridgeLabels: ReadonlyArray<string>
    readonly bridgeDomains: ReadonlyArray<string>
    readonly bridgeAddresses: "on" | "off"
    readonly bridgeNames: ReadonlyArray<string>
    readonly pictureSchemes: ReadonlyArray<"https" | "http" | "data">
    readonly pictureUrlMax: number
    readonly pictureAddressHosts: "on" | "off"
    readonly picturePageHosts: ReadonlyArray<string>
    readonly picturePlaceholders: ReadonlyArray<string>
  }
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
    /** Events of one reconciliation (NIP-77); 0: none is offered. */
    readonly syncItemsMax: number
    /** Leading zero bits of an event's id (NIP-13); deletions and requests to vanish need none. */
    readonly powMin: number
    /** Seconds an event may be ahead of our clock. */
    readonly createdAtFutureMax: number
    readonly connectionsMax: number
    readonly connectionsPerAddressMax: number
    /** Units of work a second, each about 0.1 ms of a thread, and ten times as many at once; 0: no limit. */
    readonly ratePerConnection: number
    readonly ratePerAddress: number
    /** Bytes waiting to be read by one client before it is cut with 1013. */
    readonly outboundBytesMax: number
    readonly headerTimeout: Duration.Duration
    /** A connection that neither sends nor answers pings for so long is closed. */
    readonly idleTimeout: Duration.Duration
  }
}

/** Some settings, the rest by default. */
export type Overrides =
  & Partial<Omit<SettingsShape, Group>>
  & { readonly [G in Group]?: Partial<SettingsShape[G]> }

/** Values by their place in the settings, as far as they are given. */
class Values {
  readonly #plain: Record<string, unknown> = {}
  readonly #groups: { readonly [G in Group]: Record<string, unknown> } = { limits: {}, rules: {} }

  set({ path: [first, second] }: Row, value: unknown): void {
    if (second === undefined) this.#plain[first] = value
    else this.#groups[first as Group][second] = value
  }

  get all(): Overrides {
    return { ...this.#plain, ...this.#groups }
  }
}

/** The table's defaults, without those that follow from other settings. */
const tableDefaults = (() => {
  const values = new Values()
  for (const row of rows) {
    if (!row.setting.derived) values.set(row, Option.getOrThrow(row.setting.decode(row.setting.default)))
  }
  return values.all as Omit<Decoded<typeof table>, "relayUrl" | "relayKeyPath">
})()

/** Adds the defaults, and those that follow from other settings. */
const complete = (given: Overrides): SettingsShape => {
  const bindAddr = given.bindAddr ?? tableDefaults.bindAddr
  const databasePath = given.databasePath ?? tableDefaults.databasePath
  return {
    ...tableDefaults,
    relayUrl: `ws://localhost:${bindAddr.port}`,
    relayKeyPath: `${databasePath}.key`,
    ...given,
    rules: { ...tableDefaults.rules, ...given.rules },
    limits: { ...tableDefaults.limits, ...given.limits }
  }
}

/** Where values were given besides the environment. */
export interface Given {
  /** Values of command-line flags, by variable. */
  readonly flags: Readonly<Record<string, string>>
  /** A file in `.env` format that must exist; otherwise `.env` is read where there is one. */
  readonly file: Option.Option<string>
}

export class Settings extends Context.Service<Settings, SettingsShape>()("profile-aggregator/Config/Settings") {
  static readonly defaults: SettingsShape = complete({})

  /**
   * From flags, then the environment (the current `ConfigProvider`), then the file, then defaults. Every wrong value is
   * reported, a line each, before it fails (exit 78). Makes the directory of the default database.
   */
  static readonly layer = (given: Given): Layer.Layer<Settings, StartError, FileSystem.FileSystem> =>
    Layer.effect(Settings, load(given))

  /** Defaults and overrides, read from nowhere: for tests. */
  static readonly layerTest = (overrides: Overrides = {}): Layer.Layer<Settings> =>
    Layer.succeed(Settings, complete(overrides))
}

const failure = (message: string) =>
  new StartError({ component: "configuration", message, exitCode: ExitCode.Configuration })

/** One place where values may come from. */
interface Source {
  readonly name: (row: Row) => string
  readonly provider: ConfigProvider.ConfigProvider
}

const sources = Effect.fnUntraced(function*(given: Given) {
  const files = yield* FileSystem.FileSystem
  const path = Option.getOrElse(given.file, () => ".env")
  const file = yield* ConfigProvider.fromDotEnv({ path }).pipe(
    Effect.provideService(FileSystem.FileSystem, files),
    Effect.catch((error: PlatformError.PlatformError) =>
      Option.isNone(given.file) && error.reason._tag === "NotFound"
        ? Effect.succeed(ConfigProvider.fromUnknown({}))
        : Effect.fail(failure(`${escape(path, 200)}: cannot be read (${error.reason._tag})`))
    )
  )
  return [
    { name: ({ setting }) => `--${flagName(setting)}`, provider: ConfigProvider.fromUnknown(given.flags) },
    { name: () => "environment", provider: yield* ConfigProvider.ConfigProvider },
    { name: () => path, provider: file }
  ] satisfies ReadonlyArray<Source>
})

/** What is wrong with one setting, or between two. */
interface Problem {
  readonly variable: string
  readonly line: string
}

/** `PAGE_SIZE is "abc" (environment); allowed: events, 1 to 5_000` */
const wrong = (row: Row, text: string, source: string): Problem => {
  const { allowed, secret, variable } = row.setting
  const shown = secret ? "<redacted>" : JSON.stringify(escape(text, 100)).replaceAll("\\\\", "\\")
  const line = `${variable} is ${shown} (${escape(source, 200)}); allowed: ${allowed.replaceAll("`", "")}`
  return { variable, line }
}

/** The first source that has a value for the row; an empty one counts as missing. */
const find = Effect.fnUntraced(function*(row: Row, from: ReadonlyArray<Source>) {
  for (const { name, provider } of from) {
    const node = yield* Effect.orDie(provider.load([row.setting.variable]))
    if (node?.value !== undefined) return { text: node.value.trim(), source: name(row) }
  }
  return undefined
})

/** Rules between settings. */
const contradictions = (settings: SettingsShape): ReadonlyArray<Problem> => {
  const { limitDefault, limitMax } = settings.limits
  return [
    ...(Duration.isGreaterThan(settings.initialBackoff, settings.maxBackoff)
      ? [{
        variable: "MAX_BACKOFF_SECS",
        line: "MAX_BACKOFF_SECS is shorter than INITIAL_BACKOFF_SECS; allowed: at least as long"
      }]
      : []),
    ...(limitDefault > limitMax
      ? [{
        variable: "DEFAULT_LIMIT",
        line: `DEFAULT_LIMIT is ${limitDefault}; allowed: at most MAX_LIMIT, which is ${limitMax}`
      }]
      : [])
  ]
}

/** One problem is the error itself; several are logged, a line each, and the error names their variables. */
const refuse = Effect.fnUntraced(function*(problems: ReadonlyArray<Problem>) {
  if (problems.length === 1) return yield* failure(problems.map(({ line }) => line).join())
  for (const { line } of problems) {
    yield* Effect.logError(line).pipe(Effect.annotateLogs({ component: "configuration" }))
  }
  const names = problems.map(({ variable }) => variable).join(", ")
  return yield* failure(`${problems.length} settings are wrong: ${names}`)
})

const load = Effect.fn("Config.load")(function*(given: Given) {
  const from = yield* sources(given)
  const values = new Values()
  const problems: Array<Problem> = []
  for (const row of rows) {
    const found = yield* find(row, from)
    if (found === undefined) continue
    const value = row.setting.decode(found.text)
    if (Option.isNone(value)) problems.push(wrong(row, found.text, found.source))
    else values.set(row, value.value)
  }
  const settings = complete(values.all)
  if (problems.length === 0) problems.push(...contradictions(settings))
  if (problems.length > 0) return yield* refuse(problems)
  if (settings.databasePath === Settings.defaults.databasePath) yield* makeDataDirectory
  return settings
})

/** A first start needs no preparation; any other directory is the operator's to make, or a typo would make it. */
const makeDataDirectory = Effect.flatMap(
  FileSystem.FileSystem,
  (files) => files.makeDirectory("./data", { recursive: true })
).pipe(Effect.mapError((error) =>
  new StartError({
    component: "configuration",
    message: `./data: cannot be created (${error.reason._tag})`,
    exitCode: ExitCode.Storage
  })
))
