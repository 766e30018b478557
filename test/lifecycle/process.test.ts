import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { fileURLToPath } from "node:url"
import * as Child from "../support/child.ts"

const fixture = fileURLToPath(new URL("./fixtureProcess.ts", import.meta.url))
const start = (fault: string, options?: Child.Options) => Child.start(fixture, [fault], options)
const ready = (child: Child.Child) => child.line(`"state":"ready"`)

/** Starts it, waits until it is ready, stops it with SIGINT, and tells how it ended. */
const stopped = (fault: string) =>
  Effect.gen(function*() {
    const child = yield* start(fault)
    yield* ready(child)
    yield* child.signal("SIGINT")
    return yield* child.ended
  }).pipe(Effect.scoped)

const inOrder = ["websocket", "aggregation", "database"]

describe("a signal", () => {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    it.live(`${signal} stops in order, with code 0 and a certificate as the last line`, () =>
      Effect.gen(function*() {
        const child = yield* start("none")
        yield* ready(child)
        yield* child.signal(signal)
        const { certificate, code } = yield* child.ended
        assert.strictEqual(code, 0)
        assert.strictEqual(certificate?.cause, signal)
        assert.deepStrictEqual(certificate?.released, inOrder)
        assert.deepStrictEqual([certificate?.forced, certificate?.senders, certificate?.handles], [[], [], []])
        assert.notInclude(Object.values(certificate?.proofs ?? {}), false)
        assert.deepStrictEqual(child.states(), ["starting", "ready", "draining", "releasing", "stopped"])
      }).pipe(Effect.scoped))
  }

  it.live("during start-up interrupts it and releases what was acquired (fault 2)", () =>
    Effect.gen(function*() {
      const child = yield* start("slow start")
      yield* child.line(`"state":"starting"`)
      yield* child.signal("SIGTERM")
      const { certificate, code, millis } = yield* child.ended
      assert.strictEqual(code, 0)
      assert.isBelow(millis, 8000)
      assert.deepStrictEqual(certificate?.proofs.order, true)
      assert.notInclude(child.states(), "ready")
    }).pipe(Effect.scoped))

  it.live("repeated 200 times within the debounce is one stop (fault 7)", () =>
    Effect.gen(function*() {
      const child = yield* start("none")
      yield* ready(child)
      for (let i = 0; i < 200; i++) yield* child.signal(i % 2 === 0 ? "SIGINT" : "SIGTERM")
      const { certificate, code } = yield* child.ended
      assert.deepStrictEqual([code, certificate?.forced], [0, []])
      // Two that are pending at the same moment come in any order.
      assert.include(["SIGINT", "SIGTERM"], certificate?.cause)
    }).pipe(Effect.scoped))

  for (const [millis, expected] of [[0, 0], [100, 0], [300, 75], [1000, 75]] as const) {
    it.live(`that comes second after ${millis} ms ${expected === 0 ? "is the same one" : "cuts the drain"} (fault 5)`, () =>
      Effect.gen(function*() {
        const child = yield* start("short drain")
        yield* ready(child)
        yield* child.signal("SIGINT")
        yield* child.line(`"state":"draining"`)
        yield* Effect.sleep(millis)
        yield* child.signal("SIGTERM")
        const { certificate, code } = yield* child.ended
        assert.deepStrictEqual([code, certificate?.forced], [expected, expected === 0 ? [] : ["drain"]])
        assert.deepStrictEqual(certificate?.released, inOrder)
      }).pipe(Effect.scoped))
  }

  it.live("that comes until the very end does not change how it ended (fault 9)", () =>
    Effect.gen(function*() {
      const child = yield* start("none")
      yield* ready(child)
      yield* Effect.forever(Effect.delay(child.signal("SIGTERM"), 1)).pipe(Effect.forkScoped)
      const { certificate, code, signal } = yield* child.ended
      assert.deepStrictEqual([code, signal, certificate?.code], [0, null, 0])
    }).pipe(Effect.scoped))

  it.live("that comes second, whichever it is, cuts the drain short: 75 (fault 8)", () =>
    Effect.gen(function*() {
      const child = yield* start("slow drain")
      yield* ready(child)
      yield* child.signal("SIGINT")
      yield* child.line(`"state":"draining"`)
      yield* Effect.sleep(300) // the debounce is real time
      yield* child.signal("SIGHUP")
      const { certificate, code, millis } = yield* child.ended
      assert.deepStrictEqual([code, certificate?.forced], [75, ["drain"]])
      assert.isBelow(millis, 4000, "not the budget")
      assert.deepStrictEqual(certificate?.released, inOrder)
    }).pipe(Effect.scoped))

  it.live("that comes third ends the process at once, with a report and 128 + its number (fault 6)", () =>
    Effect.gen(function*() {
      const child = yield* start("unbounded finalizer")
      yield* ready(child)
      yield* child.signal("SIGINT")
      yield* child.line(`"state":"draining"`)
      yield* Effect.sleep(300)
      yield* child.signal("SIGINT")
      yield* Effect.sleep(300)
      const before = performance.now()
      yield* child.signal("SIGTERM")
      const { certificate, code } = yield* child.ended
      assert.strictEqual(code, 143)
      assert.isBelow(performance.now() - before, 1000)
      assert.deepStrictEqual(certificate?.forced, ["third signal (SIGTERM)"])
      assert.deepStrictEqual(certificate?.released, ["websocket"])
    }).pipe(Effect.scoped))

  it.live("SIGUSR2 prints who holds what and changes nothing (fault 10)", () =>
    Effect.gen(function*() {
      const child = yield* start("none")
      yield* ready(child)
      yield* child.signal("SIGUSR2")
      const { report } = JSON.parse(yield* child.line(`{"report"`))
      assert.strictEqual(report.state, "ready")
      assert.deepStrictEqual(
        report.components,
        inOrder.toReversed().map((name) => ({ name, state: "open" }))
      )
      assert.deepStrictEqual(report.senders.map((sender: { label: string }) => sender.label), [
        "database (owner)",
        "aggregation/scoped"
      ])
      yield* child.signal("SIGINT")
      assert.strictEqual((yield* child.ended).code, 0)
    }).pipe(Effect.scoped))

  it.live("SIGUSR1 opens no debugger (fault 11)", () =>
    Effect.gen(function*() {
      const child = yield* start("none")
      yield* ready(child)
      yield* child.signal("SIGUSR1")
      yield* child.signal("SIGUSR2")
      yield* child.line(`{"report"`)
      yield* child.signal("SIGINT")
      assert.strictEqual((yield* child.ended).code, 0)
      assert.deepStrictEqual(child.stderr, [])
    }).pipe(Effect.scoped))
})

