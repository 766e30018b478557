/**
 * What the real server asked of the kernel, in order: writes and syncs of its database, and `OK true` frames on their way to
 * clients. Recorded by strace, which stops every thread at each of these calls, so that one list holds them all.
 */
import { Effect, Schema, type Scope } from "effect"
import { spawn, spawnSync } from "node:child_process"
import { createReadStream, statSync } from "node:fs"
import { basename, join } from "node:path"
import { createInterface } from "node:readline"
import { nodeFlags } from "../support/nodeFlags.ts"

export type Operation =
  | { readonly _tag: "Write"; readonly file: string; readonly at: number; readonly bytes: Buffer }
  | { readonly _tag: "Truncate"; readonly file: string; readonly size: number }
  | { readonly _tag: "Sync"; readonly file: string }
  | { readonly _tag: "Unlink"; readonly file: string }
  /** Ids whose `OK true` was handed to the kernel by one call. */
  | { readonly _tag: "Told"; readonly ids: ReadonlyArray<string> }

/** Why no trace can be taken on this machine; undefined where one can. */
export const missing = (): string | undefined => {
  const { error, status, stderr } = spawnSync("strace", ["-f", "-o", "/dev/null", "true"], { encoding: "utf8" })
  if (error !== undefined) return `strace cannot be run (${error.message}); Debian has it in the package "strace"`
  return status === 0 ? undefined : `strace is not allowed to trace here: ${stderr.trim()}`
}

export class TraceFailed extends Schema.TaggedError<TraceFailed>()("TraceFailed", { detail: Schema.String }) {
  override get message() {
    return this.detail
  }
}

const calls = ["pwrite64", "write", "writev", "sendmsg", "sendto", "fsync", "fdatasync", "ftruncate", "unlink"]

/** -D: the service is our child, and strace is not; -xx: every string in hex, so that nothing needs unescaping. */
const flags = ["-D", "-f", "--seccomp-bpf", "-y", "-xx", "-s", "70000", "-e", `trace=${calls.join(",")}`]

const entry = join(import.meta.dirname, "../../src/entry.js")

export interface Traced {
  /** Where it listens. */
  readonly url: string
  readonly databasePath: string
  /** Sends SIGTERM, waits for the end at most 30 s, and reads what was recorded. */
  readonly stop: Effect.Effect<
    { readonly code: number | null; readonly operations: ReadonlyArray<Operation> },
    TraceFailed
  >
}

/** Milliseconds for a start, or a stop, under strace: three times what the service allows itself for the latter. */
const patience = 30_000

/** Fails with `otherwise` and what the service said last. */
const until = (isSo: () => boolean, otherwise: string, lines: ReadonlyArray<string>) =>
  Effect.repeat(Effect.delay(Effect.sync(isSo), 20), { until: (so) => so }).pipe(
    Effect.timeoutOrElse({
      duration: patience,
      orElse: () =>
        Effect.suspend(() =>
          new TraceFailed({ detail: `${otherwise} within ${patience} ms: ${lines.slice(-3).join("\n")}` })
        )
    })
  )

/** Starts the service under strace; it is killed with the scope at the latest. */
export const start = Effect.fnUntraced(function*(options: {
  readonly folder: string
  readonly execArgv: ReadonlyArray<string>
}): Effect.fn.Return<Traced, TraceFailed, Scope.Scope> {
  const databasePath = join(options.folder, "profiles.db")
  const record = join(options.folder, "trace")
  const lines: Array<string> = []
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(
        "strace",
        [...flags, "-o", record, "--", process.execPath, ...nodeFlags, ...options.execArgv, entry],
        {
          cwd: options.folder,
          env: {
            PATH: process.env["PATH"],
            BIND_ADDR: "127.0.0.1:0",
            DATABASE_PATH: databasePath,
            DISCOVERY_RELAY_URL: "none",
            ADMISSION: "open",
            LOG_LEVEL: "Info",
            LOG_FORMAT: "json",
            // Under strace the event loop is not what it is.
            WATCHDOG_KILL_SECS: "60"
          },
          stdio: ["ignore", "pipe", "inherit"]
        }
      )
    ),
    (child) => Effect.sync(() => child.exitCode === null && child.kill("SIGKILL"))
  )
  let isOver = false
  child.once("close", () => void (isOver = true))
  createInterface({ input: child.stdout }).on("line", (line) => lines.push(line))
  const url = () => /"url":"(ws:[^"]+)"/u.exec(lines.join("\n"))?.[1]
  yield* until(() => isOver || url() !== undefined, "did not start", lines)
  const found = url()
  if (found === undefined) return yield* new TraceFailed({ detail: `the service did not start: ${lines.join("\n")}` })
  return {
    url: found,
    databasePath,
    stop: Effect.gen(function*() {
      child.kill("SIGTERM")
      yield* until(() => isOver, "did not stop", lines)
      // strace ends a moment after what it traced, and writes its last lines then.
      let size = -1
      yield* until(
        () => {
          const now = statSync(record).size
          const isSettled = now === size
          size = now
          return isSettled
        },
        "strace did not end",
        lines
      )
      const operations = yield* Effect.promise(() => read(record, basename(databasePath)))
      return { code: child.exitCode, operations }
    })
  }
})

