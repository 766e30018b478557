/** Storage that fails, hangs or dies: every reply is given, nothing is written afterwards, and the service stops. */
import { assert, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Latch, Layer, PubSub, Runtime } from "effect"
import { TestClock } from "effect/testing"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { describe } from "vitest"
import { Database } from "../../src/database/Database.ts"
import * as Ingester from "../../src/database/Ingester.ts"
import { connect } from "../../src/database/sqlite/connection.ts"
import { SqliteStore } from "../../src/database/sqlite/SqliteStore.ts"
import * as SqliteWriter from "../../src/database/sqlite/SqliteWriter.ts"
import { AnswerBuffers } from "../../src/database/sqlite/thread/AnswerBuffers.ts"
import * as DatabaseThread from "../../src/database/sqlite/thread/DatabaseThread.ts"
import type { StoreBatch, StoreRequest } from "../../src/database/storeProtocol.ts"
import * as StoreWriter from "../../src/database/StoreWriter.ts"
import { type Event, rawOf } from "../../src/domain/Event.ts"
import { certify } from "../../src/lifecycle/Certificate.ts"
import { Shutdown } from "../../src/lifecycle/Shutdown.ts"
import { Supervisor } from "../../src/lifecycle/Supervisor.ts"
import { signed } from "../support/events.ts"
import { saveAll } from "./Database.suite.ts"
import { at, directory, lifecycle, quiet } from "./support.ts"

const save = (event: Event) => ({ _tag: "Save", event }) as const
const note = (i: number) => signed({ content: `${i}` })

/** A store that answers `Saved` to everything, or whatever `apply` makes of a batch. */
const writerOf = (apply: StoreWriter.StoreWriter["apply"]): StoreWriter.StoreWriter => ({
  apply,
  sweep: () => Effect.succeed({ done: true, indexed: 0, seq: 0, events: 0 }),
  died: Effect.never,
  close: Effect.succeed("checkpointed"),
  exited: Effect.void,
  sizes: { seq: 0, events: 0 }
})

const saved = () => {
  let seq = 0
  return (batch: StoreBatch) =>
    Effect.sync(() => {
      const results = batch.writes.map((operations) => ({
        _tag: "Applied" as const,
        outcomes: operations.map(() => ({ _tag: "Saved" as const, seq: ++seq }))
      }))
      return { results, seq, events: seq }
    })
}

const failedCode = Effect.map(
  Effect.flatMap(Supervisor, ({ failed }) => Effect.exit(failed)),
  (exit) => Exit.isFailure(exit) ? Runtime.getErrorExitCode(Cause.squash(exit.cause)) : undefined
)

const isolated = Layer.provide(Layer.fresh(lifecycle), quiet)

