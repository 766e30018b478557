/**
 * The aggregation component over fakes that a test can steer: sockets, disk, what pictures and posts say, or the whole
 * examiner; the verifier is real, on the test's own thread. Time stands at `now` until the test moves it.
 *
 * Rules that ask others are off, unless a test says who is asked.
 */
import { Effect, Layer, Option, Redacted, type Scope } from "effect"
import type { Socket } from "effect/socket"
import { TestClock } from "effect/testing"
import { hash } from "node:crypto"
import type { Admission } from "../../src/aggregation/admission/Admission.ts"
import type { Retries } from "../../src/aggregation/admission/Retries.ts"
import * as Aggregation from "../../src/aggregation/Aggregation.ts"
import type { Examiner } from "../../src/aggregation/evidence/Examiner.ts"
import { layerNetwork as examinerLayerNetwork } from "../../src/aggregation/evidence/Examiner.ts"
import { NameOwners } from "../../src/aggregation/evidence/NameOwners.ts"
import { Picture } from "../../src/aggregation/evidence/Picture.ts"
import { Posts, type Proof } from "../../src/aggregation/evidence/Posts.ts"
import type { HarvestStatus } from "../../src/aggregation/harvest/HarvestStatus.ts"
import { type Overrides, Settings } from "../../src/config/Settings.ts"
import * as WorkerVerifier from "../../src/crypto/WorkerVerifier.ts"
import type { Database } from "../../src/database/Database.ts"
import * as HostBudgets from "../../src/fetch/HostBudgets.ts"
import { Shutdown } from "../../src/lifecycle/Shutdown.ts"
import { Supervisor } from "../../src/lifecycle/Supervisor.ts"
import { epoch } from "../support/events.ts"
import { byHand, type Dials } from "../support/FakeUpstreamSocket.ts"
import * as FakeDatabase from "./FakeDatabase.ts"

/** Unix seconds: a day after the fixtures' own time. */
export const now = epoch + 86_400

export const upstreamUrl = "wss://upstream.example"

export interface Options {
  readonly settings?: Overrides
  readonly sockets?: Layer.Layer<Dials | Socket.WebSocketConstructor>
  readonly disk?: FakeDatabase.Disk["Service"]
  readonly examiner?: Layer.Layer<Examiner, never, Settings>
  /** Who looks at pictures; turns the rule on. */
  readonly picture?: Layer.Layer<Picture>
  /** What asking for an author's posts comes to; turns the rule on. */
  readonly posts?: Posts["Service"]["prove"]
}

/** Nobody may be asked. */
const nobody = () => Effect.die(new Error("a rule that is off has asked somebody"))

const nip05: Omit<NameOwners["Service"], "onStored"> = { check: nobody, recall: nobody, recheck: nobody }

const examinerOf = ({ posts, picture }: Options) =>
  examinerLayerNetwork.pipe(
    Layer.provide(picture ?? Layer.succeed(Picture, { look: nobody })),
    Layer.provide(Layer.succeed(Posts, { prove: posts ?? nobody })),
    Layer.provide(Layer.succeed(NameOwners, { ...nip05, onStored: () => Effect.succeed([]) })),
    Layer.provide(HostBudgets.layer)
  )

const layer = (options: Options) =>
  Aggregation.layerWithout.pipe(
    Layer.provide(options.examiner ?? examinerOf(options)),
    Layer.provideMerge(options.sockets ?? byHand),
    Layer.provideMerge(WorkerVerifier.layerInline),
    Layer.provideMerge(FakeDatabase.layer(options.disk)),
    Layer.provideMerge(Supervisor.layer),
    Layer.provideMerge(Shutdown.layerTest),
    Layer.provideMerge(Settings.layerTest({
      relaySecretKey: Option.some(Redacted.make(hash("sha256", "aggregation"))),
      upstreams: [],
      pictures: options.picture === undefined ? "off" : "on",
      proof: options.posts === undefined ? "off" : "on",
      ...options.settings
    }))
  )

type World = Admission | Database | Dials | FakeDatabase.Disk | HarvestStatus | Retries | Shutdown | Supervisor

/** Runs a test inside the component, and releases the component before it returns. */
export const within = <A, E>(
  options: Options,
  test: Effect.Effect<A, E, World | Scope.Scope>
) =>
  Effect.andThen(
    Effect.clockWith((clock) =>
      clock.currentTimeMillisUnsafe() < now * 1000 ? TestClock.setTime(now * 1000) : Effect.void
    ),
    Effect.scoped(test).pipe(Effect.provide(layer(options), { local: true }))
  )

/** Turns that suffice for whatever needs none but our own; beyond them something of the machine is waited for. */
const turnsMax = 2000
const machineMillisMax = 5000

/**
 * Lets fibers run until `isSo`; the test clock stands still meanwhile. Fails when nothing but time could bring it about:
 * not before the machine has had its chance to load a module or read a file, which a busy one is slow at.
 */
export const eventually = (isSo: () => boolean, what = "what was awaited has not come about") =>
  Effect.gen(function*() {
    for (let turn = 0; turn < turnsMax; turn++) {
      if (isSo()) return undefined
      yield* Effect.yieldNow
    }
    for (const since = performance.now(); performance.now() - since < machineMillisMax;) {
      if (isSo()) return undefined
      yield* Effect.promise(() => new Promise((resolve) => void setImmediate(resolve)))
    }
    return yield* Effect.die(new Error(what))
  })

/** Lets every fiber that can run do so. */
export const settle = Effect.forEach(Array.from({ length: 50 }), () => Effect.yieldNow, { discard: true })

const noted = (outcomes: Proof["textNotes"]): Proof => ({
  textNotes: outcomes,
  bridge: undefined,
  companions: [],
  operations: []
})

/** What asking for posts can come to. */
export const proofs = {
  found: noted({ _tag: "Found", count: 1 }),
  none: noted({ _tag: "Found", count: 0 }),
  unanswered: noted({ _tag: "Unanswered", reason: "outbox relays did not answer", retryAfter: 60_000 })
}
