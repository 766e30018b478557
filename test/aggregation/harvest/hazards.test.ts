/**
 * What upstream relays do in the field, and faults that have been seen or are to be expected, by number. Whatever comes,
 * nothing is lost, nothing untrue is recorded as covered, and the upstream is left or asked again in its own time.
 */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { TestClock } from "effect/testing"
import { refreshPeriod, space } from "../../../src/aggregation/harvest/HarvestSession.ts"
import { HarvestStatus } from "../../../src/aggregation/harvest/HarvestStatus.ts"
import { floor, overlap } from "../../../src/aggregation/harvest/HarvestWalk.ts"
import { pageDeadline } from "../../../src/aggregation/upstream/PagedConnection.ts"
import type { Event } from "../../../src/domain/Event.ts"
import { cutMin, decodeCoverage } from "../../../src/domain/HarvestWindow.ts"
import { dmRelaysEvent, epoch, profileEvent, withForgedSignature } from "../../support/events.ts"
import { Dials, layer as playing, relay } from "../../support/FakeUpstreamSocket.ts"
import { blank, Disk } from "../FakeDatabase.ts"
import {
  type AskedFilter,
  coverageOf,
  filterOf,
  harvesting,
  isPage,
  live,
  pageSize,
  pagesOf,
  profiles,
  reached,
  savesAll,
  status,
  twisted,
  waiting,
  wholeWindow
} from "../harvesting.ts"
import { eventually, now, settle, within } from "../world.ts"

describe("hazard 1: what a relay answers at most", () => {
  for (const pageMax of [1, 3, 4]) {
    it.effect(`may be ${pageMax} where 5 were asked for, and says nothing about the end`, () => {
      const upstream = relay(profiles(23), pageMax)
      return harvesting(upstream, savesAll(23))
    })
  }

  it.effect("may change from page to page", () => {
    const upstream = relay(profiles(40))
    let pages = 0
    const moody = twisted(upstream, (message, answer) => {
      const [type, subscription, filter] = message
      answer(
        isPage(message) ? [type, subscription, { ...filter as AskedFilter, limit: [5, 1, 3][pages++ % 3] }] : message
      )
    })
    return harvesting(upstream, savesAll(40), { sockets: playing(moody) })
  })

  it.effect("may be refused instead of cut: it is asked for less", () => {
    const upstream = relay(profiles(300, 1), 100)
    const strict = twisted(upstream, (message, answer, socket) => {
      const { limit = 0 } = filterOf(message) ?? {}
      if (isPage(message) && Number(limit) > 100) socket.say(["CLOSED", message[1], "blocked: limit too high"])
      else answer(message)
    })
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* savesAll(300)
        assert.isTrue(pagesOf(upstream).every(({ limit }) => limit === 62), "a size that was taken is kept")
      }),
      { sockets: playing(strict), settings: { pageSize: 500 } }
    )
  })

  it.effect("is known to be all where it says so (NIP-67), which saves the empty page", () => {
    const upstream = relay(profiles(4))
    const finishing = twisted(upstream, (message, answer, socket) => {
      if (!isPage(message)) return answer(message)
      upstream.asked.push({ ...filterOf(message), subscription: String(message[1]) })
      for (const event of upstream.events.query(filterOf(message))) socket.say(["EVENT", message[1], event])
      socket.say(["EOSE", message[1], ["finish"]])
    })
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* savesAll(4)
        assert.strictEqual(pagesOf(upstream).length, 1)
      }),
      { sockets: playing(finishing) }
    )
  })
})

