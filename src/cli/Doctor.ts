/**
 * `doctor`: is everything there that the service needs? One line each, on stdout: `ok`, `warn` or `fail`, what, and why.
 *
 * Looks only: makes no database and no key, and works beside a running service. A warning is something that the service
 * can live with; a failure is what it would exit with.
 */
import { Clock, Effect, Exit, type Layer, Option } from "effect"
import * as fs from "node:fs"
import { resolve } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { Worker } from "node:worker_threads"
import * as Upstream from "../aggregation/upstream/PagedConnection.ts"
import * as UpstreamSocket from "../aggregation/upstream/UpstreamSocket.ts"
import { Settings, type SettingsShape } from "../config/Settings.ts"
import { engineNames, selfTested } from "../crypto/engines/Engine.ts"
import { loaders } from "../crypto/engines/EngineSelection.ts"
import * as RelayKey from "../crypto/RelayKey.ts"
import * as DatabaseFile from "../database/sqlite/DatabaseFile.ts"
import type { Integrity } from "../database/sqlite/integrityThread.ts"
import { ExitCode } from "../lifecycle/Certificate.ts"
import type { Shutdown } from "../lifecycle/Shutdown.ts"
import type { StartError } from "../lifecycle/StartError.ts"
import { escape } from "../observability/Escape.ts"
import { messageOf } from "../observability/messageOf.ts"
import { CommandFailed } from "./DataCommand.ts"
import { npubOf } from "./PublicKey.ts"
import * as Stdout from "./Stdout.ts"

interface Finding {
  readonly status: "ok" | "warn" | "fail"
  /** What was looked at. */
  readonly subject: string
  readonly text: string
  /** Of a failure: what the service would exit with. */
  readonly code: number
}

const ok = (subject: string, text: string): Finding => ({ status: "ok", subject, text, code: ExitCode.Clean })
const warn = (subject: string, text: string): Finding => ({ status: "warn", subject, text, code: ExitCode.Clean })
const fail = (subject: string, text: string, code: number): Finding => ({ status: "fail", subject, text, code })
const failed = (subject: string) => (error: StartError) => fail(subject, error.message, error.exitCode)

/** From dialling to the first answer. */
const upstreamDeadline = "8 seconds"

const megabytes = (path: string): string =>
  `${((fs.statSync(path, { throwIfNoEntry: false })?.size ?? 0) / 1e6).toFixed(1)} MB`

/** Does another process hold the file's lock? The look takes and drops a shared lock, in microseconds. */
const isInUse = (path: string): boolean => {
  if (!fs.existsSync(`${path}.lock`)) return false
  const db = new DatabaseSync(`${path}.lock`, { readOnly: true, timeout: 0 })
  try {
    db.exec("SELECT count(*) FROM sqlite_schema")
    return false
  } catch {
    return true
  } finally {
    db.close()
  }
}

const integrityOf = (path: string): Effect.Effect<Integrity> =>
  Effect.callback<Integrity>((resume) => {
    const worker = new Worker(new URL("../database/sqlite/integrityThread.ts", import.meta.url), {
      workerData: { path }
    })
    const broken = (problem: string) => resume(Effect.succeed({ problem, events: 0, logged: 0, seq: 0 }))
    worker.once("message", (integrity: Integrity) => resume(Effect.succeed(integrity)))
    worker.once("error", (error) => broken(messageOf(error)))
    worker.once("exit", () => broken("its thread ended without a word"))
    return Effect.promise(() => worker.terminate())
  })

const database = Effect.fnUntraced(function*(settings: SettingsShape) {
  const path = resolve(settings.databasePath)
  if (!fs.existsSync(path)) return warn("database", `${path} does not exist yet: the first start makes it`)
  const opened = yield* Effect.exit(Effect.scoped(DatabaseFile.openReader(path)))
  if (Exit.isFailure(opened)) {
    return yield* Effect.match(opened, { onFailure: failed("database"), onSuccess: () => ok("database", path) })
  }
  const { events, logged, problem, seq } = yield* integrityOf(path)
  if (problem !== undefined) return fail("database", `${path} is corrupt: ${escape(problem, 300)}`, ExitCode.Storage)
  if (events !== logged) {
    return fail("database", `${path} has ${events} events where its log says ${logged}`, ExitCode.Storage)
  }
  const use = isInUse(path) ? "a service is running on it" : "not in use"
  return ok(
    "database",
    `${path}: ${events} events, seq ${seq}, ${megabytes(path)} and ${megabytes(`${path}-wal`)} of log, ${use}`
  )
})

