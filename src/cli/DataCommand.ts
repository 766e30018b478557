/**
 * How a command runs that is no service: data on stdout, all else on stderr, an exit code instead of a certificate.
 *
 * It has the same components, budgets and proofs as the service, acquired and released the same way; what they prove is in
 * the exit code. A stop before the end is 75: what was accepted is safe, and there was more to do.
 */
import { Cause, Duration, Effect, Exit, Layer, Runtime, Schema, Scope } from "effect"
import { Settings } from "../config/Settings.ts"
import { DatabaseError } from "../database/Database.ts"
import { certify, ExitCode, exitCode } from "../lifecycle/Certificate.ts"
import { attach } from "../lifecycle/Launch.ts"
import * as Output from "../lifecycle/Output.ts"
import type { ProcessHost } from "../lifecycle/process.ts"
import { Shutdown } from "../lifecycle/Shutdown.ts"
import { StartError } from "../lifecycle/StartError.ts"
import { Supervisor } from "../lifecycle/Supervisor.ts"
import * as Logging from "../observability/Logging.ts"
import { messageOf } from "../observability/messageOf.ts"
import { type Own, type settingsLayer, settingsOf } from "./Root.ts"
import * as Stdout from "./Stdout.ts"

/** It ran to its end, and what it found is no success. */
export class CommandFailed extends Schema.TaggedError<CommandFailed>()("CommandFailed", {
  message: Schema.String,
  exitCode: Schema.Finite
}) {
  override get [Runtime.errorExitCode](): number {
    return this.exitCode
  }
}

/** Arguments that do not fit together, or say nothing: 64. */
export const usage = (message: string): StartError =>
  new StartError({ component: "command line", message, exitCode: ExitCode.Usage })

/** One line for the person at the terminal, beside the log. */
export const say = (line: string): Effect.Effect<void> => Effect.sync(() => void process.stderr.write(`${line}\n`))

export interface Options<A, E, R, G> {
  /** What the arguments say; wrong ones are told before anything is opened. */
  readonly given?: Effect.Effect<G, StartError>
  /** What the command needs, in shutdown order; released before the process ends. */
  readonly components: Layer.Layer<A, E, R>
  /** A command that follows something has no end of its own: a stop is its success. */
  readonly isEndless?: boolean
}

const codeOf = (cause: Cause.Cause<unknown>, isEndless: boolean): number => {
  if (Cause.hasInterruptsOnly(cause)) return isEndless ? ExitCode.Clean : ExitCode.CutShort
  if (Cause.hasDies(cause)) return ExitCode.ProofFailed
  const error = Cause.squash(cause)
  return error instanceof DatabaseError ? ExitCode.Storage : Runtime.getErrorExitCode(error)
}

const sentenceOf = (error: unknown): string =>
  error instanceof DatabaseError ? `the database cannot be used: ${messageOf(error.cause)}` : messageOf(error)

const report = (cause: Cause.Cause<unknown>): Effect.Effect<void> => {
  if (Cause.hasInterruptsOnly(cause)) return Effect.void
  if (Cause.hasDies(cause)) return Effect.logError("command failed by a bug of ours", cause)
  const error = Cause.squash(cause)
  return error instanceof Stdout.StdoutClosed ? Effect.void : Effect.logError(sentenceOf(error))
}

type LoggingSettings = Pick<Logging.LoggingOptions, "level" | "format">

const logging = ({ format, level }: LoggingSettings) => {
  const { isTerminal, write } = Output.make(process.stderr, 2)
  return Logging.layer({ sink: write, isTerminal, level, format })
}

/**
 * The exit code of a command that ended so, once all is released. Where a proof failed, the certificate says which; it is
 * no data, so it goes to stderr.
 */
const conclude = Effect.fnUntraced(function*(host: ProcessHost, code: number) {
  const { journal } = host
  const certificate = certify(journal, [])
  const final = exitCode({
    causes: [code, ...journal.causes.map((cause) => cause.code)],
    isCutShort: journal.isCutShort,
    proofs: certificate.proofs
  })
  if (final === ExitCode.ProofFailed || journal.forced.length > 0) yield* say(JSON.stringify({ stopped: certificate }))
  return final
})

/** Runs `use` over its components to its end, to a failure, or to a stop. Never fails: the exit code says it all. */
const runOver = <A, E, E2, E3, R, G = void>(
  host: ProcessHost,
  settings: Layer.Layer<Settings, E3, R>,
  options: Options<A, E, Settings | Shutdown | Supervisor, G>,
  use: (given: G) => Effect.Effect<void, E2, A | Settings | Shutdown | Supervisor | Scope.Scope>
): Effect.Effect<void, never, R> => {
  let logs = logging({ level: () => "Info", format: "auto" })
  /** The settings' logging, once they are known. */
  const foundation = Layer.unwrap(Effect.map(Settings, (settings) => {
    host.setWatchdogKill(Duration.toMillis(settings.watchdogKill))
    logs = logging({ level: () => settings.logLevel, format: settings.logFormat })
    return logs
  }))
  const work = Effect.gen(function*() {
    const supervisor = yield* Supervisor
    const given = yield* options.given ?? Effect.succeed(undefined as G)
    const app = Layer.provideMerge(options.components, foundation.pipe(Layer.provideMerge(settings)))
    // The scope outlives the race, so that its finalizers are neither lost with a loser nor run inside one.
    yield* Effect.acquireUseRelease(
      Scope.make(),
      (scope) =>
        Effect.raceFirst(
          // What it acquires itself is released before the components are.
          Effect.flatMap(Layer.buildWithScope(app, scope), (context) =>
            Effect.provide(Effect.scoped(use(given)), context)),
          supervisor.failed
        ),
      (scope, exit) => Scope.close(scope, exit)
    )
  })
  const endWith = host.command()
  return Effect.uninterruptibleMask((restore) =>
    restore(attach(host, work)).pipe(
      Effect.exit,
      Effect.flatMap((exit) => {
        if (Exit.isSuccess(exit)) return conclude(host, ExitCode.Clean)
        const code = codeOf(exit.cause, options.isEndless ?? false)
        return Effect.andThen(Effect.provide(report(exit.cause), logs), conclude(host, code))
      }),
      Effect.map(endWith)
    )
  ).pipe(
    Effect.provide(Supervisor.layer.pipe(
      Layer.provideMerge(Shutdown.layer(host.journal)),
      Layer.provideMerge(logs)
    ))
  )
}

/** A command with the settings that were given to it and to all. */
export const run = <A, E, E2, G = void>(
  host: ProcessHost,
  own: Own,
  options: Options<A, E, Settings | Shutdown | Supervisor, G>,
  use: (given: G) => Effect.Effect<void, E2, A | Settings | Shutdown | Supervisor | Scope.Scope>
) => Effect.flatMap(settingsOf(own), (settings) => runOver(host, settings, options, use))

/** One without settings of its own. */
export const none: Own = { settings: {} }

/** One that looks at its settings itself, and runs whatever they are. */
export const runUnset = <E>(
  host: ProcessHost,
  own: Own,
  use: (
    settings: ReturnType<typeof settingsLayer>
  ) => Effect.Effect<void, E, Settings | Shutdown | Supervisor | Scope.Scope>
) =>
  Effect.flatMap(
    settingsOf(own),
    (settings) => runOver(host, Settings.layerTest(), { components: Layer.empty }, () => use(settings))
  )
