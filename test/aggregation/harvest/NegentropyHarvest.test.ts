import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { refreshPeriod, space as coverageSpace } from "../../../src/aggregation/harvest/HarvestSession.ts"
import { floor, overlap } from "../../../src/aggregation/harvest/HarvestWalk.ts"
import {
  idsMax,
  pauseFailed,
  pauseUnable,
  period,
  space,
  windowItemsMax
} from "../../../src/aggregation/harvest/NegentropyHarvest.ts"
import { space as removalSpace } from "../../../src/aggregation/harvest/RemovalHarvest.ts"
import { space as unwantedSpace } from "../../../src/aggregation/harvest/UnwantedIds.ts"
import { negotiationDeadline } from "../../../src/aggregation/upstream/PagedConnection.ts"
import type { Event } from "../../../src/domain/Event.ts"
import { cutMin } from "../../../src/domain/HarvestWindow.ts"
import { epoch, profileEvent, withForgedSignature } from "../../support/events.ts"
import * as FakeNegentropy from "../../support/FakeNegentropy.ts"
import { Dials, layer as playing, type Relay, relay } from "../../support/FakeUpstreamSocket.ts"
import { blank, type Disk } from "../FakeDatabase.ts"
import { harvesting, live, profiles, reached, status, twisted, waiting } from "../harvesting.ts"
import { eventually, now, type Options, settle, upstreamUrl } from "../world.ts"

/** The relay with NIP-77 beside its pages. */
const reconciling = (
  upstream: Relay,
  negentropy: FakeNegentropy.FakeNegentropy,
  options: Options = {}
): Options => ({
  sockets: playing(twisted(upstream, (message, answer, socket) => {
    if (!negentropy.play(message, (...frames) => socket.say(...frames), upstream.events)) answer(message)
  })),
  ...options
})

/** So many profiles of one second, of which no page shows more than `cutMin`. */
const crowd = (count: number) =>
  Array.from({ length: count }, (_, n) => profileEvent({}, `crowd ${n}`, { created_at: epoch }))

const idsOf = (events: Iterable<Event>) => Array.from(events, ({ id }) => id).toSorted()

/** What it was asked for by id, in order. */
const idsAskedOf = ({ asked }: Relay) =>
  asked.flatMap(({ ids }) => Array.isArray(ids) ? ids as ReadonlyArray<string> : [])

const stored = (disk: Disk["Service"]) =>
  JSON.parse(disk.records.get(`${space.name} ${upstreamUrl}`)?.value ?? "{}") as Record<string, unknown>

