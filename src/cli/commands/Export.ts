/** `export`: stored events, as they were signed, on stdout. */
import { Effect } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { Archive, type Order } from "../../database/Archive.ts"
import * as Engine from "../../database/Engine.ts"
import type { Filter } from "../../domain/Filter.ts"
import type { ProcessHost } from "../../lifecycle/process.ts"
import * as DataCommand from "../DataCommand.ts"
import { say } from "../DataCommand.ts"
import { selectionFilter } from "../FilterArgument.ts"
import { flag } from "../flags.ts"
import * as Stdout from "../Stdout.ts"

/** What has been written so far. */
export interface Progress {
  events: number
  /** `created_at` of the last one. */
  last: number | undefined
}

/** Writes what filters find, in one snapshot. */
export const write = Effect.fnUntraced(function*(filters: ReadonlyArray<Filter>, order: Order, progress: Progress) {
  const archive = yield* Archive
  yield* Effect.logDebug("writing begins")
  yield* archive.walk(filters, order, (events) =>
    Effect.map(Stdout.lines(events.map(({ raw }) => raw)), () => {
      progress.events += events.length
      progress.last = events.at(-1)?.created_at
    }))
})

/** All events that match, oldest first unless `reverse`; says how many on stderr. */
const exportEvents = Effect.fn("Export.exportEvents")(function*(filter: Filter, reverse: boolean) {
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

export const command = (host: ProcessHost) =>
  Command.make("export", {
    since: Flag.Int("since").pipe(Flag.withDescription("Unix seconds, inclusive."), Flag.optional),
    until: Flag.Int("until").pipe(Flag.withDescription("Unix seconds, inclusive."), Flag.optional),
    kinds: Flag.String("kinds").pipe(Flag.withDescription("Event kinds, separated by commas."), Flag.optional),
    authors: Flag.String("authors").pipe(
      Flag.withDescription("Authors, hex or npub, separated by commas."),
      Flag.optional
    ),
    reverse: flag("reverse", "Newest first."),
    filter: Argument.optional(Argument.String("filter")).pipe(
      Argument.withDescription("JSON as in a REQ, to which the flags are added.")
    )
  }, ({ reverse, ...selection }) =>
    DataCommand.run(
      host,
      DataCommand.none,
      { given: selectionFilter(selection), components: Engine.archive },
      (filter) => exportEvents(filter, reverse)
    )).pipe(
      Command.withDescription(
        "Write stored events to stdout, one JSON object per line, by created_at, oldest first. Works beside a running " +
          "service, and writes the store as it was when it began."
      ),
      Command.withExamples([
        { command: "profile-aggregator export > events.jsonl" },
        { command: "profile-aggregator export --kinds 0 --since 1767225600 --reverse | head" }
      ])
    )
