/** A look at the whole file, beside a running service or without one: makes nothing and changes nothing. */
import { Effect, Exit } from "effect"
import * as fs from "node:fs"
import { resolve } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { Worker } from "node:worker_threads"
import type { SettingsShape } from "../../config/Settings.ts"
import { ExitCode } from "../../lifecycle/Certificate.ts"
import type { StartError } from "../../lifecycle/StartError.ts"
import { escape } from "../../observability/Escape.ts"
import { messageOf } from "../../observability/messageOf.ts"
import type { Condition } from "../Condition.ts"
import * as DatabaseFile from "./DatabaseFile.ts"
import * as InodeLock from "./InodeLock.ts"
import type { Integrity } from "./integrityThread.ts"

const ok = (text: string): Condition => ({ status: "ok", text, code: ExitCode.Clean })
const warn = (text: string): Condition => ({ status: "warn", text, code: ExitCode.Clean })
const fail = (text: string, code: number): Condition => ({ status: "fail", text, code })

const megabytes = (path: string): string =>
  `${((fs.statSync(path, { throwIfNoEntry: false })?.size ?? 0) / 1e6).toFixed(1)} MB`

/** Does another process hold the lock of that name? The look takes and drops a shared lock, in microseconds. */
const isNameInUse = (path: string): boolean => {
  if (!fs.existsSync(`${path}.lock`)) return false
  const db = new DatabaseSync(`${path}.lock`, { readOnly: true, timeout: 0 })
  try {
    db.exec("SELECT count(*) FROM sqlite_schema")
    return false
  } catch {
    return true
  } finally {
    db.close()
  }
}

/** On a thread of its own, which a stop ends. */
export const integrityOf = (path: string): Effect.Effect<Integrity> =>
  Effect.callback<Integrity>((resume) => {
    const worker = new Worker(new URL("./integrityThread.ts", import.meta.url), { workerData: { path } })
    const broken = (problem: string) => resume(Effect.succeed({ problem, events: 0, logged: 0, seq: 0 }))
    worker.once("message", (integrity: Integrity) => resume(Effect.succeed(integrity)))
    worker.once("error", (error) => broken(messageOf(error)))
    worker.once("exit", () => broken("its thread ended without a word"))
    return Effect.promise(() => worker.terminate())
  })

export const check = Effect.fnUntraced(function*({ databasePath }: Pick<SettingsShape, "databasePath">) {
  const path = resolve(databasePath)
  if (!fs.existsSync(path)) return warn(`${path} does not exist yet: the first start makes it`)
  const opened = yield* Effect.exit(Effect.scoped(DatabaseFile.openReader(path)))
  if (Exit.isFailure(opened)) {
    return yield* Effect.match(opened, {
      onFailure: ({ exitCode, message }: StartError) => fail(message, exitCode),
      onSuccess: () => ok(path)
    })
  }
  const { events, logged, problem, seq } = yield* integrityOf(path)
  if (problem !== undefined) return fail(`${path} is corrupt: ${escape(problem, 300)}`, ExitCode.Storage)
  if (events !== logged) return fail(`${path} has ${events} events where its log says ${logged}`, ExitCode.Storage)
  const locks = yield* Effect.promise(InodeLock.load)
  const isInUse = isNameInUse(path) || InodeLock.isTaken(path, locks)
  const use = isInUse ? "a service is running on it" : "not in use"
  return ok(
    `${path}: ${events} events, seq ${seq}, ${megabytes(path)} and ${megabytes(`${path}-wal`)} of log, ${use}`
  )
})
