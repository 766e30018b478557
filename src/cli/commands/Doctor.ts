/**
 * `doctor`: is everything there that the service needs? One line each, on stdout: `ok`, `warn` or `fail`, what, and why.
 *
 * Looks only: makes no database and no key, and works beside a running service. A warning is something that the service
 * can live with; a failure is what it would exit with.
 */
import { Clock, Effect, Layer, Option } from "effect"
import { Command } from "effect/cli"
import * as fs from "node:fs"
import * as Quarantine from "../../aggregation/admission/Quarantine.ts"
import * as RememberedPictures from "../../aggregation/evidence/RememberedPictures.ts"
import * as Upstream from "../../aggregation/upstream/PagedConnection.ts"
import * as UpstreamSocket from "../../aggregation/upstream/UpstreamSocket.ts"
import { Settings, type SettingsShape } from "../../config/Settings.ts"
import { strangersAmong } from "../../config/Spelling.ts"
import { engineNames, selfTested } from "../../crypto/engines/Engine.ts"
import { loaders } from "../../crypto/engines/EngineSelection.ts"
import * as RelayKey from "../../crypto/RelayKey.ts"
import { Verifier } from "../../crypto/Verifier.ts"
import * as Archive from "../../database/Archive.ts"
import * as Engine from "../../database/Engine.ts"
import { profileKind } from "../../domain/Kinds.ts"
import { npubOf } from "../../domain/PublicKey.ts"
import { byAlias } from "../../domain/RelayUrl.ts"
import { ExitCode } from "../../lifecycle/Certificate.ts"
import type { ProcessHost } from "../../lifecycle/process.ts"
import { StartError } from "../../lifecycle/StartError.ts"
import { escape } from "../../observability/Escape.ts"
import { messageOf } from "../../observability/messageOf.ts"
import * as DataCommand from "../DataCommand.ts"
import { CommandFailed } from "../DataCommand.ts"
import { flag } from "../flags.ts"
import { pictureTally, sizeText } from "../PictureTally.ts"
import { quietServiceFlags } from "../Root.ts"
import { signer } from "../signer.ts"
import * as Stdout from "../Stdout.ts"
import { tellTenths } from "../tellTenths.ts"
import { verifierLayer } from "../verifierLayer.ts"

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

type Sign = Effect.Success<typeof signer>

/** From dialling to the first answer. */
const upstreamDeadline = "8 seconds"

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

/** Events set aside that are named one by one. */
const namedMax = 20

/** Ends without a certificate, and the events that were in work then; nothing where all is well. */
const ends = (settings: SettingsShape): ReadonlyArray<Finding> => {
  try {
    const { file, setAside, starts } = Quarantine.look(settings)
    return [
      ...starts > 1
        ? [
          warn(
            "ends",
            `${starts} starts since the last certificate, of which the last may be running; after ${Quarantine.endsMax} ends in a ` +
              "row without one, what upstreams and the retry queue bring is taken one event at a time, until an orderly stop"
          )
        ]
        : [],
      ...setAside.slice(0, namedMax).map(({ id, kind, pubkey }) =>
        warn("ends", `set aside in ${file}, as a process ended while it was in work: kind ${kind} ${id} of ${pubkey}`)
      ),
      ...setAside.length > namedMax ? [warn("ends", `${setAside.length - namedMax} more in ${file}`)] : []
    ]
  } catch (error) {
    return [warn("ends", `not known: ${escape(messageOf(error), 300)}`)]
  }
}

