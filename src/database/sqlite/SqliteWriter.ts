/** SQLite's side of the writer: the same calls whether the store runs in the ingester's thread or in ours. */
import { Duration, Effect } from "effect"
import { messageOf } from "../../observability/messageOf.ts"
import type { StoreAnswer, StoreRequest, StoreSizes, SweepAnswer } from "../storeProtocol.ts"
import { StorageFailed, type StoreWriter } from "../StoreWriter.ts"
import type { SqliteStore } from "./SqliteStore.ts"
import type { DatabaseThread, ThreadFailed } from "./thread/DatabaseThread.ts"

/**
 * A writer that has done nothing for so long has hung. What it does between two signs of progress is a row, or a sync of
 * the few megabytes of a transaction: no disk that works needs so long for either, however much there is to do.
 */
const deadline = Duration.seconds(10)
/** Between two looks at its progress. */
const lookInterval = Duration.seconds(1)

/** Signs of progress of the thread that writes, which goes on counting where it is. */
export interface Progress {
  readonly count: () => number
}

/** One number in memory that both threads see. */
export const sharedProgress = (): Progress & { readonly memory: SharedArrayBuffer } => {
  const memory = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)
  const counter = new Int32Array(memory)
  return { memory, count: () => Atomics.load(counter, 0) }
}

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

/** The store in its own thread, which loses its right to be waited for when it neither answers nor gets on. */
export const threaded = (
  thread: DatabaseThread<StoreRequest, StoreAnswer | SweepAnswer>,
  sizes: StoreSizes,
  progress: Progress
): StoreWriter => {
  /** Fails once nothing has been done for too long; `since` looks. */
  const stuck = (count: number, since: number): Effect.Effect<never, StorageFailed> =>
    Effect.flatMap(Effect.sleep(lookInterval), () => {
      const counted = progress.count()
      if (counted !== count) return stuck(counted, 0)
      if ((since + 1) * Duration.toMillis(lookInterval) < Duration.toMillis(deadline)) return stuck(count, since + 1)
      return Effect.fail(
        new StorageFailed({ detail: `its thread has done nothing for ${Duration.format(deadline)}` })
      )
    })
  const request = <A extends StoreAnswer | SweepAnswer>(request: StoreRequest): Effect.Effect<A, StorageFailed> =>
    Effect.raceFirst(
      Effect.mapError(thread.request(request), failed),
      Effect.suspend(() => stuck(progress.count(), 0))
    ) as Effect.Effect<A, StorageFailed>
  return {
    apply: (batch) => request<StoreAnswer>({ _tag: "Apply", batch }),
    sweep: (now) => request<SweepAnswer>({ _tag: "Sweep", now }),
    died: Effect.mapError(thread.died, failed),
    close: thread.close.pipe(Effect.catch(skipped)),
    exited: thread.exited,
    sizes
  }
}
