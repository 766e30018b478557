/**
 * Who may use the database file: one service at a time, whatever it calls the file.
 *
 * Two locks, both given back by the kernel when the process dies, however it dies, so that there is no stale one to break: that
 * of the file itself (`InodeLock.ts`), and that of a file beside its name, for a file that is not there yet or was replaced.
 */
import { Effect, type Scope } from "effect"
import * as fs from "node:fs"
import { dirname } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { ExitCode } from "../../lifecycle/Certificate.ts"
import { StartError } from "../../lifecycle/StartError.ts"
import { messageOf } from "../../observability/messageOf.ts"
import * as InodeLock from "./InodeLock.ts"
import * as Reserve from "./Reserve.ts"

/** `SQLITE_BUSY`. */
const busy = 5

const codeOf = (error: unknown): unknown => (error as { readonly errcode?: unknown } | null)?.errcode
/** Why the file cannot be used, and what the service exits with. */
export const startError = (exitCode: StartError["exitCode"], message: string, cause?: unknown) =>
  new StartError({ component: "database", message, exitCode, ...(cause === undefined ? {} : { cause }) })

export const broken = (message: string, cause?: unknown) => startError(ExitCode.Storage, message, cause)

/** Runs synchronous code whose exceptions are `StartError`s or the platform's. */
export const attempt = <A>(what: string, body: () => A): Effect.Effect<A, StartError> =>
  Effect.try({
    try: body,
    catch: (error) => error instanceof StartError ? error : broken(`${what}: ${messageOf(error)}`, error)
  })

export const sizeOf = (path: string): number | undefined => fs.statSync(path, { throwIfNoEntry: false })?.size

/** Creates an empty file that only its owner may read. Never opens one that exists: closing it would drop its locks. */
export const create = (path: string) => {
  const file = fs.openSync(path, "wx", 0o600)
  fs.fsyncSync(file)
  fs.closeSync(file)
  const directory = fs.openSync(dirname(path), "r")
  fs.fsyncSync(directory)
  fs.closeSync(directory)
}

const checkDirectory = (path: string) => {
  const directory = dirname(path)
  const stat = fs.statSync(directory, { throwIfNoEntry: false })
  if (stat === undefined) throw broken(`the directory ${directory} of the database does not exist: create it`)
  if (!stat.isDirectory()) throw broken(`${directory} is not a directory, so it cannot hold the database ${path}`)
  try {
    fs.accessSync(directory, fs.constants.W_OK | fs.constants.X_OK)
  } catch (error) {
    throw broken(`the directory ${directory} is not writable: the database ${path} needs files beside it`, error)
  }
}

/** Holds the exclusive lock of `<path>.lock`, an empty SQLite file, for as long as the connection is open. */
const lock = (path: string): DatabaseSync => {
  const lockPath = `${path}.lock`
  try {
    if (sizeOf(lockPath) === undefined) create(lockPath)
  } catch (error) {
    // Another instance may have been first: its lock then speaks below.
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") {
      throw broken(`cannot create ${lockPath}: ${messageOf(error)}`, error)
    }
  }
  let db: DatabaseSync | undefined
  try {
    db = new DatabaseSync(lockPath, { timeout: 0 })
    db.exec("BEGIN EXCLUSIVE")
    return db
  } catch (error) {
    db?.close()
    if (codeOf(error) === busy) {
      throw startError(ExitCode.Unavailable, `${path} is in use by another instance, which holds ${lockPath}: stop it`)
    }
    throw broken(`cannot lock ${lockPath}: ${messageOf(error)}`, error)
  }
}

/** The name under which SQLite keeps the file's log, which is the same for all symbolic links to it. */
export const realPathOf = (path: string): string => fs.existsSync(path) ? fs.realpathSync(path) : path

/** Takes the lock of the file itself. Undefined where there is none yet, or where it cannot be used, which `check` says. */
const lockInode = (path: string, locks: InodeLock.Locks): InodeLock.Held | undefined => {
  if (fs.statSync(path, { throwIfNoEntry: false })?.isFile() !== true) return undefined
  let taken: InodeLock.Taken
  try {
    taken = InodeLock.take(path, locks)
  } catch {
    return undefined
  }
  if (taken._tag === "Held") return taken
  throw startError(
    ExitCode.Unavailable,
    `${path} is in use by another instance, under this name or another: stop it`
  )
}

/** Holds the lock of the file itself until the scope closes, and says so where there is none to be had. */
export const holdInode = Effect.fnUntraced(function*(path: string, locks: InodeLock.Locks) {
  const held = yield* Effect.acquireRelease(
    attempt("cannot lock the database", () => lockInode(path, locks)),
    (held) => Effect.sync(() => held?.release())
  )
  if (held?.unlocked !== undefined) {
    yield* Effect.logWarning("the database is locked by its name alone: see that nothing opens it by another").pipe(
      Effect.annotateLogs({ component: "database", file: path, reason: held.unlocked })
    )
  }
  return held
})

/** The lock of the file itself comes first, as the other one makes a file; where there is none yet, undefined. */
export const holdBoth = Effect.fnUntraced(function*(path: string, locks: InodeLock.Locks) {
  yield* attempt("cannot use the database's directory", () => checkDirectory(path))
  const held = yield* holdInode(path, locks)
  // Even a lock wants a page.
  yield* attempt("cannot make room", () => Reserve.giveUp(path))
  yield* Effect.acquireRelease(
    attempt("cannot lock the database", () => lock(path)),
    (db) => Effect.sync(() => db.close())
  )
  return held
})

/** Holds the locks of the file, which need not exist, until the scope closes. */
export const hold = (path: string): Effect.Effect<void, StartError, Scope.Scope> =>
  Effect.promise(InodeLock.load).pipe(
    Effect.flatMap((locks) => holdBoth(realPathOf(path), locks)),
    Effect.asVoid
  )