/** Dials, says who asks where the relay wants to know and there is a key, and asks for one profile. */
const upstream = Effect.fnUntraced(function*(url: string, { limits }: SettingsShape, sign: Sign) {
  const begun = yield* Clock.currentTimeMillis
  const answer = yield* Effect.scoped(Effect.gen(function*() {
    const connection = yield* Upstream.connect({
      url,
      limits,
      sign,
      onLive: () => Effect.void,
      onDropped: () => {}
    })
    return yield* Effect.raceFirst(connection.page({ kinds: [profileKind], limit: 1 }), connection.read)
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

const unverified = (error: unknown) =>
  new StartError({ component: "doctor", message: messageOf(error), exitCode: ExitCode.Unavailable })

/** Every event again: its id, its signature, and what it is found by. */
const repair = (settings: SettingsShape) =>
  Effect.gen(function*() {
    const verifier = yield* (yield* Verifier).sender("doctor")
    const { events, lost, moved } = yield* Engine.repair({
      judge: (events) =>
        Effect.mapBoth(verifier.verifyAll(events), {
          onSuccess: (all) => all.map((verification) => verification === "Valid"),
          onFailure: unverified
        }),
      told: tellTenths()
    })
    const text = `${events} events read again, their ids and signatures checked; indexes made anew`
    return lost + moved === 0 ? ok("repair", text) : warn(
      "repair",
      `${text}; ${lost} were not what was signed and are gone: the next start reads the upstreams again for them; ` +
        `${moved} could not be found by what they say, and can now`
    )
  }).pipe(
    Effect.scoped,
    Effect.provide(verifierLayer),
    Effect.provideService(Settings, settings),
    Effect.catch((error) =>
      Effect.succeed(
        error instanceof StartError
          ? fail("repair", error.message, error.exitCode)
          : fail("repair", messageOf(error), 70)
      )
    )
  )

const upstreams = (settings: SettingsShape) =>
  settings.upstreams.length === 0
    ? Effect.succeed([warn("upstream", "none is configured: only clients bring profiles")])
    : Effect.flatMap(
      // What is wrong with the key is a finding of its own.
      Effect.orElseSucceed(Effect.provideService(signer, Settings, settings), () => undefined),
      (sign) =>
        Effect.forEach(byAlias(settings.upstreams).values(), (url) => upstream(url, settings, sign), {
          concurrency: "unbounded"
        })
    )

const remembered = RememberedPictures.layer.pipe(
  Layer.provideMerge(Archive.databaseLayer),
  Layer.provideMerge(Engine.archive)
)

/** What each smallest size of a picture would let in; nothing where there are no profiles. */
const pictures = Effect.fnUntraced(function*(settings: SettingsShape) {
  const counted = yield* pictureTally(settings).pipe(
    Effect.provide(remembered),
    Effect.provideService(Settings, settings),
    Effect.result
  )
  if (counted._tag === "Failure") return [warn("pictures", `not counted: ${escape(messageOf(counted.failure), 300)}`)]
  const { sizes, stored, waiting } = counted.success
  if (stored.all + waiting.all === 0) return []
  const { height, width } = settings.pictureMin
  const rule = settings.pictures === "off"
    ? "PICTURES=off: any size will do"
    : `PICTURE_MIN=${sizeText({ width, height })}: a square picture needs ${Math.max(width, height)} pixels a side`
  return [
    ok(
      "pictures",
      `${rule}; ${stored.measured} of ${stored.all} stored and ${waiting.measured} of ${waiting.all} waiting profiles have one that was looked at`
    ),
    ...sizes.map((size, i) =>
      ok("pictures", `${sizeText(size)} lets in ${stored.letIn[i]} stored and ${waiting.letIn[i]} waiting profiles`)
    )
  ]
})

const print = ({ status, subject, text }: Finding) =>
  Stdout.lines([`${status.padEnd(4)}  ${subject.padEnd(8)}  ${text}`])

/** `settings` is what the service would be started with. */
const doctor = Effect.fn("Doctor.doctor")(function*(settings: Layer.Layer<Settings, StartError>, repairs: boolean) {
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
    // In a file they stop the start; the environment holds much that is not for us.
    for (const { meant, name } of strangersAmong(Object.keys(process.env)).misspelt) {
      yield* found(warn("config", `${escape(name, 100)} (environment) is no setting; did you mean ${meant}?`))
    }
    if (repairs) yield* Effect.flatMap(repair(shape), found)
    const condition = yield* Effect.provideService(Engine.check, Settings, shape)
    yield* found({ subject: "database", ...condition })
    // A store that is not whole has been told about.
    for (const finding of condition.status === "ok" ? yield* pictures(shape) : []) yield* found(finding)
    for (const finding of ends(shape)) yield* found(finding)
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

export const command = (host: ProcessHost) =>
  // What is wrong with the settings is a finding.
  Command.make("doctor", {
    repairs: flag(
      "repair",
      "First read every event again, take out what is not what was signed, and make the indexes anew. Not beside a running service."
    ),
    ...quietServiceFlags
  }, ({ repairs, ...own }) => DataCommand.runUnset(host, own, (settings) => doctor(settings, repairs))).pipe(
    Command.withDescription(
      "Check settings, database, engines, key and upstreams: one line each, ok, warn or fail. Exits with the first " +
        "failure's code; works beside a running service, and changes nothing without --repair."
    )
  )
