/**
 * The command that all others belong to, and the settings among its flags.
 *
 * What every command needs may stand before or after its name, as in `profile-aggregator --config F import`; all else
 * belongs to the service, or to a command that names it.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Layer, type Option } from "effect"
import { Command, Flag } from "effect/cli"
import { flags, fromFlags } from "../config/Flags.ts"
import { Settings } from "../config/Settings.ts"
import type { StartError } from "../lifecycle/StartError.ts"

/** Variables that mean something to every command. */
const everywhere: ReadonlySet<string> = new Set(["DATABASE_PATH", "STATE_DIR", "LOG_LEVEL", "LOG_FORMAT"])

const pick = (isWanted: (variable: string) => boolean): typeof flags.settings =>
  Object.fromEntries(Object.entries(flags.settings).filter(([variable]) => isWanted(variable)))

/** Flags of the service, besides those that every command has. */
export const serviceFlags = { settings: pick((variable) => !everywhere.has(variable)) }

/** The same for a command that has other flags to show: they are taken, and `serve --help` lists them. */
export const quietServiceFlags = {
  settings: Object.fromEntries(
    Object.entries(serviceFlags.settings).map(([variable, flag]) => [variable, Flag.withHidden(flag)])
  )
}

/** Flags of a command that needs some of the service's settings. */
export const flagsFor = (...variables: ReadonlyArray<string>) => ({
  settings: pick((variable) => variables.includes(variable))
})

/** Without a handler and without its subcommands, which ask it what was given to all of them. */
export const Root = Command.make("profile-aggregator", quietServiceFlags).pipe(
  Command.withSharedFlags({ config: flags.config, common: pick((variable) => everywhere.has(variable)) })
)

/** A command's own settings, as parsed. */
export interface Own {
  readonly settings: Readonly<Record<string, Option.Option<string>>>
}

/** What was given to all commands, as parsed. */
interface Shared {
  readonly config: Option.Option<string>
  readonly common: Own["settings"]
}

/** All that a command line says of settings. */
export type Given = Shared & Own

/** What a subcommand finds around it when it runs. */
export type RootContext = typeof Root extends Effect.Effect<infer _A, infer _E, infer R> ? R : never

/** The settings that a command runs with; built when it does. */
export const settingsLayer = ({ common, config, settings }: Given): Layer.Layer<Settings, StartError> =>
  Layer.provide(Settings.layer(fromFlags({ config, settings: { ...common, ...settings } })), NodeServices.layer)

/** The same for a subcommand. */
export const settingsOf = (own: Own) => Effect.map(Root, (shared) => settingsLayer({ ...shared, ...own }))
