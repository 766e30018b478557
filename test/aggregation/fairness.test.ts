/** Upstreams share one admission: none of them may take all of it, and when it is busy all of them wait. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { uncheckedMax } from "../../src/aggregation/admission/RetryQueue.ts"
import { Examiner, withoutFacts } from "../../src/aggregation/evidence/Examiner.ts"
import { HarvestStatus } from "../../src/aggregation/harvest/HarvestStatus.ts"
import { pageDeadline } from "../../src/aggregation/upstream/PagedConnection.ts"
import { Accepted } from "../../src/domain/Quality.ts"
import { epoch, profileEvent } from "../support/events.ts"
import { Dials, layer as playing, relay } from "../support/FakeUpstreamSocket.ts"
import { Disk } from "./FakeDatabase.ts"
import { harvesting, live, pageSize, pagesOf, profiles, reached, status } from "./harvesting.ts"
import { eventually, now, settle, within } from "./world.ts"

const urls = ["wss://loud.example", "wss://quiet.example"]

describe("fairness between upstreams", () => {
  it.effect("one that never stops talking does not hold up another's pages, and is itself heard", () => {
    const voices = Array.from({ length: 100 }, (_, n) => profileEvent({}, `loud ${n}`, { created_at: now }))
    const loud = relay([])
    const quiet = relay(profiles(23))
    return within(
      {
        settings: { upstreams: urls, pageSize },
        sockets: playing((socket) => socket.url === urls[0] ? loud.play(socket) : quiet.play(socket))
      },
      Effect.gen(function*() {
        const { upstreams } = yield* HarvestStatus
        const { all } = yield* Dials
        const shout = Effect.sync(() => {
          // As fast as it is read: more than that would wait in its own socket.
          if (all[0]?.isPaused === false) { for (const voice of voices) loud.publish(voice) }
        })
        yield* Effect.forkScoped(Effect.forever(Effect.andThen(shout, Effect.yieldNow)))
        const seen = Effect.map(upstreams, ([first, second]) => ({ ofLoud: first?.outcomes, ofQuiet: second }))
        let { ofLoud, ofQuiet } = yield* seen
        const isHeard = () => (ofLoud?.Duplicate ?? 0) > 1000
        for (let turn = 0; turn < 20_000 && !(ofQuiet?.phase === "live" && isHeard()); turn++) {
          yield* Effect.yieldNow
          ;({ ofLoud, ofQuiet } = yield* seen)
        }
        assert.strictEqual(ofQuiet?.outcomes.Saved, 23)
        assert.isTrue(isHeard())
      })
    )
  })
})

describe("back-pressure from admission to the socket", () => {
  it.effect("no page is asked for while the one before it is not on the disk, and what still comes waits unread", () => {
    const upstream = relay(profiles(40))
    return harvesting(
      upstream,
      Effect.gen(function*() {
        const { gate, writes } = yield* Disk
        const { all } = yield* Dials
        yield* gate.close
        yield* eventually(() => pagesOf(upstream).length === 1)
        const [socket = assert.fail("no dial")] = all
        let said = 0
        for (let n = 0; n < 200; n++) {
          upstream.publish(profileEvent({ about: "x".repeat(5000) }, `live ${n}`, { created_at: now }))
          said++
          yield* settle
        }
        assert.strictEqual(pagesOf(upstream).length, 1)
        assert.strictEqual(writes.length, 0)
        assert.isTrue(socket.isPaused)
        assert.isAbove(socket.held, said - 30, "a few frames are taken, the others stay with the sender")
        yield* gate.open
        yield* reached(({ outcomes, phase }) => phase === "live" && outcomes.Saved === 240, 100_000)
        assert.isFalse(socket.isPaused)
      })
    )
  })

  it.effect("a page that waits for room among the unchecked is not given up by its deadline: it has been read", () => {
    // Everybody has to be asked about, and nobody answers.
    const silent = Layer.succeed(Examiner, {
      asks: true,
      glance: () => Effect.succeed(Accepted),
      examine: () => Effect.as(Effect.never, withoutFacts(Accepted))
    })
    const upstream = relay(
      Array.from({ length: uncheckedMax + 600 }, (_, n) => profileEvent({}, `author ${n}`, { created_at: epoch - n }))
    )
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* reached(({ outcomes }) => (outcomes.Undetermined ?? 0) >= uncheckedMax, 100_000)
        yield* settle
        const { outcomes } = yield* status
        const asked = pagesOf(upstream).length
        assert.isBelow(outcomes.Undetermined ?? 0, uncheckedMax + 600, "it stops for want of room")
        yield* TestClock.adjust(pageDeadline)
        yield* settle
        assert.strictEqual((yield* status).state, "connected")
        assert.strictEqual(pagesOf(upstream).length, asked)
      }),
      { examiner: silent, settings: { pageSize: 100 } }
    )
  }, 30_000)

  it.effect("an upstream that is paused does not look silent when it is read again", () => {
    const upstream = relay(profiles(10))
    return harvesting(
      upstream,
      Effect.gen(function*() {
        const { gate } = yield* Disk
        yield* live
        yield* gate.close
        for (let n = 0; n < 50; n++) {
          upstream.publish(profileEvent({ about: "x".repeat(5000) }, `live ${n}`, { created_at: now }))
        }
        yield* settle
        yield* TestClock.adjust("4 minutes")
        yield* gate.open
        yield* reached(({ outcomes }) => outcomes.Saved === 60, 100_000)
        assert.strictEqual((yield* status).state, "connected")
      })
    )
  })
})
