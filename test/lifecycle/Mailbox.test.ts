import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Latch, Layer, Ref, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Mailbox from "../../src/lifecycle/Mailbox.ts"
import { Shutdown } from "../../src/lifecycle/Shutdown.ts"
import { Supervisor } from "../../src/lifecycle/Supervisor.ts"

/** A message, and where its handling is reported. */
interface Job {
  readonly n: number
  readonly reply?: Deferred.Deferred<number>
}

const Lifecycle = Supervisor.layer.pipe(Layer.provideMerge(Shutdown.layerTest))

const failureOf = (exit: Exit.Exit<unknown, unknown>) => Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined

/** A mailbox in a scope of its own, whose consumer waits at a gate before each batch. */
const open = Effect.fnUntraced(function*(options: { readonly capacity: number; readonly batchMax: number }) {
  const owner = yield* Scope.make()
  const gate = yield* Latch.make(true)
  const handled: Array<number> = []
  const { mailbox, consumer } = yield* Mailbox.make<Job, never>({
    name: "test",
    budget: { name: "ingester drain", millis: 2000 },
    ...options,
    handle: Effect.fnUntraced(function*(batch) {
      yield* gate.await
      for (const job of batch) {
        handled.push(job.n)
        if (job.reply !== undefined) yield* Deferred.succeed(job.reply, job.n * 2)
      }
    })
  }).pipe(Scope.provide(owner))
  return { mailbox, consumer, gate, handled, owner, close: Scope.close(owner, Exit.void) }
})

/** Lets every fiber that can run do so. */
const settle = Effect.forEach(Array.from({ length: 8 }), () => Effect.yieldNow, { discard: true })

