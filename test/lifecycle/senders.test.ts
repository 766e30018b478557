/** The register of a mailbox's senders while things happen to it: what it shows, whom it refuses, who is told. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Latch, Layer, Logger, References, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Mailbox from "../../src/lifecycle/Mailbox.ts"
import { Shutdown } from "../../src/lifecycle/Shutdown.ts"
import { Supervisor } from "../../src/lifecycle/Supervisor.ts"

interface Job {
  readonly n: number
  readonly answer?: (n: number) => void
}

const Lifecycle = Supervisor.layer.pipe(Layer.provideMerge(Shutdown.layerTest))

const failureOf = (exit: Exit.Exit<unknown, unknown>) => Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined

const fork = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })

/** Lets every fiber that can run do so. */
const settle = Effect.forEach(Array.from({ length: 8 }), () => Effect.yieldNow, { discard: true })

/** A mailbox in a scope of its own that handles one message at a time, behind a gate; 13 kills its consumer. */
const open = Effect.gen(function*() {
  const owner = yield* Scope.make()
  const gate = yield* Latch.make()
  const handled: Array<number> = []
  const { consumer, mailbox } = yield* Mailbox.make<Job, never>({
    name: "test",
    budget: { name: "ingester drain", millis: 2000 },
    capacity: 8,
    batchMax: 1,
    handle: (batch) =>
      Effect.andThen(
        gate.await,
        Effect.sync(() => {
          for (const { answer, n } of batch) {
            if (n === 13) throw new Error("unlucky")
            handled.push(n)
            answer?.(n)
          }
        })
      )
  }).pipe(Scope.provide(owner))
  return { mailbox, consumer, gate, handled, close: Scope.close(owner, Exit.void) }
})

const asked = (n: number) => (reply: Deferred.Deferred<number>): Job => ({
  n,
  answer: (n) => Deferred.doneUnsafe(reply, Effect.succeed(n))
})

const inFlightOf = (mailbox: Mailbox.Mailbox<Job>) =>
  Effect.map(mailbox.holders, (holders) => holders.map(({ inFlight, label }) => [label, inFlight]))

describe("a holder", () => {
  it.effect("is shown with its unanswered requests: answered and given up ones are none", () =>
    Effect.gen(function*() {
      const { close, gate, mailbox } = yield* open
      const sender = yield* mailbox.sender("a")
      const [first, second] = [yield* fork(sender.ask(asked(1))), yield* fork(sender.ask(asked(2)))]
      assert.deepStrictEqual(yield* inFlightOf(mailbox), [["test (owner)", 0], ["a", 2]])
      yield* Fiber.interrupt(second)
      assert.deepStrictEqual(yield* inFlightOf(mailbox), [["test (owner)", 0], ["a", 1]])
      yield* gate.open
      yield* Fiber.join(first)
      assert.deepStrictEqual(yield* inFlightOf(mailbox), [["test (owner)", 0], ["a", 0]])
      yield* close
    }).pipe(Effect.scoped, Effect.provide(Lifecycle)))

  it.effect("is shown with eight calls of its chain at most", () =>
    Effect.gen(function*() {
      const { close, gate, mailbox } = yield* open
      yield* gate.open
      const deep: (depth: number) => Effect.Effect<void, Mailbox.MailboxClosed, Scope.Scope> = Effect.fn("deep")(
        function*(depth: number) {
          yield* depth === 0 ? Effect.asVoid(mailbox.sender("deep")) : deep(depth - 1)
        }
      )
      yield* deep(20)
      const [, holder] = yield* mailbox.holders
      assert.strictEqual(holder?.site.length, 8)
      yield* close
    }).pipe(Effect.scoped, Effect.provide(Lifecycle)))

  it.effect("shares what is kept of its chain with all that came the same way, and with no other", () =>
    Effect.gen(function*() {
      const { close, gate, mailbox } = yield* open
      yield* gate.open
      const serve = Effect.fn("serve")((holder: string) => mailbox.sender(holder))
      for (const holder of ["a", "b"]) yield* serve(holder)
      yield* serve("c")
      const [, a, b, c] = yield* mailbox.holders
      assert.strictEqual(a?.site, b?.site)
      assert.notDeepEqual(a?.site, c?.site)
      yield* close
    }).pipe(Effect.scoped, Effect.provide(Lifecycle)))

  it.effect("that outlives the mailbox is named in the log, with where it came from", () =>
    Effect.gen(function*() {
      const said: Array<unknown> = []
      const logger = Logger.make(({ fiber, logLevel, message }) => {
        const fields = fiber.getRef(References.CurrentLogAnnotations)
        said.push([logLevel, Array.isArray(message) ? message[0] : message, fields["mailbox"], fields["holder"]])
      })
      const { close, gate, mailbox } = yield* open
      yield* gate.open
      yield* mailbox.sender("leaky")
      yield* close.pipe(Effect.provide(Logger.layer([logger])))
      assert.deepStrictEqual(said, [["Error", "sender outlived its mailbox", "test", "leaky"]])
    }).pipe(Effect.scoped, Effect.provide(Lifecycle)))

  it.effect("whose lease was given back before its answers came is told all the same when the consumer dies", () =>
    Effect.gen(function*() {
      const { close, gate, mailbox } = yield* open
      const scope = yield* Scope.make()
      const sender = yield* mailbox.sender("gone").pipe(Scope.provide(scope))
      const good = yield* fork(sender.ask(asked(1)))
      const bad = yield* fork(Effect.exit(sender.ask(asked(13))))
      const behind = yield* fork(Effect.exit(sender.ask(asked(2))))
      const told: Array<unknown> = []
      sender.offer<number>((reply) => ({ n: 3, answer: reply }), (exit) => void told.push(failureOf(exit)))
      yield* Scope.close(scope, Exit.void)
      yield* gate.open
      assert.strictEqual(yield* Fiber.join(good), 1)
      for (const caller of [bad, behind]) {
        assert.instanceOf(failureOf(yield* Fiber.join(caller)), Mailbox.MailboxClosed)
      }
      yield* settle
      assert.strictEqual(told.length, 1)
      assert.instanceOf(told[0], Mailbox.MailboxClosed)
      yield* close
    }).pipe(Effect.scoped, Effect.provide(Lifecycle)))
})

