/** Files that cannot be used: each is named in one line, has its exit code, and is left as it was. */
import { assert, it } from "@effect/vitest"
import { Cause, Effect, Exit, Layer, Logger, Runtime, Scope } from "effect"
import * as fs from "node:fs"
import { dirname, join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { describe } from "vitest"
import { Database } from "../../../src/database/Database.ts"
import { connect } from "../../../src/database/sqlite/connection.ts"
import { certify } from "../../../src/lifecycle/Certificate.ts"
import { Shutdown } from "../../../src/lifecycle/Shutdown.ts"
import { profileEvent, signed } from "../../support/events.ts"
import { saveAll, write } from "../Database.suite.ts"
import { at, directory } from "../support.ts"

/** Opens and closes the store; how that went. */
const open = (path: string) => Effect.exit(Effect.scoped(Layer.build(Layer.fresh(at(path)))))

const fill = (path: string, count = 200) =>
  Effect.provide(
    write(Array.from(
      { length: count },
      (_, i) => ({ _tag: "Save", event: signed({ content: `${i} ${"x".repeat(500)}` }) }) as const
    )),
    Layer.fresh(at(path))
  )

const refuses = (path: string, code: number, text: RegExp) =>
  Effect.map(open(path), (exit) => {
    assert.isTrue(Exit.isFailure(exit), "it was opened")
    if (Exit.isSuccess(exit)) return
    const error = Cause.squash(exit.cause) as Error
    assert.match(error.message, text)
    assert.notInclude(error.message, "\n")
    assert.strictEqual(Runtime.getErrorExitCode(error), code)
  })

const inDirectory = (title: string, body: (path: string) => Effect.Effect<void, unknown, Scope.Scope>) =>
  it.live(title, () => Effect.scoped(Effect.flatMap(directory, (directory) => body(join(directory, "test.db")))))

/** What SQLite itself reads from a closed file. */
const pragma = (path: string, name: string) => {
  const db = new DatabaseSync(path, { readOnly: true })
  const row = db.prepare(`PRAGMA ${name}`).get()
  db.close()
  return Object.values(row ?? {})[0]
}

/**
 * A file that ends with one value of so many bytes, in the middle of which a page is overwritten; with the log of a
 * process that was killed, unless it `isClosed`.
 */
const damaged = (path: string, bytes: number, isClosed: boolean) =>
  Effect.gen(function*() {
    yield* open(path)
    const db = connect(path, "writer")
    const remember = db.prepare("INSERT INTO record VALUES ('test', ?, ?, NULL)")
    remember.run("long", "x".repeat(bytes))
    db.exec("PRAGMA wal_checkpoint(TRUNCATE)")
    remember.run("short", "")
    fs.copyFileSync(path, `${path}.copy`)
    if (!isClosed) fs.copyFileSync(`${path}-wal`, `${path}.copy-wal`)
    db.close()
    const file = fs.openSync(`${path}.copy`, "r+")
    fs.writeSync(file, Buffer.alloc(8192, 0xa5), 0, 8192, Math.ceil(bytes / 2 / 8192) * 8192)
    fs.closeSync(file)
    return `${path}.copy`
  })

describe("opening a file", () => {
  inDirectory(
    "creates a missing one, for its owner only, with large pages and a log",
    (path) =>
      Effect.gen(function*() {
        assert.isTrue(Exit.isSuccess(yield* open(path)))
        assert.isFalse(fs.existsSync(`${path}-wal`), "a clean close leaves no log")
        assert.strictEqual(fs.statSync(path).mode & 0o777, 0o600)
        assert.strictEqual(fs.statSync(`${path}.lock`).mode & 0o777, 0o600)
        assert.strictEqual(pragma(path, "page_size"), 8192)
        assert.strictEqual(pragma(path, "journal_mode"), "wal")
      })
  )

  inDirectory(
    "exits 69 while another instance has it, without touching it, and opens it afterwards",
    (path) =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        yield* Layer.buildWithScope(Layer.fresh(at(path)), scope)
        const before = fs.statSync(path)
        yield* refuses(path, 69, /test\.db is in use by another instance/)
        assert.strictEqual(fs.statSync(path).mtimeMs, before.mtimeMs)
        yield* Scope.close(scope, Exit.void)
        assert.isTrue(Exit.isSuccess(yield* open(path)))
      })
  )

  inDirectory("takes over the lock of a process that was killed", (path) =>
    Effect.gen(function*() {
      yield* fill(path, 1)
      assert.isTrue(fs.existsSync(`${path}.lock`))
      assert.isTrue(Exit.isSuccess(yield* open(path)))
    }))

  inDirectory("starts anew where the power was cut while the first page was written", (path) =>
    Effect.gen(function*() {
      yield* fill(path, 0)
      const firstPage = fs.readFileSync(path).subarray(0, 8192)
      for (const name of fs.readdirSync(dirname(path))) fs.rmSync(join(dirname(path), name))
      // Half of a page, and the journal that says that there was none before: SQLite's file format, section 3.
      fs.writeFileSync(path, Buffer.concat([firstPage.subarray(0, 4096), Buffer.alloc(4096, 0xff)]))
      const journal = Buffer.alloc(512)
      journal.write("d9d505f920a163d7", "hex")
      journal.writeUInt32BE(512, 20)
      journal.writeUInt32BE(8192, 24)
      fs.writeFileSync(`${path}-journal`, journal)
      assert.isTrue(Exit.isSuccess(yield* open(path)))
      assert.isFalse(fs.existsSync(`${path}-journal`))
    }))

  inDirectory("exits 74 when the directory is missing, or is none", (path) =>
    Effect.gen(function*() {
      yield* refuses(join(`${path}.d`, "x.db"), 74, /directory .*test\.db\.d of the database does not exist/)
      fs.writeFileSync(path, "a file")
      yield* refuses(join(path, "x.db"), 74, /test\.db is not a directory/)
    }))

  it.live("exits 74 when nothing can be created in the directory", () =>
    refuses("/proc/profiles.db", 74, /cannot create \/proc\/profiles\.db\.lock|not writable/))

  inDirectory("exits 74 when the path is a directory", (path) =>
    Effect.gen(function*() {
      fs.mkdirSync(path)
      yield* refuses(path, 74, /test\.db is not a file/)
    }))

  const isRoot = process.getuid?.() === 0
  it.live.skipIf(isRoot)(
    `exits 74 when the file is read-only${isRoot ? " (skipped: root may write anything)" : ""}`,
    () =>
      Effect.scoped(Effect.gen(function*() {
        const path = join(yield* directory, "test.db")
        yield* fill(path, 1)
        fs.chmodSync(path, 0o400)
        yield* refuses(path, 74, /not readable and writable/)
      }))
  )

  const broken: ReadonlyArray<readonly [string, (bytes: Buffer) => Buffer, RegExp]> = [
    ["garbage", () => Buffer.from("this is no database, it only has its name".repeat(40)), /is not a SQLite database/],
    ["shorter than a header", () => Buffer.from("SQLite"), /is not a SQLite database/],
    ["cut in the middle", (bytes) => bytes.subarray(0, bytes.length >> 1), /is truncated/],
    ["cut by one byte", (bytes) => bytes.subarray(0, -1), /is truncated/],
    ["overwritten in its pages", (bytes) => bytes.fill(0xa5, 8192 * 2, 8192 * 8), /is corrupt|cannot be read/]
  ]
  for (const [name, damage, text] of broken) {
    inDirectory(`exits 74 when the file is ${name}, and leaves it as it is`, (path) =>
      Effect.gen(function*() {
        yield* fill(path)
        const bytes = damage(fs.readFileSync(path))
        fs.writeFileSync(path, bytes)
        yield* refuses(path, 74, text)
        assert.isTrue(fs.readFileSync(path).equals(bytes))
      }))
  }

  const small = 8_000_000
  const large = 68_000_000

  inDirectory(
    "reads a small file through, and a large one that was not closed properly",
    (path) =>
      Effect.gen(function*() {
        yield* refuses(yield* damaged(`${path}.1`, small, true), 74, /is corrupt|cannot be read/)
        yield* refuses(yield* damaged(`${path}.2`, large, false), 74, /is corrupt|cannot be read/)
      })
  )

  inDirectory(
    "starts at once on a large file that was closed properly: reading it through would take longer",
    (path) =>
      Effect.gen(function*() {
        assert.isTrue(Exit.isSuccess(yield* open(yield* damaged(path, large, true))))
      })
  )

  inDirectory("exits 74 when the file is gone but its log is not", (path) =>
    Effect.gen(function*() {
      fs.writeFileSync(`${path}-wal`, "frames")
      yield* refuses(path, 74, /test\.db is gone but its log/)
      assert.strictEqual(fs.readFileSync(`${path}-wal`, "utf8"), "frames")
      assert.isFalse(fs.existsSync(path))
    }))

  inDirectory("exits 74 when the log is another file's, and does not fold it in", (path) =>
    Effect.gen(function*() {
      yield* fill(path, 50)
      const bytes = fs.readFileSync(path)
      const other = `${path}.other`
      yield* fill(other, 400)
      yield* Effect.gen(function*() {
        yield* saveAll([profileEvent()])
        fs.copyFileSync(`${other}-wal`, `${path}-wal`)
      }).pipe(Effect.provide(Layer.fresh(at(other))))
      yield* refuses(path, 74, /test\.db-wal is the log of another database/)
      assert.isTrue(fs.readFileSync(path).equals(bytes))
    }))

  inDirectory("exits 78 when the schema is newer than this version", (path) =>
    Effect.gen(function*() {
      yield* fill(path, 1)
      const db = new DatabaseSync(path)
      db.exec("INSERT INTO effect_sql_migrations (migration_id, name) VALUES (9999, 'from the future')")
      db.close()
      yield* refuses(path, 78, /has schema 9999, this version knows \d+/)
    }))

  inDirectory("exits 78 when it is another program's database", (path) =>
    Effect.gen(function*() {
      const db = new DatabaseSync(path)
      db.exec("CREATE TABLE bookmarks (url TEXT)")
      db.close()
      yield* refuses(path, 78, /is another program's database/)
    }))

  inDirectory("recovers the log that a crash has left, and says so", (path) =>
    Effect.gen(function*() {
      yield* fill(path, 1)
      const crashed = `${path}.crashed`
      const lines: Array<unknown> = []
      const event = profileEvent()
      yield* Effect.gen(function*() {
        yield* saveAll([event])
        // What a killed process leaves behind: file and log as they are while it runs.
        fs.copyFileSync(path, crashed)
        fs.copyFileSync(`${path}-wal`, `${crashed}-wal`)
      }).pipe(Effect.provide(Layer.fresh(at(path))))
      const logger = Logger.make(({ message }) => lines.push(Array.isArray(message) ? message[0] : message))
      const { events } = yield* Effect.flatMap(Database, ({ query }) => query([{ ids: [event.id] }], { limitMax: 1 }))
        .pipe(
          Effect.provide(Layer.fresh(at(crashed, "Info")).pipe(Layer.provide(Logger.layer([logger]))))
        )
      assert.strictEqual(events.length, 1)
      assert.include(lines, "recovered")
    }))

  inDirectory("releases what it had acquired when a later step fails", (path) =>
    Effect.gen(function*() {
      fs.writeFileSync(path, "garbage".repeat(200))
      yield* refuses(path, 74, /is not a SQLite database/)
      fs.rmSync(path)
      assert.isTrue(Exit.isSuccess(yield* open(path)), "the lock was given back")
    }))

  inDirectory("states in the journal what became of the ingester and of the log", (path) =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const lines: Array<unknown> = []
      const logger = Logger.make(({ message }) => lines.push(Array.isArray(message) ? message[0] : message))
      const context = yield* Layer.buildWithScope(
        Layer.fresh(at(path, "Info")).pipe(Layer.provide(Logger.layer([logger]))),
        scope
      )
      const { journal } = yield* Effect.provide(Shutdown, context)
      yield* Scope.close(scope, Exit.void)
      const { forced, proofs, wal } = certify(journal, [])
      assert.deepStrictEqual([proofs.ingesterExited, wal, forced], [true, "checkpointed", []])
      assert.deepStrictEqual(lines, ["database opened", "Ingester thread exited", "released"])
    }))
})
