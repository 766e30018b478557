/** The relay under test: our service or a peer as a child process on a folder of its own, or any relay by its URL. */
import { Deferred, Effect, Exit, type Option, type Scope } from "effect"
import { spawn } from "node:child_process"
import { copyFileSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import type { Answers, Question } from "./probe.ts"
import type { Program } from "./Program.ts"
import { RelayFailed } from "./RelayClient.ts"

export interface Ended {
  readonly code: number | null
  /** The last line of its output. */
  readonly lastLine: string
  /** Milliseconds since the signal. */
  readonly millis: number
}

export interface Relay {
  readonly url: string
  /** Unknown for a relay that somebody else started and did not name. */
  readonly pid: number | undefined
  /** Asks the process itself; none where it is not ours. */
  readonly ask: <Q extends Question>(question: Q) => Effect.Effect<Option.Option<Answers[Q]>>
}

/** A relay that was started by us. */
export interface Started extends Relay {
  readonly pid: number
  /** Monotonic milliseconds at which it was started. */
  readonly startedAt: number
  /** The first line that has the text in it. */
  readonly line: (text: string) => Effect.Effect<string, RelayFailed>
  readonly stop: Effect.Effect<Ended, RelayFailed>
}

export interface Options {
  readonly program: Pick<Program, "entry" | "nodeFlags">
  /** A database to start on; it is copied. */
  readonly database?: string
  readonly env?: Readonly<Record<string, string>>
  /** More flags of Node, such as `--cpu-prof`. */
  readonly flags?: ReadonlyArray<string>
}

const probe = join(import.meta.dirname, "probe.ts")
const patience = "60 seconds"

/** A folder that is removed with the scope. */
export const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "profile-aggregator-bench-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true, maxRetries: 3 }))
)

/**
 * Starts a relay: the service with any valid event admitted and limits that a single machine full of clients needs, or a
 * peer, which reads `DATABASE_PATH` only.
 */
export const start = Effect.fnUntraced(
  function*(options: Options): Effect.fn.Return<Started, RelayFailed, Scope.Scope> {
    const home = yield* folder
    const databasePath = join(home, "profiles.db")
    if (options.database !== undefined) copyFileSync(options.database, databasePath)
    const lines: Array<string> = []
    const watchers = new Set<() => void>()
    const ended = yield* Deferred.make<number | null>()
    let waiting: ((answer: unknown) => void) | undefined
    const startedAt = performance.now()
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(process.execPath, [
          "--expose-gc",
          "--import",
          probe,
          ...options.program.nodeFlags,
          ...options.flags ?? [],
          options.program.entry
        ], {
          cwd: home,
          env: {
            PATH: process.env["PATH"],
            BIND_ADDR: "127.0.0.1:0",
            DATABASE_PATH: databasePath,
            DISCOVERY_RELAY_URL: "none",
            ADMISSION: "open",
            LOG_FORMAT: "json",
            MAX_CONNECTIONS: "20000",
            MAX_CONNECTIONS_PER_ADDRESS: "20000",
            RATE_PER_CONNECTION: "0",
            RATE_PER_ADDRESS: "0",
            // What looking costs is the network's affair; `NIP05=check npm run bench` has it looked all the same.
            NIP05: process.env["NIP05"] ?? "off",
            ...options.env
          },
          stdio: ["ignore", "pipe", "inherit", "ipc"]
        })
      ),
      (child) =>
        Effect.suspend(() => {
          if (child.exitCode !== null || child.signalCode !== null) return Effect.void
          // A profile is written at the end of a process that ends by itself.
          child.kill(options.flags === undefined || options.flags.length === 0 ? "SIGKILL" : "SIGTERM")
          return Effect.asVoid(Deferred.await(ended))
        })
    )
    const look = () => {
      for (const watcher of watchers) watcher()
    }
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", (line) => {
      lines.push(line)
      look()
    })
    child.on("message", ({ answer }: { readonly answer: unknown }) => waiting?.(answer))
    child.on("close", (code) => {
      Deferred.doneUnsafe(ended, Exit.succeed(code))
      look()
    })

    const line = (text: string) =>
      Effect.callback<string, RelayFailed>((resume) => {
        const watcher = () => {
          const found = lines.find((line) => line.includes(text))
          if (found !== undefined) resume(Effect.succeed(found))
          else if (child.exitCode !== null) {
            resume(Effect.fail(new RelayFailed({ detail: `ended without "${text}":\n${lines.slice(-5).join("\n")}` })))
          }
        }
        watchers.add(watcher)
        watcher()
        return Effect.sync(() => watchers.delete(watcher))
      }).pipe(Effect.timeoutOrElse({
        duration: patience,
        orElse: () => Effect.fail(new RelayFailed({ detail: `said nothing of "${text}"` }))
      }))

    const stop = Effect.gen(function*() {
      const since = performance.now()
      child.kill("SIGTERM")
      const code = yield* Deferred.await(ended)
      return { code, lastLine: lines.at(-1) ?? "", millis: performance.now() - since }
    }).pipe(Effect.timeoutOrElse({
      duration: patience,
      orElse: () => Effect.fail(new RelayFailed({ detail: "did not stop" }))
    }))

    const port = /"url":"ws:[^"]*:(\d+)"/u.exec(yield* line("\"listening\""))?.[1]
    return {
      url: `ws://127.0.0.1:${port}`,
      pid: child.pid as number,
      startedAt,
      line,
      stop,
      ask: <Q extends Question>(question: Q) =>
        Effect.callback<Option.Option<Answers[Q]>>((resume) => {
          waiting = (answer) => resume(Effect.succeedSome(answer as Answers[Q]))
          child.send(question)
        })
    }
  }
)

/** A relay that runs already. */
export const elsewhere = (url: string, pid: number | undefined): Relay => ({
  url,
  pid,
  ask: () => Effect.succeedNone
})
