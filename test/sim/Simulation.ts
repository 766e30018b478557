/**
 * Plays a history: starts the service, lets its world happen to it, stops it, judges what it did, and starts it again.
 *
 * What is judged stands in `docs/shutdown.md`: the invariants by their numbers, and by name what clients are owed besides.
 */
import { Clock, Effect, Exit, type Fiber, Layer, Option, Random, Redacted, References } from "effect"
import { hash } from "node:crypto"
import { Settings } from "../../src/config/Settings.ts"
import { type Certificate, certify } from "../../src/lifecycle/Certificate.ts"
import { launch } from "../../src/lifecycle/Launch.ts"
import { Shutdown } from "../../src/lifecycle/Shutdown.ts"
import { Supervisor } from "../../src/lifecycle/Supervisor.ts"
import { Service } from "../../src/main.ts"
import { Client } from "./Client.ts"
import { Disk } from "./Disk.ts"
import type { History } from "./History.ts"
import { components, mailboxes, shutdown, wasCut } from "./Order.ts"
import type { Plan } from "./Plan.ts"
import { enter, Run } from "./Run.ts"
import { Upstream } from "./Upstream.ts"
import { begin } from "./World.ts"

/** Milliseconds from the stop to the forced exit, which never comes in a run that goes well. */
const hardDeadline = 9000

/** Milliseconds between two lives. */
const pauseMillis = 60_000

/** What one life came to. */
interface Life {
  /** Undefined after a power cut. */
  readonly certificate: Certificate | undefined
  readonly endedAt: number
  readonly violations: ReadonlyArray<string>
  /** The same for two lives that were the same, step by step. */
  readonly fingerprint: number
  readonly steps: number
  /** From the stop to the end, in the world's milliseconds; undefined when it ended by itself. */
  readonly stopMillis: number | undefined
  /** A second signal cut the stop short. */
  readonly hurried: boolean
  /** Components that were open when the stop came. */
  readonly open: number
  /** `OK true` and `OK false` that were given. */
  readonly answers: { readonly true: number; readonly false: number }
  readonly trace: ReadonlyArray<string>
}

/** What a history came to: its lives up to the first one in which something was wrong. */
export interface Outcome {
  readonly lives: ReadonlyArray<Life>
  readonly violations: ReadonlyArray<string>
  readonly fingerprint: number
  readonly steps: number
  readonly trace: ReadonlyArray<string>
}

/** The real one, which also tells how each fiber it watches ends. */
const supervisor = (run: Run) =>
  Layer.effect(
    Supervisor,
    Effect.map(Supervisor, (real) => {
      const watch: typeof real.watch = (name, effect) =>
        real.watch(
          name,
          Effect.onExit(effect, (exit) => {
            run.ends.set(name, Exit.isSuccess(exit) ? "done" : Exit.hasInterrupts(exit) ? "interrupted" : "failed")
            return Effect.void
          })
        )
      return Supervisor.of({ ...real, watch })
    })
  ).pipe(Layer.provide(Supervisor.layer))

const settings = (plan: Plan, upstreams: ReadonlyArray<Upstream>) =>
  Settings.layerTest({
    bindAddr: { host: "127.0.0.1", port: 0 },
    admission: "open",
    upstreams: upstreams.map(({ url }) => url),
    verifierThreads: 1 + plan.seed % 2,
    relaySecretKey: Option.some(Redacted.make(hash("sha256", "relay")))
  })

export const simulate = async ({ lives }: History, traced = false): Promise<Outcome> => {
  const disk = new Disk()
  const played: Array<Life> = []
  let startsAt = begin
  for (const plan of lives) {
    const life = await live(new Run({ plan, disk, startsAt, traced }))
    played.push(life)
    if (life.violations.length > 0) break
    startsAt = life.endedAt + pauseMillis
  }
  disk.close()
  return {
    lives: played,
    violations: played.flatMap(({ violations }) => violations),
    fingerprint: played.reduce((all, { fingerprint }) => (Math.imul(all, 31) + fingerprint) | 0, 0),
    steps: played.reduce((all, { steps }) => all + steps, 0),
    trace: played.flatMap(({ trace }, n) => [`life ${n + 1} of ${lives.length}`, ...trace])
  }
}

