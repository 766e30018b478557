/**
 * The settings as components read them. What each is called, allows and defaults to stands in `SettingsTable`; where values
 * come from, below: flags win over the environment, and that over a `.env` file.
 *
 * Most of them can change while the service runs, so they are read where they are used: `settings.limits.limitMax`, every
 * time. The service and its groups (`limits`, `rules`) are objects that stay, so whoever keeps one of them keeps what is in
 * force; only a value that is taken out of them grows old. `test/config/liveSettings.test.ts` holds the components to it.
 */
import { ConfigProvider, Context, Duration, Effect, FileSystem, Layer, Option, type PlatformError } from "effect"
import { basename, dirname, join, resolve } from "node:path"
import { parseEnv } from "node:util"
import { ExitCode } from "../lifecycle/Certificate.ts"
import { StartError } from "../lifecycle/StartError.ts"
import { escape } from "../observability/Escape.ts"
import { type Decoded, flagName, type Group, groups, type Row, rows, type table } from "./SettingsTable.ts"
import { type Strangers, strangersAmong } from "./Spelling.ts"

/** Values of all settings. */
export interface SettingsShape extends Decoded<typeof table> {}

/** Some settings, the rest by default. */
export type Overrides =
  & Partial<Omit<SettingsShape, Group>>
  & { readonly [G in Group]?: Partial<SettingsShape[G]> }

type Writable = Record<string, unknown> & { readonly [G in Group]: Record<string, unknown> }

/** Values by their place in the settings, as far as they are given. */
class Values {
  readonly all = Object.fromEntries(groups.map((group) => [group, {}])) as Writable

  set(row: Row, value: unknown): void {
    put(this.all, row, value)
  }
}

const put = (values: Writable, { path: [first, second] }: Row, value: unknown): void => {
  if (second === undefined) values[first] = value
  else values[first as Group][second] = value
}

export const valueOf = (values: SettingsShape, { path: [first, second] }: Row): unknown => {
  const value: unknown = values[first as keyof SettingsShape]
  return second === undefined ? value : (value as Readonly<Record<string, unknown>>)[second]
}

/**
 * Where something is kept beside the store, such as `<STATE_DIR>/profiles.db.key` for `.key`; spelt like the database's path
 * where it is in the same folder.
 */
export const stateFileOf = (
  { databasePath, stateDir }: Pick<SettingsShape, "databasePath" | "stateDir">,
  ending: string
): string => {
  const isBeside = resolve(stateDir) === resolve(dirname(databasePath))
  return `${isBeside ? databasePath : join(stateDir, basename(databasePath))}${ending}`
}

/** The table's defaults, without those that follow from other settings. */
const tableDefaults = (() => {
  const values = new Values()
  for (const row of rows) {
    if (!row.setting.derived) values.set(row, Option.getOrThrow(row.setting.decode(row.setting.default)))
  }
  return values.all as unknown as Omit<SettingsShape, "relayUrl" | "relayKeyPath" | "stateDir">
})()

/** Adds the defaults, and those that follow from other settings. */
const complete = (given: Overrides): SettingsShape => {
  const bindAddr = given.bindAddr ?? tableDefaults.bindAddr
  const databasePath = given.databasePath ?? tableDefaults.databasePath
  // A store that is no file has no folder of its own; it will say here where its state is kept, and under which name.
  const stateDir = given.stateDir ?? dirname(databasePath)
  return {
    ...tableDefaults,
    relayUrl: `ws://localhost:${bindAddr.port}`,
    stateDir,
    relayKeyPath: stateFileOf({ databasePath, stateDir }, ".key"),
    ...given,
    rules: { ...tableDefaults.rules, ...given.rules },
    limits: { ...tableDefaults.limits, ...given.limits }
  }
}

interface Live extends SettingsShape {
  /**
   * The same values, together as they stand at this moment: another object after each change. For what must not see half of
   * one, as a judgement that waits for a network in between.
   */
  readonly now: SettingsShape
  /** Lets values be in force from here on, all at once. Succeeds with the settings that differ and have to wait for a restart. */
  readonly change: (values: SettingsShape) => ReadonlyArray<Row>
}

const copyOf = (values: SettingsShape): SettingsShape => ({
  ...values,
  rules: { ...values.rules },
  limits: { ...values.limits }
})

