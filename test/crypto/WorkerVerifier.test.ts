/** One suite for every way to run the verifier, and what it does when threads fail or the service stops. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Deferred, Effect, Exit, Fiber, Layer, Metric, Option, Redacted, Runtime, Scope } from "effect"
import { TestClock } from "effect/testing"
import { Settings } from "../../src/config/Settings.ts"
import { CryptoError, type Verification, Verifier } from "../../src/crypto/Verifier.ts"
import * as WorkerVerifier from "../../src/crypto/WorkerVerifier.ts"
import type { Event } from "../../src/domain/Event.ts"
import { MailboxClosed } from "../../src/lifecycle/Mailbox.ts"
import { Shutdown } from "../../src/lifecycle/Shutdown.ts"
import { Supervisor } from "../../src/lifecycle/Supervisor.ts"
import { cryptoThreadsReplaced } from "../../src/observability/Metrics.ts"
import { signed, withEditedContent, withForgedSignature, withWrongId } from "../support/events.ts"
import * as FakeThreads from "./FakeThreads.ts"

const Lifecycle = Supervisor.layer.pipe(Layer.provideMerge(Shutdown.layerTest))
const relayKey = { relaySecretKey: Option.some(Redacted.make("5a".padStart(64, "3"))) }
type Services = Verifier | Shutdown | Supervisor

const complete = (layer: typeof WorkerVerifier.layer) =>
  layer.pipe(Layer.provide(Settings.layerTest(relayKey)), Layer.provideMerge(Lifecycle))

/** Many events of several kinds, and what the verifier has to say about each. */
const mixed = (count: number): ReadonlyArray<readonly [Event, Verification]> =>
  Array.from({ length: count }, (_, i): readonly [Event, Verification] => {
    const event = signed({ content: `note ${i}` }, `author ${i % 7}`)
    switch (i % 5) {
      case 1:
        return [withWrongId(event), "InvalidId"]
      case 2:
        return [withForgedSignature(event), "InvalidSignature"]
      case 3:
        return [withEditedContent(event), "InvalidId"]
      default:
        return [event, "Valid"]
    }
  })

