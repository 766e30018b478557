import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { Examiner, withoutFacts } from "../../../src/aggregation/evidence/Examiner.ts"
import { stablePeriod } from "../../../src/aggregation/harvest/Harvest.ts"
import { refreshPeriod, space } from "../../../src/aggregation/harvest/HarvestSession.ts"
import type { UpstreamStatus } from "../../../src/aggregation/harvest/HarvestStatus.ts"
import { floor, overlap } from "../../../src/aggregation/harvest/HarvestWalk.ts"
import { pageDeadline } from "../../../src/aggregation/upstream/PagedConnection.ts"
import { openTimeout } from "../../../src/aggregation/upstream/RelayLink.ts"
import type { Operation } from "../../../src/database/Database.ts"
import { addressOf } from "../../../src/domain/Event.ts"
import { type Coverage, cutMin, decodeCoverage } from "../../../src/domain/HarvestWindow.ts"
import { Accepted } from "../../../src/domain/Quality.ts"
import { Shutdown } from "../../../src/lifecycle/Shutdown.ts"
import { dmRelaysEvent, epoch, profileEvent, signed, withForgedSignature } from "../../support/events.ts"
import { byHand, Dials, type FakeSocket, layer as playing, relay } from "../../support/FakeUpstreamSocket.ts"
import { blank, Disk } from "../FakeDatabase.ts"
import {
  coverageOf,
  harvesting,
  live,
  pageSize,
  pagesOf,
  profiles,
  reached,
  status,
  twisted,
  unordered,
  wholeWindow
} from "../harvesting.ts"
import { eventually, now, type Options, settle, upstreamUrl, within } from "../world.ts"

const isCoverage = (operation: Operation | undefined) => operation?._tag === "Record" && operation.space === space.name

