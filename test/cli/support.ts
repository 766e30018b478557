/** Commands as child processes, on a folder of their own, without the developer's environment. Use it under `it.live`. */
import { NodeWS } from "@effect/platform-node"
import { Effect, type Scope } from "effect"
import { createServer } from "node:http"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { type Event, rawOf } from "../../src/domain/Event.ts"
import * as child from "../support/child.ts"
import { keyOf, signed } from "../support/events.ts"

const entry = join(import.meta.dirname, "../../src/entry.js")

export interface Options extends Pick<child.Options, "stdin" | "stdout"> {
  readonly env?: Record<string, string>
}

/** Starts `profile-aggregator <args>` over `<folder>/events.db`, unless the arguments say otherwise. */
export const start = (
  folder: string,
  args: ReadonlyArray<string>,
  { env, ...options }: Options = {}
): Effect.Effect<child.Child, never, Scope.Scope> =>
  child.start(entry, args, {
    cwd: folder,
    env: {
      DATABASE_PATH: databasePath(folder),
      DISCOVERY_RELAY_URL: "none",
      OUTBOX_RELAY_URLS: "none",
      LOG_FORMAT: "json",
      ...env
    },
    ...options
  })

export const databasePath = (folder: string): string => join(folder, "events.db")

export interface Result {
  readonly code: number | null
  readonly stdout: ReadonlyArray<string>
  readonly stderr: ReadonlyArray<string>
}

/** Runs a command to its end, with `input` as all there is on its stdin. */
export const run = Effect.fnUntraced(
  function*(
    folder: string,
    args: ReadonlyArray<string>,
    { input, ...options }: Options & { readonly input?: string } = {}
  ): Effect.fn.Return<Result, child.ChildFailed, Scope.Scope> {
    const command = yield* start(folder, args, { ...options, stdin: "open" })
    if (input !== undefined) yield* command.write(input)
    yield* command.endStdin
    const { code } = yield* command.ended
    return { code, stdout: command.stdout, stderr: command.stderr }
  },
  Effect.scoped
)

/** Logged at this level on stderr, as `message` or `reason`. */
export const logged = ({ stderr }: Pick<Result, "stderr">, level: string): ReadonlyArray<Record<string, unknown>> =>
  stderr.flatMap((line) => {
    if (!line.startsWith("{")) return []
    const entry = JSON.parse(line) as Record<string, unknown>
    return entry["level"] === level ? [entry] : []
  })

/** Text notes and profiles by 50 authors, three to a second, in the order of an export: the same on every run. */
export const events = (count: number): ReadonlyArray<Event> => {
  const keys = Array.from({ length: 50 }, (_, i) => keyOf(`writer ${i}`))
  return Array.from({ length: count }, (_, i) =>
    signed({
      kind: i < 50 ? 0 : 1,
      created_at: 1_767_225_600 + Math.floor(i / 3),
      tags: i % 5 === 0 ? [["t", `topic ${i % 7}`]] : [],
      content: i < 50
        ? JSON.stringify({ name: `writer ${i}`, about: "writes", picture: "https://images.example/a.png" })
        : `note ${i} – "quoted" \\ 🌊`
    }, keys[i % 50])).toSorted((a, b) => a.created_at - b.created_at || (a.id < b.id ? 1 : -1))
}

export const jsonLines = (all: ReadonlyArray<Event>): string => all.map((event) => `${rawOf(event)}\n`).join("")

/** Events that are committed, read beside whoever writes them; undefined while there is no table yet. */
export const committed = (folder: string): number | undefined => {
  try {
    const db = new DatabaseSync(databasePath(folder), { readOnly: true })
    try {
      return Number(db.prepare("SELECT events FROM commit_log").get()?.["events"])
    } finally {
      db.close()
    }
  } catch {
    return undefined
  }
}

/** Waits until something is so, looking again and again; at most 15 seconds. */
export const until = (what: string, isSo: () => boolean): Effect.Effect<void> =>
  Effect.sync(isSo).pipe(
    Effect.delay("20 millis"),
    Effect.repeat({ until: (so) => so }),
    Effect.timeoutOrElse({ duration: "15 seconds", orElse: () => Effect.die(new Error(`never ${what}`)) }),
    Effect.asVoid
  )

/** Waits until so many events are committed. */
export const committedAtLeast = (folder: string, count: number): Effect.Effect<void> =>
  until(`${count} events`, () => (committed(folder) ?? 0) >= count)

/** A relay that does what `play` says, and nothing else. */
export const playing = (
  play: (message: ReadonlyArray<unknown>, say: (...frame: ReadonlyArray<unknown>) => void) => void
) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<ReturnType<typeof createServer>>((resume) => {
        const server = createServer()
        const relay = new NodeWS.WebSocketServer({ server })
        relay.on(
          "connection",
          (socket) =>
            socket.on(
              "message",
              (data: Buffer) =>
                play(
                  JSON.parse(data.toString()) as ReadonlyArray<unknown>,
                  (...frame) => socket.send(JSON.stringify(frame))
                )
            )
        )
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.callback<void>((resume) => void server.close(() => resume(Effect.void)))
    ),
    (server) => {
      const address = server.address()
      return `ws://127.0.0.1:${typeof address === "object" ? address?.port : ""}`
    }
  )
