/** The ingester alone, over a store that says what a test wants it to: how it batches, counts, announces and gives up. */
import { assert, describe, it } from "@effect/vitest"
import {
  Cause,
  Deferred,
  Effect,
  Exit,
  Fiber,
  Latch,
  Layer,
  Logger,
  Metric,
  PubSub,
  References,
  Runtime,
  Scope
} from "effect"
import { TestClock } from "effect/testing"
import type { Outcome } from "../../src/database/Database.ts"
import * as Ingester from "../../src/database/Ingester.ts"
import type { StoreAnswer, StoreBatch, SweepAnswer } from "../../src/database/storeProtocol.ts"
import * as StoreWriter from "../../src/database/StoreWriter.ts"
import { type Event, rawOf } from "../../src/domain/Event.ts"
import { Shutdown } from "../../src/lifecycle/Shutdown.ts"
import { Supervisor } from "../../src/lifecycle/Supervisor.ts"
import * as Metrics from "../../src/observability/Metrics.ts"
import { signed } from "../support/events.ts"
import { lifecycle, quiet } from "./support.ts"

const isolated = Layer.provide(Layer.fresh(lifecycle), quiet)
const save = (event: Event) => ({ _tag: "Save", event }) as const
const note = (i: number) => signed({ content: `${i}` })
const broken = new StoreWriter.StorageFailed({ detail: "disk I/O error" })

interface Fake {
  readonly apply?: (batch: StoreBatch) => Effect.Effect<StoreAnswer, StoreWriter.StorageFailed>
  readonly sweep?: (now: number) => Effect.Effect<SweepAnswer, StoreWriter.StorageFailed>
  readonly died?: Effect.Effect<never, StoreWriter.StorageFailed>
}

const writerOf = (fake: Fake): StoreWriter.StoreWriter => ({
  apply: fake.apply ?? saved(),
  sweep: fake.sweep ?? (() => Effect.succeed({ done: true, indexed: 0, seq: 0, events: 0 })),
  died: fake.died ?? Effect.never,
  close: Effect.succeed("checkpointed"),
  exited: Effect.void,
  sizes: { seq: 7, events: 5 }
})

/** Saves everything, with numbers from 8 on. */
const saved = () => {
  let seq = 7
  return (batch: StoreBatch) =>
    Effect.sync((): StoreAnswer => ({
      results: batch.writes.map((operations) => ({
        _tag: "Applied",
        outcomes: operations.map(() => ({ _tag: "Saved", seq: ++seq }))
      })),
      seq,
      events: seq - 2
    }))
}

/** Answers the operations of one write with these, whatever they are. */
const outcomes = (...all: ReadonlyArray<Outcome>) => () =>
  Effect.succeed<StoreAnswer>({ results: [{ _tag: "Applied", outcomes: all }], seq: 9, events: 6 })

/** Holds the first batch back, so that what comes meanwhile is the second one; both are noted. */
const gated = Effect.gen(function*() {
  const gate = yield* Latch.make()
  const started = yield* Latch.make()
  const batches: Array<StoreBatch> = []
  const apply = saved()
  return {
    gate,
    started,
    batches,
    apply: (batch: StoreBatch) => {
      batches.push(batch)
      return started.open.pipe(Effect.andThen(gate.await), Effect.andThen(apply(batch)))
    }
  }
})

/** Sizes of the transactions that these writes make when they wait together. */
const sizesOf = Effect.fnUntraced(function*(writes: ReadonlyArray<ReadonlyArray<Event>>) {
  const { apply, batches, gate, started } = yield* gated
  const ingester = yield* Ingester.make(writerOf({ apply }))
  const { write } = yield* ingester.sender("test")
  const call = (events: ReadonlyArray<Event>) => Effect.forkChild(write(events.map(save)), { startImmediately: true })
  const first = yield* call([note(0)])
  yield* started.await
  const callers = yield* Effect.forEach(writes, call)
  yield* gate.open
  yield* Effect.forEach([first, ...callers], Fiber.join)
  return batches.slice(1).map(({ writes }) => writes.map((operations) => operations.length))
}, Effect.scoped)

