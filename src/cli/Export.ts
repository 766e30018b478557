/** `export`, `scan` and `count`: stored events, as they were signed, on stdout. */
import { Effect } from "effect"
import { Archive, type Order } from "../database/Archive.ts"
import type { Filter } from "../domain/Filter.ts"
import { say } from "./DataCommand.ts"
import * as Stdout from "./Stdout.ts"

/** What has been written so far. */
interface Progress {
  events: number
  /** `created_at` of the last one. */
  last: number | undefined
}

const write = Effect.fnUntraced(function*(filters: ReadonlyArray<Filter>, order: Order, progress: Progress) {
  const archive = yield* Archive
  yield* Effect.logDebug("writing begins")
  yield* archive.walk(filters, order, (events) =>
    Effect.map(Stdout.lines(events.map(({ raw }) => raw)), () => {
      progress.events += events.length
      progress.last = events.at(-1)?.created_at
    }))
})

/** All events that match, oldest first unless `reverse`; says how many on stderr. */
export const exportEvents = Effect.fn("Export.exportEvents")(function*(filter: Filter, reverse: boolean) {
  const progress: Progress = { events: 0, last: undefined }
  yield* write([filter], reverse ? "newest first" : "oldest first", progress).pipe(
    Effect.tap(() => say(`Exported ${progress.events} events`)),
    Effect.onInterrupt(() => {
      const where = progress.last === undefined ? "" : `, the last one of ${progress.last}`
      return say(
        `Stopped after ${progress.events} events${where}: --${reverse ? "until" : "since"} goes on from there.`
      )
    })
  )
})

/** What a REQ would be answered with, without the relay's limits. */
export const scan = (filters: ReadonlyArray<Filter>) => write(filters, "newest first", { events: 0, last: undefined })

/** How many lines `scan` would write. */
export const scanCount = Effect.fnUntraced(function*(filters: ReadonlyArray<Filter>) {
  const archive = yield* Archive
  let count = 0
  yield* archive.walk(filters, "newest first", (events) => Effect.sync(() => void (count += events.length)))
  yield* Stdout.lines([String(count)])
})

/** What a COUNT would be answered with (NIP-45): limits do not bind it. */
export const count = Effect.fnUntraced(function*(filters: ReadonlyArray<Filter>) {
  const archive = yield* Archive
  yield* Stdout.lines([String(yield* archive.count(filters))])
})
