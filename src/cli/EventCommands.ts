/** Commands over the stored events, as they are typed: flags, descriptions, examples. */
import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import type { Archive } from "../database/Archive.ts"
import * as Engine from "../database/Engine.ts"
import { relayUrlOf } from "../domain/RelayUrl.ts"
import type { ProcessHost } from "../lifecycle/process.ts"
import * as DataCommand from "./DataCommand.ts"
import * as Delete from "./Delete.ts"
import * as Export from "./Export.ts"
import { filtersOf, selectionFilter } from "./FilterArgument.ts"
import { flag, number } from "./flags.ts"
import * as Import from "./Import.ts"
import { flagsFor } from "./Root.ts"
import * as Sync from "./Sync.ts"

const filter = Argument.String("filter").pipe(
  Argument.withDescription("JSON as in a REQ: one filter, or an array of alternatives. Only its own limits bind it.")
)

/** Without settings of its own. */
const none = { settings: {} }

/** Reads the file beside whoever writes to it. */
const reading = <E>(host: ProcessHost, use: Effect.Effect<void, E, Archive>) =>
  DataCommand.run(host, none, { components: Engine.archive }, use)

const importCommand = (host: ProcessHost) =>
  Command.make("import", {
    noVerify: flag("no-verify", "Trust ids and signatures, as those of an export."),
    showRejected: flag("show-rejected", "Name every line that is not kept, not only the first 100."),
    writeBatch: number("write-batch", 1000, `Lines per transaction, 1 to ${Import.writeBatchMax}.`),
    debounceMillis: number(
      "debounce-millis",
      1000,
      "Milliseconds after which a batch is written though it is not full."
    ),
    // What other relays' scripts pass for dumps of theirs: the field it speaks of is left out like any unknown one.
    fried: flag("fried", "").pipe(Flag.withHidden),
    ...flagsFor("VERIFIER_THREADS", "VERIFIER_ENGINE", "MAX_MESSAGE_BYTES", "MAX_EVENT_TAGS", "MAX_CONTENT_LENGTH")
  }, ({ settings, ...options }) =>
    DataCommand.run(host, { settings }, { components: Import.components(options) }, Import.importEvents(options))).pipe(
      Command.withShortDescription("Store events from stdin, one JSON object per line."),
      Command.withDescription(
        "Store events from stdin, one JSON object per line. Ids and signatures are checked, quality rules are not asked. " +
          "Stopped, it says up to which line everything is on disk; the same input again goes on from there."
      ),
      Command.withExamples([
        { command: "profile-aggregator import < events.jsonl" },
        {
          command: "zstdcat dump.jsonl.zst | profile-aggregator import --no-verify",
          description: "From a trusted dump"
        }
      ])
    )

const exportCommand = (host: ProcessHost) =>
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
    reading(
      host,
      Effect.flatMap(selectionFilter(selection), (filter) => Export.exportEvents(filter, reverse))
    )).pipe(
      Command.withShortDescription("Write stored events to stdout, one JSON object per line."),
      Command.withDescription(
        "Write stored events to stdout, one JSON object per line, by created_at, oldest first. Works beside a running " +
          "service, and writes the store as it was when it began."
      ),
      Command.withExamples([
        { command: "profile-aggregator export > events.jsonl" },
        { command: "profile-aggregator export --kinds 0 --since 1767225600 --reverse | head" }
      ])
    )

const scanCommand = (host: ProcessHost) =>
  Command.make("scan", {
    filter,
    count: flag("count", "Write how many there are instead."),
    // What other relays' scripts pass; a walk pauses by itself.
    pause: Flag.Int("pause").pipe(Flag.withDefault(0), Flag.withHidden),
    metrics: flag("metrics", "").pipe(Flag.withHidden)
  }, ({ count, filter }) => reading(host, Effect.flatMap(filtersOf(filter), count ? Export.scanCount : Export.scan)))
    .pipe(
      Command.withShortDescription("Write the events that match a filter, newest first."),
      Command.withDescription(
        "Write the events that match a filter to stdout, newest first, as a REQ would, but without the relay's limits."
      ),
      Command.withExamples([{ command: "profile-aggregator scan '{\"kinds\":[0],\"limit\":10}'" }])
    )

