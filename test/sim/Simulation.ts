/**
 * Plays one plan: starts the service, lets its world happen to it, stops it, and judges what it did.
 *
 * What is judged stands in `docs/shutdown.md`: the invariants by their numbers, and by name what clients are owed besides.
 */
import { Clock, Effect, Exit, type Fiber, Layer, Option, Random, Redacted, References } from "effect"
import { hash } from "node:crypto"
import { Settings } from "../../src/Config.ts"
import * as Dice from "../../src/demo/Dice.ts"
import { type Certificate, certify } from "../../src/lifecycle/Certificate.ts"
import { launch } from "../../src/lifecycle/Launch.ts"
import { Shutdown } from "../../src/lifecycle/Shutdown.ts"
import { Supervisor } from "../../src/lifecycle/Supervisor.ts"
import { Service } from "../../src/main.ts"
import { Client } from "./Client.ts"
import { draw, type Plan } from "./Plan.ts"
import { enter, Run } from "./Run.ts"
import { Upstream } from "./Upstream.ts"
import { begin } from "./World.ts"

const components = ["database", "crypto", "aggregation", "websocket"]
const mailboxes = ["database", "crypto", "aggregation"]

/** Milliseconds from the stop to the forced exit, which never comes in a run that goes well. */
const hardDeadline = 9000

/** A stop that is meant to come at a step comes now if the service takes none any more. */
const stopAtLatest = 1500

/** Steps that a start takes, more or less. */
const startSteps = 2500

export interface Outcome {
  readonly plan: Plan
  readonly violations: ReadonlyArray<string>
  readonly certificate: Certificate
  /** The same for two runs that were the same, step by step. */
  readonly fingerprint: number
  readonly steps: number
  /** From the stop to the end, in the world's milliseconds; undefined when it ended by itself. */
  readonly stopMillis: number | undefined
  /** Components that were open when the stop came. */
  readonly open: number
  /** `OK true` and `OK false` that were given. */
  readonly answers: { readonly true: number; readonly false: number }
  readonly trace: ReadonlyArray<string>
}

export const planOf = (seed: number): Plan => draw(Dice.make(seed), seed, startSteps)

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

export const simulate = async (plan: Plan, traced = false): Promise<Outcome> => {
  const run = new Run(plan, traced)
  enter(run)
  const { journal, world } = run
  plan.upstreams.forEach((upstream, n) => run.upstreams.push(new Upstream(upstream, n, run)))
  let impatience: Effect.Effect<void> = Effect.void
  let open = 0

  const program = Effect.flatMap(Shutdown, (shutdown) => {
    impatience = shutdown.hurry
    return launch(Service)
  }).pipe(
    Effect.provide(
      supervisor(run).pipe(
        Layer.provideMerge(Shutdown.layer(journal)),
        Layer.provideMerge(settings(plan, run.upstreams))
      )
    ),
    Effect.provideService(Clock.Clock, world.clock),
    Effect.provideService(Random.Random, world.random),
    Effect.provideService(References.MinimumLogLevel, "None")
  )
  const root: Fiber.Fiber<void> = Effect.runFork(program, { scheduler: world })
  const isDone = () => root.pollUnsafe() !== undefined

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
  if (plan.stop._tag === "AtStep") world.atStep(plan.stop.step, stop)
  world.later(plan.stop._tag === "AtMillis" ? plan.stop.millis : stopAtLatest, "stop", stop)

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

  const verdict = await world.run(isDone, () => (run.stoppedAt ?? begin + stopAtLatest) + hardDeadline)
  await world.drain()
  judge(run, verdict)
  const certificate = certify(journal, [])
  const answers = { true: 0, false: 0 }
  for (const client of run.clients) {
    for (const all of client.answers.values()) for (const one of all) answers[`${one}`]++
  }
  return {
    plan,
    violations: run.violations,
    certificate,
    fingerprint: world.fingerprint,
    steps: world.steps,
    stopMillis: run.stoppedAt === undefined ? undefined : world.now - run.stoppedAt,
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
  const isWhole = !run.hurried && !disk.hasFailed

  expect("I3", journal.writesAfterClose === 0, () => `${journal.writesAfterClose} writes after the close`)
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
    expect("I6", end === "done" || !isWhole, () => `the consumer of ${name} ended ${end}`)
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

  const allowed = disk.hasFailed ? [74] : plan.portTaken ? [69, 0] : run.hurried ? [0, 75] : [0]
  expect("I9", allowed.includes(certificate.code), () => `code ${certificate.code}, ${JSON.stringify(certificate)}`)
  expect("I9", wasFailure || run.stoppedAt !== undefined, () => "ended without having been asked to")
  expect(
    "I11",
    ["checkpointed", "not opened"].includes(certificate.wal) || run.hurried,
    () => `wal: ${certificate.wal}`
  )

  const events = [...disk.events.values()].filter(({ event }) => event.kind === 1).length
  const told = run.clients.flatMap(({ answers }) => [...answers.values()]).flat().filter(Boolean).length
  expect("count", journal.counters.answeredTrue >= told, () => `${told} told, ${journal.counters.answeredTrue} counted`)
  expect(
    "count",
    !isWhole || journal.counters.committed === disk.events.size,
    () => `${journal.counters.committed} counted as committed, ${disk.events.size} on the disk (${events} notes)`
  )
  for (const client of run.clients) client.judge()
}