const suite = (name: string, layer: typeof WorkerVerifier.layer) => {
  const run = <A, E>(body: Effect.Effect<A, E, Services | Scope.Scope>) =>
    Effect.scoped(body).pipe(Effect.provide(complete(layer)))

  describe(name, () => {
    it.live("tells a valid event from one with another id and one with a forged signature", () =>
      run(Effect.gen(function*() {
        const { verify } = yield* (yield* Verifier).sender("test")
        const event = signed({
          content: "h\u00e9llo \u{1f30a} \u0001 \"quoted\"\n",
          tags: [["t", "tide"], ["p", "x", ""]]
        })
        assert.strictEqual(yield* verify(event), "Valid")
        assert.strictEqual(yield* verify(withWrongId(event)), "InvalidId")
        assert.strictEqual(yield* verify(withEditedContent(event)), "InvalidId")
        assert.strictEqual(yield* verify(withForgedSignature(event)), "InvalidSignature")
      })))

    it.live("accepts one spelling of a signature: lower-case hex of its full length", () =>
      run(Effect.gen(function*() {
        const { verify } = yield* (yield* Verifier).sender("test")
        const event = signed({ content: "spelt" })
        for (const sig of [event.sig.toUpperCase(), event.sig.slice(2), `${event.sig}00`, "", "zz".repeat(64)]) {
          assert.strictEqual(yield* verify({ ...event, sig }), "InvalidSignature", sig)
        }
        assert.strictEqual(yield* verify({ ...event, id: event.id.toUpperCase() }), "InvalidId")
      })))

    it.live("answers a thousand at once, each with its own verdict", () =>
      run(Effect.gen(function*() {
        const { verify } = yield* (yield* Verifier).sender("test")
        const events = mixed(1000)
        const answers = yield* Effect.forEach(events, ([event]) => verify(event), { concurrency: "unbounded" })
        assert.deepStrictEqual(answers, events.map(([, verification]) => verification))
      })))

    it.live("answers many requests of many events, each in its own order", () =>
      run(Effect.gen(function*() {
        const { verifyAll } = yield* (yield* Verifier).sender("test")
        const events = mixed(300)
        const requests = [events, [], events.slice(0, 1), events.toReversed()]
        const answers = yield* Effect.forEach(requests, (request) => verifyAll(request.map(([event]) => event)), {
          concurrency: "unbounded"
        })
        assert.deepStrictEqual(answers, requests.map((request) => request.map(([, verification]) => verification)))
      })))

    it.live("signs with the relay's key what it then finds valid", () =>
      run(Effect.gen(function*() {
        const verifier = yield* Verifier
        const { sign, verify } = yield* verifier.sender("test")
        const template = { created_at: 1_767_225_600, kind: 10_002, tags: [["r", "wss://relay.example"]], content: "" }
        const event = yield* sign(template)
        assert.deepInclude(event, { ...template, pubkey: verifier.pubkey })
        assert.strictEqual(yield* verify(event), "Valid")
        assert.strictEqual(yield* verify({ ...event, content: "other" }), "InvalidId")
      })))

    it.live("has no holder but itself once senders are released, and none when it is", () =>
      Effect.gen(function*() {
        const owner = yield* Scope.make()
        const services = yield* Layer.buildWithScope(complete(layer), owner)
        const { journal } = Context.get(services, Shutdown)
        yield* Effect.scoped(Effect.gen(function*() {
          const { verify } = yield* Context.get(services, Verifier).sender("websocket/connection 17")
          yield* verify(signed())
          assert.deepStrictEqual(journal.holders().map(({ label }) => label), [
            "crypto (owner)",
            "websocket/connection 17"
          ])
        }))
        assert.deepStrictEqual(journal.holders().map(({ label }) => label), ["crypto (owner)"])
        yield* Scope.close(owner, Exit.void)
        assert.deepStrictEqual(journal.holders(), [])
        assert.deepStrictEqual(journal.stragglers, [])
        assert.deepStrictEqual(journal.released, ["crypto"])
        assert.deepStrictEqual(journal.forced, [])
        assert.deepStrictEqual([...journal.fibers], [])
        const late = yield* Effect.exit(Effect.scoped(Context.get(services, Verifier).sender("late")))
        assert.isTrue(Exit.isFailure(late) && Cause.squash(late.cause) instanceof MailboxClosed)
      }))

    it.live("answers what is queued when it is released", () =>
      Effect.gen(function*() {
        const owner = yield* Scope.make()
        const services = yield* Layer.buildWithScope(complete(layer), owner)
        const events = mixed(600)
        const holder = yield* Scope.make()
        const { verify } = yield* Context.get(services, Verifier).sender("test").pipe(Scope.provide(holder))
        const asked = yield* Effect.forkChild(
          Effect.forEach(events, ([event]) => verify(event), { concurrency: "unbounded" }),
          { startImmediately: true }
        )
        yield* Scope.close(holder, Exit.void)
        yield* Scope.close(owner, Exit.void)
        const { journal } = Context.get(services, Shutdown)
        assert.deepStrictEqual([journal.forced, journal.stragglers, journal.depthAtClose], [[], [], 0])
        assert.deepStrictEqual(yield* Fiber.join(asked), events.map(([, verification]) => verification))
      }))
  })
}

suite("WorkerVerifier.layer", WorkerVerifier.layer)
suite("WorkerVerifier.layerInline", WorkerVerifier.layerInline)
suite(
  "WorkerVerifier.layer without a native engine",
  WorkerVerifier.layer.pipe(
    Layer.provide(Settings.layerTest({ ...relayKey, verifierEngine: "wasm", verifierThreads: 2 }))
  )
)

/** The layer over fake threads, in a scope of its own, under the test clock. */
const open = Effect.fnUntraced(function*(threads: number, ...behaviours: Parameters<typeof FakeThreads.make>) {
  const fake = yield* FakeThreads.make(...behaviours)
  const owner = yield* Scope.make()
  const layer = WorkerVerifier.layerWith(() => ({ spawn: () => fake.spawn, threads, preference: "wasm" }))
  const services = yield* Layer.buildWithScope(complete(layer), owner)
  const holder = yield* Scope.make()
  const sender = yield* Context.get(services, Verifier).sender("test").pipe(Scope.provide(holder))
  return {
    ...sender,
    fake,
    supervisor: Context.get(services, Supervisor),
    journal: Context.get(services, Shutdown).journal,
    close: Effect.andThen(Scope.close(holder, Exit.void), Scope.close(owner, Exit.void))
  }
})

const replaced = Effect.all([Metric.value(cryptoThreadsReplaced.crashed), Metric.value(cryptoThreadsReplaced.hung)])
  .pipe(
    Effect.map(([crashed, hung]) => ({ crashed: crashed.count, hung: hung.count }))
  )
const fork = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })
const failureOf = (exit: Exit.Exit<unknown, unknown>) => Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined

