/**
 * The real service as a child process, on a folder of its own, without the developer's environment.
 *
 * Real time and real sockets: use it under `it.live`. Whatever happens, the process is gone when the scope closes.
 */
import { Effect, type Scope } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as child from "./child.ts"

const source = join(import.meta.dirname, "../../src/entry.js")

export interface Service extends child.Child {
  /** Holds the database, the key, and whatever the service writes. */
  readonly folder: string
  readonly databasePath: string
  /** Waits for the line that says where it listens. */
  readonly listening: Effect.Effect<
    { readonly port: number; readonly url: string; readonly http: string },
    child.ChildFailed
  >
  /** Sends a signal, and waits for the end. */
  readonly stop: (signal?: NodeJS.Signals) => Effect.Effect<child.Ended, child.ChildFailed>
}

export interface Options extends Pick<child.Options, "stdin" | "stdout" | "execArgv" | "under"> {
  /** First file of the program: the source's, unless it is something that was built. */
  readonly entry?: string
  readonly args?: ReadonlyArray<string>
  /** Over the defaults: no upstreams, a free port, JSON lines at level Debug. */
  readonly env?: Record<string, string>
  /** One made by `folder`, to start a second service on the data of a first. */
  readonly folder?: string
}

/** An empty folder that is removed with the scope. */
export const folder: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "profile-aggregator-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true, maxRetries: 3 }))
)

/** The port in the line that says where the service listens. */
const portOf = (line: string): number => Number(/"url":"ws:[^"]*:(\d+)"/u.exec(line)?.[1])

export const start = Effect.fnUntraced(
  function*(options: Options = {}): Effect.fn.Return<Service, never, Scope.Scope> {
    const home = options.folder ?? (yield* folder)
    const databasePath = join(home, "profiles.db")
    const process = yield* child.start(options.entry ?? source, options.args ?? [], {
      cwd: home,
      ...(options.stdin === undefined ? {} : { stdin: options.stdin }),
      ...(options.stdout === undefined ? {} : { stdout: options.stdout }),
      ...(options.execArgv === undefined ? {} : { execArgv: options.execArgv }),
      ...(options.under === undefined ? {} : { under: options.under }),
      env: {
        BIND_ADDR: "127.0.0.1:0",
        DATABASE_PATH: databasePath,
        DISCOVERY_RELAY_URL: "none",
        OUTBOX_RELAY_URLS: "none",
        LOG_LEVEL: "Debug",
        LOG_FORMAT: "json",
        ...options.env
      }
    })
    return {
      ...process,
      folder: home,
      databasePath,
      listening: Effect.map(process.line("\"listening\""), (line) => {
        const port = portOf(line)
        return { port, url: `ws://127.0.0.1:${port}`, http: `http://127.0.0.1:${port}` }
      }),
      stop: (signal = "SIGTERM") => Effect.andThen(process.signal(signal), process.ended)
    }
  }
)