const bytesOf = (hex: string): Buffer => Buffer.from(hex.replaceAll("\\x", ""), "hex")

/** `pid call(fd<path>, …) = result`, or one half of it where another thread came in between. */
const shape = /^(\d+) +(?:<\.\.\. (\w+) resumed>|(\w+)\()(.*)$/u

const read = async (record: string, database: string): Promise<ReadonlyArray<Operation>> => {
  const operations: Array<Operation> = []
  /** First halves, by thread. */
  const halves = new Map<string, string>()
  for await (const line of createInterface({ input: createReadStream(record) })) {
    const [, pid = "", resumed, called, rest = ""] = shape.exec(line) ?? []
    if (resumed === undefined && called === undefined) continue
    const name = resumed ?? called ?? ""
    const isFirstHalf = rest.endsWith("<unfinished ...>")
    const begun = resumed === undefined ? "" : halves.get(pid) ?? ""
    if (isFirstHalf) halves.set(pid, rest)
    // What is handed over is on its way from the first half on; what is synced is so from the second half on.
    const isSending = name.startsWith("write") || name.startsWith("send")
    if (isSending ? resumed !== undefined : isFirstHalf) continue
    const operation = operationOf(name, begun + rest, database)
    if (operation !== undefined) operations.push(operation)
  }
  return operations
}

const operationOf = (name: string, text: string, database: string): Operation | undefined => {
  const [, hex = ""] = /<((?:\\x[0-9a-f]{2})+)>/u.exec(text) ?? []
  const path = bytesOf(hex).toString()
  if (name.startsWith("write") || name.startsWith("send")) {
    if (!path.startsWith("socket:") && !path.startsWith("TCP")) return undefined
    const sent = Buffer.concat([...text.matchAll(/"((?:\\x[0-9a-f]{2})+)"/gu)].map(([, hex = ""]) => bytesOf(hex)))
    const ids = [...sent.toString("latin1").matchAll(/\["OK","([0-9a-f]{64})",true/gu)].map(([, id = ""]) => id)
    return ids.length === 0 ? undefined : { _tag: "Told", ids }
  }
  if (name === "unlink") {
    const [, hex = ""] = /"((?:\\x[0-9a-f]{2})+)"/u.exec(text) ?? []
    const file = basename(bytesOf(hex).toString())
    return isOurs(file, database) ? { _tag: "Unlink", file } : undefined
  }
  const file = basename(path)
  if (!isOurs(file, database) || / = -1 /u.test(text)) return undefined
  if (name === "fsync" || name === "fdatasync") return { _tag: "Sync", file }
  if (name === "ftruncate") return { _tag: "Truncate", file, size: Number(/>, (\d+)/u.exec(text)?.[1]) }
  const [, content = "", at] = /"((?:\\x[0-9a-f]{2})*)", \d+, (\d+)/u.exec(text) ?? []
  return { _tag: "Write", file, at: Number(at), bytes: bytesOf(content) }
}

/** The shared memory beside the file is rebuilt at each start, and locks are not kept on the disk. */
const isOurs = (file: string, database: string): boolean =>
  file === database || file === `${database}-wal` || file === `${database}-journal`