describe("harvesting an upstream that behaves", () => {
  it.effect("fetches everything, page by page, until an empty page proves that nothing is left", () => {
    const upstream = relay(profiles(23))
    return harvesting(
      upstream,
      Effect.gen(function*() {
        const { outcomes, covered, pages } = yield* live
        assert.deepStrictEqual(outcomes, { Saved: 23 })
        assert.deepStrictEqual(covered, wholeWindow)
        const asked = pagesOf(upstream)
        assert.strictEqual(pages, asked.length)
        assert.isTrue(asked.every(({ kinds, since }) => since === floor && JSON.stringify(kinds) === "[0]"))
        assert.strictEqual(asked[0]?.["until"], now)
        assert.strictEqual(asked[1]?.["until"], epoch - 40)
      })
    )
  })

  it.effect("misses nothing where many profiles share a second", () => {
    const tied = Array.from({ length: 13 }, (_, n) => profileEvent({}, `tied ${n}`, { created_at: epoch - 5 }))
    const upstream = relay([...profiles(3), ...tied])
    return harvesting(
      upstream,
      Effect.gen(function*() {
        const { outcomes, saturated } = yield* live
        assert.deepStrictEqual(outcomes, { Saved: 16 })
        assert.strictEqual(saturated, 0)
      })
    )
  })

  it.effect("gives a second up that the upstream never shows whole, and fetches what is older", () => {
    const tied = Array.from({ length: cutMin + 10 }, (_, n) => profileEvent({}, `tied ${n}`, { created_at: epoch }))
    const older = profileEvent({}, "older", { created_at: epoch - 1 })
    const upstream = relay([...tied, older], cutMin)
    return harvesting(
      upstream,
      Effect.gen(function*() {
        const { outcomes, saturated, covered } = yield* live
        assert.strictEqual(saturated, 1)
        assert.deepStrictEqual(covered, wholeWindow)
        assert.strictEqual(outcomes.Saved, cutMin + 1)
      })
    )
  })

  it.effect("writes the events of a page and the coverage they prove in one transaction", () => {
    const upstream = relay(profiles(12))
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* live
        const { writes } = yield* Disk
        const saved: Array<string> = []
        for (const operations of writes) {
          const last = operations.at(-1)
          // What is asked for besides profiles is kept elsewhere.
          if (operations.every(({ _tag }) => _tag === "Record") && !isCoverage(last)) continue
          const value = last?._tag === "Record" && last.space === space.name ? last.value : undefined
          const coverage = decodeCoverage(value ?? "") ?? assert.fail("a write without coverage")
          for (const operation of operations) if (operation._tag === "Save") saved.push(operation.event.id)
          // Whatever is covered by now has been saved by now.
          for (const event of upstream.events.query({})) {
            if (coverage.some(([from, to]) => event.created_at >= from && event.created_at <= to)) {
              assert.include(saved, event.id)
            }
          }
        }
        assert.strictEqual(saved.length, 12)
      })
    )
  })

  it.effect("admits what arrives live, once, and says nothing twice to the store", () => {
    const upstream = relay(profiles(2))
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* live
        const fresh = profileEvent({}, "fresh", { created_at: now })
        upstream.publish(fresh)
        yield* reached(({ outcomes }) => outcomes.Saved === 3)
        yield* TestClock.adjust(refreshPeriod)
        const { outcomes } = yield* reached(({ outcomes }) => outcomes.Duplicate === 1)
        assert.strictEqual(outcomes.Saved, 3)
        const { writes } = yield* Disk
        const saves = writes.flat().filter((operation) => operation._tag === "Save")
        assert.strictEqual(saves.length, 3)
      })
    )
  })

  it.effect("takes lists live, of authors whose profile it keeps", () => {
    const upstream = relay(profiles(1))
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* live
        upstream.publish(dmRelaysEvent(["wss://dm.example"], "author 0", now))
        upstream.publish(dmRelaysEvent(["wss://dm.example"], "stranger", now))
        const { outcomes, rejections } = yield* reached(({ outcomes }) => outcomes.Rejected === 1)
        assert.strictEqual(outcomes.Saved, 2)
        assert.deepStrictEqual(rejections, { "author has no accepted profile": 1 })
      })
    )
  })

  it.effect("finds by a second look what the live subscription did not bring", () => {
    const upstream = relay(profiles(1))
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* live
        const asked = upstream.asked.length
        upstream.events.add(profileEvent({}, "late", { created_at: now - overlap + 1 }))
        yield* TestClock.adjust(refreshPeriod)
        const { covered } = yield* reached(({ outcomes }) => outcomes.Saved === 2)
        assert.strictEqual(pagesOf(upstream, asked)[0]?.["since"], now - overlap + 1)
        yield* settle
        assert.deepStrictEqual((yield* status).covered[0]?.[1], now - overlap + Duration.toSeconds(refreshPeriod))
        assert.strictEqual(covered.length, 1)
      })
    )
  })

  it.effect("asks for smaller pages where its own are refused, from the first one on after a restart", () => {
    const upstream = relay(profiles(130))
    const refusing = (socket: FakeSocket) => {
      upstream.play(socket)
      const answer = socket.onMessage
      socket.onMessage = (message) => {
        const filter = message[2] as { readonly limit?: number } | undefined
        if (message[0] === "REQ" && (filter?.limit ?? 0) > 60) {
          socket.say(["CLOSED", message[1], "blocked: limit too high"])
        } else answer?.(message)
      }
    }
    const options = { sockets: playing(refusing), settings: { pageSize: 200 }, disk: blank() }
    return Effect.gen(function*() {
      yield* harvesting(
        upstream,
        Effect.gen(function*() {
          assert.deepStrictEqual((yield* live).outcomes, { Saved: 130 })
        }),
        options
      )
      const asked = upstream.asked.length
      let refused = 0
      const counting = twisted(upstream, (message, answer, socket) => {
        const filter = message[2] as { readonly limit?: number } | undefined
        if (message[0] === "REQ" && (filter?.limit ?? 0) > 60) {
          refused++
          socket.say(["CLOSED", message[1], "blocked: limit too high"])
        } else answer(message)
      })
      yield* harvesting(upstream, live, { ...options, sockets: playing(counting) })
      assert.deepStrictEqual([pagesOf(upstream, asked).length > 0, refused], [true, 0])
    })
  })
})

const saved = ({ outcomes }: UpstreamStatus) => outcomes.Saved ?? 0