describe.concurrent("a fault", () => {
  it.live("a leaked sender is named with its call site: 70", () =>
    Effect.gen(function*() {
      const { certificate, code } = yield* stopped("leaked sender")
      assert.strictEqual(code, 70)
      assert.deepStrictEqual(certificate?.proofs.zeroSenders, false)
      const [sender] = certificate?.senders ?? []
      assert.deepStrictEqual([sender?.mailbox, sender?.label], ["database", "aggregation/leaky"])
      assert.match(sender?.site.join(" ") ?? "", /Leaky\.start @ fixtureProcess\.ts:\d+/)
      assert.match(sender?.since ?? "", /^\d{4}-\d\d-\d\dT/)
      assert.deepStrictEqual(certificate?.released, inOrder, "everything is released all the same")
    }))

  it.live("a component that dies stops the service in order: 1 (fault 74)", () =>
    Effect.gen(function*() {
      const child = yield* start("component dies")
      const { certificate, code } = yield* child.ended
      assert.deepStrictEqual([code, certificate?.cause], [1, "component failed: a bug"])
      assert.deepStrictEqual(certificate?.released, inOrder)
    }).pipe(Effect.scoped))

  it.live("a component that fails to start leaves nothing behind and says why", () =>
    Effect.gen(function*() {
      const child = yield* start("fails to start")
      const { certificate, code } = yield* child.ended
      assert.deepStrictEqual([code, certificate?.cause], [74, "start failed: no such disk"])
      assert.deepStrictEqual(certificate?.released, ["database"])
      assert.isTrue(certificate?.proofs.order)
    }).pipe(Effect.scoped))

  for (const fault of ["stray rejection", "stray exception"]) {
    it.live(`a ${fault} stops the service in order: 70 (fault 75)`, () =>
      Effect.gen(function*() {
        const child = yield* start(fault)
        const { certificate, code } = yield* child.ended
        assert.strictEqual(code, 70)
        assert.include(certificate?.cause, fault)
        assert.deepStrictEqual(certificate?.released, inOrder)
      }).pipe(Effect.scoped))
  }

  it.live("a finalizer that dies does not keep the others from running: 70 (fault 76)", () =>
    Effect.gen(function*() {
      const { certificate, code } = yield* stopped("finalizer dies")
      assert.deepStrictEqual([code, certificate?.failures], [70, ["finalizer defect: broken finalizer"]])
      assert.deepStrictEqual(certificate?.released, inOrder)
    }))

  it.live("a finalizer that hangs, even uninterruptibly, costs its budget: 75 (fault 76)", () =>
    Effect.gen(function*() {
      const { certificate, code } = yield* stopped("finalizer hangs")
      assert.deepStrictEqual([code, certificate?.forced], [75, ["worker stop"]])
      assert.deepStrictEqual(certificate?.released, inOrder)
    }))

  it.live("a batch that never ends costs the drain budget: 75", () =>
    Effect.gen(function*() {
      const { certificate, code } = yield* stopped("stuck batch")
      assert.deepStrictEqual([code, certificate?.forced], [75, ["ingester drain"]])
    }))

  it.live("a handle that is left open is named: 70", () =>
    Effect.gen(function*() {
      const { certificate, code } = yield* stopped("leaked timer")
      assert.deepStrictEqual([code, certificate?.handles], [70, ["Timeout"]])
      assert.isFalse(certificate?.proofs.noHandles)
    }))

  it.live("an unbounded wait is ended by the hard deadline: 75", () =>
    Effect.gen(function*() {
      const { certificate, code } = yield* stopped("unbounded finalizer")
      assert.deepStrictEqual([code, certificate?.forced], [75, ["hard deadline"]])
    }), 20_000)

  it.live("so is one after a component that died, without any signal: 75", () =>
    Effect.gen(function*() {
      const child = yield* start("component dies for ever")
      const { certificate, code } = yield* child.ended
      assert.deepStrictEqual([code, certificate?.forced], [75, ["hard deadline"]])
      assert.strictEqual(certificate?.cause, "component failed: a bug")
    }).pipe(Effect.scoped), 20_000)

  it.live("a stalled event loop is reported, and killed in the end: 137 (fault 77)", () =>
    Effect.gen(function*() {
      const child = yield* start("stalled loop", { env: { WATCHDOG_KILL_SECS: "6" } })
      const { signal } = yield* child.ended
      assert.strictEqual(signal, "SIGKILL")
      assert.match(child.stderr.join("\n"), /event loop stalled.*\n.*killing the process/)
    }).pipe(Effect.scoped), 20_000)

  it.live(
    "a command that has to be forced keeps its certificate off stdout, which is data",
    () =>
      Effect.gen(function*() {
        const child = yield* start("forced command")
        assert.strictEqual((yield* child.ended).code, 143)
        assert.notMatch(child.stdout.join("\n"), /lifecycle|stopped/u)
        assert.match(child.stderr.join("\n"), /^\{"stopped":\{"code":143.*third signal/mu)
      }).pipe(Effect.scoped),
    20_000
  )

  it.live("a command that is late on a busy machine says nothing of it", () =>
    Effect.gen(function*() {
      const child = yield* start("late command")
      assert.strictEqual((yield* child.ended).code, 0)
      assert.deepStrictEqual(child.stderr, [])
    }).pipe(Effect.scoped), 20_000)

  it.live(
    "a process that was stopped and continued is not called stalled, and stops in order (fault 12)",
    () =>
      Effect.gen(function*() {
        // Less than it is stopped for, and more than a start takes on a busy machine.
        const child = yield* start("none", { env: { WATCHDOG_KILL_SECS: "4" } })
        yield* ready(child)
        yield* child.signal("SIGSTOP")
        yield* Effect.sleep("5 seconds")
        yield* child.signal("SIGCONT")
        yield* child.signal("SIGTERM")
        assert.strictEqual((yield* child.ended).code, 0)
        assert.deepStrictEqual(child.stderr, [])
      }).pipe(Effect.scoped),
    20_000
  )

  it.live("a log reader that stalls, 3 MB behind, does not delay the stop (fault 79)", () =>
    Effect.gen(function*() {
      const child = yield* start("chatty", { stdout: "stall" })
      yield* Effect.sleep("2 seconds") // nobody reads, so there is no line to wait for
      yield* child.signal("SIGTERM")
      const { code, millis } = yield* child.ended
      assert.strictEqual(code, 0)
      assert.isBelow(millis, 8000)
    }).pipe(Effect.scoped), 20_000)

  it.live("a log reader that goes away does not end the service (fault 79)", () =>
    Effect.gen(function*() {
      const child = yield* start("none")
      yield* ready(child)
      yield* child.closeStdout
      yield* child.signal("SIGUSR2") // writes to the closed pipe
      yield* Effect.sleep(300)
      yield* child.signal("SIGTERM")
      const { code, signal } = yield* child.ended
      assert.deepStrictEqual([code, signal], [0, null])
    }).pipe(Effect.scoped))
})