const failedCode = Effect.map(
  Effect.flatMap(Supervisor, ({ failed }) => Effect.exit(failed)),
  (exit) => Exit.isFailure(exit) ? Runtime.getErrorExitCode(Cause.squash(exit.cause)) : undefined
)

describe("a transaction", () => {
  it.effect("holds up to 1024 operations, and one write of any size", () =>
    Effect.gen(function*() {
      const event = note(1)
      const times = (count: number) => Array.from({ length: count }, () => event)
      assert.deepStrictEqual(yield* sizesOf([times(1000), times(24)]), [[1000, 24]])
      assert.deepStrictEqual(yield* sizesOf([times(1000), times(25)]), [[1000], [25]])
      assert.deepStrictEqual(yield* sizesOf([times(2000), times(1), times(1023)]), [[2000], [1, 1023]])
      assert.deepStrictEqual(yield* sizesOf([times(600), times(600), times(424)]), [[600], [600, 424]])
    }).pipe(Effect.provide(isolated)))

  it.effect("holds up to 4 Mi characters of events", () =>
    Effect.gen(function*() {
      const empty = rawOf(signed({ content: "" })).length
      const long = (characters: number) => [signed({ content: "x".repeat(characters - empty) })]
      const mebi = 1024 * 1024
      assert.deepStrictEqual(yield* sizesOf([long(2 * mebi), long(2 * mebi)]), [[1, 1]])
      assert.deepStrictEqual(yield* sizesOf([long(2 * mebi), long(2 * mebi + 1)]), [[1], [1]])
      assert.deepStrictEqual(yield* sizesOf([long(3 * mebi), long(3 * mebi), long(mebi)]), [[1], [1, 1]])
    }).pipe(Effect.provide(isolated)))

  it.effect("takes 512 writes at most from those that wait", () =>
    Effect.gen(function*() {
      const event = note(1)
      const sizes = yield* sizesOf(Array.from({ length: 513 }, () => [event]))
      assert.deepStrictEqual(sizes.map((writes) => writes.length), [512, 1])
    }).pipe(Effect.provide(isolated)))

  it.effect("is told the time in whole seconds, and hands the store what is no event as it is", () =>
    Effect.gen(function*() {
      const { apply, batches, gate } = yield* gated
      yield* gate.open
      const ingester = yield* Ingester.make(writerOf({ apply }))
      const { write } = yield* ingester.sender("test")
      yield* TestClock.adjust(12_999)
      const record = { _tag: "Record", space: "a", key: "b", value: "c", due: null } as const
      const event = note(1)
      yield* write([record, save(event)])
      assert.deepStrictEqual(batches, [{ now: 12, writes: [[record, { _tag: "Save", raw: rawOf(event) }]] }])
    }).pipe(Effect.scoped, Effect.provide(isolated)))
})

