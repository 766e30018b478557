/** Runs one plan against the real process, and says what it broke of the promise (`docs/shutdown.md`). */
import { Effect, Exit, Option, Scope } from "effect"
import * as os from "node:os"
import { join } from "node:path"
import type { Event } from "../../src/domain/Event.ts"
import { decodeCoverage } from "../../src/domain/HarvestWindow.ts"
import type { Certificate } from "../../src/lifecycle/Certificate.ts"
import type { Ended } from "../support/child.ts"
import { epoch, profileEvent } from "../support/events.ts"
import * as FakeUpstream from "../support/FakeUpstream.ts"
import * as Flood from "../support/Flood.ts"
import * as HostileHost from "../support/HostileHost.ts"
import { png } from "../support/images.ts"
import * as Service from "../support/service.ts"
import * as HostileClients from "./HostileClients.ts"
import type { Ledger } from "./Ledger.ts"
import { isTruthful, type Plan } from "./Plan.ts"
import { removalStream } from "./Removals.ts"
import { type StoredEvents, storedIn } from "./StoredEvents.ts"
import * as Troubles from "./Troubles.ts"

const components = ["database", "crypto", "aggregation", "web", "websocket"]

/** Milliseconds that wrappers are given to deliver one signal twice, and within which a machine may be late. */
const debounceMillis = 250
const slackMillis = 150

/** Milliseconds within which somebody honest is let in, whatever else comes in at the same time, on a machine that is busy. */
const patience = 20_000

/** The hard deadline, and what a busy machine may add to it. */
const stopMillisMax = 9500

export interface Result {
  readonly violations: ReadonlyArray<string>
  readonly code: number | null
  /** From the first signal to the end; undefined when a later one cut it short. */
  readonly stopMillis: number | undefined
  /** Budgets that fired in it, those that a silent client costs included. */
  readonly budgets: ReadonlyArray<string>
}

/** What upstreams hold: profiles without a picture's host to ask, at one second each. */
const profiles: ReadonlyArray<Event> = Array.from(
  { length: 300 },
  (_, n) => profileEvent({ name: `upstream ${n}` }, `upstream ${n}`, { created_at: epoch - n })
)

/** Profiles whose pictures are on a host that answers each in another wrong way, by authors that are new each time. */
function* profileStream(author: string, host: string): Generator<Event, never> {
  const paths = ["good.png", "hang", "drip", "endless", "missing", "cut"]
  for (let n = 0;; n++) {
    yield profileEvent({ picture: `${host}/${paths[n % paths.length]}?${n}` }, `${author} ${n}`)
  }
}

const hostileHost = Effect.map(HostileHost.make(), (host) => {
  const picture = png(400, 800)
  // A script is found by its path; what follows the question mark makes each picture another one.
  host.script("/good.png", HostileHost.ok(picture))
  host.script("/hang", { _tag: "Hang" })
  host.script("/drip", { _tag: "Drip", bytes: picture, millis: 100, head: false })
  host.script("/endless", { _tag: "Endless", chunk: Buffer.alloc(1000) })
  host.script("/cut", { _tag: "CutAt", at: 10, body: picture })
  return host
})

const env = (plan: Plan, upstreams: ReadonlyArray<FakeUpstream.FakeUpstream>): Record<string, string> => ({
  ADMISSION: plan.admission,
  LOG_LEVEL: "Info",
  DISCOVERY_RELAY_URL: upstreams.length === 0 ? "none" : upstreams.map(({ url }) => url).join(","),
  INITIAL_BACKOFF_SECS: "1",
  PAGE_SIZE: "100",
  PROOF: "off",
  PICTURES: plan.admission === "profiles" ? "on" : "off",
  FETCH_ALLOW: "127.0.0.0/8",
  // Here the hostile and the honest have one address, and its limits would keep the honest out.
  MAX_CONNECTIONS_PER_ADDRESS: "2000",
  RATE_PER_ADDRESS: "0"
})

