/** Reads of a world's disk, as far as it is synced; long ones take a while. */
import { Effect } from "effect"
import type * as StoreReader from "../../../src/database/sqlite/StoreReader.ts"
import { newestFirst } from "../../../src/demo/UpstreamEvents.ts"
import type { Event } from "../../../src/domain/Event.ts"
import { type Filter, matches } from "../../../src/domain/Filter.ts"
import { run } from "../Run.ts"

const soon = Effect.suspend(() => Effect.sleep(run().world.dice.between(0, 15)))

const found = (filters: ReadonlyArray<Filter>) =>
  [...run().disk.events.values()]
    .filter(({ event }) => filters.some((filter) => matches(filter, event)))
    .toSorted((a, b) => newestFirst(a.event, b.event))

const preview = ({ id }: Event) => run().disk.events.has(id) ? "Duplicate" as const : "New" as const

/** What is asked of it in a world; checked against the real one, so that it cannot lack something unnoticed. */
export const make = (): Omit<ReturnType<typeof StoreReader.make>, "sketch"> => ({
  query: (filters: ReadonlyArray<Filter>) =>
    Effect.andThen(
      soon,
      Effect.sync(() => ({ asOf: run().disk.seq, events: found(filters).map(({ raw }) => raw), complete: true }))
    ),
  count: (filters: ReadonlyArray<Filter>) => Effect.andThen(soon, Effect.sync(() => found(filters).length)),
  items: (filter: Filter, { itemsMax }: { readonly itemsMax: number }) =>
    Effect.andThen(
      soon,
      Effect.sync(() => {
        const all = found([filter])
        const events = all.slice(0, itemsMax).map(({ event }) => event)
        return {
          timestamps: Float64Array.from(events, ({ created_at }) => created_at),
          ids: Uint8Array.from(Buffer.from(events.map(({ id }) => id).join(""), "hex")),
          complete: events.length === all.length,
          expiresAt: Infinity
        }
      })
    ),
  draw: ({ count, from, kind }) =>
    Effect.sync(() => {
      const all = [...run().disk.events.values()].filter(({ event }) => event.kind === kind)
      const events = all.slice(from, from + count).map(({ raw }) => raw)
      return { top: all.length, next: Math.min(all.length, from + count), events }
    }),
  committedAfter: (seq: number, limit: number) =>
    Effect.sync(() =>
      [...run().disk.events.values()].filter((stored) => stored.seq > seq).slice(0, limit)
        .map((stored) => ({ seq: stored.seq, event: stored.raw }))
    ),
  preview: (event: Event) => Effect.sync(() => preview(event)),
  previewAll: (events: ReadonlyArray<Event>) => Effect.sync(() => events.map(preview)),
  record: (space: string, key: string) =>
    Effect.sync(() => {
      const record = run().disk.records.get(`${space} ${key}`)
      return record === undefined ? undefined : { key, ...record }
    }),
  records: (space: string) =>
    Effect.sync(() =>
      [...run().disk.records].filter(([name]) => name.startsWith(`${space} `))
        .map(([name, record]) => ({ key: name.slice(space.length + 1), ...record }))
    ),
  due: () => Effect.succeed([])
})
