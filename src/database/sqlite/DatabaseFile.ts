/**
 * Opening the file: lock, look, migrate. Nothing is written before the lock is held and the file is known to be ours,
 * whole and not newer than we are; a file that cannot be used is named and left as it is.
 */
import { SqliteClient } from "@effect/sql-sqlite-node"
import { Cause, Effect, type Scope } from "effect"
import { Migrator, SqlClient } from "effect/sql"
import * as fs from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { pathToFileURL } from "node:url"
import { ExitCode } from "../../lifecycle/Certificate.ts"
import { StartError } from "../../lifecycle/StartError.ts"
import { messageOf } from "../../observability/messageOf.ts"
import { applicationId, connect, pageSize, prepare } from "./connection.ts"
import { attempt, broken, create, holdBoth, holdInode, realPathOf, sizeOf, startError } from "./FileLock.ts"
import type { WatchedFile } from "./FileWatch.ts"
import * as InodeLock from "./InodeLock.ts"
import events from "./migrations/0001_events.ts"
import search from "./migrations/0002_search.ts"
import leaving from "./migrations/0003_leaving.ts"
import folding from "./migrations/0004_folding.ts"
import ranking from "./migrations/0005_ranking.ts"

const migrations = {
  "0001_events": events,
  "0002_search": search,
  "0003_leaving": leaving,
  "0004_folding": folding,
  "0005_ranking": ranking
}
const migrationTable = "effect_sql_migrations"

/** The newest schema this version knows. */
const schemaVersion = Object.keys(migrations).length

/** Bytes. A file that was closed properly is read through at start only up to this size: 30 to 90 ms. */
const checkedMax = 64 * 1024 * 1024

const sqliteHeader = "SQLite format 3\0"

/**
 * What the first page says of the file, without SQLite: a wrong file must not even be opened for writing. Returns whose
 * file it is, whatever a log beside it claims.
 */
const checkHeader = (path: string, size: number, walSize: number): number => {
  const header = Buffer.alloc(100)
  const file = fs.openSync(path, "r")
  fs.readSync(file, header, 0, 100, 0)
  fs.closeSync(file)
  if (header.toString("latin1", 0, 16) !== sqliteHeader) {
    throw broken(`${path} is not a SQLite database: restore it from a backup, or move it away to start empty`)
  }
  const width = header.readUInt16BE(16)
  const expected = header.readUInt32BE(28) * (width === 1 ? 65_536 : width)
  // With a log beside it, the file may be behind its own header.
  if (walSize === 0 && size < expected) {
    throw broken(`${path} is truncated: ${size} of ${expected} bytes are left; restore it from a backup`)
  }
  return header.readUInt32BE(68)
}

/** Which file this is, as its own pages say, without the log beside it; undefined when they do not say. */
const identityWithoutLog = (path: string): string | undefined => {
  const url = pathToFileURL(path)
  url.searchParams.set("immutable", "1")
  try {
    const db = new DatabaseSync(url, { readOnly: true })
    try {
      return identityOf(db)
    } finally {
      db.close()
    }
  } catch {
    // A crash during a checkpoint leaves pages that only the log completes.
    return undefined
  }
}

const identityOf = (db: DatabaseSync): string | undefined => {
  const [identity] = prepare(db, "SELECT hex(identity) FROM commit_log").get() ?? []
  return identity as string | undefined
}

const schemaOf = (db: DatabaseSync): number =>
  Number(prepare(db, `SELECT max(migration_id) FROM ${migrationTable}`).get()?.[0])

const checkSchema = (path: string, found: number) => {
  if (found <= schemaVersion) return
  throw startError(
    ExitCode.Configuration,
    `${path} has schema ${found}, this version knows ${schemaVersion}: start a newer version, or restore a backup`
  )
}

/**
 * What is wrong with the pages, in SQLite's words. Table by table: asked for the whole file, it would also have the search
 * index compare itself with itself, which takes six times as long as all the rest.
 */
const problemOf = (db: DatabaseSync): string | undefined => {
  for (const [name] of prepare(db, "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0").all()) {
    const [found] = prepare(db, `PRAGMA quick_check("${String(name).replaceAll("\"", "\"\"")}")`).get() ?? []
    if (found !== "ok") return String(found)
  }
  return undefined
}