describe("hazard 2: a relay that takes a small `until` for none", () => {
  it.effect("is never asked for one: every page has a `since`, and none ends before it", () => {
    const upstream = relay([...profiles(7), profileEvent({}, "first", { created_at: floor })])
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* savesAll(8)
        assert.isTrue(pagesOf(upstream).every(({ since, until }) => since === floor && Number(until) >= floor))
        assert.isTrue(upstream.asked.every(({ since }) => Number(since) >= floor))
      })
    )
  })

  it.effect("or ignores `since`: what is older is left aside, and the pass ends", () => {
    const ancient = Array.from(
      { length: 12 },
      (_, n) => profileEvent({}, `ancient ${n}`, { created_at: floor - 1 - n })
    )
    const upstream = relay([...profiles(7), ...ancient])
    const timeless = twisted(upstream, (message, answer) => {
      const { since: _, ...filter } = filterOf(message) ?? {}
      answer(isPage(message) ? ["REQ", message[1], filter] : message)
    })
    return harvesting(upstream, savesAll(7), { sockets: playing(timeless) })
  })

  it.effect("or any `until`, is found out by the first page that goes above it, however often it comes back", () => {
    const upstream = relay(profiles(20))
    const newest = twisted(upstream, (message, answer) => {
      const { until: _, ...filter } = filterOf(message) ?? {}
      answer(isPage(message) ? ["REQ", message[1], filter] : message)
    })
    return harvesting(
      upstream,
      Effect.gen(function*() {
        for (let n = 1; n <= 5; n++) {
          const { lastError, nextAttempt = 0 } = yield* waiting
          assert.match(lastError ?? "", /^misbehaved/)
          const at = yield* Effect.clockWith((clock) => Effect.succeed(clock.currentTimeMillisUnsafe()))
          yield* TestClock.adjust(nextAttempt - at)
          yield* settle
        }
        assert.isBelow(pagesOf(upstream).length, 5 * 8, "few pages for each connection")
        assert.isFalse((yield* coverageOf).some(([from]) => from === floor))
      }),
      { sockets: playing(newest) }
    )
  })
})

describe("hazard 3: `until` is inclusive, so each page repeats its boundary", () => {
  it.effect("which costs nothing but the repetition, where a second fills a page exactly or by one more or less", () =>
    Effect.forEach([pageSize - 1, pageSize, pageSize + 1, 4 * pageSize], (size) => {
      const tied = Array.from({ length: size }, (_, n) => profileEvent({}, `tied ${n}`, { created_at: epoch - 15 }))
      return harvesting(relay([...profiles(4), ...tied]), savesAll(4 + size))
    }, { discard: true }))

  it.effect("and a second that the relay never shows whole is given up, said so, and does not hide what is older", () => {
    const tied = Array.from({ length: cutMin + 1 }, (_, n) => profileEvent({}, `tied ${n}`, { created_at: epoch }))
    const upstream = relay([...tied, profileEvent({}, "older", { created_at: epoch - 1 })], cutMin)
    return harvesting(upstream, Effect.map(savesAll(cutMin + 1), ({ saturated }) => assert.strictEqual(saturated, 1)))
  })
})

