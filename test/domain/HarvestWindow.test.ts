import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import {
  advance,
  cover,
  type Coverage,
  cutMin,
  decodeCoverage,
  encodeCoverage,
  gaps,
  type Interval,
  intervalsMax,
  limitMax,
  type Page,
  type Walk,
  walk
} from "../../src/domain/HarvestWindow.ts"

const between = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

const intervalArbitrary: Arbitrary.Arbitrary<Interval> = Arbitrary.map(
  Arbitrary.all([between(0, 40), between(0, 8)]),
  ([from, length]) => [from, from + length]
)

/** The slow, obvious oracle: every second by itself. */
const secondsOf = (intervals: ReadonlyArray<Interval>): ReadonlySet<number> => {
  const seconds = new Set<number>()
  for (const [from, to] of intervals) for (let at = from; at <= to; at++) seconds.add(at)
  return seconds
}
const sorted = (seconds: Iterable<number>) => [...seconds].toSorted((a, b) => a - b)

const isTidy = (coverage: ReadonlyArray<Interval>, apart: number) =>
  coverage.every(([from, to], i) => {
    const older = coverage[i + 1]
    return from <= to && (older === undefined || older[1] + apart < from)
  })

describe("cover", () => {
  it("joins what touches or overlaps, and keeps what lies apart, newest first", () => {
    assert.deepStrictEqual(cover([], [5, 9]), [[5, 9]])
    assert.deepStrictEqual(cover([[5, 9]], [10, 12]), [[5, 12]])
    assert.deepStrictEqual(cover([[5, 9]], [11, 12]), [[11, 12], [5, 9]])
    assert.deepStrictEqual(cover([[11, 12], [5, 9]], [10, 10]), [[5, 12]])
    assert.deepStrictEqual(cover([[5, 9]], [1, 3]), [[5, 9], [1, 3]])
  })

  it("takes an interval that ends before it starts for nothing", () => {
    assert.deepStrictEqual(cover([[5, 9]], [4, 3]), [[5, 9]])
  })

  it.effect.prop(
    "holds exactly the seconds it was given, in ranges that lie apart",
    { intervals: Arbitrary.array(intervalArbitrary, { maxLength: 12 }) },
    ({ intervals }) =>
      Effect.sync(() => {
        const coverage = intervals.reduce<Coverage>(cover, [])
        assert.deepStrictEqual(sorted(secondsOf(coverage)), sorted(secondsOf(intervals)))
        assert.isTrue(isTidy(coverage, 1), JSON.stringify(coverage))
      }),
    { arbitrary: { runs: 300 } }
  )
})

describe("gaps", () => {
  it("is the whole window where nothing is covered, and nothing where all is", () => {
    assert.deepStrictEqual(gaps([], [10, 20]), [[10, 20]])
    assert.deepStrictEqual(gaps([[10, 20]], [10, 20]), [])
    assert.deepStrictEqual(gaps([[9, 21]], [10, 20]), [])
    assert.deepStrictEqual(gaps([[11, 19]], [10, 20]), [[20, 20], [10, 10]])
  })

  it.effect.prop(
    "is exactly what the coverage lacks of the window, newest first",
    { intervals: Arbitrary.array(intervalArbitrary, { maxLength: 8 }), window: intervalArbitrary },
    ({ intervals, window }) =>
      Effect.sync(() => {
        const coverage = intervals.reduce<Coverage>(cover, [])
        const covered = secondsOf(coverage)
        const missing = gaps(coverage, window)
        assert.deepStrictEqual(sorted(secondsOf(missing)), sorted(secondsOf([window])).filter((at) => !covered.has(at)))
        assert.isTrue(isTidy(missing, 0), JSON.stringify(missing))
        assert.deepStrictEqual(gaps(missing.reduce(cover, coverage), window), [])
      }),
    { arbitrary: { runs: 300 } }
  )
})

describe("coverage as JSON", () => {
  it.effect.prop(
    "comes back as it went",
    { intervals: Arbitrary.array(intervalArbitrary, { maxLength: 8 }) },
    ({ intervals }) =>
      Effect.sync(() => {
        const coverage = intervals.reduce<Coverage>(cover, [])
        assert.deepStrictEqual(decodeCoverage(encodeCoverage(coverage)), coverage)
      })
  )

  it("is bounded: the oldest ranges are forgotten first", () => {
    const ranges = Array.from({ length: intervalsMax + 1 }, (_, i): Interval => [i * 10, i * 10])
    const kept = decodeCoverage(encodeCoverage(ranges.reduce<Coverage>(cover, [])))
    assert.strictEqual(kept?.length, intervalsMax)
    assert.deepStrictEqual(kept?.[0], [intervalsMax * 10, intervalsMax * 10])
    assert.deepStrictEqual(kept?.at(-1), [10, 10])
  })

  it.each([
    "",
    "{",
    "null",
    "[]",
    "{}",
    "{\"version\":2,\"intervals\":[]}",
    "{\"version\":1}",
    "{\"version\":1,\"intervals\":[[2,1]]}",
    "{\"version\":1,\"intervals\":[[1]]}",
    "{\"version\":1,\"intervals\":[[1,\"2\"]]}",
    "{\"version\":1,\"intervals\":[[1,2.5]]}"
  ])("refuses %s", (text) => {
    assert.isUndefined(decodeCoverage(text))
  })
})

const event = (created_at: number, n = 0) => ({ id: `${created_at}/${n}`, created_at })
const page = (...events: Page["events"]): Page => ({ events, finished: false })

const tied = (count: number) => page(...Array.from({ length: count }, (_, n) => event(90, n)))

