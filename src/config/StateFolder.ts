/**
 * What the service keeps beside its store, in one folder (`STATE_DIR`): its key, how it last ended, and the like. Every name
 * begins with the database file's, so that instances with databases of their own can live side by side in one folder.
 *
 * Whoever names a folder that is not the database's means it for one instance: it is refused while another is in it. The
 * store has a lock of its own, which does not depend on this one.
 */
import { Effect, Layer, type Scope } from "effect"
import * as fs from "node:fs"
import { basename, dirname, join, resolve } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { ExitCode } from "../lifecycle/Certificate.ts"
import { StartError } from "../lifecycle/StartError.ts"
import { messageOf } from "../observability/messageOf.ts"
import { Settings, type SettingsShape, stateFileOf } from "./Settings.ts"

type Place = Pick<SettingsShape, "databasePath" | "stateDir">

/** Is it simply where the database is? */
const isOwn = ({ databasePath, stateDir }: Place): boolean => resolve(stateDir) === resolve(dirname(databasePath))

const lockEnding = ".state.lock"

/** `SQLITE_BUSY`. */
const busy = 5

const failure = (exitCode: StartError["exitCode"], message: string, cause?: unknown) =>
  new StartError({ component: "state", message, exitCode, ...(cause === undefined ? {} : { cause }) })

const isBusy = (error: unknown): boolean => (error as { readonly errcode?: unknown } | null)?.errcode === busy

/**
 * The exclusive lock of an empty SQLite file, for as long as the connection is open: the kernel gives it back when the
 * process dies, however it dies. Undefined while somebody else has it.
 */
const lock = (path: string): DatabaseSync | undefined => {
  const db = new DatabaseSync(path, { timeout: 0 })
  try {
    db.exec("BEGIN EXCLUSIVE")
    return db
  } catch (error) {
    db.close()
    if (isBusy(error)) return undefined
    throw error
  }
}

/** The lock of another instance that is in the folder, if there is one. Two that start at once may each see the other. */
const othersIn = (folder: string, own: string): string | undefined =>
  fs.readdirSync(folder).filter((name) => name.endsWith(lockEnding) && name !== own).map((name) => join(folder, name))
    .find((path) => {
      const db = lock(path)
      db?.close()
      return db === undefined
    })

const enter = (place: Place): DatabaseSync => {
  const path = resolve(stateFileOf(place, lockEnding))
  const folder = dirname(path)
  const inUse = (by: string) =>
    failure(ExitCode.Unavailable, `${folder} (STATE_DIR) is in use by another instance, which holds ${by}: stop it`)
  let db: DatabaseSync | undefined
  try {
    // Only its owner may read what else is made here; SQLite would ask the umask alone.
    fs.closeSync(fs.openSync(path, "a", 0o600))
    db = lock(path)
    if (db === undefined) throw inUse(path)
    const other = isOwn(place) ? undefined : othersIn(folder, basename(path))
    if (other !== undefined) throw inUse(other)
    return db
  } catch (error) {
    db?.close()
    if (error instanceof StartError) throw error
    if ((error as NodeJS.ErrnoException).code === "ENOENT") {
      throw failure(ExitCode.Storage, `the directory ${folder} (STATE_DIR) does not exist: create it`, error)
    }
    throw failure(ExitCode.Storage, `cannot use ${folder} (STATE_DIR): ${messageOf(error)}`, error)
  }
}

/** Keeps other instances out of the folder until the scope closes. Fails with 69 while one is in it. */
export const hold: Effect.Effect<void, StartError, Settings | Scope.Scope> = Effect.flatMap(
  Settings,
  (settings) =>
    Effect.asVoid(Effect.acquireRelease(
      Effect.try({ try: () => enter(settings), catch: (error) => error as StartError }),
      (db) => Effect.sync(() => db.close())
    ))
)

export const layer: Layer.Layer<never, StartError, Settings> = Layer.effectDiscard(hold)