const engines = Effect.fnUntraced(function*({ verifierEngine }: SettingsShape) {
  const tested = yield* Effect.forEach(
    engineNames,
    (name) =>
      Effect.tryPromise({ try: async () => selfTested(await loaders[name]()).name, catch: messageOf }).pipe(
        Effect.match({
          onSuccess: () => ({ name, problem: undefined }),
          onFailure: (problem) => ({ name, problem })
        })
      )
  )
  const works = tested.filter(({ problem }) => problem === undefined).map(({ name }) => name)
  const refused = tested.flatMap(({ name, problem }) =>
    problem === undefined ? [] : [`${name}: ${escape(problem, 100)}`]
  )
  const chosen = works.find((name) => name === verifierEngine) ?? works[0]
  if (chosen === undefined) return fail("engines", `none works: ${refused.join("; ")}`, ExitCode.Unavailable)
  const text = `${chosen} will check signatures; passed the self-test: ${works.join(", ")}` +
    (refused.length === 0 ? "" : `; not usable: ${refused.join("; ")}`)
  const isMissed = verifierEngine !== "auto" && verifierEngine !== chosen
  return isMissed || chosen === "wasm" || chosen === "noble" ? warn("engines", text) : ok("engines", text)
})

const key = Effect.fnUntraced(function*({ relayKeyPath, relaySecretKey }: SettingsShape) {
  if (Option.isNone(relaySecretKey) && !fs.existsSync(relayKeyPath)) {
    return warn("key", `${relayKeyPath} does not exist yet: the first start makes it`)
  }
  const source = Option.isSome(relaySecretKey) ? "RELAY_SECRET_KEY" : relayKeyPath
  return yield* Effect.match(RelayKey.make, {
    onFailure: failed("key"),
    onSuccess: ({ pubkey }) => ok("key", `${npubOf(pubkey)}, from ${source}`)
  })
})

/** Dials, and asks for one profile. */
const upstream = (url: string, { limits }: SettingsShape): Effect.Effect<Finding, never, Shutdown> =>
  Effect.gen(function*() {
    const begun = yield* Clock.currentTimeMillis
    const answer = yield* Effect.scoped(Effect.gen(function*() {
      const connection = yield* Upstream.connect({
        url,
        limits,
        sign: undefined,
        onLive: () => Effect.void,
        onDropped: () => {}
      })
      return yield* Effect.raceFirst(connection.page({ kinds: [0], limit: 1 }), connection.read)
    })).pipe(
      Effect.provide(UpstreamSocket.layer),
      Effect.timeoutOption(upstreamDeadline),
      Effect.result
    )
    const millis = (yield* Clock.currentTimeMillis) - begun
    if (answer._tag === "Failure") return warn("upstream", `${url}: ${escape(answer.failure.message, 300)}`)
    if (Option.isNone(answer.success)) return warn("upstream", `${url}: no answer within ${upstreamDeadline}`)
    return answer.success.value.events.length === 0
      ? warn("upstream", `${url} answers in ${millis} ms, and has no profile`)
      : ok("upstream", `${url} answers in ${millis} ms`)
  })

const upstreams = (settings: SettingsShape) =>
  settings.upstreams.length === 0
    ? Effect.succeed([warn("upstream", "none is configured: only clients bring profiles")])
    : Effect.forEach(settings.upstreams, (url) => upstream(url, settings), { concurrency: "unbounded" })

const print = ({ status, subject, text }: Finding) =>
  Stdout.lines([`${status.padEnd(4)}  ${subject.padEnd(8)}  ${text}`])

/** `settings` is what the service would be started with. */
export const doctor = Effect.fn("Doctor.doctor")(function*(settings: Layer.Layer<Settings, StartError>) {
  const findings: Array<Finding> = []
  const found = (finding: Finding) => {
    findings.push(finding)
    return print(finding)
  }
  const built = yield* Effect.result(Effect.scoped(Effect.provide(Settings, settings)))
  if (built._tag === "Failure") yield* found(failed("config")(built.failure))
  else {
    const shape = built.success
    yield* found(ok("config", "every setting can be read"))
    yield* Effect.flatMap(database(shape), found)
    yield* Effect.flatMap(engines(shape), found)
    yield* Effect.flatMap(Effect.provideService(key(shape), Settings, shape), found)
    for (const finding of yield* upstreams(shape)) yield* found(finding)
  }
  const failures = findings.filter(({ status }) => status === "fail")
  const [first] = failures
  if (first === undefined) return undefined
  return yield* new CommandFailed({
    message: `${failures.length} of ${findings.length} checks failed`,
    exitCode: first.code
  })
})