/** Settings that can change: plain objects, written in place, so that reading a value costs what reading a property does. */
const live = (values: SettingsShape): Live => {
  let now = values
  const inForce = copyOf(values) as unknown as Writable
  const change = (next: SettingsShape): ReadonlyArray<Row> => {
    const whole = copyOf(next) as unknown as Writable
    const waiting: Array<Row> = []
    for (const row of rows) {
      if (row.setting.isLive) {
        put(inForce, row, valueOf(next, row))
        continue
      }
      const value = valueOf(now, row)
      put(whole, row, value)
      if (JSON.stringify(value) !== JSON.stringify(valueOf(next, row))) waiting.push(row)
    }
    now = whole as unknown as SettingsShape
    return waiting
  }
  // Not among the values when they are listed, compared or spread.
  Object.defineProperties(inForce, { now: { get: () => now }, change: { value: change } })
  return inForce as unknown as Live
}

/** What is dear to make of settings, made anew whenever `read` finds something else than before. */
export const madeOf = <A, B>(read: () => A, make: (value: A) => B): () => B => {
  let last: { readonly from: A; readonly made: B } | undefined
  return () => {
    const from = read()
    if (last === undefined || last.from !== from) last = { from, made: make(from) }
    return last.made
  }
}

/** Where values were given besides the environment. */
export interface Given {
  /** Values of command-line flags, by variable. */
  readonly flags: Readonly<Record<string, string>>
  /** A file in `.env` format that must exist; otherwise `.env` is read where there is one. */
  readonly file: Option.Option<string>
}

export class Settings extends Context.Service<Settings, Live>()("profile-aggregator/config/Settings") {
  static readonly defaults: SettingsShape = complete({})

  /**
   * From flags, then the environment (the current `ConfigProvider`), then the file, then defaults. Every wrong value is
   * reported, a line each, before it fails (exit 78). Makes the directory of the default database.
   */
  static readonly layer = (given: Given): Layer.Layer<Settings, StartError, FileSystem.FileSystem> =>
    Layer.effect(Settings, Effect.map(load(given), live))

  /** Defaults and overrides, read from nowhere: for tests. */
  static readonly layerTest = (overrides: Overrides = {}): Layer.Layer<Settings> =>
    Settings.layerOf(complete(overrides))

  /** Exactly these. */
  static readonly layerOf = (values: SettingsShape): Layer.Layer<Settings> => Layer.sync(Settings, () => live(values))

  /** Defaults and overrides. */
  static readonly valuesOf: (overrides: Overrides) => SettingsShape = complete
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
  const text = yield* files.readFileString(path).pipe(
    Effect.catch((error: PlatformError.PlatformError) =>
      Option.isNone(given.file) && error.reason._tag === "NotFound"
        ? Effect.succeed("")
        : Effect.fail(failure(`${escape(path, 200)}: cannot be read (${error.reason._tag})`))
    )
  )
  const all: ReadonlyArray<Source> = [
    { name: ({ setting }) => `--${flagName(setting)}`, provider: ConfigProvider.fromUnknown(given.flags) },
    { name: () => "environment", provider: yield* ConfigProvider.ConfigProvider },
    { name: () => path, provider: ConfigProvider.fromDotEnvContents(text) }
  ]
  return { all, strangers: strangersAmong(Object.keys(parseEnv(text))), path }
})

/** `PAGE_SIEZ (.env) is no setting; did you mean PAGE_SIZE?` */
const misspelt = ({ path, strangers }: { readonly path: string; readonly strangers: Strangers }) =>
  strangers.misspelt.map(({ meant, name }): Problem => ({
    variable: escape(name, 100),
    line: `${escape(name, 100)} (${escape(path, 200)}) is no setting; did you mean ${meant}?`
  }))

/** Names of a file that mean nothing here, so that nobody believes they do. */
const warn = Effect.fnUntraced(function*(path: string, { gone, others }: Strangers) {
  for (const { instead, name } of gone) {
    yield* Effect.logWarning(`${name} means nothing here: ${instead}`)
  }
  if (others.length > 0) {
    yield* Effect.logWarning("these are no settings").pipe(Effect.annotateLogs({ variables: others, file: path }))
  }
}, Effect.annotateLogs({ component: "configuration" }))

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

const load = Effect.fn("Settings.load")(function*(given: Given) {
  const from = yield* sources(given)
  const values = new Values()
  const problems = misspelt(from)
  for (const row of rows) {
    const found = yield* find(row, from.all)
    if (found === undefined) continue
    const value = row.setting.decode(found.text)
    if (Option.isNone(value)) problems.push(wrong(row, found.text, found.source))
    else values.set(row, value.value)
  }
  const settings = complete(values.all)
  if (problems.length === 0) problems.push(...contradictions(settings))
  if (problems.length > 0) return yield* refuse(problems)
  yield* warn(from.path, from.strangers)
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