describe("an upstream that keeps no order", () => {
  it.effect("is not believed any more, is read again in pieces, and is known as one after a restart", () => {
    const disk = blank()
    const events = profiles(24)
    const first = unordered(events, 0, 1)
    // Sorted, and so it would be believed by whoever does not remember.
    const second = unordered(profiles(48, 3).slice(24), 0, 100)
    const settings = { upstreams: [upstreamUrl], pageSize }
    return Effect.gen(function*() {
      yield* within(
        { sockets: playing(first.play), settings, disk },
        Effect.gen(function*() {
          yield* live
          yield* TestClock.adjust(refreshPeriod)
          yield* reached((status) => saved(status) === events.length)
        })
      )
      assert.match(disk.records.get(`manners ${upstreamUrl}`)?.value ?? "", /"isUnordered":true/)
      disk.records.delete(`${space.name} ${upstreamUrl}`)
      yield* within(
        { sockets: playing(second.play), settings, disk },
        Effect.andThen(live, reached((status) => saved(status) === 24))
      )
    })
  })
})

describe("harvesting after a restart", () => {
  it.effect("fetches only what is not covered: the downtime, and what the last run did not reach", () => {
    const disk = blank()
    const upstream = relay(profiles(20))
    return Effect.gen(function*() {
      yield* harvesting(upstream, live, { disk })
      const asked = upstream.asked.length
      yield* TestClock.adjust("1 hour")
      upstream.events.add(profileEvent({}, "while we were down", { created_at: now + 60 }))
      yield* harvesting(
        upstream,
        Effect.gen(function*() {
          const { outcomes, covered } = yield* live
          assert.deepStrictEqual(outcomes, { Saved: 1 })
          const pages = pagesOf(upstream, asked)
          assert.isTrue(pages.every(({ since }) => since === now - overlap + 1), JSON.stringify(pages))
          assert.strictEqual(pages[0]?.["until"], now + 3600)
          assert.deepStrictEqual<Coverage>(covered, [[floor, now + 3600 - overlap]])
        }),
        { disk }
      )
    })
  })

  it.effect("goes on where it was cut: of an interrupted pass at most one page is fetched again", () => {
    const disk = blank()
    const upstream = relay(profiles(40))
    return Effect.gen(function*() {
      // The upstream falls silent after three pages, and there the service stops.
      const silent = (socket: FakeSocket) => {
        upstream.play(socket)
        const answer = socket.onMessage
        socket.onMessage = (message) => {
          if (pagesOf(upstream).length < 3) answer?.(message)
        }
      }
      yield* harvesting(upstream, reached(({ pages }) => pages === 3), { disk, sockets: playing(silent) })
      const asked = upstream.asked.length
      const saved = disk.events.size
      assert.isTrue(saved > 0 && saved < 40, String(saved))
      yield* harvesting(
        upstream,
        Effect.gen(function*() {
          const { outcomes } = yield* live
          assert.strictEqual(outcomes.Saved, 40 - saved)
          assert.isAtMost(outcomes.Duplicate ?? 0, pageSize)
          assert.strictEqual(pagesOf(upstream, asked)[0]?.["since"], now - overlap + 1, "the newest stretch first")
        }),
        { disk }
      )
    })
  })

  it.effect("reads everything again, and says so, when its coverage is unreadable", () => {
    const disk = blank()
    disk.records.set(`${space.name} ${upstreamUrl}`, { key: upstreamUrl, value: "{", due: null })
    const upstream = relay(profiles(3))
    return harvesting(upstream, Effect.map(live, ({ outcomes }) => assert.deepStrictEqual(outcomes, { Saved: 3 })), {
      disk
    })
  })
})

/** One upstream, played by hand. */
const byHandOptions: Options = { sockets: byHand, settings: { upstreams: [upstreamUrl], pageSize } }

const dial = Effect.flatMap(Dials, ({ next }) => next)

/** Dials, opens, and waits until the service has asked for its live events and its first page. */
const opened = Effect.gen(function*() {
  const socket = yield* dial
  yield* settle
  socket.open()
  yield* eventually(() => socket.sent.length === 2)
  return socket
})

const reqOf = (socket: FakeSocket, at: number) => {
  const message = socket.sent.filter(([type]) => type === "REQ")[at] ?? assert.fail("not asked")
  return { id: String(message[1]), filter: message[2] as Record<string, unknown> }
}

