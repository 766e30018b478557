/** The command line: `profile-aggregator [command]`. Without one, it serves. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Layer } from "effect"
import { CliError, Command } from "effect/cli"
import manifest from "../../package.json" with { type: "json" }
import { cliConfig } from "../config/Flags.ts"
import type { Service } from "../demo/Demo.ts"
import { defaults } from "../demo/Options.ts"
import { ExitCode } from "../lifecycle/Certificate.ts"
import type { ProcessHost } from "../lifecycle/process.ts"
import { StartError } from "../lifecycle/StartError.ts"
import { serve } from "../serve.ts"
import { eventCommands } from "./EventCommands.ts"
import { number } from "./flags.ts"
import { operatorCommands } from "./OperatorCommands.ts"
import * as Presenter from "./Presenter.ts"
import { Root, serviceFlags, settingsLayer, settingsOf } from "./Root.ts"

/** With native code that signs for made-up people: no other command is to start later for it. */
const loadDemo = Effect.promise(() => import("../demo/Demo.ts"))

const commands = <E>(host: ProcessHost, service: Service<E>) => {
  const serveCommand = Command.make(
    "serve",
    serviceFlags,
    (own) => Effect.flatMap(settingsOf(own), (settings) => serve(host, service, settings))
  ).pipe(
    Command.withAlias("relay"),
    Command.withDescription("Harvest, check, store and serve profiles until told to stop.")
  )
  const demoCommand = Command.make("demo", {
    profiles: number("profiles", defaults.profiles, "People in the made-up world."),
    seed: number("seed", defaults.seed, "The same seed makes the same world."),
    port: number("port", defaults.port, "Where to listen; 0 takes a free port.")
  }, (options) => Effect.flatMap(loadDemo, ({ demo }) => demo(host, service, options))).pipe(
    Command.withDescription(
      "Run the service over a made-up world on this machine; needs no network, takes no settings."
    )
  )
  return Root.pipe(
    Command.withHandler((given) => serve(host, service, settingsLayer(given))),
    Command.withDescription("A Nostr relay that keeps the profiles worth having. Without a command, it serves."),
    Command.withSubcommands([
      { group: "Service", commands: [serveCommand, demoCommand] },
      { group: "Events", commands: eventCommands(host) },
      { group: "Operation", commands: operatorCommands(host) }
    ])
  )
}

/** Runs the command in `process.argv`; a wrong one fails with the exit code for wrong usage. */
export const program = <E>(host: ProcessHost, service: Service<E>) =>
  Command.run(commands(host, service), { version: manifest.version }).pipe(
    Effect.catch((error) =>
      CliError.isCliError(error) && !(error._tag === "ShowHelp" && error.errors.length === 0)
        ? Effect.fail(new StartError({ component: "command line", message: error.message, exitCode: ExitCode.Usage }))
        : Effect.void
    ),
    Effect.provide(Layer.mergeAll(NodeServices.layer, cliConfig, Presenter.layer))
  )