describe("what is announced", () => {
  it.effect("is what was saved, with its number, and an ephemeral event after what was committed before it", () =>
    Effect.gen(function*() {
      const events = [1, 2, 3, 4, 5].map(note)
      const ingester = yield* Ingester.make(writerOf({
        apply: outcomes(
          { _tag: "Ephemeral" },
          { _tag: "Saved", seq: 8 },
          { _tag: "Duplicate" },
          { _tag: "Ephemeral" },
          { _tag: "Done" },
          { _tag: "Saved", seq: 9 }
        )
      }))
      const { write } = yield* ingester.sender("test")
      const commits = yield* ingester.commits
      const record = { _tag: "Record", space: "a", key: "b", value: "c", due: null } as const
      const [a, b, c, d, e] = events as [Event, Event, Event, Event, Event]
      yield* write([save(a), save(b), save(c), save(d), record, save(e)])
      assert.deepStrictEqual(yield* PubSub.take(commits), [
        { seq: 7, event: a, raw: rawOf(a) },
        { seq: 8, event: b, raw: rawOf(b) },
        { seq: 8, event: d, raw: rawOf(d) },
        { seq: 9, event: e, raw: rawOf(e) }
      ])
    }).pipe(Effect.scoped, Effect.provide(isolated)))

  it.effect("is nothing when nothing was saved, and nothing of a write that was refused", () =>
    Effect.gen(function*() {
      let calls = 0
      const ingester = yield* Ingester.make(writerOf({
        apply: () =>
          ++calls === 1
            ? Effect.succeed({ results: [{ _tag: "Refused", message: "too big" }], seq: 7, events: 5 })
            : outcomes({ _tag: "Duplicate" })()
      }))
      const { write } = yield* ingester.sender("test")
      const commits = yield* ingester.commits
      const error = yield* Effect.flip(write([save(note(1))]))
      assert.match(String((error as { readonly cause?: unknown }).cause), /too big/)
      assert.deepStrictEqual(yield* write([save(note(2))]), [{ _tag: "Duplicate" }])
      // The consumer takes the next batch only once it is done with this one.
      yield* write([save(note(3))])
      assert.strictEqual(yield* PubSub.remaining(commits), 0)
    }).pipe(Effect.scoped, Effect.provide(isolated)))

  it.effect("waits five seconds for a subscriber that is 1024 batches behind, and goes on when it reads", () =>
    Effect.gen(function*() {
      const ingester = yield* Ingester.make(writerOf({}))
      const { write } = yield* ingester.sender("test")
      const commits = yield* ingester.commits
      const supervisor = yield* Supervisor
      const failed = yield* Effect.forkChild(supervisor.failed, { startImmediately: true })
      const event = note(0)
      yield* Effect.forEach(Array.from({ length: 1025 }), () => write([save(event)]), { discard: true })
      // The announcement of the last one waits, so the next write is not taken yet.
      const next = yield* Effect.forkChild(write([save(event)]), { startImmediately: true })
      yield* TestClock.adjust(4999)
      assert.isUndefined(next.pollUnsafe())
      yield* PubSub.take(commits)
      yield* Fiber.join(next)
      yield* PubSub.take(commits)
      yield* TestClock.adjust("1 minute")
      assert.isUndefined(failed.pollUnsafe())
      assert.strictEqual(yield* PubSub.remaining(commits), 1024)
    }).pipe(Effect.scoped, Effect.provide(isolated)))

  it.effect("ends with the ingester: whoever still listens is told", () =>
    Effect.gen(function*() {
      const owner = yield* Scope.make()
      const ingester = yield* Ingester.make(writerOf({})).pipe(Scope.provide(owner))
      const commits = yield* ingester.commits
      const waiting = yield* Effect.forkChild(Effect.exit(PubSub.take(commits)), { startImmediately: true })
      yield* Scope.close(owner, Exit.void)
      assert.isTrue(Exit.isFailure(yield* Fiber.join(waiting)))
    }).pipe(Effect.scoped, Effect.provide(isolated)))
})

const countOf = (metric: Metric.Counter<number>) => Effect.map(Metric.value(metric), ({ count }) => count)

describe("what is counted", () => {
  it.effect("is what was saved, apart from what was known, in journal, figures and metrics", () =>
    Effect.gen(function*() {
      const before = yield* countOf(Metrics.databaseOperations.Saved)
      const known = yield* countOf(Metrics.databaseOperations.Duplicate)
      const seconds = yield* Metric.value(Metrics.databaseCommitSeconds)
      const ingester = yield* Ingester.make(writerOf({
        apply: (batch) =>
          Effect.delay(
            Effect.succeed({
              results: batch.writes.map(() => ({
                _tag: "Applied" as const,
                outcomes: [
                  { _tag: "Saved" as const, seq: 8 },
                  { _tag: "Duplicate" as const },
                  { _tag: "Saved" as const, seq: 9 }
                ]
              })),
              seq: 9,
              events: 7
            }),
            1500
          )
      }))
      assert.deepStrictEqual(yield* ingester.stats, { events: 5, seq: 7, committed: 0, queue: 0 })
      const { write } = yield* ingester.sender("test")
      for (let n = 0; n < 2; n++) {
        const caller = yield* Effect.forkChild(write([1, 2, 3].map((i) => save(note(i)))), { startImmediately: true })
        yield* TestClock.adjust(1500)
        yield* Fiber.join(caller)
      }
      assert.deepStrictEqual(yield* ingester.stats, { events: 7, seq: 9, committed: 4, queue: 0 })
      assert.strictEqual((yield* Shutdown).journal.counters.committed, 4)
      assert.strictEqual((yield* countOf(Metrics.databaseOperations.Saved)) - before, 4)
      assert.strictEqual((yield* countOf(Metrics.databaseOperations.Duplicate)) - known, 2)
      const after = yield* Metric.value(Metrics.databaseCommitSeconds)
      assert.deepStrictEqual([after.count - seconds.count, after.sum - seconds.sum], [2, 3])
    }).pipe(Effect.scoped, Effect.provide(isolated)))
})

