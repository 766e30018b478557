/** The store behind Effect, whichever engine it is: writes, the sweep, and an end that says what became of it. */
import { Cause, Effect, Option, Runtime, Schema } from "effect"
import { ExitCode } from "../lifecycle/Certificate.ts"
import { type Budget, Shutdown } from "../lifecycle/Shutdown.ts"
import { Supervisor } from "../lifecycle/Supervisor.ts"
import type { StoreAnswer, StoreBatch, StoreSizes, SweepAnswer } from "./storeProtocol.ts"

/** What a store's release may wait for. */
export const budgets = {
  /** Accepted writes may still be committed. */
  drain: { name: "ingester drain", millis: 2000 },
  /** The log is folded into the database file; the next start does it otherwise. */
  checkpoint: { name: "checkpoint", millis: 1000, isHarmless: true },
  /** Its threads may still finish the job in hand. */
  exit: { name: "worker stop", millis: 1000 }
} as const satisfies Record<string, Budget>

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

/**
 * Watches over the writer from here on, and proves what becomes of it: that nothing is written after the close, which would
 * mean that the order of release is broken, and that the ingester ends before the file is closed. `release` closes the
 * writer within its budgets; `isDrained`: has the consumer of the mailbox ended? `displacement`: what has become of the store
 * since it was opened, where it would not be found again: then no certificate may say that it is whole.
 */
export const guarded = Effect.fnUntraced(function*(
  writer: StoreWriter,
  { displacement, isDrained }: {
    readonly isDrained: () => boolean
    readonly displacement?: () => string | undefined
  }
) {
  const { bounded, journal, prove, state } = yield* Shutdown
  const supervisor = yield* Supervisor
  let isClosed = false
  let writesAfterClose = 0
  let isExited = false
  let isGivenUp = false
  yield* prove("noWriteAfterClose", () => writesAfterClose === 0)
  // For a forced end before the release, when nobody folds it any more.
  yield* state("wal", () => "open: the next start reads the log")
  // An expired budget keeps us from waiting for it, which is 75 rather than 70.
  yield* prove("ingesterExited", () => isExited || isGivenUp)

  const guard = <A>(call: Effect.Effect<A, StorageFailed>): Effect.Effect<A, StorageFailed> =>
    Effect.suspend(() => {
      if (!isClosed) return call
      writesAfterClose++
      return Effect.fail(new StorageFailed({ detail: "it is closed" }))
    })

  const close = Effect.suspend(() => {
    isClosed = true
    return writer.close
  })

  const release = Effect.gen(function*() {
    const wal = yield* bounded(budgets.checkpoint, close)
    const lost = displacement?.()
    yield* state(
      "wal",
      () => lost === undefined ? Option.getOrElse(wal, () => "skipped: the checkpoint budget expired") : `lost: ${lost}`
    )
    if (lost !== undefined) yield* supervisor.fail("database", Cause.fail(new StorageFailed({ detail: lost })))
    const exited = yield* bounded(budgets.exit, writer.exited)
    isExited = isDrained() && Option.isSome(exited)
    isGivenUp = Option.isNone(wal) || Option.isNone(exited) || journal.forced.includes(budgets.drain.name)
    if (isExited) yield* Effect.logInfo("Ingester thread exited")
    else yield* Effect.logError("ingester did not exit by itself")
  })

  const watched: StoreWriter = {
    ...writer,
    apply: (batch) => guard(writer.apply(batch)),
    sweep: (now) => guard(writer.sweep(now)),
    close
  }
  return { writer: watched, release }
})
