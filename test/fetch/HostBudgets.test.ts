import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import { type Overrides, Settings } from "../../src/config/Settings.ts"
import {
  HostBudgets,
  layer as hostBudgetsLayer,
  layerWith as hostBudgetsLayerWith,
  type Options,
  type Reservation
} from "../../src/fetch/HostBudgets.ts"

const perMinuteOf = (host: string) => host === "i.imgur.com" ? 8 : 30

const test = (
  name: string,
  options: Partial<Options>,
  effect: Effect.Effect<void, unknown, HostBudgets | Scope.Scope>
) => it.effect(name, () => Effect.provide(effect, hostBudgetsLayerWith({ perMinuteOf, ...options })))

const reserve = (host: string, waitMillis?: number) =>
  Effect.flatMap(HostBudgets, (budgets) => budgets.reserve(host, waitMillis))

/** A reservation that is given back at once: `ok`, or why there was none. */
const ask = (host: string, waitMillis?: number) =>
  reserve(host, waitMillis).pipe(
    Effect.match({ onFailure: ({ reason, retryAfter }) => `${reason} ${retryAfter}`, onSuccess: () => "ok" }),
    Effect.scoped
  )

/** A reservation that is told what the host said. */
const tell = (host: string, what: (reservation: Reservation) => Effect.Effect<unknown>) =>
  Effect.scoped(Effect.flatMap(reserve(host), what))

const view = (host: string) =>
  Effect.flatMap(
    HostBudgets,
    (budgets) => Effect.map(budgets.hosts, (hosts) => hosts.find((view) => view.host === host))
  )

const times = <A, E, R>(n: number, effect: Effect.Effect<A, E, R>) =>
  Effect.forEach(Array.from({ length: n }), () => effect)

const later = (host: string, atLeast: number) => Effect.flatMap(HostBudgets, (budgets) => budgets.later(host, atLeast))

describe("HostBudgets: pace", () => {
  test(
    "lets thirty requests go at once, and one every two seconds after that",
    {},
    Effect.gen(function*() {
      assert.deepStrictEqual([...new Set(yield* times(30, ask("a.example", 0)))], ["ok"])
      assert.strictEqual(yield* ask("a.example", 0), "rate 2000")
      yield* TestClock.adjust(1999)
      assert.strictEqual(yield* ask("a.example", 0), "rate 1")
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* ask("a.example", 0), "ok")
      assert.strictEqual(yield* ask("b.example", 0), "ok")
    })
  )

  test(
    "asks i.imgur.com eight times a minute",
    {},
    Effect.gen(function*() {
      assert.deepStrictEqual([...new Set(yield* times(8, ask("i.imgur.com", 0)))], ["ok"])
      assert.strictEqual(yield* ask("i.imgur.com", 0), "rate 7500")
    })
  )

  test(
    "saves up no more than a minute's worth",
    {},
    Effect.gen(function*() {
      yield* ask("a.example")
      yield* TestClock.adjust("1 day")
      yield* times(30, ask("a.example", 0))
      assert.strictEqual(yield* ask("a.example", 0), "rate 2000")
    })
  )

  test(
    "gives everybody who waits a turn of their own, in the order of asking",
    {},
    Effect.gen(function*() {
      yield* times(30, ask("a.example"))
      const done: Array<number> = []
      const waiting = yield* Effect.forEach(
        [0, 1],
        (i) =>
          Effect.forkScoped(Effect.tap(ask("a.example"), () => Effect.sync(() => done.push(i))), {
            startImmediately: true
          })
      )
      // The third would have to wait for six seconds, and a reservation waits for five.
      assert.strictEqual(yield* ask("a.example"), "rate 6000")
      yield* TestClock.adjust(1999)
      assert.deepStrictEqual(done, [])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(done, [0])
      yield* TestClock.adjust(2000)
      assert.deepStrictEqual(done, [0, 1])
      yield* Fiber.joinAll(waiting)
    })
  )

  test(
    "gives a turn back when its waiter is interrupted",
    {},
    Effect.gen(function*() {
      yield* times(30, ask("a.example"))
      const waiting = yield* Effect.forkScoped(ask("a.example"), { startImmediately: true })
      assert.strictEqual(yield* ask("a.example", 0), "rate 4000")
      yield* Fiber.interrupt(waiting)
      assert.strictEqual(yield* ask("a.example", 0), "rate 2000")
    })
  )
})