describe("hazard 4: a relay that has had enough of us", () => {
  it.effect("is never asked two things at a time, besides the live subscription", () => {
    const upstream = relay(profiles(23))
    const open = new Set<string>()
    let most = 0
    const counting = twisted(upstream, (message, answer) => {
      if (message[0] === "REQ") open.add(String(message[1]))
      if (message[0] === "CLOSE") open.delete(String(message[1]))
      most = Math.max(most, open.size)
      answer(message)
    })
    return harvesting(upstream, Effect.andThen(savesAll(23), Effect.sync(() => assert.strictEqual(most, 2))), {
      sockets: playing(counting)
    })
  })

  it.effect("may say so in a NOTICE instead of an answer: the reason is told, and it is asked again later", () => {
    const upstream = relay(profiles(3))
    const terse = twisted(
      upstream,
      (message, answer, socket) =>
        isPage(message) ? socket.say(["NOTICE", "ERROR: too many concurrent REQs"]) : answer(message)
    )
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* settle
        yield* TestClock.adjust(pageDeadline)
        assert.match((yield* waiting).lastError ?? "", /^silent: .*too many concurrent REQs/)
        assert.deepStrictEqual(yield* coverageOf, [])
      }),
      { sockets: playing(terse) }
    )
  })

  for (const reason of ["auth-required: daily quota", "rate-limited: slow down"]) {
    it.effect(`may close a page with "${reason}": it is not asked again at once, and goes on where it was`, () => {
      const upstream = relay(profiles(12))
      let [answered, refused] = [0, 0]
      const limited = twisted(upstream, (message, answer, socket) => {
        if (isPage(message) && answered === 2 && refused === 0) {
          refused++
          return socket.say(["CLOSED", message[1], reason])
        }
        if (isPage(message)) answered++
        answer(message)
      })
      return harvesting(
        upstream,
        Effect.gen(function*() {
          const { lastError } = yield* waiting
          assert.strictEqual(lastError, `refused: ${reason}`)
          assert.strictEqual(refused, 1)
          assert.isAbove((yield* coverageOf).length, 0)
          yield* TestClock.adjust("3 seconds")
          const { outcomes } = yield* live
          assert.strictEqual(outcomes.Saved, 12)
          assert.isAtMost(outcomes.Duplicate ?? 0, pageSize)
        }),
        { sockets: playing(limited), settings: { pageSize: 500 } }
      )
    })
  }

  it.effect("or wants kinds in every filter: they are there", () => {
    const upstream = relay(profiles(3))
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* savesAll(3)
        assert.isTrue(upstream.asked.every(({ kinds }) => Array.isArray(kinds) && kinds.length > 0))
      })
    )
  })
})

describe("hazards 4 and 5: a relay that refuses what has no authors, or no group", () => {
  it.effect("is left alone for longer each time, and holds nobody else up", () => {
    const upstream = relay(profiles(5))
    const refusing = twisted(upstream, (message, _, socket) => {
      if (message[0] === "REQ") socket.say(["CLOSED", message[1], "blocked: filter must have authors"])
    })
    const honest = relay(profiles(7))
    const urls = ["wss://closed.example", "wss://open.example"]
    return within(
      {
        sockets: playing((socket) => socket.url === urls[0] ? refusing(socket) : honest.play(socket)),
        settings: { upstreams: urls, pageSize }
      },
      Effect.gen(function*() {
        const { upstreams } = yield* HarvestStatus
        const { all } = yield* Dials
        const seen = Effect.map(upstreams, ([closed, open]) => ({ closed, open }))
        const dialsOf = () => all.filter(({ url }) => url === urls[0]).length
        let last = 0
        for (let n = 0; n < 5; n++) {
          yield* eventually(() => dialsOf() === n + 1)
          yield* settle
          const { closed } = yield* seen
          assert.strictEqual(closed?.lastError, "refused: blocked: filter must have authors")
          const at = yield* Effect.clockWith((clock) => Effect.succeed(clock.currentTimeMillisUnsafe()))
          const wait = (closed?.nextAttempt ?? 0) - at
          assert.isAbove(wait, last * 1.5)
          last = wait
          yield* TestClock.adjust(wait)
        }
        const { open } = yield* seen
        assert.deepStrictEqual([open?.phase, open?.outcomes.Saved], ["live", 7])
      })
    )
  })
})

describe("hazard 6: a relay that drips", () => {
  it.effect("has until the page's deadline by the wall clock, however regularly something comes", () => {
    const upstream = relay(profiles(500))
    const dripping = twisted(upstream, (message, answer) => isPage(message) ? undefined : answer(message))
    return harvesting(
      upstream,
      Effect.gen(function*() {
        const { all } = yield* Dials
        yield* eventually(() => all[0]?.sent.length === 2)
        const id = all[0]?.sent.at(-1)?.[1]
        const seconds = Duration.toSeconds(pageDeadline)
        for (const event of profiles(seconds - 1)) {
          all[0]?.say(["EVENT", id, event])
          yield* settle
          yield* TestClock.adjust("1 second")
        }
        assert.strictEqual((yield* status).state, "connected")
        yield* TestClock.adjust("1 second")
        assert.match((yield* waiting).lastError ?? "", /^silent/)
      }),
      { sockets: playing(dripping), settings: { pageSize: 500 } }
    )
  })
})