describe("the ingester", () => {
  it.effect("commits what came in during one transaction in the next one", () =>
    Effect.gen(function*() {
      const latch = yield* Latch.make()
      const started = yield* Latch.make()
      const sizes: Array<number> = []
      const apply = saved()
      const ingester = yield* Ingester.make(writerOf((batch) => {
        sizes.push(batch.writes.length)
        return started.open.pipe(Effect.andThen(latch.await), Effect.andThen(apply(batch)))
      }))
      const { write } = yield* ingester.sender("test")
      const call = (event: Event) => Effect.forkChild(write([save(event)]), { startImmediately: true })
      const first = yield* call(note(0))
      yield* started.await
      const callers = [first, ...yield* Effect.forEach(Array.from({ length: 100 }, (_, i) => note(i + 1)), call)]
      yield* latch.open
      const answers = yield* Effect.forEach(callers, Fiber.join)
      assert.deepStrictEqual(sizes, [1, 100])
      assert.deepStrictEqual(answers.flat(), answers.map((_, i) => ({ _tag: "Saved" as const, seq: i + 1 })))
    }).pipe(Effect.scoped, Effect.provide(isolated)))

  it.effect("answers before it announces, and never before the transaction is done", () =>
    Effect.gen(function*() {
      const done = yield* Deferred.make<void>()
      const apply = saved()
      const ingester = yield* Ingester.make(writerOf((batch) => Effect.andThen(Deferred.await(done), apply(batch))))
      const { write } = yield* ingester.sender("test")
      const commits = yield* ingester.commits
      const caller = yield* Effect.forkChild(write([save(note(1))]), { startImmediately: true })
      yield* Effect.yieldNow
      assert.isUndefined(caller.pollUnsafe())
      assert.strictEqual(yield* PubSub.remaining(commits), 0)
      yield* Deferred.succeed(done, undefined)
      assert.deepStrictEqual(yield* Fiber.join(caller), [{ _tag: "Saved", seq: 1 }])
      assert.strictEqual((yield* PubSub.take(commits))[0]?.seq, 1)
    }).pipe(Effect.scoped, Effect.provide(isolated)))

  it.effect("cuts a large batch into transactions and keeps a large write whole", () =>
    Effect.gen(function*() {
      const latch = yield* Latch.make()
      const started = yield* Latch.make()
      const sizes: Array<number> = []
      const apply = saved()
      const ingester = yield* Ingester.make(writerOf((batch) => {
        sizes.push(batch.writes.flat().length)
        return started.open.pipe(Effect.andThen(latch.await), Effect.andThen(apply(batch)))
      }))
      const { write } = yield* ingester.sender("test")
      const event = note(1)
      const call = (count: number) =>
        Effect.forkChild(write(Array.from({ length: count }, () => save(event))), { startImmediately: true })
      const first = yield* call(1)
      yield* started.await
      const callers = [first, ...yield* Effect.forEach([600, 600, 400, 3000, 1], call)]
      yield* latch.open
      yield* Effect.forEach(callers, Fiber.join)
      assert.deepStrictEqual(sizes, [1, 600, 1000, 3000, 1])
    }).pipe(Effect.scoped, Effect.provide(isolated)))

  it.effect("refuses the batch whose transaction failed and everything after it, and stops the service with 74", () =>
    Effect.gen(function*() {
      const apply = saved()
      let calls = 0
      const ingester = yield* Ingester.make(
        writerOf((batch) =>
          ++calls === 2 ? Effect.fail(new StoreWriter.StorageFailed({ detail: "disk I/O error" })) : apply(batch)
        )
      )
      const { write } = yield* ingester.sender("test")
      const commits = yield* ingester.commits
      const exits = yield* Effect.forEach([1, 2, 3], (i) => Effect.exit(write([save(note(i))])))
      assert.deepStrictEqual(exits.map(Exit.isSuccess), [true, false, false])
      assert.strictEqual(calls, 2, "nothing is written after a failure")
      assert.strictEqual((yield* PubSub.take(commits)).length, 1)
      assert.strictEqual(yield* PubSub.remaining(commits), 0)
      assert.strictEqual(yield* failedCode, 74)
      assert.strictEqual((yield* Shutdown).journal.counters.committed, 1)
    }).pipe(Effect.scoped, Effect.provide(isolated)))

  it.effect("gives up on a thread that does nothing for ten seconds, not a moment sooner, and never on one that does", () =>
    Effect.gen(function*() {
      let done = 0
      const writer = SqliteWriter.threaded(
        {
          request: () => Effect.never,
          buffers: new AnswerBuffers(),
          close: Effect.succeed("closed"),
          exited: Effect.void,
          died: Effect.never,
          terminate: Effect.void
        },
        { seq: 0, events: 0 },
        { count: () => done }
      )
      const ingester = yield* Ingester.make(writer)
      const { write } = yield* ingester.sender("test")
      const caller = yield* Effect.forkChild(Effect.exit(write([save(note(1))])), { startImmediately: true })
      for (let i = 0; i < 100; i++) {
        yield* TestClock.adjust("9 seconds")
        done++
      }
      yield* TestClock.adjust("1 second")
      yield* TestClock.adjust(9999)
      assert.isUndefined(caller.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.isTrue(Exit.isFailure(yield* Fiber.join(caller)))
      assert.strictEqual(yield* failedCode, 74)
    }).pipe(Effect.scoped, Effect.provide(isolated)))

  it.effect("stops the service when a subscriber does not read, rather than lose an event or wait for ever", () =>
    Effect.gen(function*() {
      const ingester = yield* Ingester.make(writerOf(saved()))
      const { write } = yield* ingester.sender("test")
      yield* ingester.commits
      yield* Effect.forEach(Array.from({ length: 1025 }, (_, i) => i), () => write([save(note(0))]))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* failedCode, 1)
    }).pipe(Effect.scoped, Effect.provide(isolated)))

  it.effect("counts a write after the close, and does not let it through", () =>
    Effect.gen(function*() {
      const { journal } = yield* Shutdown
      const writer = (yield* StoreWriter.guarded(writerOf(saved()), { isDrained: () => true })).writer
      yield* writer.close
      assert.isTrue(certify(journal, []).proofs.noWriteAfterClose)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(writer.apply({ now: 0, writes: [] }))))
      assert.isFalse(certify(journal, []).proofs.noWriteAfterClose)
    }).pipe(Effect.provide(isolated)))
})

