import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { TestClock } from "effect/testing"
import { refreshPeriod } from "../../../src/aggregation/harvest/HarvestSession.ts"
import { floor, overlap } from "../../../src/aggregation/harvest/HarvestWalk.ts"
import { pauseFailed, pauseUnable, space, staleAfter } from "../../../src/aggregation/harvest/RemovalHarvest.ts"
import { pageDeadline } from "../../../src/aggregation/upstream/PagedConnection.ts"
import type { Event } from "../../../src/domain/Event.ts"
import { keptKinds } from "../../../src/domain/Kinds.ts"
import { epoch, signed, withForgedSignature } from "../../support/events.ts"
import { layer as playing, type Relay, relay } from "../../support/FakeUpstreamSocket.ts"
import { blank, type Disk } from "../FakeDatabase.ts"
import {
  besides,
  coverageOf,
  harvesting,
  live,
  pagesOf,
  profiles,
  reached,
  status,
  twisted,
  unordered
} from "../harvesting.ts"
import { eventually, now, settle, upstreamUrl, within } from "../world.ts"

const years = 3 * 365 * 86_400

const vanishing = (author: string, created_at = epoch - years) =>
  signed({ kind: 62, created_at, tags: [["relay", "ALL_RELAYS"]] }, author)

/** A deletion of the author's profile, by address. */
const deletionOf = (author: string, created_at = epoch - years): Event => {
  const { pubkey } = signed({}, author)
  return signed({ kind: 5, created_at, tags: [["a", `0:${pubkey}:`], ["k", "0"]] }, author)
}

const removalsOf = (upstream: Relay, from = 0) => besides(upstream, from).filter(({ authors }) => authors === undefined)

const stored = (disk: Disk["Service"]) => [...disk.events.values()]

const isSettled = (disk: Disk["Service"]) =>
  [...disk.records].filter(([key, { value }]) =>
    key.startsWith(`${space.name} `) &&
    (JSON.parse(value) as { intervals: Array<[number, number]> }).intervals[0]?.[0] === floor
  ).length === 2

describe("removals from before we were there", () => {
  it.effect("are read to the beginning, whoever asked for them: requests to vanish, deletions about profiles", () => {
    const removals = [
      ...Array.from({ length: 8 }, (_, n) => vanishing(`gone ${n}`, epoch - years - n)),
      ...Array.from({ length: 7 }, (_, n) => deletionOf(`deleted ${n}`, epoch - years - n))
    ]
    const upstream = relay([...profiles(3), ...removals])
    const disk = blank()
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* eventually(() => isSettled(disk))
        assert.includeMembers(stored(disk).map(({ id }) => id), removals.map(({ id }) => id))
        const asked = removalsOf(upstream)
        assert.isTrue(asked.every(({ since, limit, until }) => since === floor && limit === 5 && Number(until) <= now))
        const deletions = asked.filter(({ kinds }) => JSON.stringify(kinds) === "[5]")
        assert.isTrue(
          deletions.every((filter) => JSON.stringify(filter["#k"]) === JSON.stringify(keptKinds.map(String)))
        )
        assert.strictEqual(asked.length - deletions.length, asked.filter(({ kinds }) => String(kinds) === "62").length)
      }),
      { disk }
    )
  })

  it.effect("are read once: a restart asks for what came since, and not before an hour's worth is missing", () => {
    const upstream = relay([...profiles(3), vanishing("gone"), deletionOf("deleted")])
    const disk = blank()
    return Effect.gen(function*() {
      yield* harvesting(upstream, eventually(() => isSettled(disk)), { disk })
      const first = upstream.asked.length
      yield* harvesting(upstream, Effect.andThen(reached(({ authorsAsked }) => authorsAsked >= 0), live), { disk })
      yield* settle
      assert.deepStrictEqual(removalsOf(upstream, first), [])

      yield* TestClock.adjust(Duration.seconds(staleAfter + overlap))
      const missed = vanishing("went meanwhile", now + 10)
      upstream.events.add(missed)
      const second = upstream.asked.length
      yield* harvesting(
        upstream,
        eventually(() => stored(disk).some(({ id }) => id === missed.id)),
        { disk }
      )
      const since = now - overlap + 1
      assert.isTrue(removalsOf(upstream, second).every((filter) => filter["since"] === since))
    })
  })

  it.effect("are read again in pieces once their pages show that the upstream keeps no order, and so are the profiles", () => {
    const removals = Array.from({ length: 24 }, (_, n) => vanishing(`gone ${n}`, epoch - years - 10 * n))
    const disk = blank()
    const { asked, play } = unordered(removals, 62, 1)
    return within(
      { sockets: playing(play), settings: { upstreams: [upstreamUrl], pageSize: 5 }, disk },
      Effect.gen(function*() {
        yield* eventually(() => isSettled(disk))
        assert.isAbove(asked.length, 4)
        assert.includeMembers(stored(disk).map(({ id }) => id), removals.map(({ id }) => id))
        assert.match(disk.records.get(`manners ${upstreamUrl}`)?.value ?? "", /"isUnordered":true/)
        // Whoever had read the profiles by then reads them again.
        assert.deepStrictEqual(yield* coverageOf, [])
        yield* TestClock.adjust(refreshPeriod)
        yield* reached(({ covered }) => covered.length > 0)
      })
    )
  })

  it.effect("are not waited for by the profiles, nor kept waiting by them: one page in twenty", () => {
    const removals = Array.from({ length: 12 }, (_, n) => vanishing(`gone ${n}`, epoch - years - n))
    const upstream = relay([...profiles(400), ...removals])
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* live
        yield* reached(({ pages }) => pages > 80)
        const kinds = upstream.asked.filter(({ subscription }) => subscription !== "live").map(({ kinds }) =>
          String(kinds)
        )
        assert.strictEqual(kinds.indexOf("62"), 20)
        assert.strictEqual(kinds.indexOf("62", 21), 41)
        assert.isBelow(pagesOf(upstream).length, 110)
      })
    )
  })

  it.effect("take no effect unless their signature is valid", () => {
    const forged = [withForgedSignature(vanishing("author 0")), withForgedSignature(deletionOf("author 1"))]
    const upstream = relay([...profiles(3), ...forged])
    const disk = blank()
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* eventually(() => isSettled(disk))
        assert.sameMembers(stored(disk).map(({ kind }) => kind), [0, 0, 0])
        assert.isAtLeast((yield* status).outcomes.Invalid ?? 0, 2)
      }),
      { disk }
    )
  })

  it.effect("that ask other relays to forget, or are about notes, are left where they are", () => {
    const elsewhere = signed({ kind: 62, created_at: epoch, tags: [["relay", "wss://elsewhere.example"]] }, "author 0")
    const note = signed({ kind: 5, created_at: epoch, tags: [["e", "a".repeat(64)], ["k", "1"]] }, "author 0")
    const upstream = relay([...profiles(3), elsewhere, note])
    const disk = blank()
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* eventually(() => isSettled(disk))
        assert.sameMembers(stored(disk).map(({ kind }) => kind), [0, 0, 0])
        assert.deepStrictEqual(Object.keys((yield* status).rejections), ["kind is not kept here"])
      }),
      { disk }
    )
  })
})