describe("a page", () => {
  it.effect("that brings nothing new is followed by the next one at once", () => {
    const disk = blank()
    const [known] = profiles(1)
    if (known !== undefined) disk.events.set(addressOf(known) ?? "", known)
    return within(
      { ...byHandOptions, disk },
      Effect.gen(function*() {
        const socket = yield* opened
        socket.say(["EVENT", reqOf(socket, 1).id, known])
        socket.say(["EOSE", reqOf(socket, 1).id])
        yield* eventually(() => socket.sent.filter(([type]) => type === "REQ").length === 3)
        socket.say(["EVENT", reqOf(socket, 2).id, known])
        socket.say(["EOSE", reqOf(socket, 2).id])
        yield* eventually(() => socket.sent.filter(([type]) => type === "REQ").length === 4)
        socket.say(["EOSE", reqOf(socket, 3).id])
        assert.deepStrictEqual((yield* live).outcomes, { Duplicate: 1 })
      })
    )
  })
})

describe("a page that does not end well", () => {
  it.effect("is given up at its deadline where no EOSE comes, and proves nothing (fault 37)", () =>
    within(
      byHandOptions,
      Effect.gen(function*() {
        const socket = yield* opened
        const { id } = reqOf(socket, 1)
        for (const event of profiles(3)) socket.say(["EVENT", id, event])
        socket.say(["NOTICE", "ERROR: too many concurrent REQs\u001b[2J"])
        yield* TestClock.adjust(Duration.subtract(pageDeadline, Duration.millis(1)))
        assert.strictEqual((yield* status).state, "connected")
        yield* TestClock.adjust("1 millis")
        const { lastError, outcomes, pages } = yield* reached(({ state }) => state === "waiting")
        assert.strictEqual(lastError, "silent: a page without EOSE (ERROR: too many concurrent REQs\\u001b[2J)")
        assert.deepStrictEqual(outcomes, {})
        assert.strictEqual(pages, 0)
        assert.deepStrictEqual(yield* coverageOf, [])
      })
    ))

  it.effect("leaves the cursor where it was when the connection closes in its middle, and is asked for again (fault 43)", () =>
    within(
      byHandOptions,
      Effect.gen(function*() {
        const first = yield* opened
        for (const event of profiles(5)) first.say(["EVENT", reqOf(first, 1).id, event])
        first.say(["EOSE", reqOf(first, 1).id])
        yield* eventually(() => first.sent.filter(([type]) => type === "REQ").length === 3)
        const { filter, id } = reqOf(first, 2)
        const before = yield* coverageOf
        first.say(["EVENT", id, profileEvent({}, "older", { created_at: epoch - 1000 })])
        first.end(1006)
        yield* reached(({ state }) => state === "waiting")
        assert.deepStrictEqual(yield* coverageOf, before)
        yield* TestClock.adjust("3 seconds")
        const second = yield* opened
        // The newest stretch comes first and is empty; then the gap that was being read.
        second.say(["EOSE", reqOf(second, 1).id])
        yield* eventually(() => second.sent.filter(([type]) => type === "REQ").length === 3)
        assert.deepStrictEqual(reqOf(second, 2).filter, filter)
      })
    ))

  it.effect("proves nothing while events of it could not be judged", () => {
    const upstream = relay(profiles(3))
    return harvesting(
      upstream,
      Effect.gen(function*() {
        const { broken } = yield* Disk
        yield* live
        broken.value = true
        upstream.publish(profileEvent({}, "fresh", { created_at: now }))
        const { lastError } = yield* reached(({ state }) => state === "waiting")
        assert.match(lastError ?? "", /^ours/)
        broken.value = false
        yield* TestClock.adjust("3 seconds")
        yield* reached(({ outcomes }) => outcomes.Saved === 4)
      })
    )
  })
})

