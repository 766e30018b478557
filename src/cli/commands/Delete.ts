/**
 * `delete`: removes stored events by filter, after showing which.
 *
 * An operator's decision leaves no tombstone: an event that is harvested, imported or published again comes back.
 */
import { Effect, Layer, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { Archive } from "../../database/Archive.ts"
import { Database } from "../../database/Database.ts"
import * as Engine from "../../database/Engine.ts"
import type { Filter } from "../../domain/Filter.ts"
import { nowSeconds } from "../../lifecycle/Now.ts"
import type { ProcessHost } from "../../lifecycle/process.ts"
import * as DataCommand from "../DataCommand.ts"
import { say, usage } from "../DataCommand.ts"
import { filterArgument, filtersOf } from "../FilterArgument.ts"
import { flag } from "../flags.ts"
import * as Stdout from "../Stdout.ts"

/** The file is read through a connection of its own, so that what is removed is what was found when it began. */
const components = Layer.provideMerge(Engine.archive, Engine.layer)

/** Adds "older than so many seconds" to each filter. Fails (64) where one has an `until` of its own, or nothing is said. */
const olderThan = Effect.fnUntraced(function*(
  filters: ReadonlyArray<Filter> | undefined,
  age: Option.Option<number>
) {
  if (Option.isNone(age)) {
    return filters ?? (yield* usage("say what to delete: a filter, --age, or both"))
  }
  if (age.value < 0) return yield* usage("--age is a number of seconds, 0 or more")
  const until = Math.max(0, (yield* nowSeconds) - age.value)
  const all = filters ?? [{}]
  if (all.some((filter) => filter.until !== undefined)) {
    return yield* usage("--age does not go together with a filter that has an until")
  }
  return all.map((filter): Filter => ({ ...filter, until }))
})

/** Writes what would be removed. */
const preview = Effect.fnUntraced(function*(filters: ReadonlyArray<Filter>) {
  const archive = yield* Archive
  let found = 0
  yield* archive.walk(filters, "newest first", (events) => {
    found += events.length
    return Stdout.lines(events.map(({ raw }) => raw))
  })
  yield* say(`Would delete ${found} events. Nothing is deleted without --yes.`)
})

/** Removes them, in batches; each is on disk when the next one begins. */
const remove = Effect.fn("Delete.remove")(function*(filters: ReadonlyArray<Filter>) {
  const archive = yield* Archive
  const database = yield* Database
  const sender = yield* database.sender("delete")
  let removed = 0
  // Not interrupted between a write and its count: what is gone is told.
  yield* archive.walk(
    filters,
    "newest first",
    (events) =>
      sender.write([{ _tag: "Delete", ids: events.map(({ id }) => id) }]).pipe(
        Effect.map(() => void (removed += events.length)),
        Effect.uninterruptible
      )
  ).pipe(
    Effect.onExit((exit) =>
      say(`${exit._tag === "Success" ? "Deleted" : "Stopped. So far deleted:"} ${removed} events`)
    )
  )
})

export const command = (host: ProcessHost) =>
  Command.make("delete", {
    filter: Argument.optional(filterArgument),
    filterFlag: Flag.String("filter").pipe(Flag.withDescription("The filter, as a flag."), Flag.optional),
    age: Flag.Int("age").pipe(Flag.withDescription("Only events older than so many seconds."), Flag.optional),
    yes: flag("yes", "Delete, after a dry run has shown what."),
    dryRun: flag("dry-run", "Show what would go, which is what happens without --yes.")
  }, ({ age, dryRun, filter, filterFlag, yes }) => {
    const given = Effect.gen(function*() {
      if (Option.isSome(filter) && Option.isSome(filterFlag)) return yield* usage("two filters are given")
      const text = Option.orElse(filter, () => filterFlag)
      return yield* olderThan(Option.isSome(text) ? yield* filtersOf(text.value) : undefined, age)
    })
    return yes && !dryRun
      ? DataCommand.run(host, DataCommand.none, { given, components }, remove)
      : DataCommand.run(host, DataCommand.none, { given, components: Engine.archive }, preview)
  }).pipe(
    Command.withDescription(
      "Delete the events that match a filter. Without --yes it writes them to stdout and deletes nothing. They are not " +
        "barred: what is harvested or imported again comes back."
    ),
    Command.withExamples([
      { command: "profile-aggregator delete '{\"authors\":[\"…\"]}'", description: "Show what would go" },
      { command: "profile-aggregator delete '{\"authors\":[\"…\"]}' --yes", description: "Delete it" }
    ])
  )
