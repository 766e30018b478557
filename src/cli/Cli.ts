/**
 * The command line: `profile-aggregator [command]`. Without one, it serves.
 *
 * Each command is a file in `commands/`, with its flags and what it does. Only the one that is named is loaded: counting
 * events, or reading a page of help, needs no service.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Layer } from "effect"
import { CliError, Command } from "effect/cli"
import manifest from "../../package.json" with { type: "json" }
import { cliConfig } from "../config/Flags.ts"
import { ExitCode } from "../lifecycle/Certificate.ts"
import { teardown } from "../lifecycle/Launch.ts"
import type { ProcessHost } from "../lifecycle/process.ts"
import { StartError } from "../lifecycle/StartError.ts"
import * as Presenter from "./Presenter.ts"
import { Root, type RootContext } from "./Root.ts"

/** A commit is of what was built (`src/build/`): the source has it in its own history. */
const { commit = "", version: released }: { readonly commit?: string; readonly version: string } = manifest
const version = commit === "" ? released : `${released} (${commit})`

/** As the page of help lists it. */
interface Verb {
  readonly name: string
  readonly alias?: string
  readonly summary: string
  // What its flags parse to is its own business.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly load: () => Promise<{ readonly command: (host: ProcessHost) => Command.Command<any, any, any, any, any> }>
}

const verbs = {
  Service: [
    {
      name: "serve",
      alias: "relay",
      summary: "Harvest, check, store and serve profiles until told to stop.",
      load: () => import("./commands/Serve.ts")
    },
    {
      name: "demo",
      summary: "Run the service over a made-up world on this machine; needs no network, takes no settings.",
      load: () => import("./commands/Demo.ts")
    }
  ],
  Events: [
    { name: "import", summary: "Store the events of a dump on stdin.", load: () => import("./commands/Import.ts") },
    {
      name: "export",
      summary: "Write stored events to stdout, one JSON object per line.",
      load: () => import("./commands/Export.ts")
    },
    {
      name: "scan",
      summary: "Write the events that match a filter, newest first.",
      load: () => import("./commands/Scan.ts")
    },
    {
      name: "count",
      summary: "Count the events that match a filter (NIP-45); limits do not count.",
      load: () => import("./commands/Count.ts")
    },
    {
      name: "delete",
      summary: "Delete the events that match a filter, after a dry run.",
      load: () => import("./commands/Delete.ts")
    },
    {
      name: "sync",
      summary: "Exchange with a relay what one of both lacks (NIP-77).",
      load: () => import("./commands/Sync.ts")
    }
  ],
  Operation: [
    {
      name: "explain",
      summary: "Say why an author's profile is kept or is not: every rule, its fact, its verdict.",
      load: () => import("./commands/Explain.ts")
    },
    {
      name: "doctor",
      summary: "Check settings, database, engines, key and upstreams.",
      load: () => import("./commands/Doctor.ts")
    },
    { name: "key", summary: "The relay's own key.", load: () => import("./commands/Key.ts") },
    {
      name: "backup",
      summary: "Copy the store to a file, beside a running service, and prove the copy.",
      load: async () => ({ command: (await import("./commands/Backup.ts")).backupCommand })
    },
    {
      name: "restore",
      summary: "Put a backup in the place of the store.",
      load: async () => ({ command: (await import("./commands/Backup.ts")).restoreCommand })
    },
    {
      name: "monitor",
      summary: "Write events that match subscriptions on stdin as they are committed.",
      load: () => import("./commands/Monitor.ts")
    }
  ]
} satisfies Record<string, ReadonlyArray<Verb>>

/** A value of a flag may read like a command: then one more is loaded than is needed. */
const isNamed = (args: ReadonlyArray<string>, { alias, name }: Verb): boolean =>
  args.includes(name) || (alias !== undefined && args.includes(alias))

/** Of a command that is not run, its name and a line for the page of help. */
const commandOf = (host: ProcessHost, args: ReadonlyArray<string>) => async (verb: Verb) => {
  const isLoaded = isNamed(args, verb) || args.some((arg) => arg.startsWith("--completions"))
  const command = isLoaded ? (await verb.load()).command(host) : Command.make(verb.name)
  const named = verb.alias === undefined ? command : Command.withAlias(command, verb.alias)
  // Run, they need what the root parses and what every command line has, and their failures are in the exit code.
  return Command.withShortDescription(named, verb.summary) as Command.Command<string, unknown, {}, never, RootContext>
}

const commands = async (host: ProcessHost, args: ReadonlyArray<string>) => {
  const groups = await Promise.all(
    Object.entries(verbs).map(async ([group, members]) => ({
      group,
      commands: await Promise.all(members.map(commandOf(host, args)))
    }))
  )
  return Root.pipe(
    Command.withHandler((given) =>
      Effect.flatMap(Effect.promise(() => import("./commands/Serve.ts")), ({ unnamed }) => unnamed(host, given))
    ),
    Command.withDescription("A Nostr relay that keeps the profiles worth having. Without a command, it serves."),
    Command.withSubcommands(groups)
  )
}

/** Runs the command in `process.argv`; a wrong one fails with the exit code for wrong usage. */
const program = (host: ProcessHost) =>
  Effect.promise(() => commands(host, process.argv.slice(2))).pipe(
    Effect.flatMap(Command.run({ version })),
    Effect.catch((error) =>
      CliError.isCliError(error) && !(error._tag === "ShowHelp" && error.errors.length === 0)
        ? Effect.fail(new StartError({ component: "command line", message: error.message, exitCode: ExitCode.Usage }))
        : Effect.void
    ),
    Effect.provide(Layer.mergeAll(NodeServices.layer, cliConfig, Presenter.layer))
  )

/** The process's program, from its arguments to its exit code. */
export const run = (host: ProcessHost): void =>
  NodeRuntime.runMain(program(host), { teardown: teardown(host), disableErrorReporting: true })
