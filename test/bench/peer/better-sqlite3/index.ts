/**
 * What `@nostr-relay/event-repository-sqlite` and its query builder use of better-sqlite3, on `node:sqlite`: the real one is
 * native code, which must be downloaded or compiled for each version of Node. Names and behaviour are better-sqlite3's.
 */
import { DatabaseSync, type SQLInputValue, type SQLOutputValue, type StatementSync } from "node:sqlite"

type Parameters = ReadonlyArray<SQLInputValue>
type Row = Record<string, SQLOutputValue>

class Statement {
  readonly #statement: StatementSync
  /** Whether it gives rows. */
  readonly reader: boolean

  constructor(statement: StatementSync) {
    this.#statement = statement
    this.reader = statement.columns().length > 0
  }

  all(parameters: Parameters = []): ReadonlyArray<Row> {
    return this.#statement.all(...parameters)
  }

  get(parameters: Parameters = []): Row | undefined {
    return this.#statement.get(...parameters)
  }

  run(parameters: Parameters = []): { readonly changes: number | bigint; readonly lastInsertRowid: number | bigint } {
    return this.#statement.run(...parameters)
  }
}

class Database {
  readonly #database: DatabaseSync

  constructor(path: string) {
    // What better-sqlite3 compiles in: SQLITE_DEFAULT_WAL_SYNCHRONOUS=1 (the repository turns WAL on), _CACHE_SIZE, _FOREIGN_KEYS.
    this.#database = new DatabaseSync(path, { timeout: 5000, enableForeignKeyConstraints: true })
    this.#database.exec("PRAGMA synchronous = NORMAL; PRAGMA cache_size = -16000")
  }

  prepare(sql: string): Statement {
    return new Statement(this.#database.prepare(sql))
  }

  pragma(source: string): ReadonlyArray<Row> {
    return this.prepare(`PRAGMA ${source}`).all()
  }

  exec(sql: string): this {
    this.#database.exec(sql)
    return this
  }

  close(): this {
    this.#database.close()
    return this
  }
}

// The second name is what `require("better-sqlite3")` gives.
export { Database, Database as "module.exports" }
