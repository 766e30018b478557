/**
 * The consumer of the database's mailbox: group commit, answers, announcements, in this order.
 *
 * While one transaction is on its way to the disk, the mailbox fills with the next one: an idle store commits single
 * writes at once, a busy one forms batches by itself. Nobody is answered before the disk has the transaction, and once
 * storage has failed nobody is told otherwise again.
 */
import { Cause, Deferred, Effect, Exit, Latch, Metric, Option, PubSub, Schema } from "effect"
import { rawOf } from "../domain/Event.ts"
import { secondsOf } from "../domain/Time.ts"
import { removalWork, vanishRowsMax, workOf } from "../domain/Work.ts"
import * as Mailbox from "../lifecycle/Mailbox.ts"
import { Shutdown } from "../lifecycle/Shutdown.ts"
import { Supervisor } from "../lifecycle/Supervisor.ts"
import { databaseCommitSeconds, databaseOperations, databaseWriteFailures } from "../observability/Metrics.ts"
import { type Commit, DatabaseError, type DatabaseSender, type Operation, type Outcome, type Save } from "./Database.ts"
import { endless, type Room } from "./Room.ts"
import type { StoreOperation, StoreSizes, SweepAnswer } from "./storeProtocol.ts"
import { budgets, type StorageFailed, type StoreWriter } from "./StoreWriter.ts"

/** What became of one write. */
type Written = ReadonlyArray<Outcome> | DatabaseError
/** Writes by one sender, each of which stands by itself; answered together. */
interface Writes {
  readonly _tag: "Writes"
  readonly writes: ReadonlyArray<ReadonlyArray<Operation>>
  readonly reply: (written: ReadonlyArray<Written>) => void
}
/** Housekeeping; succeeds with whether there is nothing left to do. */
interface Sweep {
  readonly _tag: "Sweep"
  readonly reply: Deferred.Deferred<boolean, DatabaseError>
}
type Message = Writes | Sweep

/** Messages that may wait; more make their senders wait. */
const capacity = 4096
const batchMax = 512
/** Bounds of one transaction. A single write may exceed them, as it is one transaction whatever its size. */
const operationsMax = 1024
const charactersMax = 4 * 1024 * 1024
/** Units of `domain/Work`: 100 ms of a file that is not in memory. */
const workMax = 16_384

/** Batches of commits that a subscriber may be behind; then the ingester waits for it, and in the end gives up. */
const commitsBehindMax = 1024
const commitsDeadline = "5 seconds"

/** Milliseconds between two lines in the log about how far the index of searches is. */
const indexingTold = 5000

/** A subscriber to `commits` does not read: a bug in it, and no event may be lost over it. */
class CommitsStalled extends Schema.TaggedError<CommitsStalled>()("CommitsStalled", {}) {
  override get message() {
    return "a subscriber to commits does not read"
  }
}

/** One write, prepared: its events as canonical JSON. */
interface Prepared {
  readonly write: ReadonlyArray<Operation>
  readonly operations: ReadonlyArray<StoreOperation>
  readonly characters: number
  /** Units of `domain/Work`. */
  readonly work: number
  readonly settle: (written: Written) => void
}

const otherWorkOf = (operation: Exclude<Operation, Save>): number => {
  if (operation._tag === "Delete") return removalWork(0) * operation.ids.length
  return operation._tag === "DeleteAuthor" ? removalWork(0) * vanishRowsMax : 2
}

const prepared = (write: ReadonlyArray<Operation>, settle: Prepared["settle"]): Prepared => {
  let characters = 0
  let work = 0
  const operations = write.map((operation): StoreOperation => {
    if (operation._tag !== "Save") {
      work += otherWorkOf(operation)
      return operation
    }
    const raw = rawOf(operation.event)
    characters += raw.length
    work += workOf(operation.event, raw.length)
    return { _tag: "Save", raw }
  })
  return { write, operations, characters, work, settle }
}

/** The writes of a message, which is answered when the last of them is. */
const preparedAll = ({ reply, writes }: Writes): ReadonlyArray<Prepared> => {
  const results: Array<Written> = []
  let left = writes.length
  return writes.map((write, i) =>
    prepared(write, (written) => {
      results[i] = written
      if (--left === 0) reply(results)
    })
  )
}

