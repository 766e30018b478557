import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger, References } from "effect"
import { TestClock } from "effect/testing"
import { logPeriod } from "../../../src/aggregation/harvest/Harvest.ts"
import { coveredShare, Progress } from "../../../src/aggregation/harvest/HarvestStatus.ts"
import { floor, overlap } from "../../../src/aggregation/harvest/HarvestWalk.ts"
import { addressOf } from "../../../src/domain/Event.ts"
import { Rejected } from "../../../src/domain/Quality.ts"
import { layer as playing, relay } from "../../support/FakeUpstreamSocket.ts"
import { blank } from "../FakeDatabase.ts"
import { harvesting, live, pageSize, profiles, status, twisted, waiting } from "../harvesting.ts"
import { now, settle, upstreamUrl, within } from "../world.ts"

describe("Progress", () => {
  it("counts outcomes, and rejections by reason", () => {
    const progress = new Progress("wss://a.example", () => 500)
    progress.count({ _tag: "Saved", seq: 1 })
    progress.count(Rejected("no about"))
    progress.count(Rejected("no about"))
    const { outcomes, rejections } = progress.view()
    assert.deepStrictEqual(outcomes, { Saved: 1, Rejected: 2 })
    assert.deepStrictEqual(rejections, { "no about": 2 })
  })

  it("tells the rate between two samples, not since the start", () => {
    const progress = new Progress("wss://a.example", () => 500)
    const judge = (count: number) => {
      for (let n = 0; n < count; n++) progress.count({ _tag: "Duplicate" })
    }
    progress.sample(1000)
    judge(100)
    progress.sample(21_000)
    assert.strictEqual(progress.view().perSecond, 5)
    judge(10)
    progress.sample(31_000)
    assert.strictEqual(progress.view().perSecond, 1)
    progress.sample(31_000)
    assert.strictEqual(progress.view().perSecond, 1, "no time has passed")
    progress.sample(32_000)
    assert.strictEqual(progress.view().perSecond, 0)
  })
})

describe("the covered share", () => {
  it("is of the seconds between the floor and now, both inclusive, and no others", () => {
    assert.strictEqual(coveredShare([], 100, 199), 0)
    assert.strictEqual(coveredShare([[100, 199]], 100, 199), 1)
    assert.strictEqual(coveredShare([[0, 1000]], 100, 199), 1)
    assert.strictEqual(coveredShare([[190, 199], [100, 104]], 100, 199), 0.15)
    assert.strictEqual(coveredShare([[300, 400]], 100, 199), 0)
  })
})

/** Collects the annotations of the lines that say `message`, and lets the test run. */
const collecting = <A, E, R>(message: string, test: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const lines: Array<Readonly<Record<string, unknown>>> = []
    const logger = Logger.make<unknown, void>((options) => {
      const said = Array.isArray(options.message) ? options.message[0] : options.message
      if (said === message) lines.push(options.fiber.getRef(References.CurrentLogAnnotations))
    })
    return Effect.map(Effect.provide(test, Logger.layer([logger])), () => lines)
  })

describe("the line of progress", () => {
  it.effect("comes every 20 seconds and says of each upstream what it does, how much is covered, how fast, or why not", () =>
    Effect.gen(function*() {
      const upstream = relay(profiles(42))
      const urls = ["wss://open.example", "wss://closed.example"]
      const disk = blank()
      // A third of what comes is held already.
      for (const event of profiles(14)) disk.events.set(addressOf(event) ?? "", event)
      const lines = yield* collecting(
        "harvest",
        within(
          {
            disk,
            settings: { upstreams: urls, pageSize },
            sockets: playing((socket) => {
              if (socket.url === urls[0]) upstream.play(socket)
              else queueMicrotask(() => socket.refuse("connect ECONNREFUSED"))
            })
          },
          Effect.gen(function*() {
            yield* live
            yield* settle
            yield* TestClock.adjust(logPeriod)
            yield* TestClock.adjust(logPeriod)
          })
        )
      )
      assert.strictEqual(lines.length, 2)
      const [first = assert.fail("no line"), second] = lines
      assert.strictEqual(first["connected"], "1/2")
      assert.strictEqual(first["live"], 1)
      assert.strictEqual(first["saved"], 28)
      assert.strictEqual(first["known"], 14)
      assert.strictEqual(first["spared"], "33%")
      assert.strictEqual(first["perSecond"], 2)
      assert.strictEqual(second?.["perSecond"], 0)
      const [open, closed] = first["upstreams"] as ReadonlyArray<string>
      assert.strictEqual(open, "wss://open.example live 100% 2/s")
      assert.strictEqual(closed, "wss://closed.example waiting 0% (unreachable: connect ECONNREFUSED)")
    }))

  it.effect("names eight upstreams, and counts the others", () =>
    Effect.gen(function*() {
      const urls = Array.from({ length: 10 }, (_, n) => `wss://relay${n}.example`)
      const lines = yield* collecting(
        "harvest",
        within(
          { settings: { upstreams: urls }, sockets: playing(relay([]).play) },
          Effect.andThen(settle, TestClock.adjust(logPeriod))
        )
      )
      const [first = assert.fail("no line")] = lines
      const told = first["upstreams"] as ReadonlyArray<string>
      assert.strictEqual(told.length, 9)
      assert.strictEqual(told.at(-1), "and 2 more")
    }))
})

describe("the status of an upstream", () => {
  it.effect("says what is covered while history is read, and what was spared the check of its signature", () => {
    const disk = blank()
    const upstream = relay(profiles(20))
    let pages = 0
    const pausing = twisted(upstream, (message, answer) => {
      if (message[0] === "REQ" && message[1] !== "live" && ++pages === 3) return
      answer(message)
    })
    return Effect.gen(function*() {
      yield* harvesting(
        upstream,
        Effect.gen(function*() {
          yield* settle
          const seen = yield* status
          assert.strictEqual(seen.phase, "history")
          assert.strictEqual(seen.covered[0]?.[1], now - overlap)
          assert.isAbove(seen.covered[0]?.[0] ?? 0, floor)
          // The second page brought its boundary again, which is not judged a second time.
          assert.deepStrictEqual([seen.outcomes.Saved, seen.spared], [9, 0])
        }),
        { disk, sockets: playing(pausing) }
      )
      // Another upstream with the same events: all that is known by now is spared.
      yield* within(
        { disk, sockets: playing(upstream.play), settings: { upstreams: [`${upstreamUrl}/other`], pageSize } },
        Effect.gen(function*() {
          const { outcomes, spared } = yield* live
          assert.deepStrictEqual(outcomes, { Saved: 11, Duplicate: 9 })
          assert.strictEqual(spared, 9)
        })
      )
    })
  })

  it.effect("keeps the last error while it waits, and when it is connected again", () => {
    const upstream = relay(profiles(3))
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* live
        upstream.hangUp()
        const { lastError, nextAttempt } = yield* waiting
        assert.strictEqual(lastError, "lost: closed with 1012 restarting")
        assert.isAbove(nextAttempt ?? 0, now * 1000)
        yield* TestClock.adjust("3 seconds")
        assert.strictEqual((yield* live).lastError, lastError)
      })
    )
  })
})