describe("a reconciliation (NIP-77)", () => {
  it.effect("finds what pages hide: the surplus of a second that holds more than a page", () => {
    const all = [...crowd(cutMin + 30), ...profiles(3)]
    const upstream = relay(all, cutMin)
    const negentropy = FakeNegentropy.make()
    const disk = blank()
    return harvesting(
      upstream,
      Effect.gen(function*() {
        const before = yield* live
        assert.strictEqual(before.saturated, 1)
        assert.isBelow(before.outcomes.Saved ?? 0, all.length)
        const { missed } = yield* reached(({ reconciles }) => reconciles === "yes")
        assert.isAtLeast(missed, 30)
        assert.deepStrictEqual(idsOf(disk.events.values()), idsOf(all))
        assert.deepStrictEqual([...negentropy.open], [], "nothing is left open")
      }),
      reconciling(upstream, negentropy, { disk, settings: { pageSize: 500 } })
    )
  })

  it.effect("finds what arrived late, with an old date, while nobody listened", () => {
    const upstream = relay(profiles(20))
    const negentropy = FakeNegentropy.make()
    const disk = blank()
    return Effect.gen(function*() {
      yield* harvesting(
        upstream,
        reached(({ reconciles }) => reconciles === "yes"),
        reconciling(upstream, negentropy, { disk })
      )
      const late = profileEvent({}, "late", { created_at: epoch - 90 * 86_400 })
      upstream.events.add(late)
      yield* TestClock.adjust(period)
      yield* harvesting(
        upstream,
        Effect.gen(function*() {
          yield* reached(({ missed }) => missed === 1)
          assert.isTrue([...disk.events.values()].some(({ id }) => id === late.id))
        }),
        reconciling(upstream, negentropy, { disk })
      )
    })
  })

  it.effect("covers all the time there is, up to where late events are still expected, once a day", () => {
    const upstream = relay(profiles(5))
    const negentropy = FakeNegentropy.make()
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* reached(({ reconciles }) => reconciles === "yes")
        assert.deepStrictEqual(negentropy.opened.map(({ since, until }) => [since, until]), [[floor, now - overlap]])
        yield* settle
        yield* TestClock.adjust(Duration.subtract(period, refreshPeriod))
        yield* settle
        assert.strictEqual(negentropy.opened.length, 1)
        yield* TestClock.adjust(Duration.times(refreshPeriod, 2))
        yield* eventually(() => negentropy.opened.length === 2)
      }),
      reconciling(upstream, negentropy)
    )
  })

  it.effect("does not ask again for what was refused, nor lets a forgery keep the true event out", () => {
    const dull = Array.from(
      { length: 12 },
      (_, n) => profileEvent({ about: "" }, `dull ${n}`, { created_at: epoch - n })
    )
    const [older, newer] = [0, 1].map((n) => profileEvent({}, "twice", { created_at: epoch - 500 + n }))
    if (older === undefined || newer === undefined) return assert.fail("no profiles")
    const forged = withForgedSignature(profileEvent({}, "forged", { created_at: epoch - 900 }))
    const protectedForgery = { ...profileEvent({}, "victim", { created_at: epoch - 901 }), tags: [["-"]] }
    const upstream = relay([...dull, older, newer, forged, protectedForgery])
    const negentropy = FakeNegentropy.make()
    const disk = blank()
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* reached(({ reconciles }) => reconciles === "yes")
        const first = idsAskedOf(upstream)
        assert.includeMembers(first, idsOf([...dull, older, forged]))
        yield* TestClock.adjust(Duration.sum(period, refreshPeriod))
        yield* eventually(() => negentropy.opened.length === 2)
        yield* settle
        const again = idsAskedOf(upstream).slice(first.length)
        assert.deepStrictEqual(again.toSorted(), idsOf([forged, protectedForgery]))
      }),
      reconciling(upstream, negentropy, { disk })
    )
  })

  it.effect(
    "asks by id for so many at a time that every relay answers with all of them, in frames that every relay takes",
    () => {
      const all = crowd(idsMax * 2 + 7)
      const upstream = relay(all, idsMax)
      const negentropy = FakeNegentropy.make({ frameBytesMax: 4096 })
      const disk = blank()
      // A relay with pages of nothing: all there is has to be found here.
      const hiding = twisted(upstream, (message, answer, socket) => {
        if (negentropy.play(message, (...frames) => socket.say(...frames), upstream.events)) return
        const filter = message[2] as Record<string, unknown> | undefined
        if (message[0] === "REQ" && filter?.["ids"] === undefined) socket.say(["EOSE", message[1]])
        else answer(message)
      })
      return harvesting(
        upstream,
        Effect.gen(function*() {
          const { all: sockets } = yield* Dials
          yield* reached(({ missed }) => missed === all.length, 100_000)
          const pages = upstream.asked.filter(({ ids }) => ids !== undefined).map(({ ids }) =>
            (ids as Array<string>).length
          )
          assert.deepStrictEqual(pages, [idsMax, idsMax, 7])
          const longest = Math.max(
            ...sockets.flatMap(({ sent }) => sent.map((message) => JSON.stringify(message).length))
          )
          assert.isBelow(longest, 131_072)
        }),
        { disk, sockets: playing(hiding) }
      )
    },
    30_000
  )

  it.effect("cuts a window in two that is too much for the relay, and goes on from the newest to the oldest", () => {
    const all = profiles(40, 86_400)
    const upstream = relay(all)
    const negentropy = FakeNegentropy.make({ itemsMax: 10 })
    const disk = blank()
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* eventually(() => stored(disk)["until"] === null)
        const taken = negentropy.opened.filter(({ size }) => size <= 10)
        // Side by side, without a gap, from now to the floor.
        assert.strictEqual(taken[0]?.until, now - overlap)
        for (const [n, { since }] of taken.entries()) assert.strictEqual(taken[n + 1]?.until ?? floor - 1, since - 1)
        assert.isAbove(taken.length, 3)
      }),
      reconciling(upstream, negentropy, { disk })
    )
  })

  it.effect("goes on after a restart in the middle of a pass", () => {
    const upstream = relay(profiles(40, 86_400))
    const negentropy = FakeNegentropy.make({ itemsMax: 10 })
    const disk = blank()
    return Effect.gen(function*() {
      yield* harvesting(
        upstream,
        eventually(() => typeof stored(disk)["until"] === "number" && negentropy.opened.length > 3),
        reconciling(upstream, negentropy, { disk })
      )
      const { until } = stored(disk)
      const before = negentropy.opened.length
      yield* harvesting(
        upstream,
        eventually(() => negentropy.opened.at(-1)?.since === floor),
        reconciling(upstream, negentropy, { disk })
      )
      assert.strictEqual(negentropy.opened[before]?.until, until)
    })
  })

  it("holds a window to what one message or ten can tell apart", () => assert.isAtMost(windowItemsMax, 50_000))
})

