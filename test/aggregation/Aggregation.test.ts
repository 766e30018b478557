import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, PubSub } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Admission } from "../../src/aggregation/admission/Admission.ts"
import * as Aggregation from "../../src/aggregation/Aggregation.ts"
import { HarvestStatus } from "../../src/aggregation/harvest/HarvestStatus.ts"
import { floor, overlap } from "../../src/aggregation/harvest/HarvestWalk.ts"
import { Settings } from "../../src/config/Settings.ts"
import * as WorkerVerifier from "../../src/crypto/WorkerVerifier.ts"
import { Database } from "../../src/database/Database.ts"
import * as SqliteDatabase from "../../src/database/sqlite/SqliteDatabase.ts"
import type { Event } from "../../src/domain/Event.ts"
import { certify } from "../../src/lifecycle/Certificate.ts"
import { Shutdown } from "../../src/lifecycle/Shutdown.ts"
import { Supervisor } from "../../src/lifecycle/Supervisor.ts"
import { epoch, profileEvent } from "../support/events.ts"
import * as FakeNegentropy from "../support/FakeNegentropy.ts"
import * as FakeUpstream from "../support/FakeUpstream.ts"

const profiles = (count: number): ReadonlyArray<Event> =>
  Array.from({ length: count }, (_, n) => profileEvent({}, `author ${n}`, { created_at: epoch - n }))

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "aggregation-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

/** Components 1 to 3 as they run in production, over one upstream and a file. */
const service = (url: string, path: string) =>
  Aggregation.layer.pipe(
    Layer.provideMerge(WorkerVerifier.layer),
    Layer.provideMerge(SqliteDatabase.layer),
    Layer.provideMerge(Supervisor.layer),
    Layer.provideMerge(Settings.layerTest({
      databasePath: join(path, "events.db"),
      upstreams: [url],
      pageSize: 50,
      pictures: "off",
      proof: "off",
      verifierThreads: 1
    }))
  )

const live = Effect.gen(function*() {
  const { upstreams } = yield* HarvestStatus
  while (true) {
    const [status] = yield* upstreams
    if (status?.phase === "live") return status
    yield* Effect.sleep(5)
  }
})

describe("Aggregation over the real components", () => {
  it.live("announces each harvested profile once, and after a restart reads only what it has not covered", () =>
    Effect.gen(function*() {
      const path = yield* directory
      const upstream = yield* FakeUpstream.make({ events: profiles(210) })

      const first = yield* Effect.gen(function*() {
        const database = yield* Database
        const subscription = yield* database.commits
        const { outcomes } = yield* live
        assert.deepStrictEqual(outcomes, { Saved: 210 })
        upstream.publish(profileEvent({}, "fresh", { created_at: Math.floor(Date.now() / 1000) }))
        const announced: Array<string> = []
        while (announced.length < 211) {
          for (const commit of yield* PubSub.take(subscription)) announced.push(commit.event.id)
        }
        assert.strictEqual(new Set(announced).size, 211)
        return (yield* database.stats).events
      }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(service(upstream.url, path), Shutdown.layerTest)))
      assert.strictEqual(first, 211)

      const asked = upstream.requests().length
      yield* Effect.gen(function*() {
        const { covered, outcomes } = yield* live
        assert.strictEqual(outcomes.Saved, undefined)
        assert.strictEqual(covered.length, 1)
        assert.strictEqual(covered[0]?.[0], floor)
      }).pipe(Effect.provide(Layer.provideMerge(service(upstream.url, path), Shutdown.layerTest)))
      const windows = upstream.requests().slice(asked).flatMap((request) =>
        request._tag === "Req" && request.subscription !== "live" ? request.filters : []
      ).filter(({ kinds }) => JSON.stringify(kinds) === "[0]")
      assert.isAbove(windows.length, 0)
      const started = Math.floor(Date.now() / 1000)
      assert.isTrue(windows.every(({ since }) => Number(since) > started - overlap - 60), JSON.stringify(windows))
    }).pipe(Effect.scoped))

  it.live("is released between the database and whoever submits, and proves it", () =>
    Effect.gen(function*() {
      const path = yield* directory
      const upstream = yield* FakeUpstream.make({ events: profiles(500) })
      yield* Effect.gen(function*() {
        const { journal } = yield* Shutdown
        const stopped = yield* Effect.gen(function*() {
          const sender = yield* Effect.flatMap(Admission, (admission) => admission.sender("test"))
          assert.strictEqual((yield* sender.submit(profileEvent({}, "client")))._tag, "Saved")
          // Stops in the middle of the harvest.
          yield* upstream.until((requests) => requests.some((request) => request._tag === "Req"))
        }).pipe(Effect.scoped, Effect.provide(service(upstream.url, path)), Effect.exit)
        assert.isTrue(Exit.isSuccess(stopped))
        const certificate = certify(journal, [])
        assert.deepStrictEqual(certificate.released, ["aggregation", "crypto", "database"])
        assert.deepStrictEqual(certificate.forced, [])
        assert.deepStrictEqual(certificate.senders, [])
        assert.strictEqual(certificate.code, 0)
      }).pipe(Effect.provide(Shutdown.layerTest))
    }).pipe(Effect.scoped))

  it.live("finds by a reconciliation what the upstream's pages hide (NIP-77)", () =>
    Effect.gen(function*() {
      const path = yield* directory
      const crowd = Array.from({ length: 150 }, (_, n) => profileEvent({}, `crowd ${n}`, { created_at: epoch }))
      const negentropy = FakeNegentropy.make()
      const upstream = yield* FakeUpstream.make({ events: crowd, pageMax: 100, play: negentropy.play })
      const missed = Effect.gen(function*() {
        const { upstreams } = yield* HarvestStatus
        while (true) {
          const [status] = yield* upstreams
          if (status?.missed === 50) return status
          yield* Effect.sleep(5)
        }
      })
      const { outcomes, reconciles } = yield* Effect.provide(missed, service(upstream.url, path))
      assert.deepStrictEqual([outcomes.Saved, reconciles], [150, "yes"])
    }).pipe(Effect.scoped, Effect.provide(Shutdown.layerTest)), 30_000)
})