describe("an upstream that misbehaves", () => {
  it.effect("may send notices, challenges, garbage, binary, foreign subscriptions and EOSE twice (faults 38, 39 and 45)", () =>
    within(
      byHandOptions,
      Effect.gen(function*() {
        const socket = yield* opened
        const { id } = reqOf(socket, 1)
        const [profile] = profiles(1)
        socket.say(
          ["EOSE", "somebody else's"],
          ["NOTICE", "hello\u001b[2J"],
          ["AUTH", "challenge"],
          "{",
          "[]",
          "null",
          ["EVENT"],
          ["EVENT", id],
          ["EVENT", id, { id: 1 }],
          ["EVENT", "somebody else's", profile],
          ["CLOSED", "somebody else's", "error: no"],
          ["OK", "x", true, ""],
          new Uint8Array([1, 2, 3]),
          ["EVENT", id, profile],
          ["EOSE", id],
          ["EOSE", id],
          ["EOSE", "live"]
        )
        const { dropped, outcomes, state } = yield* reached(({ pages }) => pages === 1)
        assert.deepStrictEqual(outcomes, { Saved: 1 })
        assert.strictEqual(state, "connected")
        assert.strictEqual(dropped, 11)
      })
    ))

  it.effect("loses its connection after a thousand frames that answer nothing (fault 39)", () =>
    within(
      byHandOptions,
      Effect.gen(function*() {
        const socket = yield* opened
        for (let n = 0; n < 1000; n++) socket.say("noise")
        yield* settle
        assert.strictEqual((yield* status).state, "connected")
        socket.say("noise")
        const { lastError } = yield* reached(({ state }) => state === "waiting")
        assert.match(lastError ?? "", /^misbehaved/)
        assert.strictEqual(socket.closedWith, 1000)
      })
    ))

  it.effect("has its forgeries dropped and counted, and its connection ended after a hundred (fault 40)", () => {
    const forged = profiles(120).map(withForgedSignature)
    const good = profileEvent({}, "honest", { created_at: epoch - 5000 })
    const upstream = relay([...forged, good])
    return harvesting(
      upstream,
      Effect.gen(function*() {
        const { lastError, outcomes } = yield* reached(({ state }) => state === "waiting")
        assert.match(lastError ?? "", /^misbehaved: 101 forged/)
        assert.strictEqual(outcomes.Saved, undefined)
        // It is given another chance, and goes on behind what has been read.
        yield* TestClock.adjust("3 seconds")
        const { outcomes: later } = yield* live
        assert.strictEqual(later.Saved, 1)
        const { events } = yield* Disk
        assert.deepStrictEqual([...events.values()], [good])
      }),
      { settings: { pageSize: 101 } }
    )
  })

  it.effect("has events outside the filter dropped: other kinds, other times, the far future", () => {
    const upstream = relay(profiles(2))
    return harvesting(
      upstream,
      Effect.gen(function*() {
        const { all } = yield* Dials
        yield* live
        const note = signed({ kind: 1, created_at: now })
        const future = profileEvent({}, "future", { created_at: now + 901 })
        const ancient = profileEvent({}, "ancient", { created_at: 0 })
        for (const event of [note, future, ancient]) all[0]?.say(["EVENT", "live", event])
        const { dropped, outcomes } = yield* reached(({ dropped }) => dropped === 3)
        assert.deepStrictEqual(outcomes, { Saved: 2 })
        assert.strictEqual(dropped, 3)
      })
    )
  })

  it.effect("is found out when its pages do not move, whatever `until` says (fault 42)", () => {
    const upstream = relay(profiles(10))
    const stuck = (socket: FakeSocket) => {
      upstream.play(socket)
      const answer = socket.onMessage
      socket.onMessage = (message) => {
        const filter = message[2] as Record<string, unknown> | undefined
        answer?.(message[0] === "REQ" ? [message[0], message[1], { ...filter, until: now }] : message)
      }
    }
    return harvesting(
      upstream,
      Effect.gen(function*() {
        const { lastError, pages } = yield* reached(({ state }) => state === "waiting")
        assert.match(lastError ?? "", /^misbehaved/)
        assert.isBelow(pages, 10)
        assert.strictEqual((yield* coverageOf).some(([from]) => from === floor), false)
      }),
      { sockets: playing(stuck) }
    )
  })

  it.effect("is cut when a page does not end", () =>
    within(
      byHandOptions,
      Effect.gen(function*() {
        const socket = yield* opened
        const { id } = reqOf(socket, 1)
        const [profile] = profiles(1)
        for (let n = 0; n <= 10_000; n++) socket.say(["EVENT", id, profile])
        const { lastError } = yield* reached(({ state }) => state === "waiting")
        assert.match(lastError ?? "", /^misbehaved: a page without end/)
      })
    ))
})

const isJittered = (wait: number | undefined, max: number) =>
  assert.isTrue(wait !== undefined && wait >= max * 0.8 && wait <= max, String(wait))