const countCommand = (host: ProcessHost) =>
  Command.make(
    "count",
    { filter },
    ({ filter }) => reading(host, Effect.flatMap(filtersOf(filter), Export.count))
  ).pipe(
    Command.withDescription("Count the events that match a filter (NIP-45); limits do not count."),
    Command.withExamples([{ command: "profile-aggregator count '{\"kinds\":[0,10002]}'" }])
  )

const deleteCommand = (host: ProcessHost) =>
  Command.make("delete", {
    filter: Argument.optional(filter),
    filterFlag: Flag.String("filter").pipe(Flag.withDescription("The filter, as a flag."), Flag.optional),
    age: Flag.Int("age").pipe(Flag.withDescription("Only events older than so many seconds."), Flag.optional),
    yes: flag("yes", "Delete, after a dry run has shown what."),
    dryRun: flag("dry-run", "Show what would go, which is what happens without --yes.")
  }, ({ age, dryRun, filter, filterFlag, yes }) => {
    const filters = Effect.gen(function*() {
      if (Option.isSome(filter) && Option.isSome(filterFlag)) return yield* DataCommand.usage("two filters are given")
      const text = Option.orElse(filter, () => filterFlag)
      return yield* Delete.olderThan(Option.isSome(text) ? yield* filtersOf(text.value) : undefined, age)
    })
    return yes && !dryRun
      ? DataCommand.run(host, none, { components: Delete.components }, Effect.flatMap(filters, Delete.remove))
      : reading(host, Effect.flatMap(filters, Delete.preview))
  }).pipe(
    Command.withShortDescription("Delete the events that match a filter, after a dry run."),
    Command.withDescription(
      "Delete the events that match a filter. Without --yes it writes them to stdout and deletes nothing. They are not " +
        "barred: what is harvested or imported again comes back."
    ),
    Command.withExamples([
      { command: "profile-aggregator delete '{\"authors\":[\"…\"]}'", description: "Show what would go" },
      { command: "profile-aggregator delete '{\"authors\":[\"…\"]}' --yes", description: "Delete it" }
    ])
  )

const syncCommand = (host: ProcessHost) =>
  Command.make("sync", {
    url: Argument.String("url").pipe(Argument.withDescription("The relay: ws:// or wss://.")),
    filter: Flag.String("filter").pipe(
      Flag.withDescription("What to agree on: one filter as in a REQ. Default: {}, everything."),
      Flag.withDefault("{}")
    ),
    direction: Flag.Literals("dir", Sync.directions).pipe(
      Flag.withDescription(
        "both, down (fetch what is missing here), up (send what is missing there), or none (compare)."
      ),
      Flag.withDefault("both" as const)
    ),
    frameBytesMax: number("frame-size-limit", 60_000, "Bytes of a message of ours, which hex doubles; 0: no limit."),
    ...flagsFor("VERIFIER_THREADS", "VERIFIER_ENGINE", "MAX_MESSAGE_BYTES", "MAX_EVENT_TAGS", "MAX_CONTENT_LENGTH")
  }, ({ direction, filter, frameBytesMax, settings, url }) => {
    const use = Effect.gen(function*() {
      const [decoded, ...others] = yield* filtersOf(filter)
      if (decoded === undefined || others.length > 0) return yield* DataCommand.usage("sync takes one filter")
      const relay = /^wss?:\/\//i.test(url) ? relayUrlOf(url) : undefined
      if (relay === undefined) return yield* DataCommand.usage("the URL must be ws:// or wss://")
      const json = JSON.stringify([JSON.parse(filter)].flat()[0])
      return yield* Sync.sync({ url: relay, filter: { json, decoded }, direction, frameBytesMax })
    })
    return Sync.writes(direction)
      ? DataCommand.run(host, { settings }, { components: Sync.writingComponents }, use)
      : DataCommand.run(host, { settings }, { components: Sync.readingComponents }, use)
  }).pipe(
    Command.withShortDescription("Exchange with a relay what one of both lacks (NIP-77)."),
    Command.withDescription(
      "Exchange with a relay what one of both lacks, of what a filter finds (NIP-77). What comes down is checked and kept; " +
        "quality rules are not asked. With --dir up or none it works beside a running service."
    ),
    Command.withExamples([
      { command: "profile-aggregator sync wss://relay.example --filter '{\"kinds\":[0]}' --dir down" }
    ])
  )

/** All of them, for one process. */
export const eventCommands = (host: ProcessHost) =>
  [
    importCommand(host),
    exportCommand(host),
    scanCommand(host),
    countCommand(host),
    deleteCommand(host),
    syncCommand(host)
  ] as const
