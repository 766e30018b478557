/**
 * The whole life of the service in one thread and on the test clock: acquired in order, released in the exact reverse, and
 * stopped at every single step of its start.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Fiber, Layer, Option, Redacted, References, Scheduler } from "effect"
import { TestClock } from "effect/testing"
import { hash } from "node:crypto"
import * as Aggregation from "../src/aggregation/Aggregation.ts"
import * as Dossier from "../src/aggregation/Dossier.ts"
import * as Examiner from "../src/aggregation/evidence/Examiner.ts"
import * as NameOwners from "../src/aggregation/evidence/NameOwners.ts"
import * as Nip05Documents from "../src/aggregation/evidence/Nip05Documents.ts"
import * as RememberedPictures from "../src/aggregation/evidence/RememberedPictures.ts"
import { Settings } from "../src/config/Settings.ts"
import * as WorkerVerifier from "../src/crypto/WorkerVerifier.ts"
import * as SqliteDatabase from "../src/database/sqlite/SqliteDatabase.ts"
import * as GuardedFetch from "../src/fetch/GuardedFetch.ts"
import { certify } from "../src/lifecycle/Certificate.ts"
import { Journal } from "../src/lifecycle/Journal.ts"
import { launch } from "../src/lifecycle/Launch.ts"
import { Shutdown } from "../src/lifecycle/Shutdown.ts"
import { Supervisor } from "../src/lifecycle/Supervisor.ts"
import * as Web from "../src/web/Web.ts"
import * as RelayServer from "../src/websocket/RelayServer.ts"
import { epoch, profileEvent } from "./support/events.ts"
import * as FakeUpstreamSocket from "./support/FakeUpstreamSocket.ts"

const components = ["database", "crypto", "aggregation", "web", "websocket"]

/**
 * Of so many steps of the start one is stopped at, as what all of them cost grows with their square. Every run takes others;
 * `STRIDE=1` takes all of them, a quarter of an hour.
 */
const stride = Number(process.env["STRIDE"] ?? 16)
const phase = Number(process.env["PHASE"] ?? Date.now())

/** Events the upstream has; committed, the harvest has done all it can without the clock. */
const world = 8

const upstream = FakeUpstreamSocket.relay(
  Array.from(
    { length: world },
    (_, n) => profileEvent({ name: `person ${n}` }, `person ${n}`, { created_at: epoch - n })
  )
)

const service = RelayServer.layer.pipe(
  Layer.provideMerge(Web.layer),
  Layer.provide(Dossier.layer),
  Layer.provide(RememberedPictures.layer),
  Layer.provide(NameOwners.layer),
  Layer.provide(Nip05Documents.layer),
  Layer.provide(GuardedFetch.layer),
  Layer.provideMerge(Aggregation.layerWithout),
  Layer.provideMerge(WorkerVerifier.layerInline),
  Layer.provideMerge(SqliteDatabase.layerMemory),
  Layer.provide(Examiner.layer),
  Layer.provide(FakeUpstreamSocket.layer(upstream.play)),
  Layer.provide(Settings.layerTest({
    bindAddr: { host: "127.0.0.1", port: 0 },
    upstreams: ["wss://upstream.example"],
    relaySecretKey: Option.some(Redacted.make(hash("sha256", "relay under test")))
  }))
)

/** Calls back between two steps of whatever runs on it, once, after `count` of them. */
class StepCounter extends Scheduler.MixedScheduler {
  steps = 0
  readonly #at: number
  readonly #then: () => void

  constructor(at: number, then: () => void) {
    super("async")
    this.#at = at
    this.#then = then
  }

  override shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    this.steps += 1
    if (this.steps !== this.#at) return super.shouldYield(fiber)
    queueMicrotask(this.#then)
    return true
  }
}

/** A day on which the upstream's events are not of the future. */
const today = TestClock.setTime((epoch + 86_400) * 1000)

/** Starts the service, interrupts its root after so many steps, or once it is settled, and shows what it left. */
const stoppedAfter = Effect.fnUntraced(function*(steps: number) {
  const states: Array<string> = []
  const journal = new Journal({
    now: () => 0,
    wallTime: () => 0,
    emit: (line) => void states.push(JSON.parse(line).lifecycle.state)
  })
  const stop = () => {
    journal.stop({ name: "SIGINT", code: 0 })
    root.interruptUnsafe()
  }
  const scheduler = new StepCounter(steps, stop)
  const root: Fiber.Fiber<void, unknown> = yield* launch(service).pipe(
    Effect.provide(Supervisor.layer.pipe(Layer.provideMerge(Shutdown.layer(journal)))),
    Effect.provideService(Scheduler.Scheduler, scheduler),
    Effect.provideService(References.MinimumLogLevel, "None"),
    Effect.forkDetach
  )
  while (root.pollUnsafe() === undefined) {
    if (journal.state === "ready" && journal.counters.committed === world && scheduler.steps < steps) stop()
    yield* Effect.yieldNow
  }
  return { journal, states, steps: scheduler.steps }
})

/** What every stop owes, wherever it came. */
const assertClean = (journal: Journal, at: string) => {
  const certificate = certify(journal, [])
  assert.strictEqual(certificate.code, 0, `${at}: ${JSON.stringify(certificate)}`)
  assert.deepStrictEqual(journal.acquired, components.slice(0, journal.acquired.length), at)
  assert.deepStrictEqual(journal.released, journal.acquired.toReversed(), at)
  assert.deepStrictEqual([certificate.senders, certificate.forced, [...journal.fibers]], [[], [], []], at)
  assert.strictEqual(journal.mailboxes.size, 0, at)
}

describe("the service", () => {
  it.effect("starts in order, and is released in the exact reverse order", () =>
    Effect.gen(function*() {
      yield* today
      const { journal, states } = yield* stoppedAfter(Number.POSITIVE_INFINITY)
      assert.deepStrictEqual(journal.acquired, components)
      assert.deepStrictEqual(states, ["starting", "ready", "draining", "releasing"])
      assert.strictEqual(journal.counters.committed, world)
      assertClean(journal, "after its start")
    }))

  it.effect(
    "stopped at any step of its start, releases what it had acquired, in reverse",
    () =>
      Effect.gen(function*() {
        yield* today
        const { steps: total } = yield* stoppedAfter(Number.POSITIVE_INFINITY)
        const acquired = new Set<number>()
        for (let steps = 1 + phase % stride; steps <= total; steps += stride) {
          const { journal } = yield* stoppedAfter(steps)
          acquired.add(journal.acquired.length)
          assertClean(journal, `step ${steps} of ${total}`)
        }
        console.log(`stopped at every ${stride}th of ${total} steps, PHASE=${phase}`)
        assert.sameMembers([...acquired], [0, 1, 2, 3, 4, 5], "it was stopped between any two components")
      }),
    stride === 1 ? 1_800_000 : 300_000
  )
})
