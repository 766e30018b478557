/** `count`: what a COUNT would be answered with (NIP-45): limits do not bind it. */
import { Effect } from "effect"
import { Command } from "effect/cli"
import { Archive } from "../../database/Archive.ts"
import * as Engine from "../../database/Engine.ts"
import type { ProcessHost } from "../../lifecycle/process.ts"
import * as DataCommand from "../DataCommand.ts"
import { filterArgument, filtersOf } from "../FilterArgument.ts"
import * as Stdout from "../Stdout.ts"

export const command = (host: ProcessHost) =>
  Command.make(
    "count",
    { filter: filterArgument },
    ({ filter }) =>
      DataCommand.run(host, DataCommand.none, { given: filtersOf(filter), components: Engine.archive }, (filters) =>
        Archive.use((archive) =>
          Effect.flatMap(archive.count(filters), (count) =>
            Stdout.lines([String(count)]))
        ))
  ).pipe(
    Command.withDescription("Count the events that match a filter (NIP-45); limits do not count."),
    Command.withExamples([{ command: "profile-aggregator count '{\"kinds\":[0,10002]}'" }])
  )