/**
 * Reads without writing: a log that belongs to another file must not be folded into this one. Says whether the schema is the one
 * of this version.
 */
const checkContent = (path: string, owner: number, size: number, walSize: number): boolean => {
  const foreignLog = broken(
    `${path}-wal is the log of another database: move it away, or restore both files from a backup`
  )
  const db = new DatabaseSync(path, { readOnly: true, timeout: 0 })
  try {
    const rows = (sql: string) => prepare(db, sql).all()
    const tables = new Set(rows("SELECT name FROM sqlite_schema WHERE type = 'table'").map(([name]) => name))
    if (tables.size > 0 && rows("PRAGMA application_id")[0]?.[0] !== applicationId) {
      if (owner === applicationId) throw foreignLog
      throw startError(ExitCode.Configuration, `${path} is another program's database: choose another DATABASE_PATH`)
    }
    if (tables.has(migrationTable)) checkSchema(path, schemaOf(db))
    if (walSize > 0 && tables.has("commit_log")) {
      const own = identityWithoutLog(path)
      if (own !== undefined && own !== identityOf(db)) throw foreignLog
    }
    const problem = walSize > 0 || size <= checkedMax ? problemOf(db) : undefined
    if (problem !== undefined) {
      throw broken(`${path} is corrupt (${problem.replaceAll(/\s+/g, " ")}): restore it from a backup`)
    }
    return tables.has(migrationTable) && schemaOf(db) === schemaVersion && rows("PRAGMA journal_mode")[0]?.[0] === "wal"
  } finally {
    db.close()
  }
}

/** First bytes of a rollback journal, and where it says how many pages the file had before. */
const journalMagic = "d9d505f920a163d7"
const journalPagesAt = 16

/** Was the power cut while the first page was written? Then a journal says that there was none before. */
const isUnborn = (path: string): boolean => {
  const journal = `${path}-journal`
  if ((sizeOf(journal) ?? 0) < journalPagesAt + 4) return false
  const header = Buffer.alloc(journalPagesAt + 4)
  const file = fs.openSync(journal, "r")
  fs.readSync(file, header, 0, header.length, 0)
  fs.closeSync(file)
  return header.toString("hex", 0, 8) === journalMagic && header.readUInt32BE(journalPagesAt) === 0
}

/** Has SQLite take back what it had begun to write, or fold in what a log has; as far as there is room for it. */
const settle = (path: string): void => {
  const db = new DatabaseSync(path)
  try {
    prepare(db, "PRAGMA schema_version").get()
  } finally {
    db.close()
  }
}

/** What was found: bytes of log that a crash has left, and whether the schema is the one of this version. */
interface Checked {
  readonly walBytes: number
  readonly isCurrent: boolean
}

const empty: Checked = { walBytes: 0, isCurrent: false }

/** Checks an existing file, or creates an empty one. */
const check = (path: string): Checked => {
  const stat = fs.statSync(path, { throwIfNoEntry: false })
  const walSize = sizeOf(`${path}-wal`) ?? 0
  if (stat === undefined || (stat.isFile() && stat.size === 0)) {
    if (walSize > 0) throw broken(`${path} is gone but its log ${path}-wal is not: restore the file or remove the log`)
    if (stat === undefined) create(path)
    return empty
  }
  if (!stat.isFile()) throw broken(`${path} is not a file: DATABASE_PATH names the database file itself`)
  try {
    fs.accessSync(path, fs.constants.R_OK | fs.constants.W_OK)
  } catch (error) {
    throw broken(`${path} is not readable and writable: change its owner or mode`, error)
  }
  if (walSize === 0 && isUnborn(path)) {
    settle(path)
    return empty
  }
  const owner = checkHeader(path, stat.size, walSize)
  try {
    return { walBytes: walSize, isCurrent: checkContent(path, owner, stat.size, walSize) }
  } catch (error) {
    if (error instanceof StartError) throw error
    throw broken(`${path} cannot be read (${messageOf(error)}): restore it from a backup`, error)
  }
}

