/**
 * What `@nostr-relay/event-repository-sqlite` and its query builder use of better-sqlite3, on `node:sqlite`: the real one is
 * native code, which must be downloaded or compiled for each version of Node. Names and behaviour are better-sqlite3's.
 */
import { DatabaseSync } from "node:sqlite"

// Plain JavaScript: npm copies it, and Node strips no types from what stands in node_modules.

/** @typedef {ReadonlyArray<import("node:sqlite").SQLInputValue>} Parameters */
/** @typedef {Record<string, import("node:sqlite").SQLOutputValue>} Row */

class Statement {
  #statement

  /** @param {import("node:sqlite").StatementSync} statement */
  constructor(statement) {
    this.#statement = statement
    /** Whether it gives rows. */
    this.reader = statement.columns().length > 0
  }

  /** @returns {ReadonlyArray<Row>} */
  all(/** @type {Parameters} */ parameters = []) {
    return this.#statement.all(...parameters)
  }

  /** @returns {Row | undefined} */
  get(/** @type {Parameters} */ parameters = []) {
    return this.#statement.get(...parameters)
  }

  run(/** @type {Parameters} */ parameters = []) {
    return this.#statement.run(...parameters)
  }
}

class Database {
  #database

  /** @param {string} path */
  constructor(path) {
    // What better-sqlite3 compiles in: SQLITE_DEFAULT_WAL_SYNCHRONOUS=1 (the repository turns WAL on), _CACHE_SIZE, _FOREIGN_KEYS.
    this.#database = new DatabaseSync(path, { timeout: 5000, enableForeignKeyConstraints: true })
    this.#database.exec("PRAGMA synchronous = NORMAL; PRAGMA cache_size = -16000")
  }

  prepare(/** @type {string} */ sql) {
    return new Statement(this.#database.prepare(sql))
  }

  pragma(/** @type {string} */ source) {
    return this.prepare(`PRAGMA ${source}`).all()
  }

  exec(/** @type {string} */ sql) {
    this.#database.exec(sql)
    return this
  }

  close() {
    this.#database.close()
    return this
  }
}

// The second name is what `require("better-sqlite3")` gives.
export { Database, Database as "module.exports" }