describe("storage that fails", () => {
  it.effect("refuses every write and sweep of the batch with its reason, is counted and reported once", () =>
    Effect.gen(function*() {
      const before = (yield* Metric.value(Metrics.databaseWriteFailures)).count
      let calls = 0
      const ingester = yield* Ingester.make(writerOf({
        apply: () => Effect.andThen(Effect.sync(() => calls++), Effect.fail(broken)),
        sweep: () => Effect.die("must not be asked")
      }))
      const { write } = yield* ingester.sender("test")
      const sweep = yield* ingester.sweeper("test/sweep")
      const asked = [write([save(note(1))]), write([save(note(2))]), sweep]
      const exits = yield* Effect.forEach(asked, (ask) => Effect.exit<unknown, unknown, never>(ask))
      for (const exit of exits) {
        const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
        assert.strictEqual((error as { readonly cause?: unknown } | undefined)?.cause, broken)
      }
      assert.strictEqual(calls, 1)
      assert.strictEqual(yield* failedCode, 74)
      assert.strictEqual((yield* Metric.value(Metrics.databaseWriteFailures)).count - before, 1)
    }).pipe(Effect.scoped, Effect.provide(isolated)))

  it.effect("while sweeping stops the service as well, and nothing is written afterwards", () =>
    Effect.gen(function*() {
      let writes = 0
      const ingester = yield* Ingester.make(writerOf({
        apply: (batch) => Effect.andThen(Effect.sync(() => writes++), saved()(batch)),
        sweep: () => Effect.fail(broken)
      }))
      const { write } = yield* ingester.sender("test")
      assert.isTrue(Exit.isFailure(yield* Effect.exit(yield* ingester.sweeper("test/sweep"))))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(write([save(note(1))]))))
      assert.strictEqual(writes, 0)
      assert.strictEqual(yield* failedCode, 74)
    }).pipe(Effect.scoped, Effect.provide(isolated)))

  it.effect("that dies between two batches stops the service at once", () =>
    Effect.gen(function*() {
      const death = yield* Deferred.make<never, StoreWriter.StorageFailed>()
      let writes = 0
      const ingester = yield* Ingester.make(writerOf({
        apply: (batch) => Effect.andThen(Effect.sync(() => writes++), saved()(batch)),
        died: Deferred.await(death)
      }))
      const { write } = yield* ingester.sender("test")
      yield* write([save(note(1))])
      yield* Deferred.fail(death, broken)
      assert.strictEqual(yield* failedCode, 74)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(write([save(note(2))]))))
      assert.strictEqual(writes, 1)
    }).pipe(Effect.scoped, Effect.provide(isolated)))

  it.effect("keeps to its first reason", () =>
    Effect.gen(function*() {
      const death = yield* Deferred.make<never, StoreWriter.StorageFailed>()
      const ingester = yield* Ingester.make(writerOf({ apply: () => Effect.fail(broken), died: Deferred.await(death) }))
      const { write } = yield* ingester.sender("test")
      // Two, as a caller has its answer before the ingester is done with the batch.
      yield* Effect.exit(write([save(note(1))]))
      yield* Effect.exit(write([save(note(1))]))
      yield* Deferred.fail(death, new StoreWriter.StorageFailed({ detail: "ended with code 1" }))
      yield* Effect.exit(write([save(note(2))]))
      const error = yield* Effect.flip(write([save(note(3))]))
      assert.strictEqual((error as { readonly cause?: unknown }).cause, broken)
    }).pipe(Effect.scoped, Effect.provide(isolated)))

  it.effect("because its budget had expired, and its thread was ended, is nobody's fault", () =>
    Effect.gen(function*() {
      const { journal } = yield* Shutdown
      const before = (yield* Metric.value(Metrics.databaseWriteFailures)).count
      const ingester = yield* Ingester.make(writerOf({ apply: () => Effect.fail(broken) }))
      const { write } = yield* ingester.sender("test")
      journal.forced.push("ingester drain")
      assert.isTrue(Exit.isFailure(yield* Effect.exit(write([save(note(1))]))))
      // The next one is taken only once that one is dealt with.
      assert.isTrue(Exit.isFailure(yield* Effect.exit(write([save(note(2))]))))
      assert.deepStrictEqual(journal.causes, [])
      assert.strictEqual((yield* Metric.value(Metrics.databaseWriteFailures)).count, before)
    }).pipe(Effect.scoped, Effect.provide(isolated)))
})