/** Brings the schema up to date over the connection that `SqliteClient` opens for it. */
export const migrate = (filename: string): Effect.Effect<void, StartError> =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    // The page size can only be chosen before the first page is written, and the log mode writes it.
    yield* sql.unsafe(`PRAGMA page_size = ${pageSize}`)
    yield* sql`PRAGMA journal_mode = WAL`
    yield* sql`PRAGMA synchronous = FULL`
    yield* sql.unsafe(`PRAGMA application_id = ${applicationId}`)
    yield* run
  }).pipe(
    Effect.provide(SqliteClient.layer({ filename, disableWAL: true })),
    Effect.catchCause((cause) => {
      if (Cause.hasInterruptsOnly(cause)) return Effect.failCause(cause as Cause.Cause<never>)
      const error = Cause.squash(cause)
      return Effect.fail(
        broken(`the schema of ${filename} could not be brought up to date: ${messageOf(error)}`, error)
      )
    })
  )

const run = Migrator.make({})({ loader: Migrator.fromRecord(migrations), table: migrationTable })

/** Locks, checks and migrates the file; the locks are held by the scope. */
export const open = Effect.fnUntraced(function*(named: string): Effect.fn.Return<WatchedFile, StartError, Scope.Scope> {
  const locks = yield* Effect.promise(InodeLock.load)
  const path = realPathOf(named)
  const held = yield* holdBoth(path, locks)
  const { isCurrent, walBytes } = yield* attempt("cannot open the database", () => check(path))
  const { inode } = held ?? (yield* holdInode(path, locks)) ?? (yield* broken(`${path} cannot be opened for writing`))
  // A schema that is up to date is not even looked at for writing, which takes room that there may not be.
  if (!isCurrent) yield* migrate(path)
  else if (walBytes > 0) yield* attempt("cannot fold in the log", () => settle(path))
  if (walBytes > 0) {
    yield* Effect.logInfo("recovered").pipe(Effect.annotateLogs({ component: "database", file: path, walBytes }))
  }
  return { named, path, inode }
})

/**
 * A connection that only reads, of a file that another process may have open and be writing to: no lock, no migration, no
 * check of the whole file. Fails for a file that is missing, not ours, or of another schema.
 */
export const openReader = (path: string): Effect.Effect<DatabaseSync, StartError, Scope.Scope> =>
  Effect.acquireRelease(
    attempt(`cannot read ${path}`, () => {
      const stat = fs.statSync(path, { throwIfNoEntry: false })
      if (stat === undefined) throw broken(`${path} does not exist: there is no database to read`)
      if (!stat.isFile()) throw broken(`${path} is not a file: DATABASE_PATH names the database file itself`)
      const db = connect(path, "reader")
      try {
        const [id] = prepare(db, "PRAGMA application_id").get() ?? []
        if (id !== applicationId) throw startError(ExitCode.Configuration, `${path} is not a database of this program`)
        const found = schemaOf(db)
        checkSchema(path, found)
        if (found < schemaVersion) {
          throw startError(
            ExitCode.Configuration,
            `${path} has schema ${found}: start this version's service on it first`
          )
        }
        return db
      } catch (error) {
        db.close()
        throw error
      }
    }),
    (db) => Effect.sync(() => db.close())
  )

/** Fails for a file that this version could not open, or that is not whole at the first look; an older schema will do. */
export const inspect = (path: string): void => {
  const stat = fs.statSync(path, { throwIfNoEntry: false })
  if (stat === undefined) throw broken(`${path} does not exist`)
  if (!stat.isFile() || stat.size === 0) throw broken(`${path} is no database`)
  if (sizeOf(`${path}-wal`) !== undefined) {
    throw broken(`${path} has a log beside it, so a service may be using it: make a backup of it, and restore that`)
  }
  const owner = checkHeader(path, stat.size, 0)
  if (owner !== applicationId) throw startError(ExitCode.Configuration, `${path} is not a database of this program`)
  const url = pathToFileURL(path)
  url.searchParams.set("immutable", "1")
  const db = new DatabaseSync(url, { readOnly: true })
  try {
    checkSchema(path, schemaOf(db))
  } finally {
    db.close()
  }
}

/** A connection for the writer or a reader, its failure to open a `StartError`. */
export const connection = (path: string, role: "writer" | "reader"): Effect.Effect<DatabaseSync, StartError> =>
  attempt(`cannot open ${path}`, () => connect(path, role))