const live = async (run: Run): Promise<Life> => {
  enter(run)
  const { disk, journal, plan, world } = run
  disk.boot(run.violate.bind(run))
  plan.upstreams.forEach((upstream) => run.upstreams.push(new Upstream(upstream, run)))
  let impatience: Effect.Effect<void> = Effect.void
  let open = 0

  const program = Effect.flatMap(Shutdown, (shutdown) => {
    impatience = shutdown.hurry
    return launch(Service)
  }).pipe(
    Effect.provide(
      supervisor(run).pipe(
        Layer.provideMerge(shutdown(run)),
        Layer.provideMerge(settings(plan, run.upstreams))
      )
    ),
    Effect.provideService(Clock.Clock, world.clock),
    Effect.provideService(Random.Random, world.random),
    Effect.provideService(References.MinimumLogLevel, "None")
  )
  const root: Fiber.Fiber<void> = Effect.runFork(program, { scheduler: world })
  const isDone = () => run.isCut || root.pollUnsafe() !== undefined

  const stop = () => {
    if (isDone() || run.stoppedAt !== undefined) return
    run.stoppedAt = world.now
    open = journal.acquired.length
    journal.stop({ name: "SIGTERM", code: 0 })
    root.interruptUnsafe()
    if (plan.hurryAfter === undefined) return
    world.later(plan.hurryAfter, "second signal", () => {
      if (isDone()) return
      world.note(() => "second signal")
      run.hurried = true
      Effect.runFork(impatience, { scheduler: world })
    })
  }
  run.at(plan.stop, "stop", stop)
  world.later(plan.stopAtLatest, "stop at the latest", stop)
  if (plan.powerCut !== undefined) {
    run.at(plan.powerCut, "power cut", () => {
      if (isDone()) return
      world.note(() => "the power is cut")
      run.isCut = true
    })
  }

  /** Clients come once there is a listener; those that come too late are refused. */
  plan.clients.forEach((client, n) => {
    const dial = (after: number): unknown =>
      world.later(after, `client ${n} dials`, () => {
        if (isDone()) return
        const made = new Client(client, `client ${n}`, run)
        if (run.server?.connect(made) === true) run.clients.push(made)
        else if (run.stoppedAt === undefined) dial(10)
      })
    dial(client.connectAt)
  })

  const verdict = await world.run(isDone, () => (run.stoppedAt ?? run.startsAt + plan.stopAtLatest) + hardDeadline)
  if (!run.isCut) {
    await world.drain()
    judge(run, verdict)
  }
  const answers = { true: 0, false: 0 }
  for (const client of run.clients) {
    for (const all of client.answers.values()) for (const one of all) answers[`${one}`]++
  }
  return {
    certificate: run.isCut ? undefined : certify(journal, []),
    endedAt: world.now,
    violations: run.violations,
    fingerprint: world.fingerprint,
    steps: world.steps,
    stopMillis: run.stoppedAt === undefined ? undefined : world.now - run.stoppedAt,
    hurried: run.hurried,
    open,
    answers,
    trace: world.trace ?? []
  }
}

const judge = (run: Run, verdict: "done" | "deadlock" | "livelock"): void => {
  const { disk, journal, plan, world } = run
  const expect = (invariant: string, holds: boolean, what: () => string) => {
    if (!holds) run.violate(invariant, what())
  }
  if (verdict !== "done") {
    const fibers = [...journal.fibers].map(({ name }) => name).join(", ")
    return run.violate(
      "I12",
      `${verdict} while ${journal.state}; fibers: ${fibers}; released: ${journal.released.join(", ")}`
    )
  }
  const certificate = certify(journal, [])
  const { acquired, released } = journal
  const wasFailure = disk.hasFailed || plan.portTaken
  /** Nothing was cut short: nobody was told to hurry, or it made no difference. */
  const isWhole = journal.forced.length === 0 && !disk.hasFailed

  expect("I3", certificate.proofs.noWriteAfterClose, () => "written after the close")
  expect(
    "I4",
    JSON.stringify(acquired) === JSON.stringify(components.slice(0, acquired.length)) &&
      JSON.stringify(released) === JSON.stringify(acquired.toReversed()),
    () => `acquired ${acquired.join(", ")}; released ${released.join(", ")}`
  )
  expect(
    "I5",
    certificate.senders.length === 0,
    () => `left: ${certificate.senders.map(({ label }) => label).join(", ")}`
  )
  expect("I5", certificate.proofs.drained, () => `${certificate.queue} left in queues`)
  expect("I6", certificate.proofs.ingesterExited, () => "the ingester was not seen to exit")
  for (const name of mailboxes) {
    const end = run.ends.get(name) ?? "done"
    expect("I6", end === "done" || wasCut(journal, name), () => `the consumer of ${name} ended ${end}`)
  }
  const budgets = journal.forced.filter((name) =>
    !run.hurried && !(name === "close handshakes" && plan.clients.some(({ polite, reads }) => !polite || !reads))
  )
  expect("I7", budgets.length === 0, () => `budgets fired: ${budgets.join(", ")}`)
  const left = world.pending().filter((what) => what.startsWith("sleep"))
  expect("I8", left.length === 0, () => `still there: ${left.join(", ")}`)
  expect(
    "I8",
    journal.fibers.size === 0,
    () => `still there: ${[...journal.fibers].map(({ name }) => name).join(", ")}`
  )
  expect("I8", journal.mailboxes.size === 0, () => `still open: ${journal.mailboxes.size} mailboxes`)
  expect("I8", !disk.isOpen && (!disk.isWriting || run.hurried), () => "the file is still open")
  expect("I8", !disk.isHeld, () => "the state folder is still held")

  const allowed = disk.hasFailed ? [74] : [0, ...(plan.portTaken ? [69] : []), ...(run.hurried ? [75] : [])]
  expect("I9", allowed.includes(certificate.code), () => `code ${certificate.code}, ${JSON.stringify(certificate)}`)
  expect("I9", wasFailure || run.stoppedAt !== undefined, () => "ended without having been asked to")
  expect(
    "I11",
    ["checkpointed", "not opened"].includes(certificate.wal) || run.hurried,
    () => `wal: ${certificate.wal}`
  )

  expect("forgery", disk.forgeries === 0, () => `${disk.forgeries} events with a wrong signature were stored`)
  const told = run.clients.flatMap(({ answers }) => [...answers.values()]).flat().filter(Boolean).length
  expect("count", certificate.answered.true >= told, () => `${told} told, ${certificate.answered.true} counted`)
  expect(
    "count",
    !isWhole || certificate.committed === disk.saved,
    () => `${certificate.committed} counted as committed, ${disk.saved} on the disk`
  )
  for (const client of run.clients) client.judge()
  disk.judge()
  expect("sweep", !plan.isQuietAtEnd || disk.leftover === 0, () => `${disk.leftover} rows are still to be swept`)
}
