/**
 * A child process as a test sees it: its lines, its signals, how it ended. Killed with the scope, whatever happened.
 *
 * Real time and real signals: use it under `it.live`.
 */
import { Deferred, Effect, Exit, Schema, type Scope } from "effect"
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import type { Certificate } from "../../src/lifecycle/Certificate.ts"
import { nodeFlags } from "./nodeFlags.ts"

/** What was waited for did not come; `tail` is the end of what the process said. */
export class ChildFailed extends Schema.TaggedError<ChildFailed>()("ChildFailed", {
  what: Schema.String,
  tail: Schema.String
}) {
  override get message() {
    return `${this.what}\n${this.tail}`
  }
}

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** The last line on stdout when it is a certificate. */
  readonly certificate: Certificate | undefined
  /** Milliseconds from the spawn to the end. */
  readonly millis: number
}

export interface Child {
  readonly pid: number
  /** Lines so far; both keep growing. */
  readonly stdout: ReadonlyArray<string>
  readonly stderr: ReadonlyArray<string>
  /** The first line of stdout, past or to come, that has `text` in it; fails when the process ends or 20 s pass first. */
  readonly line: (text: string) => Effect.Effect<string, ChildFailed>
  /** The same of stderr. */
  readonly errorLine: (text: string) => Effect.Effect<string, ChildFailed>
  /** Hands text to its stdin, which `stdin: "open"` leaves open; succeeds once the pipe has taken it, or is gone. */
  readonly write: (text: string) => Effect.Effect<void>
  /** Ends its stdin. */
  readonly endStdin: Effect.Effect<void>
  /** Closes our end of its stdout: its next write meets EPIPE. */
  readonly closeStdout: Effect.Effect<void>
  readonly signal: (name: NodeJS.Signals) => Effect.Effect<void>
  /** Waits for the end, at most 20 s. */
  readonly ended: Effect.Effect<Ended, ChildFailed>
  /** Names of the lifecycle states reported so far. */
  readonly states: () => ReadonlyArray<string>
}

export interface Options {
  readonly env?: Record<string, string>
  readonly cwd?: string
  /** Node's own flags. */
  readonly execArgv?: ReadonlyArray<string>
  /** A command that does something to the process and then becomes it, such as `prlimit --nofile=100`. */
  readonly under?: ReadonlyArray<string>
  /** `stall` leaves its stdout unread, in a pipe that is never drained. */
  readonly stdout?: "read" | "stall"
  /** `open` keeps its stdin open until it is ended, or the scope closes. */
  readonly stdin?: "open"
}

const parse = (line: string | undefined): Record<string, unknown> => {
  try {
    const value: unknown = JSON.parse(line ?? "null")
    return typeof value === "object" && value !== null ? { ...value } : {}
  } catch {
    return {}
  }
}

/** Runs a TypeScript file with this very Node. */
export const start = Effect.fnUntraced(
  function*(
    file: string,
    args: ReadonlyArray<string>,
    options: Options = {}
  ): Effect.fn.Return<Child, never, Scope.Scope> {
    const begun = performance.now()
    const done = yield* Deferred.make<Ended>()
    const stdout: Array<string> = []
    const stderr: Array<string> = []
    const watchers = new Set<() => void>()
    const spawned = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const node = [...nodeFlags, ...options.execArgv ?? [], file, ...args]
        const [command, ...before] = [...options.under ?? [], process.execPath]
        return spawn(command, [...before, ...node], {
          cwd: options.cwd,
          env: { PATH: process.env["PATH"], ...options.env },
          stdio: ["pipe", "pipe", "pipe"]
        })
      }),
      (child) =>
        Effect.suspend(() => {
          if (child.exitCode !== null || child.signalCode !== null) return Effect.void
          child.kill("SIGKILL")
          return Effect.asVoid(Deferred.await(done))
        })
    )
    // A process that has ended before it read everything is no failure of ours.
    spawned.stdin.on("error", () => {})
    if (options.stdin !== "open") spawned.stdin.end()
    const collect = (stream: NodeJS.ReadableStream, into: Array<string>) =>
      createInterface({ input: stream }).on("line", (line) => {
        into.push(line)
        for (const watcher of watchers) watcher()
      })
    if (options.stdout !== "stall") collect(spawned.stdout, stdout)
    collect(spawned.stderr, stderr)
    const finish = (code: number | null, signal: NodeJS.Signals | null) => {
      const stopped = parse(stdout.at(-1))["stopped"]
      Deferred.doneUnsafe(
        done,
        Exit.succeed({
          code,
          signal,
          certificate: stopped as Certificate | undefined,
          millis: performance.now() - begun
        })
      )
      for (const watcher of watchers) watcher()
    }
    // "close" comes after the last line was read, "exit" is all there is when nobody reads.
    spawned.on(options.stdout === "stall" ? "exit" : "close", finish)

    const tail = () => `stdout:\n${stdout.slice(-20).join("\n")}\nstderr:\n${stderr.slice(-20).join("\n")}`
    const failed = (what: string) => new ChildFailed({ what, tail: tail() })
    const deadline = <A, E>(what: string, effect: Effect.Effect<A, E>) =>
      Effect.timeoutOrElse(effect, { duration: "20 seconds", orElse: () => Effect.suspend(() => failed(what)) })
    const lineOf = (lines: ReadonlyArray<string>, text: string) =>
      deadline(
        `no line with ${JSON.stringify(text)}`,
        Effect.callback<string, ChildFailed>((resume) => {
          const look = () => {
            const found = lines.find((line) => line.includes(text))
            if (found !== undefined) resume(Effect.succeed(found))
            else if (spawned.exitCode !== null || spawned.signalCode !== null) resume(failed(`ended without ${text}`))
          }
          watchers.add(look)
          look()
          return Effect.sync(() => void watchers.delete(look))
        })
      )
    return {
      pid: spawned.pid ?? 0,
      stdout,
      stderr,
      line: (text) => lineOf(stdout, text),
      errorLine: (text) => lineOf(stderr, text),
      write: (text) => Effect.callback<void>((resume) => void spawned.stdin.write(text, () => resume(Effect.void))),
      endStdin: Effect.sync(() => void spawned.stdin.end()),
      closeStdout: Effect.sync(() => void spawned.stdout.destroy()),
      signal: (name) => Effect.sync(() => void spawned.kill(name)),
      ended: deadline("still running", Deferred.await(done)),
      states: () =>
        stdout.flatMap((line) => {
          const state = (parse(line)["lifecycle"] as { readonly state?: string } | undefined)?.state
          return state === undefined ? [] : [state]
        })
    }
  }
)