describe("advance", () => {
  const at = walk([10, 100], 5)

  it("closes the gap at an empty page, and at nothing less", () => {
    assert.deepStrictEqual(advance(at, page(), 5), { covered: [10, 100], next: [], saturated: undefined })
    assert.isNotEmpty(advance(at, page(event(10)), 5).next)
  })

  it("closes the gap at the hint that nothing was left out (NIP-67)", () => {
    const step = advance(at, { events: [event(90)], finished: true }, 5)
    assert.deepStrictEqual(step, { covered: [10, 100], next: [], saturated: undefined })
  })

  it("covers what is newer than the oldest event, and asks for that second again", () => {
    const step = advance(at, page(event(95), event(90, 1), event(90, 2)), 5)
    assert.deepStrictEqual(step.covered, [91, 100])
    assert.strictEqual(step.next[0]?.until, 90)
    assert.strictEqual(step.next[0]?.since, 10)
    assert.deepStrictEqual(step.next[0]?.seen, new Set(["90/1", "90/2"]))
  })

  it("steps below a second that a shorter page than usual has shown whole", () => {
    const walking: Walk = { ...at, until: 90, capacity: 5 }
    const step = advance(walking, page(event(90, 1), event(90, 2)), 5)
    assert.deepStrictEqual(step.covered, [90, 90])
    assert.strictEqual(step.next[0]?.until, 89)
    assert.isUndefined(step.saturated)
  })

  it("ends below a second that was the last of the gap", () => {
    const step = advance({ ...at, until: 10, capacity: 5 }, page(event(10)), 5)
    assert.deepStrictEqual(step, { covered: [10, 10], next: [], saturated: undefined })
  })

  it("asks for a larger page when one second fills it, remembering what it has seen", () => {
    const step = advance({ ...at, until: 90, capacity: 5 }, tied(5), 5)
    assert.deepStrictEqual(step.covered, [91, 90])
    assert.strictEqual(step.next[0]?.until, 90)
    assert.strictEqual(step.next[0]?.limit, 10)
    assert.strictEqual(step.next[0]?.seen.size, 5)
    assert.isUndefined(step.saturated)
  })

  it("gives a second up, and says so, when the upstream hands out no more of it", () => {
    const cut = advance({ ...at, until: 90, limit: cutMin * 2, capacity: cutMin }, tied(cutMin), 5)
    assert.strictEqual(cut.saturated, 90)
    assert.strictEqual(cut.next[0]?.until, 89)
    const largest = advance({ ...at, until: 90, limit: limitMax, capacity: 5 }, tied(limitMax), 5)
    assert.strictEqual(largest.saturated, 90)
  })

  it("takes a page shorter than any relay cuts for whole", () => {
    const step = advance({ ...at, until: 90, limit: cutMin * 2, capacity: 0 }, tied(cutMin - 1), 5)
    assert.isUndefined(step.saturated)
    assert.strictEqual(step.next[0]?.until, 89)
  })
})

/** Which events an upstream hands out, cut at `cut`, and in which order. */
const answers: Readonly<Record<string, (events: Page["events"], most: number) => Page["events"]>> = {
  "as NIP-01 asks, newest first": (events, most) => newestFirst(events).slice(0, most),
  "the oldest, oldest first": (events, most) => newestFirst(events).toReversed().slice(0, most),
  "the newest, oldest first": (events, most) => newestFirst(events).slice(0, most).toReversed(),
  "the newest, in no order": (events, most) => jumbled(newestFirst(events).slice(0, most))
}

const newestFirst = (events: Page["events"]) => events.toSorted((a, b) => b.created_at - a.created_at)
const jumbled = (events: Page["events"]) => events.toSorted((a, b) => (a.created_at * 7) % 13 - (b.created_at * 7) % 13)

describe("a walk", () => {
  for (const [order, answer] of Object.entries(answers)) {
    it.effect.prop(
      `brings every event of the window, covers all of it, and ends, where they come ${order}`,
      {
        times: Arbitrary.array(between(0, 12), { maxLength: 40 }),
        window: Arbitrary.map(Arbitrary.all([between(0, 12), between(0, 12)]), (ends): Interval => [
          Math.min(...ends),
          Math.max(...ends)
        ]),
        pageSize: between(1, 7),
        cut: between(40, 60)
      },
      ({ times, window, pageSize, cut }) =>
        Effect.sync(() => {
          const events = times.map((created_at, n) => event(created_at, n))
          const brought: Array<string> = []
          let coverage: Coverage = []
          const walks = [walk(window, pageSize)]
          let pages = 0
          for (let at = walks.pop(); at !== undefined; at = walks.pop()) {
            const { limit, seen, since, until } = at
            assert.isBelow(++pages, 300)
            const inside = events.filter(({ created_at }) => created_at >= since && created_at <= until)
            const found: Page = { events: answer(inside, Math.min(limit, cut)), finished: false }
            brought.push(...found.events.map(({ id }) => id).filter((id) => !seen.has(id)))
            const step = advance(at, found, pageSize)
            assert.isUndefined(step.saturated)
            coverage = cover(coverage, step.covered)
            walks.push(...step.next.toReversed())
            // Whatever has been claimed so far has been brought: a crash here loses nothing.
            for (const { created_at, id } of events) {
              if (coverage.some(([from, to]) => created_at >= from && created_at <= to)) assert.include(brought, id)
            }
          }
          const wanted = events.filter(({ created_at }) => created_at >= window[0] && created_at <= window[1])
          assert.deepStrictEqual([...new Set(brought)].toSorted(), wanted.map(({ id }) => id).toSorted())
          assert.deepStrictEqual(coverage, [window])
          if (order.startsWith("as NIP-01")) assert.strictEqual(new Set(brought).size, brought.length)
        }),
      { arbitrary: { runs: 300 } }
    )
  }
})