/** Cuts a batch into transactions of bounded size, in order. */
const transactions = (writes: ReadonlyArray<Prepared>): ReadonlyArray<ReadonlyArray<Prepared>> => {
  const all: Array<Array<Prepared>> = []
  let operations = 0
  let characters = 0
  let work = 0
  for (const write of writes) {
    operations += write.operations.length
    characters += write.characters
    work += write.work
    if (all.length === 0 || operations > operationsMax || characters > charactersMax || work > workMax) {
      operations = write.operations.length
      characters = write.characters
      work = write.work
      all.push([])
    }
    all.at(-1)!.push(write)
  }
  return all
}

const refused = (cause: unknown, lack?: string) =>
  new DatabaseError({ operation: "write", cause, ...lack === undefined ? {} : { lack } })

/** Commits of one write's operations, in order; an ephemeral event comes after what was committed before it. */
const commitsOf = (write: Prepared, outcomes: ReadonlyArray<Outcome>, commits: Array<Commit>, last: number) => {
  let seq = last
  write.write.forEach((operation, i) => {
    const outcome = outcomes[i]!
    if (operation._tag !== "Save") return
    if (outcome._tag === "Saved") seq = outcome.seq
    else if (outcome._tag !== "Ephemeral") return
    commits.push({ seq, event: operation.event, raw: (write.operations[i] as { readonly raw: string }).raw })
  })
  return seq
}

/** While there is no room, nothing is tried. */
const turnAway = (writes: ReadonlyArray<Prepared>, lack: string) =>
  Effect.sync(() => {
    for (const { settle } of writes) settle(refused(new Error(lack), lack))
  })

