/**
 * Settings as command-line flags: one per row of `SettingsTable`, except secrets.
 *
 * A flag takes any text here and is read by `Settings` like every other source, so that a wrong value is a configuration
 * error (78) wherever it was written, and only a flag that does not exist is a usage error (64).
 */
import { type Layer, Option } from "effect"
import { CliConfig, Flag, GlobalFlag } from "effect/cli"
import type { Given } from "./Settings.ts"
import { flagName, rows } from "./SettingsTable.ts"

/** The flag that names a file in `.env` format. */
const config = Flag.String("config").pipe(
  Flag.withDescription("File with settings in .env format (default: .env, where there is one)"),
  Flag.withMetavar("FILE"),
  Flag.optional
)

const settings: Readonly<Record<string, Flag.Flag<Option.Option<string>>>> = Object.fromEntries(
  rows.filter(({ setting }) => !setting.secret).map(({ setting }) => [
    setting.variable,
    Flag.String(flagName(setting)).pipe(
      Flag.withDescription(
        `${setting.meaning} (${setting.allowed.replaceAll("`", "")}` +
          (setting.default === "" ? ")" : `; default: ${setting.default})`)
      ),
      // Where the value goes, `--help` shows the variable that says the same.
      Flag.withMetavar(setting.variable),
      Flag.optional
    )
  ])
)

/** For `Command.make`: `Command.make("serve", { ...flags }, (parsed) => …)`. */
export const flags = { config, settings }

/** What `Settings.layer` takes. */
export const fromFlags = (parsed: {
  readonly config: Option.Option<string>
  readonly settings: Readonly<Record<string, Option.Option<string>>>
}): Given => ({
  file: parsed.config,
  flags: Object.fromEntries(
    Object.entries(parsed.settings).flatMap(([variable, value]) =>
      Option.isSome(value) ? [[variable, value.value]] : []
    )
  )
})

/** The built-in flags without `--log-level`, which is a setting of ours. */
export const cliConfig: Layer.Layer<never> = CliConfig.layer({
  builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions]
})
