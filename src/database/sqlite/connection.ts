/**
 * How every connection to the file is opened: imported by threads too, so nothing but `node:sqlite` here.
 */
import { DatabaseSync, type SQLInputValue } from "node:sqlite"

/** "PrAg" in the file's header: what tells our file from another program's (`PRAGMA application_id`). */
export const applicationId = 0x50_72_41_67

/** Bytes. Random keys dirty a page each, so larger pages lose once the table is; the default 4 KiB costs a third more. */
export const pageSize = 8192

/** Pages of WAL before a commit folds it into the file: 64 MiB, as frequent checkpoints write the same pages again. */
const autocheckpoint = 8192

/** How long a statement waits for a foreign writer, such as an operator's `sqlite3`, in milliseconds. */
const patience = { writer: 5000, reader: 1000 } as const

/**
 * KiB of page cache per connection. A reader's pages come from the kernel's cache as fast, and there are five of them. The
 * writer's need to hold what a transaction changes; all of them are looked through after one that split a page.
 */
const cache = { writer: 32_768, reader: 8192 } as const

/** A row as SQLite returns it, by position. */
export type Row = ReadonlyArray<null | number | string | Uint8Array>

/** Prepared statement over positional parameters, its rows as arrays. */
export interface Statement {
  readonly run: (...parameters: ReadonlyArray<SQLInputValue>) => void
  readonly get: (...parameters: ReadonlyArray<SQLInputValue>) => Row | undefined
  readonly all: (...parameters: ReadonlyArray<SQLInputValue>) => ReadonlyArray<Row>
}

/**
 * A limit that is a bare parameter is looked at by SQLite's planner, which therefore plans the statement anew whenever one
 * is bound: 5 to 13 µs, three times what finding a profile takes. It does not look into an expression.
 */
const unplanned = (sql: string): string => sql.replaceAll("LIMIT ?", "LIMIT +?")

/** Prepares a statement with rows as arrays: objects cost twice as much. */
export const prepare = (db: DatabaseSync, sql: string): Statement => {
  const statement = db.prepare(unplanned(sql))
  statement.setReturnArrays(true)
  // Its own `run` would also return the last row number of the connection, and throws after the fact when that is one of
  // the search index, whose own tables use 64 bits of it.
  return Object.assign(statement, { run: statement.get.bind(statement) }) as unknown as Statement
}

/** A connection that is set up for its role. Throws what `node:sqlite` throws. */
export const connect = (path: string, role: "writer" | "reader"): DatabaseSync => {
  const db = new DatabaseSync(path, {
    readOnly: role === "reader",
    timeout: patience[role],
    enableForeignKeyConstraints: false
  })
  db.exec(`
    PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = ${autocheckpoint};
    PRAGMA cache_size = -${cache[role]};
    PRAGMA temp_store = MEMORY;
    PRAGMA trusted_schema = OFF;
    PRAGMA cell_size_check = ON;
  `)
  return db
}