describe("verifier threads that fail", () => {
  it.effect("crashed: its job is done by another, it is replaced, and that is counted (fault 72)", () =>
    Effect.gen(function*() {
      const before = yield* replaced
      const { close, fake, verify } = yield* open(1, "crashes", "answers")
      assert.strictEqual(yield* verify(signed()), "Valid")
      assert.strictEqual(fake.spawned(), 2)
      assert.deepStrictEqual(fake.jobs, [1, 1])
      assert.deepStrictEqual(yield* replaced, { ...before, crashed: before.crashed + 1 })
      yield* close
      assert.deepStrictEqual(fake.ends, ["killed", "stopped"])
    }))

  it.effect("hung: its job is given to another at the deadline and not before (fault 73)", () =>
    Effect.gen(function*() {
      const before = yield* replaced
      const { close, fake, verify } = yield* open(1, "hangs", "answers")
      const answer = yield* fork(verify(signed()))
      yield* TestClock.adjust("4999 millis")
      assert.strictEqual(fake.spawned(), 1)
      assert.isUndefined(answer.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* Fiber.join(answer), "Valid")
      assert.strictEqual(fake.spawned(), 2)
      assert.deepStrictEqual(yield* replaced, { ...before, hung: before.hung + 1 })
      yield* close
      assert.deepStrictEqual(fake.ends, ["killed", "stopped"])
    }))

  it.effect("confused: an answer of the wrong length is none", () =>
    Effect.gen(function*() {
      const { close, fake, verify } = yield* open(1, "lies", "answers")
      assert.strictEqual(yield* verify(signed()), "Valid")
      assert.strictEqual(fake.spawned(), 2)
      yield* close
    }))

  it.effect("dead while idle: it is replaced before it is needed", () =>
    Effect.gen(function*() {
      const { close, fake, verify } = yield* open(2, "answers")
      yield* fake.die(0)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(fake.spawned(), 3)
      assert.strictEqual(yield* verify(signed()), "Valid")
      assert.deepStrictEqual(fake.jobs, [1])
      yield* close
      assert.deepStrictEqual(fake.ends, ["killed", "stopped", "stopped"])
    }))

  it.effect("a job that two threads failed at is answered as failed, which judges nobody", () =>
    Effect.gen(function*() {
      const { close, fake, supervisor, verify } = yield* open(1, "crashes", "crashes", "answers")
      const failed = yield* fork(supervisor.failed)
      const failure = failureOf(yield* Effect.exit(verify(signed())))
      assert.instanceOf(failure, CryptoError)
      assert.deepStrictEqual(fake.jobs, [1, 1])
      assert.strictEqual(yield* verify(signed()), "Valid")
      assert.isUndefined(failed.pollUnsafe())
      yield* close
    }))

  it.effect("three within a minute stop the service, and nobody waits for an answer any more (fault 72)", () =>
    Effect.gen(function*() {
      const { close, fake, supervisor, verify } = yield* open(2, "crashes")
      const failed = yield* fork(Effect.exit(supervisor.failed))
      assert.instanceOf(failureOf(yield* Effect.exit(verify(signed()))), CryptoError)
      assert.isUndefined(failed.pollUnsafe())
      assert.instanceOf(failureOf(yield* Effect.exit(verify(signed()))), CryptoError)
      assert.include(String(failureOf(yield* Fiber.join(failed))), "verifier thread crashed")
      assert.instanceOf(failureOf(yield* Effect.exit(verify(signed()))), CryptoError)
      assert.strictEqual(fake.jobs.length, 3)
      yield* close
    }))

  it.effect("the third one a minute after the first is only replaced", () =>
    Effect.gen(function*() {
      const { close, fake, supervisor } = yield* open(1, "answers")
      const failed = yield* fork(Effect.exit(supervisor.failed))
      yield* fake.die(0)
      yield* TestClock.adjust("30 seconds")
      yield* fake.die(1)
      yield* TestClock.adjust("30 seconds")
      yield* fake.die(2)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(fake.spawned(), 4)
      assert.isUndefined(failed.pollUnsafe())
      // One millisecond before the window of the last two has passed.
      yield* TestClock.adjust("29998 millis")
      yield* fake.die(3)
      yield* TestClock.adjust("1 millis")
      assert.isTrue(Exit.isFailure(yield* Fiber.join(failed)))
      assert.strictEqual(fake.spawned(), 4)
      yield* close
    }))

  it.effect("one that cannot be replaced counts as failing again", () =>
    Effect.gen(function*() {
      const { close, fake, supervisor, verify } = yield* open(1, "crashes", "fails")
      const failed = yield* fork(Effect.exit(supervisor.failed))
      assert.instanceOf(failureOf(yield* Effect.exit(verify(signed()))), CryptoError)
      assert.include(String(failureOf(yield* Fiber.join(failed))), "did not start")
      assert.strictEqual(fake.spawned(), 3)
      yield* close
    }))

  it.effect("none at start-up: the layer does not start", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(open(2, "answers", "fails"))
      assert.include(String(failureOf(exit)), "cannot start the verifier")
    }).pipe(Effect.scoped))
})

