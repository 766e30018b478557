/** The store behind Effect: the same calls whether it runs in the ingester's thread or in ours. */
import { Duration, Effect, Option, Runtime, Schema } from "effect"
import { ExitCode } from "../lifecycle/Certificate.ts"
import type { Journal } from "../lifecycle/Journal.ts"
import { messageOf } from "../observability/messageOf.ts"
import type { DatabaseThread, ThreadFailed } from "./DatabaseThread.ts"
import type { SqliteStore } from "./SqliteStore.ts"
import type { StoreAnswer, StoreBatch, StoreRequest, StoreSizes, SweepAnswer } from "./storeProtocol.ts"

/**
 * A transaction did not reach the disk, or nobody can say whether it did. The writer stops for good: the service is
 * released and exits with 74, and the next start finds out what is there.
 */
export class StorageFailed extends Schema.TaggedError<StorageFailed>()("StorageFailed", { detail: Schema.String }) {
  override get message() {
    return `the database stopped writing: ${this.detail}`
  }
  override get [Runtime.errorExitCode](): number {
    return ExitCode.Storage
  }
}

export interface StoreWriter {
  readonly apply: (batch: StoreBatch) => Effect.Effect<StoreAnswer, StorageFailed>
  readonly sweep: (now: number) => Effect.Effect<SweepAnswer, StorageFailed>
  /** Fails when the writer ends by itself; never succeeds. */
  readonly died: Effect.Effect<never, StorageFailed>
  /** Folds the log into the file and closes it; says what became of the log. */
  readonly close: Effect.Effect<string>
  /** After `close`: waits until the thread, if there is one, is gone. */
  readonly exited: Effect.Effect<void>
  /** What the store had when it was opened. */
  readonly sizes: StoreSizes
}

/** A transaction that takes longer has hung: no disk that works needs so long for the few megabytes of a batch. */
const deadline = Duration.seconds(10)

const attempt = <A>(body: () => A): Effect.Effect<A, StorageFailed> =>
  Effect.try({ try: body, catch: (error) => new StorageFailed({ detail: messageOf(error) }) })

const failed = (error: ThreadFailed) => new StorageFailed({ detail: error.detail })

/** What became of a log that could not be folded into the file. */
const skipped = ({ detail }: StorageFailed | ThreadFailed) => Effect.succeed(`skipped: ${detail}`)

/** The store in this thread: every call blocks it. */
export const inline = (store: SqliteStore): StoreWriter => {
  return {
    apply: (batch) => attempt(() => store.apply(batch)),
    sweep: (now) => attempt(() => store.sweep(now)),
    died: Effect.never,
    close: attempt(() => store.close()).pipe(Effect.catch(skipped)),
    exited: Effect.void,
    sizes: store.sizes
  }
}

/** The store in its own thread, which loses its right to be waited for when it does not answer in time. */
export const threaded = (
  thread: DatabaseThread<StoreRequest, StoreAnswer | SweepAnswer>,
  sizes: StoreSizes
): StoreWriter => {
  const request = <A extends StoreAnswer | SweepAnswer>(request: StoreRequest): Effect.Effect<A, StorageFailed> =>
    Effect.timeoutOrElse(Effect.mapError(thread.request(request), failed), {
      duration: deadline,
      orElse: () =>
        Effect.fail(new StorageFailed({ detail: `no answer from its thread in ${Duration.format(deadline)}` }))
    }) as Effect.Effect<A, StorageFailed>
  return {
    apply: (batch) => request<StoreAnswer>({ _tag: "Apply", batch }),
    sweep: (now) => request<SweepAnswer>({ _tag: "Sweep", now }),
    died: Effect.mapError(thread.died, failed),
    close: thread.close.pipe(Effect.catch(skipped)),
    exited: thread.exited,
    sizes
  }
}

/** Counts what is written after the close: nothing, unless the order of release is broken. */
export const guarded = (writer: StoreWriter, journal: Journal): StoreWriter => {
  let isClosed = false
  // Until `release` has seen it exit.
  journal.ingesterExited = false
  const guard = <A>(call: Effect.Effect<A, StorageFailed>): Effect.Effect<A, StorageFailed> =>
    Effect.suspend(() => {
      if (!isClosed) return call
      journal.writesAfterClose++
      return Effect.fail(new StorageFailed({ detail: "it is closed" }))
    })
  return {
    ...writer,
    apply: (batch) => guard(writer.apply(batch)),
    sweep: (now) => guard(writer.sweep(now)),
    close: Effect.suspend(() => {
      isClosed = true
      return writer.close
    })
  }
}

/** Closes the writer within its budgets and states in the journal what became of it and its log. */
export const release = Effect.fnUntraced(function*(
  writer: StoreWriter,
  options: {
    readonly journal: Journal
    readonly bounded: <A>(
      budget: "checkpoint" | "worker stop",
      effect: Effect.Effect<A>
    ) => Effect.Effect<Option.Option<A>>
    /** Has the consumer of the mailbox ended? */
    readonly isDrained: () => boolean
  }
) {
  const wal = yield* options.bounded("checkpoint", writer.close)
  options.journal.wal = Option.getOrElse(wal, () => "skipped: the checkpoint budget expired")
  const exited = yield* options.bounded("worker stop", writer.exited)
  const isExited = options.isDrained() && Option.isSome(exited)
  options.journal.ingesterExited = isExited
  if (isExited) yield* Effect.logInfo("Ingester thread exited")
  else yield* Effect.logError("ingester did not exit by itself")
})