/** What the process said at its end, held against what was done to it. */
const judge = (
  plan: Plan,
  ended: Ended,
  signalled: ReadonlyArray<number>,
  killedEarly: boolean,
  wasDisplaced: boolean
): ReadonlyArray<string> => {
  if (killedEarly) return []
  const { certificate, code } = ended
  if (certificate === undefined) return [`no certificate; code ${code}, signal ${ended.signal}`]
  const wrong: Array<string> = []
  const expect = (holds: boolean, what: string) => void (holds ? undefined : wrong.push(what))
  expect(code === certificate.code, `exit code ${code}, and the certificate says ${certificate.code}`)

  // The debounce counts from the last signal that counted, and runs on the process's clock, which lags behind ours.
  let counted = 1
  let certain = 1
  let last = signalled[0] ?? 0
  for (const at of signalled.slice(1)) {
    if (at - last >= debounceMillis - slackMillis) counted++
    if (at - last >= debounceMillis + slackMillis) certain++
    if (at - last >= debounceMillis) last = at
  }
  const third = plan.signals.later.at(-1)?.name
  const isLost = wasDisplaced && plan.trouble?._tag === "Displaced"
  const allowed = new Set(isLost ? [74] : [0])
  // A log that is gone is noticed by the next write, if there is one, and by nobody otherwise: the file has all of it at the end.
  if (isLost && plan.trouble.how === "removed, its log only") allowed.add(0)
  if (counted >= 2) allowed.add(75)
  if (counted >= 3 && third !== undefined) allowed.add(128 + os.constants.signals[third])
  expect(
    code !== null && allowed.has(code),
    `code ${code}, not one of ${[...allowed].join(", ")} (${certain} counted for sure)`
  )
  if (code === null || code > 128) return wrong

  return [...wrong, ...judgeCertificate(certificate, counted, plan.trouble)]
}

/** What became of the log in a stop that nothing cut short. */
const walOf = (code: number, trouble: Plan["trouble"]): RegExp => {
  if (trouble?._tag === "Displaced" && code === 74) {
    return trouble.how === "removed, its log only" ? /^checkpointed$|^skipped/u : /^lost: /u
  }
  // Before the file was opened there is no log to fold into it, and on a full disk it has to wait for the next start.
  return trouble?._tag === "FullDisk" ? /^checkpointed$|^skipped: .*full/u : /^checkpointed$|^not opened$/u
}

const judgeCertificate = (
  certificate: Certificate,
  counted: number,
  trouble: Plan["trouble"]
): ReadonlyArray<string> => {
  const wrong: Array<string> = []
  const expect = (holds: boolean, what: string) => void (holds ? undefined : wrong.push(what))
  const { forced, proofs, queue, released, senders } = certificate
  for (const [proof, holds] of Object.entries(proofs)) expect(holds, `no proof of ${proof}`)
  expect(
    JSON.stringify(released) === JSON.stringify(components.slice(0, released.length).toReversed()),
    `released ${released.join(", ")}`
  )
  expect(senders.length === 0, `senders left: ${senders.map(({ label }) => label).join(", ")}`)
  const budgets = forced.filter((budget) => budget !== "close handshakes")
  expect(counted >= 2 || budgets.length === 0, `budgets fired: ${budgets.join(", ")}`)
  expect(counted >= 2 || queue === 0, `${queue} left in queues`)
  expect(
    certificate.failures.length === 0 || trouble?._tag === "Displaced",
    `failures: ${certificate.failures.join("; ")}`
  )
  // In a hurry it may be left to the next start.
  expect(counted >= 2 || walOf(certificate.code, trouble).test(certificate.wal), `wal: ${certificate.wal}`)
  return wrong
}

