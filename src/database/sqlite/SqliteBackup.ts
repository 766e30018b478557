/**
 * A copy of the store as it is at one moment, made beside whoever writes to it; and putting one back.
 *
 * Either is complete under its name or is not there: it is made under another one, looked through page by page, synced, and only
 * then named. What is interrupted leaves nothing behind.
 */
import { Effect, type Scope } from "effect"
import * as fs from "node:fs"
import { dirname, resolve } from "node:path"
import * as sqlite from "node:sqlite"
import type { StartError } from "../../lifecycle/StartError.ts"
import { escape } from "../../observability/Escape.ts"
import { messageOf } from "../../observability/messageOf.ts"
import type { Copied, CopyProgress } from "../Copy.ts"
import { prepare } from "./connection.ts"
import * as DatabaseFile from "./DatabaseFile.ts"
import { attempt, broken, hold, realPathOf, sizeOf } from "./FileLock.ts"
import { integrityOf } from "./SqliteCheck.ts"

/** Pages of one step, and bytes of one read: a stop waits for that at most. */
const pagesPerStep = 1024
const bytesPerStep = 8 * 1024 * 1024

const syncFolder = (path: string): void => {
  const folder = fs.openSync(dirname(path), "r")
  fs.fsyncSync(folder)
  fs.closeSync(folder)
}

const syncFile = (path: string): void => {
  const file = fs.openSync(path, "r+")
  fs.fsyncSync(file)
  fs.closeSync(file)
}

/** Files that SQLite makes beside one that was looked at. */
const removeBeside = (path: string): void => {
  for (const suffix of ["-wal", "-shm"]) fs.rmSync(path + suffix, { force: true })
}

/** An empty file of mode 0600, which is gone with the scope unless it was given its name by then. */
const draftOf = (path: string): Effect.Effect<string, StartError, Scope.Scope> =>
  Effect.acquireRelease(
    attempt(`cannot write beside ${path}`, () => {
      const draft = `${path}.partial`
      fs.rmSync(draft, { force: true })
      fs.closeSync(fs.openSync(draft, "wx", 0o600))
      return draft
    }),
    (draft) =>
      Effect.sync(() => {
        fs.rmSync(draft, { force: true })
        removeBeside(draft)
      })
  )

/** Copies what the connection sees in its transaction; a stop is heard between two steps. */
const copyPages = (db: sqlite.DatabaseSync, draft: string, told: CopyProgress): Effect.Effect<void, StartError> =>
  Effect.callback<void, StartError>((resume) => {
    let isStopped = false
    const copying = sqlite.backup(db, draft, {
      rate: pagesPerStep,
      progress: ({ remainingPages, totalPages }) => {
        if (isStopped) throw new Error("stopped")
        told(totalPages - remainingPages, totalPages)
      }
    }).then(
      () => resume(Effect.void),
      (error: unknown) => resume(Effect.fail(broken(`the copy failed: ${messageOf(error)}`, error)))
    )
    return Effect.promise(() => {
      isStopped = true
      return copying
    })
  })

/** Fails unless every page is sound and the store holds what it says. */
const proved = Effect.fnUntraced(function*(path: string) {
  const found = yield* integrityOf(path)
  removeBeside(path)
  if (found.problem !== undefined) return yield* broken(`${path} is corrupt: ${escape(found.problem, 300)}`)
  if (found.events !== found.logged) {
    return yield* broken(`${path} has ${found.events} events where its log says ${found.logged}`)
  }
  return found
})

/** Copies the store to `target`, which must not be there yet. */
export const backup = Effect.fnUntraced(function*(databasePath: string, target: string, told: CopyProgress) {
  const path = realPathOf(resolve(databasePath))
  const db = yield* DatabaseFile.openReader(path)
  const draft = yield* draftOf(target)
  // One snapshot for all steps: otherwise each commit of a service would have it begin anew.
  prepare(db, "BEGIN").run()
  const [seq] = prepare(db, "SELECT seq FROM commit_log").get() ?? []
  yield* copyPages(db, draft, told)
  const found = yield* proved(draft)
  if (found.seq !== seq) return yield* broken(`the copy has seq ${found.seq} where the database had ${String(seq)}`)
  return yield* attempt(`cannot write ${target}`, (): Copied => {
    syncFile(draft)
    // A link never replaces a file that has come there meanwhile.
    fs.linkSync(draft, target)
    syncFolder(target)
    return { events: found.events, seq: found.seq, bytes: sizeOf(target) ?? 0 }
  })
}, Effect.scoped)

const copyFile = Effect.fnUntraced(function*(source: string, draft: string, told: CopyProgress) {
  const total = sizeOf(source) ?? 0
  const from = yield* Effect.acquireRelease(
    attempt(`cannot read ${source}`, () => fs.openSync(source, "r")),
    (file) => Effect.sync(() => fs.closeSync(file))
  )
  const to = yield* Effect.acquireRelease(
    attempt(`cannot write ${draft}`, () => fs.openSync(draft, "w", 0o600)),
    (file) => Effect.sync(() => fs.closeSync(file))
  )
  const buffer = Buffer.allocUnsafe(bytesPerStep)
  for (let done = 0; done < total;) {
    const bytes = yield* attempt("the copy failed", () => {
      const read = fs.readSync(from, buffer, 0, bytesPerStep, done)
      for (let at = 0; at < read;) at += fs.writeSync(to, buffer, at, read - at, done + at)
      return read
    })
    if (bytes === 0) return yield* broken(`${source} has become shorter meanwhile`)
    done += bytes
    told(done, total)
    yield* Effect.yieldNow
  }
  return undefined
}, Effect.scoped)

/** Where a store is kept that another takes the place of. */
export const asideOf = (databasePath: string): string => `${realPathOf(resolve(databasePath))}.before-restore`

/**
 * Puts a copy in the place of the store, which no service may be using. What is there is kept under `asideOf` it, log and all, and must not
 * be there unless `replace`.
 */
export const restore = Effect.fnUntraced(
  function*(databasePath: string, source: string, options: { readonly replace: boolean; readonly told: CopyProgress }) {
    const path = realPathOf(resolve(databasePath))
    const aside = asideOf(databasePath)
    yield* attempt(`cannot use ${source}`, () => DatabaseFile.inspect(source))
    yield* hold(path)
    const isThere = (sizeOf(path) ?? 0) > 0
    if (isThere && !options.replace) {
      return yield* broken(`${path} is there already: with --force it is kept as ${aside}, and replaced`)
    }
    if (isThere && fs.existsSync(aside)) {
      return yield* broken(`${aside} is there from an earlier time: move it away first`)
    }
    const draft = yield* draftOf(path)
    yield* copyFile(source, draft, options.told)
    const found = yield* proved(draft)
    return yield* attempt(`cannot replace ${path}`, (): Copied => {
      syncFile(draft)
      if (isThere) {
        fs.linkSync(path, aside)
        if (fs.existsSync(`${path}-wal`)) fs.linkSync(`${path}-wal`, `${aside}-wal`)
      }
      // From here on a start finds the new file; a log of the old one beside it is refused as that of another database.
      fs.renameSync(draft, path)
      removeBeside(path)
      syncFolder(path)
      return { events: found.events, seq: found.seq, bytes: sizeOf(path) ?? 0 }
    })
  },
  Effect.scoped
)
