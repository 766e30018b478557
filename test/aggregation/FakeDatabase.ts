/**
 * A small store with the rules that admission relies on, whose disk a test can stall or break, and which keeps every write
 * as it was asked for.
 */
import { Context, Effect, Latch, Layer, PubSub } from "effect"
import {
  type Commit,
  Database,
  DatabaseError,
  type Operation,
  type Outcome,
  type StoredRecord
} from "../../src/database/Database.ts"
import { addressOf, type Event, expirationOf, newestFirst, rawOf, wins } from "../../src/domain/Event.ts"
import { matchesAny } from "../../src/domain/Filter.ts"

export class Disk extends Context.Service<Disk, {
  /** Writes wait while it is closed. */
  readonly gate: Latch.Latch
  /** Reads and writes fail while it is true. */
  readonly broken: { value: boolean }
  readonly writes: Array<ReadonlyArray<Operation>>
  /** Writes asked for that are not done. */
  readonly waiting: { count: number }
  readonly events: Map<string, Event>
  /** By id; those that a test has put there itself have their place in `events`. */
  readonly seqs: Map<string, number>
  readonly records: Map<string, StoredRecord>
  /** Who holds a sender now. */
  readonly holders: Set<string>
}>()("test/aggregation/Disk") {}

/** Empty, and shared by whoever is given it: what a restart finds. */
export const blank = (): Disk["Service"] => ({
  gate: Latch.makeUnsafe(true),
  broken: { value: false },
  writes: [],
  waiting: { count: 0 },
  events: new Map(),
  seqs: new Map(),
  records: new Map(),
  holders: new Set()
})

const keyOf = (event: Event) => addressOf(event) ?? event.id

const make = Effect.fnUntraced(function*(disk: Disk["Service"]) {
  const commits = yield* PubSub.unbounded<ReadonlyArray<Commit>>()
  let seq = Math.max(disk.events.size, ...disk.seqs.values())

  const guarded = <A>(operation: "read" | "write", f: () => A) =>
    Effect.suspend(() =>
      disk.broken.value
        ? Effect.fail(new DatabaseError({ operation, cause: new Error("disk") }))
        : Effect.succeed(f())
    )

  const standing = (event: Event, now: number): "New" | "Duplicate" | "Superseded" | "Expired" => {
    const stored = disk.events.get(keyOf(event))
    if (stored?.id === event.id) return "Duplicate"
    if (stored !== undefined && !wins(event, stored)) return "Superseded"
    return (expirationOf(event) ?? Infinity) < now ? "Expired" : "New"
  }

  const apply = (operation: Operation, now: number): Outcome => {
    if (operation._tag === "Record") {
      const { due, key, value } = operation
      if (value === null) disk.records.delete(`${operation.space} ${key}`)
      else disk.records.set(`${operation.space} ${key}`, { key, value, due })
      return { _tag: "Done" }
    }
    if (operation._tag === "Delete") {
      for (const [key, { id }] of disk.events) if (operation.ids.includes(id)) disk.events.delete(key)
      return { _tag: "Done" }
    }
    if (operation._tag === "DeleteAuthor") {
      for (const [key, { pubkey }] of disk.events) if (operation.pubkey === pubkey) disk.events.delete(key)
      return { _tag: "Done" }
    }
    const is = standing(operation.event, now)
    if (is !== "New") return { _tag: is }
    disk.events.set(keyOf(operation.event), operation.event)
    disk.seqs.set(operation.event.id, ++seq)
    return { _tag: "Saved", seq }
  }

  const inSpace = (space: string) =>
    [...disk.records].filter(([key]) => key.startsWith(`${space} `)).map(([, record]) => record)

  const write = (operations: ReadonlyArray<Operation>) =>
    Effect.andThen(
      Effect.suspend(() => {
        disk.waiting.count++
        return Effect.ensuring(disk.gate.await, Effect.sync(() => disk.waiting.count--))
      }),
      Effect.clockWith((clock) =>
        guarded("write", () => {
          disk.writes.push(operations)
          const outcomes = operations.map((operation) => apply(operation, clock.currentTimeMillisUnsafe() / 1000))
          const batch = operations.flatMap((operation, i): ReadonlyArray<Commit> => {
            const outcome = outcomes[i]
            if (operation._tag !== "Save" || outcome?._tag !== "Saved") return []
            return [{ seq: outcome.seq, event: operation.event, raw: rawOf(operation.event) }]
          })
          PubSub.publishUnsafe(commits, batch)
          return outcomes
        })
      )
    )

  return Database.of({
    sender: (holder) =>
      Effect.as(
        Effect.acquireRelease(
          Effect.sync(() => disk.holders.add(holder)),
          () => Effect.sync(() => disk.holders.delete(holder))
        ),
        {
          write,
          writeAll: (writes, queued) =>
            Effect.suspend(() => {
              queued?.()
              return Effect.forEach(
                writes,
                (operations) => Effect.catchTag(write(operations), "DatabaseError", Effect.succeed)
              )
            })
        }
      ),
    commits: PubSub.subscribe(commits),
    query: (filters) =>
      guarded("read", () => {
        const events = [...disk.events.values()].filter((event) => matchesAny(filters, event))
          .toSorted(newestFirst).map(rawOf)
        return { asOf: seq, events, complete: true }
      }),
    count: (filters) =>
      guarded("read", () => [...disk.events.values()].filter((event) => matchesAny(filters, event)).length),
    sketch: () => Effect.die("not part of this fake"),
    items: (filter, { itemsMax }) =>
      guarded("read", () => {
        const found = [...disk.events.values()].filter((event) => matchesAny([filter], event)).toSorted(newestFirst)
        const events = found.slice(0, itemsMax)
        return {
          timestamps: Float64Array.from(events, ({ created_at }) => created_at),
          ids: Uint8Array.from(Buffer.from(events.map(({ id }) => id).join(""), "hex")),
          complete: found.length === events.length,
          expiresAt: Infinity
        }
      }),
    ranked: () => Effect.die("nothing here ranks"),
    draw: () => Effect.die("nothing here draws"),
    committedAfter: (after, limit) =>
      guarded(
        "read",
        () =>
          Array.from(
            disk.events.values(),
            (event, n) => ({ seq: disk.seqs.get(event.id) ?? n + 1, event: rawOf(event) })
          )
            .filter(({ seq }) => seq > after).toSorted((a, b) => a.seq - b.seq).slice(0, limit)
      ),
    preview: (event) =>
      Effect.clockWith((clock) => guarded("read", () => standing(event, clock.currentTimeMillisUnsafe() / 1000))),
    previewAll: (events) =>
      Effect.clockWith((clock) =>
        guarded("read", () => events.map((event) => standing(event, clock.currentTimeMillisUnsafe() / 1000)))
      ),
    record: (space, key) => guarded("read", () => disk.records.get(`${space} ${key}`)),
    records: (space) => guarded("read", () => inSpace(space)),
    due: (space, now, limit) =>
      guarded(
        "read",
        () =>
          inSpace(space).filter(({ due }) => due !== null && due <= now).toSorted((a, b) => (a.due ?? 0) - (b.due ?? 0))
            .slice(0, limit)
      ),
    stats: guarded("read", () => ({ events: disk.events.size, seq, committed: seq, queue: 0 }))
  })
})

export const layer = (disk: Disk["Service"] = blank()): Layer.Layer<Database | Disk> =>
  Layer.effect(Database, make(disk)).pipe(Layer.provideMerge(Layer.succeed(Disk, disk)))