/** Coverage never runs ahead of the events it stands for. */
const judgeCoverage = (
  plan: Plan,
  upstreams: ReadonlyArray<FakeUpstream.FakeUpstream>,
  coverage: ReadonlyMap<string, string>,
  ids: ReadonlySet<string>
): ReadonlyArray<string> =>
  plan.admission === "profiles" ? [] : upstreams.flatMap(({ url }, n) => {
    const intervals = decodeCoverage(coverage.get(url) ?? "") ?? []
    if (!isTruthful(plan.upstreams[n] ?? {})) return []
    return profiles
      .filter(({ created_at, id }) =>
        !ids.has(id) && intervals.some(([since, until]) => since <= created_at && created_at <= until)
      )
      .map(({ id }) => `${id} is covered and not stored`)
  })

/** What is in a file that may not be there yet, or only just. */
const read = (path: string): StoredEvents | undefined => {
  try {
    return storedIn(path)
  } catch {
    return undefined
  }
}

/** Has it happen, and some time pass after it. */
const befall = (
  trouble: Plan["trouble"],
  folder: string,
  path: string,
  floods: ReadonlyArray<Flood.Flood>
): Effect.Effect<Troubles.Befallen> => {
  if (trouble === undefined) return Effect.succeed({ path, judge: () => [] })
  if (trouble._tag === "FullDisk") return Troubles.fullDisk(trouble, folder, path, floods)
  return Effect.tap(Effect.sync(() => Troubles.displaced(trouble.how, path, floods)), Effect.sleep(trouble.millis))
}