describe("Mailbox", () => {
  it.effect("hands messages over in the order of acceptance and answers each", () =>
    Effect.gen(function*() {
      const { close, handled, mailbox } = yield* open({ capacity: 4, batchMax: 2 })
      const sender = yield* mailbox.sender("a")
      const answers = yield* Effect.forEach([1, 2, 3, 4, 5, 6, 7, 8, 9], (n) =>
        sender.ask<number, never>((reply) => ({ n, reply })), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(answers, [2, 4, 6, 8, 10, 12, 14, 16, 18])
      assert.deepStrictEqual(handled, [1, 2, 3, 4, 5, 6, 7, 8, 9])
      yield* close
    }).pipe(Effect.scoped, Effect.provide(Lifecycle)))

  it.effect("shows who holds a sender, since when and from where, until the scope gives it back", () =>
    Effect.gen(function*() {
      const { close, mailbox } = yield* open({ capacity: 4, batchMax: 2 })
      const scope = yield* Scope.make()
      yield* TestClock.adjust("1 second")
      const connect = Effect.fn("Connection.open")(() => mailbox.sender("websocket/connection 17"))
      yield* connect().pipe(Scope.provide(scope))
      const held = yield* mailbox.holders
      assert.deepStrictEqual(held.map((holder) => holder.label), ["test (owner)", "websocket/connection 17"])
      assert.strictEqual(held[1]?.since, 1000)
      assert.match(held[1]?.site.join(" ") ?? "", /test\.sender @ .*Connection\.open @ Mailbox\.test\.ts:\d+/)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual((yield* mailbox.holders).map((holder) => holder.label), ["test (owner)"])
      yield* close
      assert.deepStrictEqual(yield* mailbox.holders, [])
    }).pipe(Effect.provide(Lifecycle)))

  it.effect("makes senders wait while it is full, and forgets one that is interrupted while waiting", () =>
    Effect.gen(function*() {
      const { close, gate, handled, mailbox } = yield* open({ capacity: 2, batchMax: 1 })
      yield* gate.close
      const sender = yield* mailbox.sender("a")
      // One in the consumer's hands, two in the queue: the fourth has to wait.
      yield* sender.send({ n: 1 })
      yield* settle
      yield* sender.send({ n: 2 })
      yield* sender.send({ n: 3 })
      const waiting = yield* Effect.forkChild(sender.send({ n: 4 }), { startImmediately: true })
      yield* settle
      assert.isUndefined(waiting.pollUnsafe())
      yield* Fiber.interrupt(waiting)
      yield* gate.open
      yield* close
      assert.deepStrictEqual(handled, [1, 2, 3])
    }).pipe(Effect.scoped, Effect.provide(Lifecycle)))

  it.effect("takes an offer while there is room, and answers it once", () =>
    Effect.gen(function*() {
      const { close, gate, handled, mailbox } = yield* open({ capacity: 2, batchMax: 1 })
      yield* gate.close
      const sender = yield* mailbox.sender("a")
      const settled: Array<number> = []
      const offer = (n: number) =>
        sender.offer<number>((answer) => {
          const reply = Deferred.makeUnsafe<number>()
          reply.resumes = [() => (answer(n * 2), answer(n * 3))]
          return { n, reply }
        }, (exit) => settled.push(Exit.isSuccess(exit) ? exit.value : -1))
      assert.isTrue(offer(1))
      yield* settle
      assert.deepStrictEqual([2, 3, 4].map(offer), [true, true, false])
      assert.deepStrictEqual((yield* mailbox.holders).map(({ inFlight }) => inFlight), [0, 3])
      yield* gate.open
      yield* settle
      yield* close
      assert.deepStrictEqual([handled, settled], [[1, 2, 3], [2, 4, 6]])
    }).pipe(Effect.scoped, Effect.provide(Lifecycle)))

  it.effect("settles an offer whose holder is gone, and one that nobody will answer as closed", () =>
    Effect.gen(function*() {
      const { close, mailbox } = yield* open({ capacity: 2, batchMax: 1 })
      const settled: Array<unknown> = []
      yield* Effect.scoped(Effect.gen(function*() {
        const sender = yield* mailbox.sender("a")
        assert.isTrue(sender.offer(() => ({ n: 1 }), (exit) => settled.push(failureOf(exit))))
      }))
      yield* settle
      assert.deepStrictEqual(settled, [])
      yield* close
      assert.deepStrictEqual(settled.map((error) => error instanceof Mailbox.MailboxClosed), [true])
    }).pipe(Effect.scoped, Effect.provide(Lifecycle)))

  it.effect("handles what was accepted before its release, then ends by itself", () =>
    Effect.gen(function*() {
      const { close, consumer, gate, handled, mailbox } = yield* open({ capacity: 64, batchMax: 4 })
      yield* gate.close
      yield* Effect.scoped(Effect.gen(function*() {
        const sender = yield* mailbox.sender("a")
        yield* Effect.forEach(Array.from({ length: 20 }, (_, n) => ({ n })), (job) => sender.send(job), {
          discard: true
        })
      }))
      const closing = yield* Effect.forkChild(close, { startImmediately: true })
      yield* gate.open
      yield* Fiber.join(closing)
      assert.strictEqual(handled.length, 20)
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(consumer)))
      const { journal } = yield* Shutdown
      assert.deepStrictEqual([journal.stragglers, journal.forced, journal.depthAtClose], [[], [], 0])
    }).pipe(Effect.provide(Lifecycle)))

  it.effect("gives no sender out once its owner is being released", () =>
    Effect.gen(function*() {
      const { close, mailbox } = yield* open({ capacity: 4, batchMax: 2 })
      yield* close
      const exit = yield* Effect.exit(mailbox.sender("late"))
      assert.instanceOf(failureOf(exit), Mailbox.MailboxClosed)
    }).pipe(Effect.scoped, Effect.provide(Lifecycle)))

  it.effect("names a sender that outlives it, handles its accepted work, and refuses the rest", () =>
    Effect.gen(function*() {
      const { close, handled, mailbox } = yield* open({ capacity: 4, batchMax: 2 })
      const leak = Effect.fn("Leaky.start")(() => mailbox.sender("leaky"))
      const sender = yield* leak()
      yield* sender.send({ n: 1 })
      yield* close
      assert.deepStrictEqual(handled, [1])
      const { journal } = yield* Shutdown
      assert.deepStrictEqual(journal.stragglers.map((holder) => holder.label), ["leaky"])
      assert.match(journal.stragglers[0]?.site.join(" ") ?? "", /Leaky\.start/)
      assert.instanceOf(failureOf(yield* Effect.exit(sender.send({ n: 2 }))), Mailbox.MailboxClosed)
    }).pipe(Effect.scoped, Effect.provide(Lifecycle)))

  it.effect("treats a sender used after its release as a defect of its holder", () =>
    Effect.gen(function*() {
      const { close, mailbox } = yield* open({ capacity: 4, batchMax: 2 })
      const sender = yield* Effect.scoped(mailbox.sender("a"))
      const exit = yield* Effect.exit(sender.send({ n: 1 }))
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      assert.instanceOf(failureOf(exit), Mailbox.SenderReleased)
      yield* close
    }).pipe(Effect.provide(Lifecycle)))

  it.effect("answers those who wait when its consumer dies, and reports the death", () =>
    Effect.gen(function*() {
      const supervisor = yield* Supervisor
      const { mailbox } = yield* Mailbox.make<Job, never>({
        name: "dying",
        budget: { name: "ingester drain", millis: 2000 },
        capacity: 1,
        batchMax: 1,
        handle: () => Effect.die("disk on fire")
      })
      const sender = yield* mailbox.sender("a")
      const exits = yield* Effect.forEach([1, 2, 3], (n) =>
        Effect.exit(sender.ask<number, never>((reply) => ({ n, reply }))), {
        concurrency: "unbounded"
      })
      for (const exit of exits) {
        assert.instanceOf(failureOf(exit), Mailbox.MailboxClosed)
      }
      assert.strictEqual(failureOf(yield* Effect.exit(supervisor.failed)), "disk on fire")
    }).pipe(Effect.scoped, Effect.provide(Lifecycle)))

  it.effect("stops waiting for a batch that does not end when the budget does, and counts what is left", () =>
    Effect.gen(function*() {
      const { close, gate, mailbox } = yield* open({ capacity: 8, batchMax: 1 })
      yield* gate.close
      yield* Effect.scoped(Effect.gen(function*() {
        const sender = yield* mailbox.sender("a")
        yield* sender.send({ n: 1 })
        yield* settle
        yield* sender.send({ n: 2 })
      }))
      const closing = yield* Effect.forkChild(close, { startImmediately: true })
      yield* TestClock.adjust(1999)
      assert.isUndefined(closing.pollUnsafe())
      yield* TestClock.adjust(1)
      yield* Fiber.join(closing)
      const { journal } = yield* Shutdown
      assert.deepStrictEqual([journal.forced, journal.depthAtClose], [["ingester drain"], 1])
      yield* gate.open
    }).pipe(Effect.provide(Lifecycle)))
})