describe("HostBudgets: whoever comes back later", () => {
  test(
    "is told a time of their own, as far from the next as the host's pace has it",
    {},
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* times(3, later("i.imgur.com", 1000)), [1000, 8500, 16_000])
      assert.deepStrictEqual(yield* times(3, later("a.example", 1000)), [1000, 3000, 5000])
      yield* TestClock.adjust(5000)
      assert.strictEqual(yield* later("a.example", 1000), 2000)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* later("a.example", 1000), 1000)
      assert.strictEqual(yield* ask("a.example", 0), "ok", "nothing was reserved")
    })
  )

  test(
    "is told no time at which the host could not be asked, and those of a host that asked for a pause are further apart",
    {},
    Effect.gen(function*() {
      yield* times(30, ask("a.example", 0))
      assert.strictEqual(yield* later("a.example", 0), 2000)
      yield* tell("b.example", ({ refused }) => refused(60_000))
      assert.deepStrictEqual(yield* times(2, later("b.example", 1000)), [60_000, 64_000])
    })
  )
})

describe("HostBudgets: places", () => {
  test(
    "keeps two requests to one host under way, and the third waits for a place",
    {},
    Effect.gen(function*() {
      const first = yield* Scope.make()
      yield* Scope.provide(reserve("a.example"), first)
      yield* reserve("a.example")
      const third = yield* Effect.forkScoped(ask("a.example"), { startImmediately: true })
      assert.strictEqual((yield* view("a.example"))?.inFlight, 2)
      assert.strictEqual(yield* ask("b.example"), "ok")
      assert.isUndefined(third.pollUnsafe())
      yield* Scope.close(first, Exit.void)
      assert.strictEqual(yield* Fiber.join(third), "ok")
      assert.strictEqual((yield* view("a.example"))?.inFlight, 1)
    })
  )

  test(
    "waits no longer than it may",
    {},
    Effect.gen(function*() {
      yield* times(2, reserve("a.example"))
      const third = yield* Effect.forkScoped(ask("a.example"), { startImmediately: true })
      yield* TestClock.adjust(4999)
      assert.isUndefined(third.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* Fiber.join(third), "busy 5000")
      // Nobody's turn was spent for it.
      assert.strictEqual((yield* view("a.example"))?.inFlight, 2)
    })
  )

  test(
    "bounds the requests to all hosts together",
    { concurrencyTotal: 3 },
    Effect.gen(function*() {
      yield* reserve("a.example")
      yield* reserve("b.example")
      const third = yield* Scope.make()
      yield* Scope.provide(reserve("c.example"), third)
      const fourth = yield* Effect.forkScoped(ask("d.example"), { startImmediately: true })
      assert.isUndefined(fourth.pollUnsafe())
      yield* Scope.close(third, Exit.void)
      assert.strictEqual(yield* Fiber.join(fourth), "ok")
    })
  )
})

describe("HostBudgets: pauses", () => {
  test(
    "leaves a host alone for as long as it asks, and no longer",
    {},
    Effect.gen(function*() {
      yield* tell("a.example", ({ refused }) => refused(60_000))
      yield* TestClock.adjust(59_999)
      assert.strictEqual(yield* ask("a.example", 0), "paused 1")
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* ask("a.example", 0), "ok")
      // No burst follows the pause: thirty a minute have become fifteen.
      assert.strictEqual(yield* ask("a.example", 0), "rate 4000")
    })
  )

  test(
    "caps a pause of ten years at a day",
    {},
    Effect.gen(function*() {
      yield* tell(
        "a.example",
        ({ refused }) => Effect.map(refused(315_360_000_000), (pause) => assert.strictEqual(pause, 86_400_000))
      )
      assert.strictEqual(yield* ask("a.example"), "paused 86400000")
    })
  )

  test(
    "doubles its own pause with each refusal in a row, up to eight minutes",
    {},
    Effect.gen(function*() {
      const pauses: Array<number> = []
      for (let i = 0; i < 6; i++) {
        yield* tell("a.example", ({ refused }) => Effect.map(refused(undefined), (pause) => pauses.push(pause)))
        yield* TestClock.adjust(Math.min(pauses.at(-1) ?? 0, 300_000))
        if ((pauses.at(-1) ?? 0) > 300_000) break
      }
      assert.deepStrictEqual(pauses, [30_000, 60_000, 120_000, 240_000, 480_000])
    })
  )

  test(
    "starts over when the last refusal is more than five minutes ago",
    {},
    Effect.gen(function*() {
      const refuse = tell("a.example", ({ refused }) => refused(undefined))
      yield* refuse
      yield* TestClock.adjust(30_000)
      yield* refuse
      yield* TestClock.adjust(300_001)
      yield* tell(
        "a.example",
        ({ refused }) => Effect.map(refused(undefined), (pause) => assert.strictEqual(pause, 30_000))
      )
    })
  )

  test(
    "takes a pause of zero for none that was named",
    {},
    tell("a.example", ({ refused }) => Effect.map(refused(0), (pause) => assert.strictEqual(pause, 30_000)))
  )

  test(
    "halves the rate with each refusal, and gives one per minute back with each success",
    {},
    Effect.gen(function*() {
      yield* tell("a.example", ({ refused }) => refused(1000))
      assert.strictEqual((yield* view("a.example"))?.perMinute, 15)
      for (let i = 0; i < 14; i++) {
        yield* TestClock.adjust("1 minute")
        yield* tell("a.example", ({ succeeded }) => succeeded)
      }
      assert.strictEqual((yield* view("a.example"))?.perMinute, 29)
      yield* times(2, tell("a.example", ({ succeeded }) => succeeded))
      assert.strictEqual((yield* view("a.example"))?.perMinute, 30)
    })
  )

  test(
    "never asks less than once a minute, whatever happened",
    {},
    Effect.gen(function*() {
      for (let i = 0; i < 12; i++) {
        yield* TestClock.adjust("10 minutes")
        yield* tell("a.example", ({ refused }) => refused(1000))
      }
      assert.strictEqual((yield* view("a.example"))?.perMinute, 1)
    })
  )

  test(
    "refuses who waits for a place while the host asks for a pause",
    {},
    Effect.gen(function*() {
      const first = yield* Scope.make()
      const { refused } = yield* Scope.provide(reserve("a.example"), first)
      yield* reserve("a.example")
      const third = yield* Effect.forkScoped(ask("a.example"), { startImmediately: true })
      yield* refused(120_000)
      yield* Scope.close(first, Exit.void)
      assert.strictEqual(yield* Fiber.join(third), "paused 120000")
    })
  )
})

