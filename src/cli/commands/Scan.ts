/** `scan`: what a REQ would be answered with, without the relay's limits. */
import { Effect } from "effect"
import { Command, Flag } from "effect/cli"
import { Archive } from "../../database/Archive.ts"
import * as Engine from "../../database/Engine.ts"
import type { Filter } from "../../domain/Filter.ts"
import type { ProcessHost } from "../../lifecycle/process.ts"
import * as DataCommand from "../DataCommand.ts"
import { filterArgument, filtersOf } from "../FilterArgument.ts"
import { flag } from "../flags.ts"
import * as Stdout from "../Stdout.ts"
import { write } from "./Export.ts"

/** Newest first. */
export const scan = (filters: ReadonlyArray<Filter>) => write(filters, "newest first", { events: 0, last: undefined })

/** How many lines `scan` would write. */
const scanCount = Effect.fnUntraced(function*(filters: ReadonlyArray<Filter>) {
  const archive = yield* Archive
  let count = 0
  yield* archive.walk(filters, "newest first", (events) => Effect.sync(() => void (count += events.length)))
  yield* Stdout.lines([String(count)])
})

export const command = (host: ProcessHost) =>
  Command.make("scan", {
    filter: filterArgument,
    count: flag("count", "Write how many there are instead."),
    // What other relays' scripts pass; a walk pauses by itself.
    pause: Flag.Int("pause").pipe(Flag.withDefault(0), Flag.withHidden),
    metrics: flag("metrics", "").pipe(Flag.withHidden)
  }, ({ count, filter }) =>
    DataCommand.run(
      host,
      DataCommand.none,
      { given: filtersOf(filter), components: Engine.archive },
      count ? scanCount : scan
    )).pipe(
      Command.withDescription(
        "Write the events that match a filter to stdout, newest first, as a REQ would, but without the relay's limits."
      ),
      Command.withExamples([{ command: "profile-aggregator scan '{\"kinds\":[0],\"limit\":10}'" }])
    )