describe("an upstream that cannot reconcile", () => {
  const answers: Readonly<Record<string, (id: string) => ReadonlyArray<unknown> | undefined>> = {
    "says so by NEG-ERR": (id) => ["NEG-ERR", id, "error: negentropy disabled"],
    "says so by a NOTICE": () => ["NOTICE", "ERROR: bad msg: unknown cmd"],
    "says so by CLOSED": (id) => ["CLOSED", id, "unsupported: NEG-OPEN"],
    "says nothing": () => undefined,
    "answers what is not negentropy": (id) => ["NEG-MSG", id, "00"]
  }
  for (const [what, instead] of Object.entries(answers)) {
    it.effect(`${what}: it is harvested as before, stays connected, and is asked again in a week`, () => {
      const upstream = relay(profiles(12))
      const negentropy = FakeNegentropy.make({ instead })
      const disk = blank()
      return harvesting(
        upstream,
        Effect.gen(function*() {
          yield* live
          yield* settle
          yield* TestClock.adjust(negotiationDeadline)
          const { outcomes, reconciles, state } = yield* reached((seen) => seen.reconciles === "no")
          assert.deepStrictEqual([outcomes, state, reconciles], [{ Saved: 12 }, "connected", "no"])
          const retryAt = Number(stored(disk)["retryAt"])
          assert.isAtLeast(retryAt, now * 1000 + Duration.toMillis(pauseUnable))
          upstream.publish(profileEvent({}, "fresh", { created_at: now }))
          yield* reached((seen) => seen.outcomes.Saved === 13)
          yield* TestClock.adjust("1 hour")
          yield* settle
          assert.strictEqual((yield* status).state, "connected")
        }),
        reconciling(upstream, negentropy, { disk })
      )
    })
  }

  it.effect("hangs up instead: that is remembered, and it is not asked when it is back", () => {
    const upstream = relay(profiles(12))
    let asked = 0
    const touchy = twisted(upstream, (message, answer, socket) => {
      if (message[0] === "NEG-OPEN") {
        asked++
        socket.end(1008, "what was that?")
      } else answer(message)
    })
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* waiting
        yield* TestClock.adjust("3 seconds")
        yield* live
        yield* settle
        yield* TestClock.adjust("1 hour")
        yield* settle
        const { outcomes, state } = yield* status
        assert.deepStrictEqual([outcomes.Saved, state, asked], [12, "connected", 1])
      }),
      { sockets: playing(touchy) }
    )
  })

  it.effect("but could before, is asked again in an hour, and told apart from one that never could", () => {
    const upstream = relay(profiles(40, 86_400))
    const negentropy = FakeNegentropy.make()
    const disk = blank()
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* reached(({ reconciles }) => reconciles === "yes")
        negentropy.behave({ instead: (id) => ["NEG-ERR", id, "error: busy"] })
        yield* TestClock.adjust(Duration.sum(period, refreshPeriod))
        yield* eventually(() => stored(disk)["retryAt"] !== 0)
        assert.strictEqual((yield* status).reconciles, "yes")
        negentropy.behave({})
        const before = negentropy.opened.length
        yield* TestClock.adjust(Duration.sum(pauseFailed, refreshPeriod))
        yield* eventually(() => negentropy.opened.length > before)
      }),
      reconciling(upstream, negentropy, { disk })
    )
  })

  it.effect("for the second window, keeps what the first brought", () => {
    const upstream = relay([])
    const hidden = profiles(40, 86_400)
    let isCut = false
    const negentropy = FakeNegentropy.make({ itemsMax: 10 })
    const disk = blank()
    const hiding = twisted(upstream, (message, answer, socket) => {
      const filter = message[2] as Record<string, unknown> | undefined
      if (message[0] === "REQ" && filter?.["ids"] === undefined) return socket.say(["EOSE", message[1]])
      if (message[0] === "NEG-OPEN" && disk.events.size > 0 && !isCut) {
        isCut = true
        return socket.end(1006)
      }
      if (!negentropy.play(message, (...frames) => socket.say(...frames), upstream.events)) answer(message)
    })
    for (const event of hidden) upstream.events.add(event)
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* eventually(() => isCut)
        const kept = disk.events.size
        const { until } = stored(disk)
        assert.isTrue(kept > 0 && kept < hidden.length, String(kept))
        yield* waiting
        yield* TestClock.adjust("3 seconds")
        yield* live
        yield* settle
        assert.strictEqual(stored(disk)["until"], until)
        yield* TestClock.adjust(Duration.sum(pauseFailed, refreshPeriod))
        yield* eventually(() => disk.events.size === hidden.length)
      }),
      { disk, sockets: playing(hiding) }
    )
  })

  it.effect("offers ids that it does not deliver: they are let be until the next day", () => {
    const upstream = relay(profiles(5))
    const negentropy = FakeNegentropy.make()
    const phantom = profileEvent({}, "phantom", { created_at: epoch - 77 })
    const lying = twisted(upstream, (message, answer, socket) => {
      const events = { ...upstream.events, all: () => [...upstream.events.all({}), phantom] }
      if (!negentropy.play(message, (...frames) => socket.say(...frames), events)) answer(message)
    })
    return harvesting(
      upstream,
      Effect.gen(function*() {
        const { missed, state } = yield* reached(({ reconciles }) => reconciles === "yes")
        assert.deepStrictEqual([missed, state], [0, "connected"])
        assert.strictEqual(upstream.asked.filter(({ ids }) => ids !== undefined).length, 1)
      }),
      { sockets: playing(lying) }
    )
  })
})