describe("HostBudgets: memory", () => {
  test(
    "forgets the host that was asked longest ago",
    { hostsMax: 3 },
    Effect.gen(function*() {
      for (const host of ["a", "b", "c", "a", "d"]) yield* ask(host)
      const hosts = yield* Effect.flatMap(HostBudgets, (budgets) => budgets.hosts)
      assert.deepStrictEqual(hosts.map(({ host }) => host), ["c", "a", "d"])
    })
  )

  test(
    "forgets a host that is left alone after all others",
    { hostsMax: 3 },
    Effect.gen(function*() {
      yield* tell("paused", ({ refused }) => refused(undefined))
      for (const host of ["a", "b", "c", "d", "e"]) yield* ask(host)
      assert.strictEqual(yield* ask("paused", 0), "paused 30000")
    })
  )

  test(
    "forgets no host with a request under way",
    { hostsMax: 2 },
    Effect.gen(function*() {
      yield* reserve("busy")
      for (const host of ["a", "b", "c", "d"]) yield* ask(host)
      assert.strictEqual((yield* view("busy"))?.inFlight, 1)
      assert.strictEqual((yield* Effect.flatMap(HostBudgets, (budgets) => budgets.hosts)).length, 2)
    })
  )

  test(
    "takes a host for what it is called, even when objects have a property of that name",
    {},
    Effect.gen(function*() {
      assert.strictEqual(yield* ask("constructor", 0), "ok")
      assert.strictEqual(yield* ask("__proto__", 0), "ok")
      assert.strictEqual((yield* view("constructor"))?.perMinute, 30)
    })
  )
})

const paces = (settings: Overrides, hosts: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const budgets = yield* HostBudgets
    for (const host of hosts) yield* Effect.scoped(budgets.reserve(host))
    return (yield* budgets.hosts).map(({ host, perMinute }) => [host, perMinute])
  }).pipe(Effect.provide(hostBudgetsLayer.pipe(Layer.provide(Settings.layerTest(settings)))))

describe("HostBudgets as it is set", () => {
  it.effect("has the pace of the settings, by host and for all others", () =>
    Effect.gen(function*() {
      const hosts = ["a.example", "i.imgur.com"]
      assert.deepStrictEqual(yield* paces({}, hosts), [["a.example", 30], ["i.imgur.com", 8]])
      const settings = { hostPerMinute: 5, hostQuotas: [{ host: "a.example", perMinute: 100 }] }
      assert.deepStrictEqual(yield* paces(settings, hosts), [["a.example", 100], ["i.imgur.com", 5]])
      assert.deepStrictEqual(Settings.defaults.hostQuotas, [{ host: "i.imgur.com", perMinute: 8 }])
    }))
})