describe("hazard 7: one relay under many addresses", () => {
  it.effect("is dialled once, under the first of them", () => {
    const upstream = relay(profiles(3))
    const urls = [
      "wss://one.example",
      "ws://one.example",
      "wss://one.example/",
      "wss://one.example",
      "wss://two.example"
    ]
    return within(
      { sockets: playing(upstream.play), settings: { upstreams: urls, pageSize } },
      Effect.gen(function*() {
        const { all } = yield* Dials
        const { upstreams } = yield* HarvestStatus
        yield* settle
        assert.deepStrictEqual(all.map(({ url }) => url), ["wss://one.example", "wss://two.example"])
        assert.strictEqual((yield* upstreams).length, 2)
      })
    )
  })

  it.effect("is two relays where the paths differ", () => {
    const urls = ["wss://one.example/inbox", "wss://one.example/outbox"]
    return within(
      { sockets: playing(relay([]).play), settings: { upstreams: urls } },
      Effect.map(Dials, ({ all }) => assert.strictEqual(all.length, 2))
    )
  })
})

/** Seven profiles of the hour after so many. */
const meanwhile = (run: number) =>
  Array.from({ length: 7 }, (_, n) => profileEvent({}, `run ${run}, ${n}`, { created_at: now + run * 3600 - 1800 + n }))

describe("hazard 8: what comes while we are away", () => {
  it.effect("is fetched once, although an older pass is still to be finished", () => {
    const disk = blank()
    const upstream = relay(profiles(40))
    const silentAfter = (pages: number) =>
      twisted(upstream, (message, answer) => {
        if (!isPage(message) || pagesOf(upstream).length < pages) answer(message)
      })
    const saved: Array<string> = []
    const note = Effect.map(Disk, ({ writes }) => {
      for (const operation of writes.splice(0).flat()) if (operation._tag === "Save") saved.push(operation.event.id)
    })
    return Effect.gen(function*() {
      for (let run = 1; run <= 3; run++) {
        const before = pagesOf(upstream).length
        yield* harvesting(
          upstream,
          Effect.andThen(reached(({ pages }) => pages >= 3), note),
          { disk, sockets: playing(silentAfter(before + 3)) }
        )
        yield* TestClock.adjust("1 hour")
        for (const event of meanwhile(run)) upstream.events.add(event)
      }
      yield* harvesting(upstream, Effect.andThen(live, note), { disk })
      assert.strictEqual(disk.events.size, 40 + 3 * 7)
      assert.strictEqual(saved.length, new Set(saved).size, "nothing was written twice")
      assert.isAtMost(pagesOf(upstream).length, 40)
    })
  })
})

describe("hazard 9: a profile that was signed long ago and arrives today", () => {
  const old = profileEvent({}, "late", { created_at: epoch - 30 * 86_400 })

  it.effect("is taken from the live subscription, which asks for what arrives whatever its date", () => {
    const upstream = relay(profiles(3))
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* live
        upstream.publish(old)
        yield* reached(({ outcomes }) => outcomes.Saved === 4)
      })
    )
  })

  it.effect("while stored events of that subscription are none of its business", () => {
    const list = dmRelaysEvent(["wss://dm.example"], "author 0", now - 3600)
    const upstream = relay([...profiles(3), list])
    let sent = 0
    const counting = twisted(upstream, (message, answer, socket) => {
      const say = socket.say.bind(socket)
      socket.say = (...frames) => {
        sent += frames.filter((frame) => JSON.stringify(frame) === JSON.stringify(["EVENT", "live", list])).length
        say(...frames)
      }
      answer(message)
      socket.say = say
    })
    return harvesting(
      upstream,
      Effect.gen(function*() {
        const { dropped, outcomes } = yield* reached(({ authorsAsked }) => authorsAsked === 3)
        assert.strictEqual(sent, 1)
        // Asked for by author, once.
        assert.deepStrictEqual([outcomes, dropped], [{ Saved: 4 }, 0])
      }),
      { sockets: playing(counting) }
    )
  })

  it.effect("or a little late: looking again goes back by five minutes", () => {
    const upstream = relay(profiles(3))
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* live
        upstream.events.add(profileEvent({}, "straggler", { created_at: now - overlap + 1 }))
        yield* TestClock.adjust(refreshPeriod)
        yield* reached(({ outcomes }) => outcomes.Saved === 4)
      })
    )
  })
})

