/** SQLite's side of the writer: the same calls whether the store runs in the ingester's thread or in ours. */
import { Duration, Effect } from "effect"
import { messageOf } from "../../observability/messageOf.ts"
import type { StoreAnswer, StoreRequest, StoreSizes, SweepAnswer } from "../storeProtocol.ts"
import { StorageFailed, type StoreWriter } from "../StoreWriter.ts"
import type { SqliteStore } from "./SqliteStore.ts"
import type { DatabaseThread, ThreadFailed } from "./thread/DatabaseThread.ts"

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