const isRemoval = (message: ReadonlyArray<unknown>) =>
  message[0] === "REQ" && ["[5]", "[62]"].includes(JSON.stringify((message[2] as { kinds?: unknown }).kinds))

describe("an upstream that does not tell of removals", () => {
  it.effect("by CLOSED is left alone for a week, even by the next start, and harvested all the same", () => {
    const upstream = relay(profiles(3))
    const refusing = playing(twisted(upstream, (message, answer, socket) => {
      if (isRemoval(message)) socket.say(["CLOSED", message[1], "blocked: kind 5 is not allowed"])
      else answer(message)
    }))
    const disk = blank()
    let asked = 0
    const counting = playing(twisted(upstream, (message, answer) => {
      if (isRemoval(message)) asked++
      answer(message)
    }))
    return Effect.gen(function*() {
      yield* harvesting(
        upstream,
        Effect.gen(function*() {
          yield* live
          yield* reached(({ authorsAsked }) => authorsAsked === 3)
          assert.strictEqual((yield* status).state, "connected")
        }),
        { disk, sockets: refusing }
      )
      yield* TestClock.adjust(Duration.subtract(pauseUnable, Duration.minutes(10)))
      yield* harvesting(upstream, Effect.andThen(live, settle), { disk, sockets: counting })
      assert.strictEqual(asked, 0)
      yield* TestClock.adjust("10 minutes")
      yield* harvesting(upstream, eventually(() => isSettled(disk)), { disk, sockets: counting })
      assert.isAbove(asked, 0)
    })
  })

  it.effect("for being asked too much is asked again after an hour, although it never answered", () => {
    const disk = blank()
    let asked = 0
    const busy = playing(twisted(relay(profiles(3)), (message, answer, socket) => {
      if (!isRemoval(message)) return answer(message)
      asked++
      socket.say(["CLOSED", message[1], "rate-limited: slow down"])
    }))
    const round = (from: number) =>
      harvesting(relay([]), Effect.andThen(live, eventually(() => asked > from)), { disk, sockets: busy })
    return Effect.gen(function*() {
      yield* round(0)
      yield* TestClock.adjust(pauseFailed)
      yield* round(asked)
    })
  })

  it.effect("by silence, or by something else, costs the time of a page and no connection", () => {
    const upstream = relay(profiles(3))
    let said = 0
    const sockets = playing(twisted(upstream, (message, answer, socket) => {
      if (!isRemoval(message)) return answer(message)
      if (said++ > 0) {
        socket.say(["EVENT", message[1], signed({ kind: 1 })], ["EOSE", message[1]])
      }
    }))
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* live
        yield* eventually(() => said === 1)
        yield* settle
        yield* TestClock.adjust(pageDeadline)
        const { state } = yield* reached(({ authorsAsked }) => authorsAsked === 3)
        assert.strictEqual(state, "connected")
        assert.strictEqual(said, 2)
        yield* TestClock.adjust(refreshPeriod)
        yield* settle
        assert.strictEqual(said, 2)
      }),
      { sockets }
    )
  })

  it.effect("although it did before is asked again after an hour, from where it was", () => {
    const upstream = relay([...profiles(3), ...Array.from({ length: 9 }, (_, n) => vanishing(`gone ${n}`, epoch - n))])
    let isOpen = false
    let answered = 0
    const sockets = playing(twisted(upstream, (message, answer, socket) => {
      if (!isRemoval(message) || isOpen || answered++ === 0) return answer(message)
      socket.say(["CLOSED", message[1], "rate-limited: slow down"])
    }))
    const disk = blank()
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* reached(({ authorsAsked }) => authorsAsked === 3)
        yield* settle
        assert.strictEqual(stored(disk).filter(({ kind }) => kind === 62).length, 5)
        isOpen = true
        const before = upstream.asked.length
        yield* TestClock.adjust(pauseFailed)
        yield* eventually(() => stored(disk).filter(({ kind }) => kind === 62).length === 9)
        const until = removalsOf(upstream, before).filter(({ kinds }) => String(kinds) === "62")
          .map((filter) => filter["until"])
        assert.include(until, epoch - 4)
      }),
      { disk, sockets }
    )
  })
})