describe("hazard 10: the largest frame a relay takes", () => {
  it.effect("is never reached by what the harvest says", () => {
    const upstream = relay(profiles(230))
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* reached(({ authorsAsked }) => authorsAsked === 230)
        const { all } = yield* Dials
        const longest = Math.max(...all.flatMap(({ sent }) => sent.map((message) => JSON.stringify(message).length)))
        assert.isBelow(longest, 32_768)
      })
    )
  })
})

describe("fault 38: EOSE before events, two EOSEs, foreign subscriptions", () => {
  it.effect("prove nothing and end nothing, but for the page they name", () => {
    const upstream = relay(profiles(12))
    const confused = twisted(upstream, (message, answer, socket) => {
      if (isPage(message)) socket.say(["EOSE", "page 999"], ["EOSE", "somebody"], ["CLOSED", "page 0", ""])
      answer(message)
      if (isPage(message)) socket.say(["EOSE", message[1]], ["EOSE", message[1]])
    })
    return harvesting(upstream, savesAll(12), { sockets: playing(confused) })
  })

  it.effect("an EOSE says that its page is over: events behind it are dropped and counted", () => {
    const upstream = relay(profiles(4))
    const reversed = twisted(upstream, (message, answer, socket) => {
      if (!isPage(message)) return answer(message)
      socket.say(["EOSE", message[1]])
      for (const event of upstream.events.query(filterOf(message))) socket.say(["EVENT", message[1], event])
    })
    return harvesting(
      upstream,
      Effect.gen(function*() {
        const { dropped, outcomes } = yield* live
        assert.deepStrictEqual(outcomes, {})
        assert.strictEqual(dropped, 4)
      }),
      { sockets: playing(reversed) }
    )
  })
})

describe("fault 40: forged signatures, wrong ids, events outside the filter", () => {
  it.effect("are dropped and counted, and honest events among them are kept", () => {
    const honest = profiles(10)
    const wrongId = { ...profileEvent({}, "wrong id", { created_at: epoch - 3 }), id: "0".repeat(64) }
    const forged = withForgedSignature(profileEvent({}, "forged", { created_at: epoch - 4 }))
    const upstream = relay([...honest, wrongId, forged])
    return harvesting(
      upstream,
      Effect.gen(function*() {
        const { outcomes } = yield* live
        assert.deepStrictEqual(outcomes, { Saved: 10, Invalid: 2 })
        const { events } = yield* Disk
        assert.sameMembers([...events.values()].map(({ id }) => id), honest.map(({ id }) => id))
      })
    )
  })

  it.effect("a forgery does not keep the true event out that has its id", () => {
    const [first, ...others] = profiles(6)
    if (first === undefined) return assert.fail("no profile")
    const upstream = relay([withForgedSignature(first), ...others])
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* live
        upstream.publish(first)
        yield* reached(({ outcomes }) => outcomes.Saved === 6)
      })
    )
  })
})

