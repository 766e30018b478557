/** Why a component could not start: one line for the operator, and the exit code that a supervisor acts on. */
import { Runtime, Schema } from "effect"
import { ExitCode } from "./Certificate.ts"

/**
 * A component did not start. `message` is one line that says what failed, why, and what to do about it. Nobody inside
 * the service recovers from it: what was acquired before is released, and the process exits with `exitCode`.
 */
export class StartError extends Schema.TaggedError<StartError>()("StartError", {
  /** The component, such as `database`. */
  component: Schema.String,
  message: Schema.String,
  /** Taken from `ExitCode`: 64 usage, 69 in use elsewhere, 74 storage, 78 configuration. */
  exitCode: Schema.Literals([ExitCode.Usage, ExitCode.Unavailable, ExitCode.Storage, ExitCode.Configuration]),
  /** What the platform said, for the log. */
  cause: Schema.optionalKey(Schema.Defect())
}) {
  override get [Runtime.errorExitCode](): number {
    return this.exitCode
  }
}
