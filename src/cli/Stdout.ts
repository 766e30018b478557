/**
 * Data on stdout, at the pace of whoever reads it.
 *
 * Lines are collected and written in pieces; a write ends when the system has taken it, so a slow reader slows us down and
 * nothing piles up. A reader that has gone away (`| head`) has all it wanted: that is an end, not an error.
 */
import { Effect, Runtime, Schema } from "effect"
import { ExitCode } from "../lifecycle/Certificate.ts"

/** The reader is gone. */
export class StdoutClosed extends Schema.TaggedError<StdoutClosed>()("StdoutClosed", {}) {
  override get [Runtime.errorExitCode](): number {
    return ExitCode.Clean
  }
}

/** What stdout is connected to does not take data: a full disk, for example. */
export class StdoutFailed extends Schema.TaggedError<StdoutFailed>()("StdoutFailed", { detail: Schema.String }) {
  override get message() {
    return `stdout: ${this.detail}`
  }
  override get [Runtime.errorExitCode](): number {
    return ExitCode.Storage
  }
}

export type StdoutError = StdoutClosed | StdoutFailed

const failureOf = (error: Error): StdoutError => {
  const { code } = error as NodeJS.ErrnoException
  return code === "EPIPE" || code === "ECONNRESET" || code === "ERR_STREAM_DESTROYED"
    ? new StdoutClosed()
    : new StdoutFailed({ detail: error.message })
}

/** Writes lines, each given without its newline; succeeds once the system has them. */
export const lines = (texts: ReadonlyArray<string>): Effect.Effect<void, StdoutError> =>
  texts.length === 0 ? Effect.void : Effect.callback<void, StdoutError>((resume) => {
    process.stdout.write(`${texts.join("\n")}\n`, (error) => {
      resume(error === undefined || error === null ? Effect.void : Effect.fail(failureOf(error)))
    })
  })