describe("dialling again", () => {
  it.effect("gives a dial ten seconds, says why it failed and when it tries again, and does so then (fault 36)", () =>
    within(
      byHandOptions,
      Effect.gen(function*() {
        const { all } = yield* Dials
        yield* eventually(() => all.length === 1)
        yield* settle
        yield* TestClock.adjust(Duration.subtract(openTimeout, Duration.millis(1)))
        assert.strictEqual((yield* status).state, "connecting")
        yield* TestClock.adjust("1 millis")
        const { lastError, nextAttempt = 0 } = yield* reached(({ state }) => state === "waiting")
        assert.match(lastError ?? "", /^unreachable/)
        assert.isTrue(all[0]?.isTerminated)
        const wait = nextAttempt - now * 1000 - 10_000
        assert.isTrue(wait >= 1600 && wait <= 2000, String(wait))
        yield* TestClock.adjust(wait - 1)
        assert.strictEqual(all.length, 1)
        yield* TestClock.adjust(1)
        yield* eventually(() => all.length === 2)
      })
    ))

  it.effect("starts over with short waits once a connection has lasted", () =>
    within(
      byHandOptions,
      Effect.gen(function*() {
        const waits: Array<number> = []
        const waited = Effect.gen(function*() {
          const { nextAttempt = 0 } = yield* reached(({ state }) => state === "waiting")
          const at = yield* Effect.clockWith((clock) => Effect.succeed(clock.currentTimeMillisUnsafe()))
          waits.push(nextAttempt - at)
          yield* TestClock.adjust(nextAttempt - at)
        })
        for (let n = 0; n < 4; n++) {
          const socket = yield* dial
          yield* settle
          socket.refuse("connect ECONNREFUSED")
          yield* waited
        }
        const lasting = yield* opened
        lasting.say(["EOSE", reqOf(lasting, 1).id])
        yield* live
        yield* TestClock.adjust(stablePeriod)
        lasting.end(1001, "going away")
        yield* waited
        const brief = yield* opened
        brief.end(1001)
        yield* waited
        for (const [n, max] of [2000, 4000, 8000, 16_000, 2000, 4000].entries()) isJittered(waits[n], max)
      })
    ))

  it.effect("says what the operating system said", () =>
    within(
      byHandOptions,
      Effect.gen(function*() {
        const socket = yield* dial
        yield* settle
        socket.refuse("connect ECONNREFUSED 127.0.0.1:1")
        const { lastError } = yield* reached(({ state }) => state === "waiting")
        assert.strictEqual(lastError, "unreachable: connect ECONNREFUSED 127.0.0.1:1")
      })
    ))
})

const big = (n: number) => profileEvent({ about: "x".repeat(20_000) }, `big ${n}`, { created_at: now })

describe("back-pressure", () => {
  it.effect("pauses the socket while live events are waiting to be admitted (fault 41)", () => {
    const upstream = relay(profiles(1))
    return harvesting(
      upstream,
      Effect.gen(function*() {
        const { gate } = yield* Disk
        const { all } = yield* Dials
        yield* live
        yield* gate.close
        for (let n = 0; n < 10; n++) {
          upstream.publish(big(n))
          yield* settle
        }
        const socket = all[0] ?? assert.fail("no dial")
        assert.isTrue(socket.isPaused)
        assert.isAbove(socket.held, 0)
        yield* gate.open
        yield* reached(({ outcomes }) => outcomes.Saved === 11)
        assert.isFalse(socket.isPaused)
        assert.strictEqual(socket.held, 0)
      })
    )
  })
})

/** Leaves the component while it is in the state that `reach` waits for, without moving the clock. */
const stopsAtOnce = (options: Options, reach: Parameters<typeof within<unknown, never>>[1]) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkScoped(within(options, reach))
    yield* eventually(() => fiber.pollUnsafe() !== undefined, "still stopping")
    return yield* Fiber.join(fiber)
  })