/** Acquires the mailbox, and with it the consumer, into the database's scope. Released before the writer is closed. */
export const make = Effect.fnUntraced(function*(writer: StoreWriter, room: Room = endless) {
  const { journal, state } = yield* Shutdown
  const counters = journal.count("committed")
  yield* state("committed", () => counters.committed)
  const supervisor = yield* Supervisor
  let sizes: StoreSizes = writer.sizes
  let committed = 0
  /** Set once and for good. */
  let failure: StorageFailed | undefined
  /** Open while a sweep has something to do. */
  const leftover = Latch.makeUnsafe(true)
  const announced = yield* Effect.acquireRelease(
    PubSub.bounded<ReadonlyArray<Commit>>(commitsBehindMax),
    PubSub.shutdown
  )

  const fail = (error: StorageFailed) => {
    failure ??= error
    // Its budget has expired, so its thread was terminated: that is not the storage's fault.
    if (journal.forced.includes(budgets.drain.name)) return Effect.void
    return Effect.andThen(
      Metric.update(databaseWriteFailures, 1),
      supervisor.fail("database", Cause.fail(error))
    )
  }

  const announce = (commits: ReadonlyArray<Commit>) =>
    Effect.suspend(() => {
      if (commits.length === 0 || PubSub.publishUnsafe(announced, commits)) return Effect.void
      return Effect.flatMap(
        Effect.timeoutOption(PubSub.publish(announced, commits), commitsDeadline),
        (published) =>
          Option.isSome(published) ? Effect.void : supervisor.fail("database", Cause.fail(new CommitsStalled({})))
      )
    })

  const commit = Effect.fnUntraced(function*(writes: ReadonlyArray<Prepared>) {
    const now = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
    const answer = yield* writer.apply({
      now: secondsOf(now),
      writes: writes.map(({ operations }) => operations)
    })
    if (answer.isFull === true) yield* room.exhausted
    const lack = answer.isFull === true ? room.lack() : undefined
    const commits: Array<Commit> = []
    let last = sizes.seq
    const counts = new Map<Outcome["_tag"], number>()
    answer.results.forEach((result, i) => {
      const write = writes[i]!
      if (result._tag === "Refused") {
        write.settle(refused(new Error(result.message), lack))
        return
      }
      for (const { _tag } of result.outcomes) counts.set(_tag, (counts.get(_tag) ?? 0) + 1)
      last = commitsOf(write, result.outcomes, commits, last)
    })
    sizes = answer
    if (answer.hasLeftover === true) leftover.openUnsafe()
    const saved = counts.get("Saved") ?? 0
    committed += saved
    counters.committed += saved
    answer.results.forEach((result, i) => {
      if (result._tag === "Applied") writes[i]!.settle(result.outcomes)
    })
    yield* announce(commits)
    for (const [outcome, count] of counts) yield* Metric.update(databaseOperations[outcome], count)
    const done = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
    yield* Metric.update(databaseCommitSeconds, Math.max(0, done - now) / 1000)
  })

  const commitOrFail = (writes: ReadonlyArray<Prepared>): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (failure !== undefined) return Effect.fail(failure)
      const lack = room.lack()
      return lack === undefined ? commit(writes) : turnAway(writes, lack)
    }).pipe(
      Effect.catch((error) => {
        for (const { settle } of writes) settle(refused(error))
        return failure === undefined ? fail(error) : Effect.void
      })
    )

  let indexing: { readonly since: number; told: number; profiles: number } | undefined

  /** So many more stored profiles were entered in the index of searches; 0 ends it. */
  const tellIndexing = Effect.fnUntraced(function*(indexed: number) {
    const now = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
    if (indexed > 0) {
      indexing ??= { since: now, told: now, profiles: 0 }
      indexing.profiles += indexed
    }
    if (indexing === undefined || (indexed > 0 && now - indexing.told < indexingTold)) return
    const { profiles, since } = indexing
    indexing.told = now
    if (indexed === 0) indexing = undefined
    yield* Effect.logInfo(indexed === 0 ? "search index built" : "building the search index").pipe(
      Effect.annotateLogs({ component: "database", profiles, millis: now - since })
    )
  })

  const swept = (now: number): Effect.Effect<SweepAnswer, StorageFailed> => {
    if (failure !== undefined) return Effect.fail(failure)
    return room.lack() === undefined
      ? writer.sweep(secondsOf(now))
      : Effect.succeed({ ...sizes, done: true, indexed: 0 })
  }

  const sweep = (replies: ReadonlyArray<Sweep>): Effect.Effect<void> =>
    Effect.clockWith((clock) => clock.currentTimeMillis).pipe(
      Effect.flatMap(swept),
      Effect.tap((answer) => answer.isFull === true ? room.exhausted : tellIndexing(answer.indexed)),
      Effect.map((answer) => {
        sizes = answer
        for (const { reply } of replies) Deferred.doneUnsafe(reply, Effect.succeed(answer.done))
      }),
      Effect.catch((error) => {
        for (const { reply } of replies) Deferred.doneUnsafe(reply, Exit.fail(refused(error)))
        return failure === undefined ? fail(error) : Effect.void
      })
    )

  const handle = Effect.fnUntraced(function*(batch: ReadonlyArray<Message>) {
    const writes = batch.filter((message) => message._tag === "Writes").flatMap(preparedAll)
    for (const transaction of transactions(writes)) yield* commitOrFail(transaction)
    const sweeps = batch.filter((message) => message._tag === "Sweep")
    if (sweeps.length > 0) yield* sweep(sweeps)
  })

  const { consumer, mailbox } = yield* Mailbox.make<Message, never>({
    name: "database",
    capacity,
    batchMax,
    budget: budgets.drain,
    handle
  })

  const sender = mailbox.senderAs("Database.sender", (lease): DatabaseSender => {
    const writeAll: DatabaseSender["writeAll"] = (writes, queued) => {
      if (writes.length === 0) return Effect.succeed([])
      const message = (reply: Writes["reply"]): Writes => ({ _tag: "Writes", writes, reply })
      return Effect.callback((resume) => {
        if (lease.offer(message, resume)) return queued?.()
        resume(
          lease.ask<ReadonlyArray<Written>, never>((reply) =>
            message((written) => Deferred.doneUnsafe(reply, Exit.succeed(written)))
          )
        )
      })
    }
    return {
      writeAll,
      write: (operations) =>
        Effect.flatMap(
          writeAll([operations]),
          ([written]) => written instanceof DatabaseError ? Effect.fail(written) : Effect.succeed(written ?? [])
        )
    }
  })

  // A thread that dies between two batches is noticed now, not at the next write.
  yield* supervisor.fork("database writer", writer.died.pipe(Effect.catch(fail)))

  return {
    consumer,
    sender,
    /** A housekeeper's right to have the store swept. */
    sweeper: mailbox.senderAs(
      "Ingester.sweeper",
      (lease) => lease.ask<boolean, DatabaseError>((reply) => ({ _tag: "Sweep", reply }))
    ),
    /** Waits until something is hidden that a sweep should remove; may be asked for by one sweeper. */
    leftover: Effect.andThen(leftover.await, leftover.close),
    commits: PubSub.subscribe(announced),
    stats: Effect.map(mailbox.depth, (queue) => ({ events: sizes.events, seq: sizes.seq, committed, queue }))
  }
})