/** `folder` belongs to the round, with whatever the one before left in it. */
export const play = Effect.fnUntraced(function*(plan: Plan, options: {
  readonly folder: string
  readonly name: string
  readonly ledger: Ledger
  /** Node's own flags for the service. */
  readonly execArgv: ReadonlyArray<string>
}) {
  const { execArgv, folder, ledger, name } = options
  const host = yield* hostileHost
  const upstreams = yield* Effect.forEach(
    plan.upstreams,
    (faults) => FakeUpstream.make({ events: profiles, faults })
  )
  const before = read(join(folder, "profiles.db"))
  const service = yield* Service.start({ env: env(plan, upstreams), folder, execArgv })
  const spawned = performance.now()
  const violations: Array<string> = []
  const signalled: Array<number> = []
  const signal = (signalName: NodeJS.Signals) =>
    Effect.andThen(Effect.sync(() => void signalled.push(performance.now())), service.signal(signalName))

  const stream = (author: string) =>
    plan.admission === "open" ? Flood.noteStream(author) : profileStream(author, host.origin)
  const floods: Array<Flood.Flood> = []
  let befallen: Troubles.Befallen = { path: service.databasePath, judge: () => [] }
  const { first } = plan.signals
  if ("whileStarting" in first) yield* Effect.sleep(first.whileStarting)
  else {
    const { port, url } = yield* service.listening
    for (const [n, kind] of plan.hostile.entries()) {
      yield* HostileClients.kinds[kind](port, stream(`${name}, hostile ${n}`), `${name}, hostile ${n}`)
    }
    for (const [n, { diesAfter, removes, window }] of plan.clients.entries()) {
      const events = removes && plan.admission === "open"
        ? removalStream(`${name}, remover ${n}`, ledger.removes.bind(ledger))
        : stream(`${name}, client ${plan.sameEvents ? 0 : n}`)
      // Its socket is dropped with its scope, at the latest.
      const life = yield* Scope.make()
      yield* Effect.addFinalizer((exit) => Scope.close(life, exit))
      const flood = yield* Scope.provide(
        Flood.start(url, events, window),
        life
      )
      floods.push(flood)
      if (diesAfter === undefined) continue
      yield* Effect.forkScoped(Effect.andThen(flood.answered(diesAfter), Scope.close(life, Exit.void)))
    }
    if (first.afterAnswers > 0 && floods.length > 0) {
      const letIn = Effect.raceAllFirst(floods.map((flood) => flood.opened))
      if (Option.isNone(yield* Effect.timeoutOption(letIn, patience))) violations.push("nobody honest was let in")
    }
    // An answer may take the whole patience of a hostile picture's host.
    yield* Effect.timeoutOption(Effect.raceAllFirst(floods.map((flood) => flood.answered(first.afterAnswers))), 3000)
    yield* Effect.sleep(first.millis)
    befallen = yield* befall(plan.trouble, folder, service.databasePath, floods)
  }
  for (const [n, flood] of floods.entries()) {
    if (!flood.wasOpen() && flood.closeCode() !== undefined) violations.push(`client ${n} was kept out`)
  }
  if (plan.signals.report) yield* service.signal("SIGUSR2")
  yield* signal(first.name)
  for (const { millis, name: later } of plan.signals.later) {
    yield* Effect.sleep(millis)
    yield* signal(later)
  }
  const ended = yield* service.ended
  const stopMillis = spawned + ended.millis - (signalled[0] ?? 0)
  yield* Effect.forEach(floods, (flood) => flood.ended)

  // A signal that comes before Node has run our first line ends the process by default; nothing was acquired then.
  const isFirst = ended.signal === first.name || (plan.signals.report && ended.signal === "SIGUSR2")
  const killedEarly = isFirst && service.stdout.length === 0
  const wasDisplaced = befallen.path !== service.databasePath
  violations.push(...judge(plan, ended, signalled, killedEarly, wasDisplaced), ...befallen.judge())
  if (stopMillis > stopMillisMax) violations.push(`the stop took ${Math.round(stopMillis)} ms`)
  const wasReady = service.states().includes("ready")
  if (plan.signals.report && wasReady && !service.stdout.some((line) => line.startsWith(`{"report"`))) {
    violations.push("no report after SIGUSR2")
  }

  for (const flood of floods) violations.push(...ledger.enter(flood))
  if (plan.signals.later.length === 0) violations.push(...floods.flatMap(judgeGoodbye(plan, floods)))
  const stored = read(befallen.path)
  if (stored !== undefined) {
    const { coverage, ids } = stored
    violations.push(...ledger.compare(stored), ...judgeCoverage(plan, upstreams, coverage, ids))
    const gained = stored.seq - (before?.seq ?? 0)
    const committed = ended.certificate?.committed
    // What was written to a file that was gone by then counts for nothing.
    const isCounted = wasDisplaced ? gained >= (committed ?? 0) : gained === committed
    if (committed !== undefined && !isCounted) {
      violations.push(`${committed} were committed, and the file has gained ${gained}`)
    }
  } else if (ledger.acknowledged > 0) violations.push("the file cannot be read")
  return {
    violations,
    code: ended.code,
    stopMillis: plan.signals.later.length === 0 && !killedEarly && !wasDisplaced ? stopMillis : undefined,
    budgets: plan.signals.later.length === 0 ? ended.certificate?.forced ?? [] : []
  } satisfies Result
}, Effect.scoped)

/** What an honest client that is still there is told at the end. */
const judgeGoodbye =
  (plan: Plan, floods: ReadonlyArray<Flood.Flood>) => (flood: Flood.Flood): ReadonlyArray<string> => {
    const n = floods.indexOf(flood)
    if (plan.clients[n]?.diesAfter !== undefined) return []
    // Who still waited to be let in when the signal came was nobody's client yet: nothing is owed to it.
    if (!flood.wasOpen()) return []
    const code = flood.closeCode()
    const closed = flood.closedSubscriptions.get("live")
    return [
      ...(code === 1001 ? [] : [`client ${n} was closed with ${code}`]),
      // What it said first may still be unread; an answer to what it said later tells that it was not.
      ...(flood.answers.size === 0 || closed === "error: shutting down"
        ? []
        : [`client ${n} was told ${JSON.stringify(closed)} of its subscription`])
    ]
  }