describe("stopping", () => {
  it.effect("ends at once while dialling", () =>
    Effect.gen(function*() {
      const socket = yield* stopsAtOnce(byHandOptions, Effect.tap(dial, () => settle)) as Effect.Effect<FakeSocket>
      assert.isTrue(socket.isTerminated)
    }))

  it.effect("ends at once while waiting for a page, with CLOSE for each subscription and Close 1000", () =>
    Effect.gen(function*() {
      const socket = yield* stopsAtOnce(byHandOptions, opened) as Effect.Effect<FakeSocket>
      assert.deepStrictEqual(socket.sent.slice(-2), [["CLOSE", "live"], ["CLOSE", reqOf(socket, 1).id]])
      assert.strictEqual(socket.closedWith, 1000)
      assert.isFalse(socket.isTerminated)
    }))

  it.effect("ends at once while waiting for a verdict on a page", () => {
    const upstream = relay(profiles(3))
    const asked: Array<string> = []
    const never = Layer.succeed(Examiner, {
      asks: false,
      glance: () => Effect.succeed(Accepted),
      examine: ({ id }) =>
        Effect.andThen(Effect.sync(() => void asked.push(id)), Effect.as(Effect.never, withoutFacts(Accepted)))
    })
    return stopsAtOnce(
      { sockets: playing(upstream.play), settings: { upstreams: [upstreamUrl], pageSize }, examiner: never },
      eventually(() => asked.length === 3)
    )
  })

  it.effect("ends at once while waiting for a commit; what was accepted is for the database to finish", () => {
    const upstream = relay(profiles(3))
    const disk = blank()
    return Effect.gen(function*() {
      yield* disk.gate.close
      yield* stopsAtOnce(
        { sockets: playing(upstream.play), settings: { upstreams: [upstreamUrl], pageSize }, disk },
        Effect.andThen(eventually(() => pagesOf(upstream).length === 1), settle)
      )
      assert.strictEqual(disk.holders.size, 0)
    })
  })

  it.effect("ends at once in the longest back-off", () =>
    stopsAtOnce(
      { ...byHandOptions, settings: { ...byHandOptions.settings, initialBackoff: Duration.seconds(360) } },
      Effect.gen(function*() {
        const socket = yield* dial
        yield* settle
        socket.refuse("no route")
        yield* reached(({ state }) => state === "waiting")
      })
    ))

  it.effect("ends at once while listening", () => {
    const upstream = relay(profiles(3))
    return stopsAtOnce({ sockets: playing(upstream.play), settings: { upstreams: [upstreamUrl], pageSize } }, live)
  })

  it.effect("waits half a second for an upstream that does not answer Close, and then cuts it", () =>
    Effect.gen(function*() {
      let socket: FakeSocket | undefined
      const stopping = yield* Effect.forkScoped(within(
        byHandOptions,
        Effect.gen(function*() {
          socket = yield* opened
          socket.isPolite = false
          return (yield* Shutdown).journal
        })
      ))
      yield* eventually(() => socket?.closedWith === 1000)
      yield* settle
      yield* TestClock.adjust("499 millis")
      assert.isFalse(socket?.isTerminated)
      yield* TestClock.adjust("1 millis")
      const { forced } = yield* Fiber.join(stopping)
      assert.isTrue(socket?.isTerminated)
      assert.deepStrictEqual(forced, [], "a silent upstream is not our fault")
    }))

  it.effect("says goodbye to all upstreams at the same time", () =>
    Effect.gen(function*() {
      const urls = ["wss://a.example", "wss://b.example", "wss://c.example"]
      const sockets: Array<FakeSocket> = []
      const stopping = yield* Effect.forkScoped(within(
        { sockets: byHand, settings: { upstreams: urls } },
        Effect.gen(function*() {
          for (const url of urls) {
            const socket = yield* dial
            assert.strictEqual(socket.url, url)
            socket.isPolite = false
            sockets.push(socket)
          }
          yield* settle
          for (const socket of sockets) socket.open()
          yield* eventually(() => sockets.every(({ sent }) => sent.length === 2))
        })
      ))
      yield* eventually(() => sockets.length === 3 && sockets.every(({ closedWith }) => closedWith === 1000))
      yield* TestClock.adjust("500 millis")
      yield* Fiber.join(stopping)
    }))

  it.effect("releases the component's senders, and registers its release", () => {
    const disk = blank()
    const upstream = relay(profiles(3))
    return Effect.gen(function*() {
      const journal = yield* harvesting(
        upstream,
        Effect.gen(function*() {
          yield* live
          assert.deepStrictEqual([...disk.holders].toSorted(), [
            "aggregation/admission",
            "aggregation/housekeeping",
            "aggregation/retries",
            `aggregation/upstream ${upstreamUrl}`
          ])
          const { journal } = yield* Shutdown
          assert.isTrue([...journal.fibers].some(({ name }) => name === `aggregation/upstream ${upstreamUrl}`))
          return journal
        }),
        { disk }
      )
      assert.strictEqual(disk.holders.size, 0)
      assert.deepStrictEqual(journal.released, ["aggregation", "crypto"])
      assert.deepStrictEqual(journal.stragglers, [])
      assert.strictEqual(journal.fibers.size, 0)
    })
  })
})