describe("starting the verifier", () => {
  it.effect("gives a thread ten seconds to be ready, and then says that it cannot start", () =>
    Effect.gen(function*() {
      const asked = yield* Deferred.make<void>()
      const layer = WorkerVerifier.layerWith(() => ({
        spawn: () => Effect.andThen(Deferred.succeed(asked, undefined), Effect.never),
        threads: 1,
        preference: "wasm"
      }))
      const starting = yield* fork(Effect.exit(Effect.scoped(Layer.build(complete(layer)))))
      yield* Deferred.await(asked)
      yield* TestClock.adjust("9999 millis")
      assert.isUndefined(starting.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      const failure = failureOf(yield* Fiber.join(starting))
      assert.include(String(failure), "was not ready in time")
      assert.strictEqual(Runtime.getErrorExitCode(failure), 69)
    }))
})

describe("verifier mailbox", () => {
  it.effect("keeps two jobs per thread in flight, and the rest in the queue", () =>
    Effect.gen(function*() {
      const { close, fake, journal, verify } = yield* open(2, "waits")
      const events = Array.from({ length: 1000 }, (_, i) => signed({ content: `${i}` }, i % 3))
      const answers = yield* fork(Effect.forEach(events, verify, { concurrency: "unbounded" }))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(fake.jobs, [64, 64, 64, 64])
      // One batch is in the threads, the next in the consumer's hand.
      assert.deepStrictEqual([...journal.mailboxes].map((mailbox) => mailbox.depth()), [1000 - 2 * 256])
      yield* fake.gate.open
      assert.strictEqual((yield* Fiber.join(answers)).filter((answer) => answer === "Valid").length, 1000)
      yield* close
    }))

  it.effect("goes on checking ids while threads are busy with signatures", () =>
    Effect.gen(function*() {
      const { close, fake, verify } = yield* open(1, "waits")
      const first = yield* fork(verify(signed()))
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(fake.jobs, [1])
      assert.strictEqual(yield* verify(withWrongId(signed())), "InvalidId")
      const second = yield* fork(verify(signed({ content: "second" })))
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(fake.jobs, [1, 1])
      assert.isUndefined(first.pollUnsafe())
      yield* fake.gate.open
      assert.deepStrictEqual([yield* Fiber.join(first), yield* Fiber.join(second)], ["Valid", "Valid"])
      yield* close
    }))

  it.effect("does not end while answers are outstanding, and gives them", () =>
    Effect.gen(function*() {
      const { close, fake, journal, verify } = yield* open(1, "waits")
      const events = Array.from({ length: 300 }, (_, i) => signed({ content: `${i}` }, i % 3))
      const answers = yield* fork(Effect.forEach(events, verify, { concurrency: "unbounded" }))
      yield* TestClock.adjust("1 millis")
      const closing = yield* fork(close)
      yield* TestClock.adjust("999 millis")
      assert.isUndefined(closing.pollUnsafe())
      yield* fake.gate.open
      yield* Fiber.join(closing)
      assert.strictEqual((yield* Fiber.join(answers)).filter((answer) => answer === "Valid").length, 300)
      assert.deepStrictEqual(journal.forced, [])
      assert.deepStrictEqual(fake.ends, ["stopped"])
    }))

  it.effect("gives a hung thread one second at the end, and answers what it held as failed (fault 73)", () =>
    Effect.gen(function*() {
      const { close, fake, journal, verify } = yield* open(1, "hangs")
      const answers = yield* fork(
        Effect.forEach(mixed(300), ([event]) => Effect.exit(verify(event)), { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("1 millis")
      const closing = yield* fork(close)
      yield* TestClock.adjust("999 millis")
      assert.isUndefined(closing.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(closing)
      assert.deepStrictEqual(journal.forced, ["worker stop"])
      assert.deepStrictEqual(fake.ends, ["killed"])
      // Nobody is told that a signature was wrong which nobody has looked at.
      const said = (yield* Fiber.join(answers)).map((exit) => Exit.isSuccess(exit) ? exit.value : failureOf(exit))
      assert.isFalse(said.includes("Valid") || said.includes("InvalidSignature"))
      assert.strictEqual(said.length, 300)
    }))

  it.effect("gives idle threads that do not end one second, then ends them", () =>
    Effect.gen(function*() {
      const { close, fake, journal } = yield* open(2, "hangs")
      const closing = yield* fork(close)
      yield* TestClock.adjust("999 millis")
      assert.isUndefined(closing.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(closing)
      assert.deepStrictEqual(journal.forced, ["worker stop"])
      assert.deepStrictEqual(fake.ends, ["killed", "killed"])
    }))
})
