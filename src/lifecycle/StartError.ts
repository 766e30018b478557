/** Why the service could not start, in words for its operator, with the exit code that goes with it. */
import { Runtime, Schema } from "effect"

export class StartError extends Schema.TaggedError<StartError>()("StartError", {
  /** Who could not start, such as `database`. */
  component: Schema.String,
  /** One line per problem: what is wrong, where, and what to do. */
  message: Schema.String,
  /** One of `Certificate.ExitCode`. */
  code: Schema.Int
}) {
  readonly [Runtime.errorExitCode] = this.code
}
