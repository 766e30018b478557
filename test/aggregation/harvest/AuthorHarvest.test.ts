import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { TestClock } from "effect/testing"
import { authorsMax, period, reachBack } from "../../../src/aggregation/harvest/AuthorHarvest.ts"
import { refreshPeriod } from "../../../src/aggregation/harvest/HarvestSession.ts"
import { floor } from "../../../src/aggregation/harvest/HarvestWalk.ts"
import { pauseUnable } from "../../../src/aggregation/harvest/RemovalHarvest.ts"
import { cutMin } from "../../../src/domain/HarvestWindow.ts"
import { kindsWith, listKinds } from "../../../src/domain/Kinds.ts"
import {
  deletionEvent,
  dmRelaysEvent,
  epoch,
  keyOf,
  profileEvent,
  relayListEvent,
  signed,
  withForgedSignature
} from "../../support/events.ts"
import { layer as playing, type Relay, relay } from "../../support/FakeUpstreamSocket.ts"
import { blank, type Disk } from "../FakeDatabase.ts"
import { besides, harvesting, live, profiles, reached, status, twisted } from "../harvesting.ts"
import { eventually, now, settle } from "../world.ts"

const { companions: companionKinds } = kindsWith(listKinds)

/** The questions by author, each by its first filter. */
const questionsOf = (upstream: Relay, from = 0) =>
  besides(upstream, from).filter(({ authors, kinds }) =>
    authors !== undefined && String(kinds) === String(companionKinds)
  )

const authorsOf = (filter: { readonly [key: string]: unknown }) => filter["authors"] as ReadonlyArray<string>

const kindsOf = (disk: Disk["Service"]) => [...disk.events.values()].map(({ kind }) => kind).toSorted((a, b) => a - b)

const old = epoch - 400 * 86_400

const listOf = (author: string, created_at = old) =>
  relayListEvent({ write: ["wss://own.example"] }, author, created_at)

const askedAbout = (count: number) => reached(({ authorsAsked }) => authorsAsked === count, 100_000)

