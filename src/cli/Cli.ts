/** The command line: `profile-aggregator [serve | demo]`. */
import { NodeServices } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { CliError, Command } from "effect/cli"
import manifest from "../../package.json" with { type: "json" }
import { Settings } from "../Config.ts"
import { cliConfig, flags, fromFlags } from "../ConfigFlags.ts"
import { ExitCode } from "../lifecycle/Certificate.ts"
import type { ProcessHost } from "../lifecycle/process.ts"
import type { Shutdown } from "../lifecycle/Shutdown.ts"
import { StartError } from "../lifecycle/StartError.ts"
import type { Supervisor } from "../lifecycle/Supervisor.ts"
import { serve } from "./serve.ts"

/** Every layer of the service, above its settings and the lifecycle. */
export type Service = Layer.Layer<never, unknown, Settings | Shutdown | Supervisor>

const commands = (host: ProcessHost, service: Service) => {
  const run = (parsed: Parameters<typeof fromFlags>[0]) =>
    serve(host, service, Layer.provide(Settings.layer(fromFlags(parsed)), NodeServices.layer))

  return Command.make("profile-aggregator", flags, run).pipe(
    Command.withDescription("A Nostr relay that keeps the profiles worth having. Without a command, it serves."),
    Command.withSubcommands([
      Command.make("serve", flags, run).pipe(
        Command.withDescription("Harvest, check, store and serve profiles until told to stop.")
      )
    ])
  )
}

/** Runs the command in `process.argv`; a wrong one fails with the exit code for wrong usage. */
export const program = (host: ProcessHost, service: Service) =>
  Command.run(commands(host, service), { version: manifest.version }).pipe(
    Effect.catch((error) =>
      CliError.isCliError(error) && !(error._tag === "ShowHelp" && error.errors.length === 0)
        ? Effect.fail(new StartError({ component: "command line", message: error.message, exitCode: ExitCode.Usage }))
        : Effect.void
    ),
    Effect.provide(Layer.merge(NodeServices.layer, cliConfig))
  )