describe("a mailbox", () => {
  it.effect("gives no sender out while it is drained, nor once its consumer has died", () =>
    Effect.gen(function*() {
      const closing = yield* open
      yield* Effect.scoped(Effect.flatMap(closing.mailbox.sender("a"), (a) => a.send({ n: 1 })))
      const close = yield* fork(closing.close)
      yield* settle
      assert.isUndefined(close.pollUnsafe())
      assert.instanceOf(failureOf(yield* Effect.exit(closing.mailbox.sender("late"))), Mailbox.MailboxClosed)
      yield* closing.gate.open
      yield* Fiber.join(close)

      const dying = yield* open
      yield* dying.gate.open
      const last = yield* dying.mailbox.sender("last")
      yield* Effect.exit(last.ask(asked(13)))
      assert.instanceOf(failureOf(yield* Effect.exit(dying.mailbox.sender("late"))), Mailbox.MailboxClosed)
      yield* dying.close
    }).pipe(Effect.scoped, Effect.provide(Lifecycle)))

  it.effect("handles the batch in its hand even when its budget has expired, and none after it", () =>
    Effect.gen(function*() {
      const { close, consumer, gate, handled, mailbox } = yield* open
      yield* Effect.scoped(Effect.gen(function*() {
        const sender = yield* mailbox.sender("a")
        yield* sender.send({ n: 1 })
        yield* settle
        yield* sender.send({ n: 2 })
      }))
      const closing = yield* fork(close)
      yield* TestClock.adjust(2000)
      yield* Fiber.join(closing)
      assert.deepStrictEqual(handled, [])
      yield* gate.open
      yield* Fiber.await(consumer)
      assert.deepStrictEqual(handled, [1])
    }).pipe(Effect.provide(Lifecycle)))
})

describe("an offer", () => {
  it.effect("is settled once, by its answer, and is no longer shown then", () =>
    Effect.gen(function*() {
      const { close, gate, mailbox } = yield* open
      const sender = yield* mailbox.sender("a")
      const told: Array<unknown> = []
      const offered = sender.offer<number>(
        (reply) => ({ n: 5, answer: (n) => [reply(n), reply(n)] }),
        (exit) => void told.push(Exit.isSuccess(exit) && exit.value)
      )
      assert.isTrue(offered)
      assert.deepStrictEqual(yield* inFlightOf(mailbox), [["test (owner)", 0], ["a", 1]])
      yield* gate.open
      yield* settle
      assert.deepStrictEqual(told, [5])
      assert.deepStrictEqual(yield* inFlightOf(mailbox), [["test (owner)", 0], ["a", 0]])
      yield* close
      assert.deepStrictEqual(told, [5])
    }).pipe(Effect.scoped, Effect.provide(Lifecycle)))

  it.effect("is not taken by a full mailbox, and its holder is told by that alone", () =>
    Effect.gen(function*() {
      const { close, gate, mailbox } = yield* open
      const sender = yield* mailbox.sender("a")
      const told: Array<unknown> = []
      const offer = () => sender.offer<number>((answer) => ({ n: 1, answer }), (exit) => void told.push(exit))
      yield* sender.send({ n: 0 })
      yield* settle
      assert.deepStrictEqual(Array.from({ length: 9 }, offer), [...Array.from({ length: 8 }, () => true), false])
      assert.deepStrictEqual((yield* inFlightOf(mailbox)).at(-1), ["a", 8])
      yield* gate.open
      yield* close
      assert.strictEqual(told.length, 8)
    }).pipe(Effect.scoped, Effect.provide(Lifecycle)))

  it.effect("by a sender that was given back is a defect", () =>
    Effect.gen(function*() {
      const { close, gate, mailbox } = yield* open
      yield* gate.open
      const sender = yield* Effect.scoped(mailbox.sender("a"))
      assert.throws(() => sender.offer<number>((answer) => ({ n: 1, answer }), () => {}), Mailbox.SenderReleased)
      yield* close
    }).pipe(Effect.provide(Lifecycle)))
})