const isRemoval = (key: string) => key.startsWith(`${removalSpace.name} `)

describe("what a reconciliation writes", () => {
  it.effect("is one record for the upstream, and one for each day that something was refused of", () => {
    const dull = Array.from(
      { length: 3 },
      (_, n) => profileEvent({ about: "" }, `dull ${n}`, { created_at: epoch - n * 86_400 })
    )
    const upstream = relay(dull)
    const disk = blank()
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* reached(({ reconciles }) => reconciles === "yes")
        yield* eventually(() => [...disk.records.keys()].filter((key) => !isRemoval(key)).length === 5)
        const spaces = [...disk.records.keys()].filter((key) => !isRemoval(key)).map((key) => key.split(" ")[0] ?? "")
        assert.sameMembers(spaces, [coverageSpace.name, space.name, ...Array(3).fill(unwantedSpace.name)])
      }),
      reconciling(upstream, FakeNegentropy.make(), { disk })
    )
  })
})

describe("stopping", () => {
  it.effect("ends at once while an answer about the sets of both sides is awaited", () =>
    Effect.gen(function*() {
      const upstream = relay(profiles(3))
      const negentropy = FakeNegentropy.make({ instead: () => undefined })
      let isOpened = false
      const waitingForever = twisted(upstream, (message, answer, socket) => {
        isOpened ||= message[0] === "NEG-OPEN"
        if (!negentropy.play(message, (...frames) => socket.say(...frames), upstream.events)) answer(message)
      })
      const fiber = yield* Effect.forkScoped(
        harvesting(upstream, eventually(() => isOpened), { sockets: playing(waitingForever) })
      )
      yield* eventually(() => fiber.pollUnsafe() !== undefined, "still stopping")
      yield* Fiber.join(fiber)
    }))
})