describe("what belongs to accepted authors", () => {
  it.effect("is asked for by author: lists of any age, and deletions of the profile or a list", () => {
    const [first, second] = profiles(2)
    const wanted = [
      listOf("author 0"),
      dmRelaysEvent(["wss://dm.example"], "author 1", old),
      deletionEvent([second!.id], "author 1", epoch + 5)
    ]
    const others = [
      listOf("stranger"),
      deletionEvent([first!.id], "stranger"),
      deletionEvent(["b".repeat(64)], "author 0")
    ]
    const upstream = relay([first!, second!, ...wanted, ...others])
    const disk = blank()
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* askedAbout(2)
        assert.deepStrictEqual(kindsOf(disk), [0, 0, 5, 10_002, 10_050])
        const ids = [...disk.events.values()].map(({ id }) => id)
        assert.includeMembers(ids, wanted.map(({ id }) => id))
        const [question] = questionsOf(upstream)
        assert.sameMembers([...authorsOf(question!)], [first!.pubkey, second!.pubkey])
        assert.isTrue(besides(upstream).every(({ since }) => since === floor))
      }),
      { disk }
    )
  })

  it.effect("is asked for fifty authors at a time, about each of them once, a restart notwithstanding", () => {
    const upstream = relay(profiles(2 * authorsMax + 7))
    const disk = blank()
    return Effect.gen(function*() {
      yield* harvesting(upstream, askedAbout(2 * authorsMax + 7), { disk })
      const sizes = questionsOf(upstream).map((question) => authorsOf(question).length)
      assert.deepStrictEqual(sizes, [authorsMax, authorsMax, 7])
      const asked = upstream.asked.length
      yield* harvesting(upstream, Effect.andThen(live, settle), { disk })
      assert.deepStrictEqual(questionsOf(upstream, asked), [])
    })
  })

  it.effect("is asked for again of everybody, of any age, when a list is kept that was not", () => {
    const all = profiles(3)
    const follows = signed({ kind: 3, created_at: old, tags: [["p", "a".repeat(64)]] }, "author 0")
    const upstream = relay([...all, follows, listOf("author 1")])
    const disk = blank()
    const settings = { listKinds: [3, 10_002] }
    return Effect.gen(function*() {
      yield* harvesting(upstream, askedAbout(3), { disk })
      assert.deepStrictEqual(kindsOf(disk), [0, 0, 0, 10_002])
      yield* harvesting(upstream, askedAbout(3), { disk, settings })
      assert.deepStrictEqual(kindsOf(disk), [0, 0, 0, 3, 10_002])
      const asked = upstream.asked.length
      yield* harvesting(upstream, Effect.andThen(live, settle), { disk, settings })
      assert.deepStrictEqual(besides(upstream, asked).filter(({ authors }) => authors !== undefined), [])
    })
  })

  it.effect("goes on where a stop has cut it", () => {
    const all = profiles(2 * authorsMax + 7)
    const upstream = relay(all)
    const disk = blank()
    return Effect.gen(function*() {
      let questions = 0
      const hanging = playing(twisted(upstream, (message, answer) => {
        const { authors } = (message[2] ?? {}) as { readonly authors?: unknown }
        if (message[0] !== "REQ" || authors === undefined || questions++ === 0) answer(message)
      }))
      yield* harvesting(upstream, Effect.andThen(askedAbout(authorsMax), settle), { disk, sockets: hanging })
      const asked = upstream.asked.length
      yield* harvesting(upstream, askedAbout(authorsMax + 7), { disk })
      const again = questionsOf(upstream, asked).flatMap(authorsOf)
      assert.strictEqual(new Set(again).size, authorsMax + 7)
      assert.isTrue(questionsOf(upstream).slice(0, 1).flatMap(authorsOf).every((author) => !again.includes(author)))
    })
  })

  it.effect("of somebody new is asked for within minutes, and nobody else's with it", () => {
    const upstream = relay([...profiles(3), listOf("fresh")])
    const disk = blank()
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* askedAbout(3)
        const asked = upstream.asked.length
        const fresh = profileEvent({}, "fresh", { created_at: now })
        upstream.publish(fresh)
        yield* reached(({ outcomes }) => outcomes.Saved === 4)
        yield* TestClock.adjust(refreshPeriod)
        yield* askedAbout(4)
        assert.deepStrictEqual(questionsOf(upstream, asked).map(authorsOf), [[fresh.pubkey]])
        assert.deepStrictEqual(kindsOf(disk), [0, 0, 0, 0, 10_002])
      }),
      { disk }
    )
  })

  it.effect("is asked for again after a day, as far back as a week before the last time", () => {
    const upstream = relay([...profiles(3), listOf("author 0")])
    const disk = blank()
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* askedAbout(3)
        const asked = upstream.asked.length
        yield* TestClock.adjust(Duration.subtract(period, refreshPeriod))
        yield* settle
        assert.deepStrictEqual(questionsOf(upstream, asked), [])
        const newer = listOf("author 0", now - 100)
        upstream.events.add(newer)
        yield* TestClock.adjust(Duration.times(refreshPeriod, 2))
        yield* askedAbout(6)
        const questions = questionsOf(upstream, asked)
        assert.deepStrictEqual(questions.map(({ since }) => since), [now - reachBack])
        assert.isTrue([...disk.events.values()].some(({ id }) => id === newer.id))
      }),
      { disk }
    )
  })

  it.effect("is asked for by half as many authors where the answer may have been cut", () => {
    const authors = Array.from({ length: authorsMax }, (_, n) => `author ${n}`)
    const lists = authors.flatMap((author) => [
      listOf(author),
      dmRelaysEvent(["wss://dm.example"], author, old),
      listOf(author, old - 1)
    ])
    const upstream = relay([...profiles(authorsMax), ...lists], cutMin)
    const disk = blank()
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* askedAbout(authorsMax)
        assert.deepStrictEqual(questionsOf(upstream).map((question) => authorsOf(question).length), [50, 25, 25])
        assert.strictEqual(kindsOf(disk).filter((kind) => kind > 0).length, 2 * authorsMax)
      }),
      { disk }
    )
  })

  it.effect("is asked for by half as many authors where our own limit may have cut it, though pages are longer", () => {
    const count = 130
    const deletions = ["author 0", `author ${authorsMax - 1}`].flatMap((author) =>
      Array.from({ length: count }, (_, n) => {
        const tags = [["a", `10002:${keyOf(author).pubkey}:`]]
        return signed({ kind: 5, created_at: old + n, tags }, author)
      })
    )
    const upstream = relay([...profiles(300), ...deletions])
    const disk = blank()
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* askedAbout(300)
        assert.strictEqual(kindsOf(disk).filter((kind) => kind === 5).length, 2 * count)
      }),
      { disk, settings: { pageSize: 500 } }
    )
  })

  for (const by of ["CLOSED", "NOTICE"]) {
    it.effect(`is asked for in fewer filters and by fewer authors where more is refused by ${by}, also after a restart`, () => {
      const upstream = relay([...profiles(20), listOf("author 3")])
      const strict = twisted(upstream, (message, answer, socket) => {
        const [type, id, first, ...others] = message as ReadonlyArray<unknown>
        const { authors = [] } = (first ?? {}) as { readonly authors?: ReadonlyArray<string> }
        const reason = others.length > 0
          ? "error: one filter only"
          : authors.length > 6
          ? "error: too many authors"
          : undefined
        if (type !== "REQ" || id === "live" || reason === undefined) return answer(message)
        if (by === "CLOSED") socket.say(["CLOSED", id, reason])
        else socket.say(["NOTICE", reason])
      })
      const disk = blank()
      const sizes = (from = 0) =>
        besides(upstream, from).flatMap(({ authors }) =>
          authors === undefined ? [] : [(authors as ReadonlyArray<string>).length]
        )
      return Effect.gen(function*() {
        yield* harvesting(upstream, askedAbout(20), { disk, sockets: playing(strict) })
        assert.include(kindsOf(disk), 10_002)
        // What was refused did not reach the relay: of what did, everybody was asked about by each of three filters.
        assert.isTrue(sizes().every((size) => size <= 6))
        assert.strictEqual(sizes().reduce((sum, size) => sum + size, 0), 60)
        const kept = JSON.stringify([...disk.records.values()])
        assert.match(kept, /filtersMax[^0-9]*1\b/)
        assert.match(kept, /authorsMax[^0-9]*5\b/)
      })
    })
  }

  it.effect("takes no effect unless its signature is valid", () => {
    const [first] = profiles(1)
    const forged = [deletionEvent([first!.id], "author 0"), listOf("author 0")].map(withForgedSignature)
    const upstream = relay([first!, ...forged])
    const disk = blank()
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* askedAbout(1)
        assert.deepStrictEqual(kindsOf(disk), [0])
        assert.strictEqual((yield* status).outcomes.Invalid, 2)
      }),
      { disk }
    )
  })
})