/** What a random run may do, with holders 0 to 2. */
const Command = Schema.Struct({
  what: Schema.Literals([
    "acquire",
    "acquire",
    "send",
    "send",
    "send",
    "ask",
    "interrupt",
    "release",
    "gate",
    "settle"
  ]),
  who: Schema.Literals([0, 1, 2])
})

describe("Mailbox against a slow, obvious model", () => {
  it.effect.prop(
    "handles exactly what it accepted, once and in order, and its register is always right",
    {
      commands: Schema.Array(Command).check(Schema.isMinLength(5), Schema.isMaxLength(60)),
      capacity: Schema.Literals([1, 2, 5]),
      batchMax: Schema.Literals([1, 3]),
      leak: Schema.Boolean
    },
    ({ batchMax, capacity, commands, leak }) =>
      Effect.gen(function*() {
        const { close, consumer, gate, handled, mailbox } = yield* open({ capacity, batchMax })
        const { journal } = yield* Shutdown
        // The model: which leases are held, and what became of each message according to its sender.
        const held = new Map<number, { readonly scope: Scope.Closeable; readonly sender: Mailbox.Sender<Job> }>()
        const fibers = new Map<number, { readonly who: number; readonly fiber: Fiber.Fiber<unknown, unknown> }>()
        const gateOpen = yield* Ref.make(true)
        let next = 0

        const release = (who: number) =>
          Effect.suspend(() => {
            const lease = held.get(who)
            held.delete(who)
            return lease === undefined ? Effect.void : Scope.close(lease.scope, Exit.void)
          })
        // A holder's fibers end before its lease does, as they live in the same scope.
        const interruptAll = (who: number) =>
          Effect.forEach([...fibers.values()].filter((f) => f.who === who), (f) => Fiber.interrupt(f.fiber), {
            discard: true
          })

        for (const { what, who } of commands) {
          const lease = held.get(who)
          if (what === "acquire" && lease === undefined) {
            const scope = yield* Scope.make()
            held.set(who, { scope, sender: yield* mailbox.sender(`holder ${who}`).pipe(Scope.provide(scope)) })
          }
          if ((what === "send" || what === "ask") && lease !== undefined) {
            const n = next++
            const effect = what === "send"
              ? lease.sender.send({ n })
              : Effect.asVoid(lease.sender.ask<number, never>((reply) => ({ n, reply })))
            fibers.set(n, { who, fiber: yield* Effect.forkDetach(effect, { startImmediately: true }) })
          }
          if (what === "interrupt") yield* interruptAll(who)
          if (what === "release") yield* Effect.andThen(interruptAll(who), release(who))
          if (what === "gate") {
            const now = yield* Ref.updateAndGet(gateOpen, (isOpen) => !isOpen)
            yield* now ? gate.open : gate.close
          }
          if (what === "settle") yield* settle
          assert.sameMembers(
            (yield* mailbox.holders).map((holder) => holder.label),
            ["test (owner)", ...Array.from(held.keys(), (key) => `holder ${key}`)]
          )
        }

        yield* gate.open
        const left = leak ? [...held.keys()] : []
        if (!leak) yield* Effect.forEach([0, 1, 2], (who) => Effect.andThen(interruptAll(who), release(who)))
        yield* close

        assert.sameMembers(journal.stragglers.map((holder) => holder.label), left.map((key) => `holder ${key}`))
        assert.deepStrictEqual([journal.forced, journal.depthAtClose], [[], 0])
        assert.isTrue(Exit.isSuccess(yield* Fiber.await(consumer)))
        assert.deepStrictEqual(handled, handled.toSorted((a, b) => a - b), "in order")
        assert.strictEqual(new Set(handled).size, handled.length, "once")
        for (const [n, { fiber }] of fibers) {
          const exit = yield* Fiber.await(fiber)
          if (Exit.isSuccess(exit)) assert.include(handled, n, "accepted, so handled")
          else if (failureOf(exit) instanceof Mailbox.MailboxClosed) {
            assert.notInclude(handled, n, "refused, so not handled")
          }
        }
      }).pipe(Effect.scoped, Effect.provide(Lifecycle)),
    { arbitrary: { runs: 600 } }
  )
})
