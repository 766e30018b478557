/** The store behind Effect, whichever engine it is: writes, the sweep, and an end that says what became of it. */
import { Effect, Option, Runtime, Schema } from "effect"
import { ExitCode } from "../lifecycle/Certificate.ts"
import type { Journal } from "../lifecycle/Journal.ts"
import type { StoreAnswer, StoreBatch, StoreSizes, SweepAnswer } from "./storeProtocol.ts"

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