describe("an upstream that does not answer by author", () => {
  it.effect("but with something else is asked once, and left alone", () => {
    const upstream = relay(profiles(3))
    const strange = Array.from({ length: cutMin }, (_, n) => listOf("stranger", old + n))
    let questions = 0
    const sockets = playing(twisted(upstream, (message, answer, socket) => {
      const [type, id, filter] = message
      if (type !== "REQ" || (filter as { readonly authors?: unknown }).authors === undefined) return answer(message)
      questions++
      socket.say(...strange.map((event) => ["EVENT", id, event]), ["EOSE", id])
    }))
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* eventually(() => questions === 1)
        yield* TestClock.adjust(refreshPeriod)
        yield* settle
        assert.strictEqual((yield* status).state, "connected")
        assert.strictEqual(questions, 1)
      }),
      { sockets }
    )
  })

  it.effect("is left alone for a week, even by the next start, and harvested all the same", () => {
    const upstream = relay([...profiles(3), listOf("author 0")])
    let questions = 0
    const sockets = playing(twisted(upstream, (message, answer, socket) => {
      const { authors } = (message[2] ?? {}) as { readonly authors?: unknown }
      if (message[0] !== "REQ" || authors === undefined) return answer(message)
      questions++
      socket.say(["CLOSED", message[1], "blocked: tag filters are not allowed"])
    }))
    const disk = blank()
    return Effect.gen(function*() {
      yield* harvesting(
        upstream,
        Effect.gen(function*() {
          yield* eventually(() => questions === 1)
          yield* settle
          assert.strictEqual((yield* status).state, "connected")
        }),
        { disk, sockets }
      )
      yield* TestClock.adjust(Duration.subtract(pauseUnable, Duration.minutes(10)))
      yield* harvesting(upstream, Effect.andThen(live, settle), { disk, sockets })
      assert.strictEqual(questions, 1)
      yield* TestClock.adjust("10 minutes")
      yield* harvesting(upstream, askedAbout(3), { disk })
      assert.deepStrictEqual(kindsOf(disk), [0, 0, 0, 10_002])
    })
  })
})