describe("the store on a full disk", () => {
  it.live("refuses the transaction, keeps the earlier ones, goes on when there is room, and is intact when opened again", () =>
    Effect.gen(function*() {
      const path = join(yield* directory, "test.db")
      yield* saveAll([note(0)]).pipe(Effect.provide(Layer.fresh(at(path))))
      const db = connect(path, "writer")
      db.exec("PRAGMA max_page_count = 60")
      const store = new SqliteStore(db, "ws://localhost:8080")
      const apply = (i: number) =>
        store.apply({
          now: 0,
          writes: [[{ _tag: "Save", raw: rawOf(signed({ content: `${i} ${"x".repeat(20_000)}` })) }]]
        })
      let applied = 0
      let answer = apply(1)
      for (; answer.isFull !== true; answer = apply(applied + 1)) applied++
      assert.deepStrictEqual(answer.results.map(({ _tag }) => _tag), ["Refused"])
      assert.isAbove(applied, 0)
      assert.strictEqual(store.sizes.events, applied + 1)
      assert.isTrue(apply(applied + 1).isFull, "and again")
      db.exec("PRAGMA max_page_count = 1000")
      assert.strictEqual(apply(++applied).results[0]?._tag, "Applied")
      store.close()
      const { events, seq } = yield* Effect.flatMap(Database, ({ stats }) => stats).pipe(
        Effect.provide(Layer.fresh(at(path)))
      )
      assert.deepStrictEqual([events, seq], [applied + 1, applied + 1])
    }).pipe(Effect.scoped))

  it.live("waits for a foreign writer that lets go, without blocking this thread", () =>
    Effect.gen(function*() {
      const path = join(yield* directory, "test.db")
      yield* Effect.gen(function*() {
        const foreign = new DatabaseSync(path)
        foreign.exec("BEGIN IMMEDIATE")
        const caller = yield* Effect.forkChild(saveAll([note(1)]), { startImmediately: true })
        yield* Effect.sleep(50)
        assert.isUndefined(caller.pollUnsafe())
        foreign.exec("ROLLBACK")
        foreign.close()
        assert.deepStrictEqual(yield* Fiber.join(caller), ["Saved"])
      }).pipe(Effect.provide(Layer.fresh(at(path))))
    }).pipe(Effect.scoped))
})

describe("a database thread", () => {
  type Payload = "answer" | "throw" | "exit" | "hang" | "fail"
  const spawn = DatabaseThread.make<Payload, string>({
    name: "ingester",
    entry: new URL("./answeringThread.ts", import.meta.url),
    workerData: {}
  })

  it.live("answers, fails a request, and ends when asked to", () =>
    Effect.gen(function*() {
      const thread = yield* spawn
      assert.strictEqual(yield* thread.request("answer"), "answered")
      assert.strictEqual((yield* Effect.flip(thread.request("fail"))).detail, "no")
      assert.strictEqual(yield* thread.close, "closed")
      yield* thread.exited
      assert.strictEqual((yield* Effect.flip(thread.request("answer"))).detail, "is closed")
    }).pipe(Effect.scoped))

  for (const [payload, detail] of [["throw", "out of order"], ["exit", "ended with code 3"]] as const) {
    it.live(`fails every request when it dies (${payload}), and stops the writer with 74`, () =>
      Effect.gen(function*() {
        const thread = yield* spawn
        const waiting = yield* Effect.forkChild(Effect.flip(thread.request("hang")), { startImmediately: true })
        assert.strictEqual((yield* Effect.flip(thread.request(payload))).detail, detail)
        assert.strictEqual((yield* Fiber.join(waiting)).detail, detail)
        const writer = SqliteWriter.threaded(
          thread as unknown as DatabaseThread.DatabaseThread<StoreRequest, never>,
          { seq: 0, events: 0 },
          { count: () => 0 }
        )
        assert.strictEqual(Runtime.getErrorExitCode(yield* Effect.flip(writer.died)), 74)
        assert.strictEqual(yield* writer.close, `skipped: ${detail}`)
      }).pipe(Effect.scoped))
  }

  it.live("is cut when its scope closes while it hangs", () =>
    Effect.gen(function*() {
      const { exited } = yield* Effect.scoped(Effect.gen(function*() {
        const thread = yield* spawn
        yield* Effect.forkChild(thread.request("hang"), { startImmediately: true })
        return thread
      }))
      yield* exited
    }))
})