const fork = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })

describe("a sweep", () => {
  it.effect("comes after the writes that wait with it, once for all that ask, and says whether it is done", () =>
    Effect.gen(function*() {
      const { apply, batches, gate, started } = yield* gated
      const swept: Array<readonly [now: number, batches: number]> = []
      const ingester = yield* Ingester.make(writerOf({
        apply,
        sweep: (now) =>
          Effect.sync(() => {
            swept.push([now, batches.length])
            return { done: false, indexed: 0, seq: 20, events: 3 }
          })
      }))
      const { write } = yield* ingester.sender("test")
      const sweep = yield* ingester.sweeper("test/sweep")
      yield* TestClock.adjust(3999)
      const first = yield* fork(write([save(note(1))]))
      yield* started.await
      const sweeps = yield* Effect.forEach([sweep, sweep], fork)
      const second = yield* fork(write([save(note(2))]))
      yield* gate.open
      assert.deepStrictEqual(yield* Effect.forEach(sweeps, Fiber.join), [false, false])
      yield* Effect.forEach([first, second], Fiber.join)
      assert.deepStrictEqual(swept, [[3, 2]])
      const { events, seq } = yield* ingester.stats
      assert.deepStrictEqual([events, seq], [3, 20])
    }).pipe(Effect.scoped, Effect.provide(isolated)))

  it.effect("tells every five seconds how far the index of searches is, and when it is built", () => {
    const told: Array<unknown> = []
    const logger = Logger.layer([
      Logger.make(({ fiber, message }) => {
        const { millis, profiles } = fiber.getRef(References.CurrentLogAnnotations)
        told.push([...[message].flat(), profiles, millis])
      })
    ])
    const indexed = [100, 200, 40, 0, 0, 7, 0]
    return Effect.gen(function*() {
      const ingester = yield* Ingester.make(writerOf({
        sweep: () => Effect.sync(() => ({ done: false, indexed: indexed.shift() ?? 0, seq: 20, events: 3 }))
      }))
      const sweep = yield* ingester.sweeper("test/sweep")
      yield* sweep
      assert.deepStrictEqual(told, [])
      yield* TestClock.adjust(4999)
      yield* sweep
      assert.deepStrictEqual(told, [])
      yield* TestClock.adjust(1)
      yield* sweep
      assert.deepStrictEqual(told.splice(0), [["building the search index", 340, 5000]])
      yield* TestClock.adjust(100)
      yield* sweep
      assert.deepStrictEqual(told.splice(0), [["search index built", 340, 5100]])
      yield* sweep
      assert.deepStrictEqual(told, [])
      yield* sweep
      yield* sweep
      assert.deepStrictEqual(told, [["search index built", 7, 0]])
    }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(Layer.fresh(lifecycle), logger)))
  })
})