describe("fault 42: the same events for ever", () => {
  it.effect("a page that does not move is asked for larger, then given up, and what is older is read", () => {
    const tied = Array.from({ length: cutMin }, (_, n) => profileEvent({}, `tied ${n}`, { created_at: epoch }))
    const older = profiles(8).map(({ created_at }, n) => profileEvent({}, `older ${n}`, { created_at: created_at - 1 }))
    const upstream = relay([...tied, ...older], cutMin)
    return harvesting(
      upstream,
      Effect.gen(function*() {
        const { saturated } = yield* savesAll(cutMin + 8)
        assert.strictEqual(saturated, 1)
        const stuck = pagesOf(upstream).filter(({ until }) => until === epoch)
        assert.deepStrictEqual(stuck.map(({ limit }) => limit), [60, 120])
      }),
      { settings: { pageSize: 60 } }
    )
  })
})

describe("fault 44: dates in the far future, or none at all", () => {
  it.effect("are rejected by the window, stored or live, and prove nothing", () => {
    const strange = [0, 1, floor - 1, now + 1000, now + 1_000_000, 4_102_444_800].map((created_at, n) =>
      profileEvent({}, `strange ${n}`, { created_at })
    )
    const upstream = relay([...profiles(7), ...strange])
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* savesAll(7)
        for (const event of strange) upstream.publish(event)
        yield* settle
        assert.strictEqual((yield* Disk).events.size, 7)
        assert.deepStrictEqual((yield* status).covered, wholeWindow)
      })
    )
  })
})

describe("fault 45: storms of NOTICE, AUTH and CLOSED", () => {
  it.effect("are survived by the page that is being read", () => {
    const upstream = relay(profiles(12))
    const stormy = twisted(upstream, (message, answer, socket) => {
      const storm = Array.from({ length: 100 }, (_, n) => [
        ["NOTICE", `notice ${n}`],
        ["AUTH", `challenge ${n}`],
        ["CLOSED", `page ${1000 + n}`, "error: who knows"]
      ]).flat()
      socket.say(...storm)
      answer(message)
      socket.say(...storm)
    })
    return harvesting(upstream, savesAll(12), { sockets: playing(stormy) })
  })

  it.effect("a live subscription that is closed is opened again with the next look", () => {
    const upstream = relay(profiles(2))
    return harvesting(
      upstream,
      Effect.gen(function*() {
        const { all } = yield* Dials
        yield* live
        all[0]?.say(["CLOSED", "live", "error: shutting down idle subscription"])
        yield* settle
        yield* TestClock.adjust(refreshPeriod)
        yield* eventually(() => all[0]?.sent.filter(([type, id]) => type === "REQ" && id === "live").length === 2)
      })
    )
  })
})

describe("whatever the upstream does", () => {
  it.effect("coverage on the disk never speaks of an event that is not there", () => {
    const all = profiles(60, 3)
    const upstream = relay(all)
    let messages = 0
    const flaky = twisted(upstream, (message, answer, socket) => {
      if (!isPage(message)) return answer(message)
      messages++
      if (messages % 3 === 0) {
        for (const event of upstream.events.query(filterOf(message)).slice(0, 2)) {
          socket.say(["EVENT", message[1], event])
        }
        return socket.end(1006)
      }
      answer(message)
    })
    const disk = blank()
    const isSound = (events: ReadonlyArray<Event>, coverage: string) => {
      const intervals = decodeCoverage(coverage) ?? []
      return events.every(({ created_at, id }) =>
        !intervals.some(([from, to]) => created_at >= from && created_at <= to) ||
        [...disk.events.values()].some((event) => event.id === id)
      )
    }
    return harvesting(
      upstream,
      Effect.gen(function*() {
        for (let n = 0; n < 200 && (yield* status).phase !== "live"; n++) {
          yield* settle
          for (const [key, { value }] of disk.records) {
            if (key.startsWith(`${space.name} `)) assert.isTrue(isSound(all, value))
          }
          yield* TestClock.adjust("5 minutes")
        }
        assert.strictEqual((yield* live).outcomes.Saved, 60)
      }),
      { disk, sockets: playing(flaky) }
    )
  })
})
