/**
 * The stored events as something to read through: for commands that work beside a running service, which goes on writing.
 *
 * A contract, as `Database` is: which engine answers is `Engine`'s business.
 */
import { Context, Effect, Layer, PubSub } from "effect"
import type { Filter } from "../domain/Filter.ts"
import { type Commit, Database, DatabaseError } from "./Database.ts"

export interface ArchivedEvent {
  readonly created_at: number
  readonly id: string
  readonly seq: number
  /** Canonical JSON. */
  readonly raw: string
}

export type Order = "newest first" | "oldest first"

/** The questions of `Database`, without what writes or waits. */
export type Questions = Omit<Database["Service"], "sender" | "commits" | "stats">

export class Archive extends Context.Service<Archive, {
  /**
   * Hands on all events that match any filter, in batches that follow one another as `handle` succeeds. Each filter's own
   * `limit` binds it, and nothing else does. All of it is one snapshot: what is written meanwhile is not seen, and stays in
   * the writer's log until the end.
   */
  readonly walk: <E, R>(
    filters: ReadonlyArray<Filter>,
    order: Order,
    handle: (events: ReadonlyArray<ArchivedEvent>) => Effect.Effect<void, E, R>
  ) => Effect.Effect<void, DatabaseError | E, R>
  /** How many events match any filter, each counted once; limits do not count. */
  readonly count: (filters: ReadonlyArray<Filter>) => Effect.Effect<number, DatabaseError>
  /** The last sequence number that was committed. */
  readonly seq: Effect.Effect<number, DatabaseError>
  /** Up to `max` events committed after `seq`, in their order. What was replaced or removed since is not among them. */
  readonly after: (
    seq: number,
    max: number
  ) => Effect.Effect<ReadonlyArray<Pick<ArchivedEvent, "seq" | "raw">>, DatabaseError>
  /** The questions of `Database`, answered on the calling thread. */
  readonly reader: Questions
}>()("profile-aggregator/database/Archive") {}

const readOnly = new DatabaseError({ operation: "write", cause: "the store is only read" })

/** A `Database` that knows what is stored, refuses every write and announces nothing. */
export const databaseLayer: Layer.Layer<Database, never, Archive> = Layer.effect(
  Database,
  Effect.gen(function*() {
    const { reader, seq } = yield* Archive
    return Database.of({
      ...reader,
      sender: () =>
        Effect.succeed({
          write: () => Effect.fail(readOnly),
          writeAll: (writes) => Effect.succeed(writes.map(() => readOnly))
        }),
      commits: Effect.flatMap(PubSub.unbounded<ReadonlyArray<Commit>>(), PubSub.subscribe),
      stats: Effect.map(
        Effect.all({ seq, events: reader.count([{}]) }),
        (sizes) => ({ ...sizes, committed: 0, queue: 0 })
      )
    })
  })
)
