/** What keeps the service from starting, and what it says then: one clear line, an exit code, and nothing left behind. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync
} from "node:fs"
import { createServer, type Socket } from "node:net"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import type { Ended } from "../support/child.ts"
import { profileEvent } from "../support/events.ts"
import * as Service from "../support/service.ts"
import * as TestClient from "../support/TestClient.ts"

/** How a start ends that is expected to fail, and the error lines it logged. */
const failing = (options: Service.Options) =>
  Effect.gen(function*() {
    const service = yield* Service.start(options)
    const ended = yield* service.ended
    const errors = service.stdout.flatMap((line) => {
      const { level, message } = JSON.parse(line) as { readonly level?: string; readonly message?: string }
      return level === "error" ? [message ?? ""] : []
    })
    return { ...ended, errors, stderr: service.stderr }
  })

const assertFailed = (
  { certificate, code, errors, stderr }: Ended & {
    readonly errors: ReadonlyArray<string>
    readonly stderr: ReadonlyArray<string>
  },
  expected: number,
  says: RegExp
) => {
  assert.strictEqual(code, expected, errors.join("\n"))
  assert.strictEqual(errors.length, 1, errors.join("\n"))
  assert.match(errors[0] ?? "", says)
  assert.deepStrictEqual(stderr, [])
  assert.strictEqual(certificate?.code, expected)
  assert.notInclude(Object.values(certificate?.proofs ?? {}), false)
  assert.deepStrictEqual(certificate?.senders, [])
}

/** A folder with a database that a service made, filled and closed. */
const used = Effect.gen(function*() {
  const folder = yield* Service.folder
  yield* Effect.scoped(Effect.gen(function*() {
    const service = yield* Service.start({ folder, env: { ADMISSION: "open" } })
    const { url } = yield* service.listening
    const client = yield* TestClient.connect(url)
    for (let n = 0; n < 20; n++) yield* client.publish(profileEvent({ name: `person ${n}` }, `person ${n}`))
    assert.strictEqual((yield* service.stop()).code, 0)
  }))
  return { folder, path: join(folder, "profiles.db") }
})

/** Sends the process a signal when it loads the first file that its entry imports. */
const signalledWhileImporting = (signal: NodeJS.Signals) => `
  import { registerHooks } from "node:module"
  registerHooks({ load: (url, context, next) => {
    if (url.endsWith("/lifecycle/compileCache.js")) process.kill(process.pid, "${signal}")
    return next(url, context)
  } })`

describe("a stop that comes before anything is imported", () => {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    it.live(`${signal} is heard`, () =>
      Effect.gen(function*() {
        const preload = `data:text/javascript,${encodeURIComponent(signalledWhileImporting(signal))}`
        const service = yield* Service.start({ execArgv: ["--import", preload] })
        const { certificate, code } = yield* service.ended
        assert.deepStrictEqual([code, certificate?.cause, certificate?.forced], [0, signal, []])
      }).pipe(Effect.scoped), 40_000)
  }
})

describe("the state folder", () => {
  it.live("in use by another instance: 69, and its key and certificate are left alone", () =>
    Effect.gen(function*() {
      const [state, one, two] = [yield* Service.folder, yield* Service.folder, yield* Service.folder]
      const first = yield* Service.start({ folder: one, env: { STATE_DIR: state } })
      yield* first.listening
      const key = readFileSync(join(state, "profiles.db.key"), "utf8")
      assertFailed(yield* failing({ folder: two, env: { STATE_DIR: state } }), 69, /STATE_DIR\) is in use by another/u)
      assert.strictEqual((yield* first.stop()).code, 0)
      assert.strictEqual(readFileSync(join(state, "profiles.db.key"), "utf8"), key)
      assert.isTrue(existsSync(join(state, "profiles.db.certificate.json")))
      for (const ending of ["key", "certificate.json"]) assert.isFalse(existsSync(join(one, `profiles.db.${ending}`)))
    }).pipe(Effect.scoped), 60_000)
})

describe("the database file", () => {
  it.live("in use by another instance: 69, before it is touched (fault 61)", () =>
    Effect.gen(function*() {
      const folder = yield* Service.folder
      const first = yield* Service.start({ folder })
      yield* first.listening
      const before = readFileSync(first.databasePath)
      assertFailed(yield* failing({ folder }), 69, /profiles\.db.*another/)
      assert.isTrue(before.equals(readFileSync(first.databasePath)))
      assert.strictEqual((yield* first.stop()).code, 0)
    }).pipe(Effect.scoped), 30_000)

  for (
    const [name, rename] of Object.entries({
      "a hard link": (path: string, other: string) => linkSync(path, join(other, "hard.db")),
      "a symbolic link": (path: string, other: string) => symlinkSync(path, join(other, "hard.db")),
      "the same name, its lock file removed": (path: string) => rmSync(`${path}.lock`)
    })
  ) {
    it.live(`in use under another name, ${name}: 69, before it is touched (fault 61)`, () =>
      Effect.gen(function*() {
        const [folder, elsewhere] = [yield* Service.folder, yield* Service.folder]
        const first = yield* Service.start({ folder, env: { ADMISSION: "open" } })
        const client = yield* TestClient.connect((yield* first.listening).url)
        yield* client.publish(profileEvent({ name: "before" }, "before"))
        rename(first.databasePath, elsewhere)
        const other = name.startsWith("a ") ? join(elsewhere, "hard.db") : first.databasePath
        const before = readFileSync(first.databasePath)
        const second = yield* failing({ folder: elsewhere, env: { DATABASE_PATH: other } })
        assertFailed(second, 69, /in use by another instance/)
        assert.isTrue(before.equals(readFileSync(first.databasePath)))
        assert.isEmpty(readdirSync(elsewhere).filter((name) => name !== "hard.db"), "nothing is made beside it")
        // What works beside a service does so still.
        yield* client.publish(profileEvent({ name: "after" }, "after"))
        const reader = new DatabaseSync(first.databasePath, { readOnly: true })
        reader.exec(`VACUUM INTO '${join(elsewhere, "copy.db")}'`)
        assert.strictEqual(reader.prepare("SELECT count(*) AS count FROM event").get()?.["count"], 2)
        reader.close()
        assert.strictEqual((yield* first.stop()).code, 0)
      }).pipe(Effect.scoped), 60_000)
  }

  it.live("is free again after SIGKILL", () =>
    Effect.gen(function*() {
      const folder = yield* Service.folder
      const first = yield* Service.start({ folder })
      yield* first.listening
      yield* first.signal("SIGKILL")
      yield* first.ended
      const second = yield* Service.start({ folder })
      yield* second.listening
      assert.strictEqual((yield* second.stop()).code, 0)
    }).pipe(Effect.scoped), 30_000)

  it.live("in a folder that does not exist: 74 (fault 68)", () =>
    Effect.gen(function*() {
      const folder = yield* Service.folder
      const path = join(folder, "nowhere", "profiles.db")
      assertFailed(yield* failing({ folder, env: { DATABASE_PATH: path } }), 74, /nowhere/)
      assert.isFalse(existsSync(join(folder, "nowhere")))
    }).pipe(Effect.scoped))

  it.live("that is a folder: 74", () =>
    Effect.gen(function*() {
      const folder = yield* Service.folder
      mkdirSync(join(folder, "profiles.db"))
      assertFailed(yield* failing({ folder }), 74, /profiles\.db/)
    }).pipe(Effect.scoped))

  it.live("with a header of garbage: 74, and left as it is (fault 69)", () =>
    Effect.gen(function*() {
      const folder = yield* Service.folder
      const garbage = Buffer.alloc(65_536, "not a database ")
      writeFileSync(join(folder, "profiles.db"), garbage)
      assertFailed(yield* failing({ folder }), 74, /profiles\.db.*(not a|corrupt)/)
      assert.isTrue(garbage.equals(readFileSync(join(folder, "profiles.db"))))
    }).pipe(Effect.scoped))

  it.live("cut short: 74, and left as it is (fault 69)", () =>
    Effect.gen(function*() {
      const { folder, path } = yield* used
      const size = readFileSync(path).length
      truncateSync(path, Math.floor(size / 2 / 8192) * 8192)
      const before = readFileSync(path)
      assertFailed(yield* failing({ folder }), 74, /profiles\.db/)
      assert.isTrue(before.equals(readFileSync(path)))
    }).pipe(Effect.scoped), 30_000)

  it.live(
    "beside the log of another database: 74, and neither is folded into the other (fault 69)",
    () =>
      Effect.gen(function*() {
        const { folder, path } = yield* used
        const other = join(folder, "other.db")
        const database = new DatabaseSync(other)
        database.exec("PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (zeroblob(100000))")
        const log = readFileSync(`${other}-wal`)
        database.close()
        const before = readFileSync(path)
        writeFileSync(`${path}-wal`, log)
        assertFailed(yield* failing({ folder }), 74, /profiles\.db/)
        assert.isTrue(before.equals(readFileSync(path)))
      }).pipe(Effect.scoped),
    30_000
  )

  it.live("of a newer version of this service: 78, and left as it is (fault 70)", () =>
    Effect.gen(function*() {
      const { folder, path } = yield* used
      const database = new DatabaseSync(path)
      database.exec("INSERT INTO effect_sql_migrations (migration_id, name) VALUES (9999, 'from_the_future')")
      database.close()
      assertFailed(yield* failing({ folder }), 78, /newer/)
    }).pipe(Effect.scoped), 30_000)

  // Root may write everywhere, so the service runs as somebody else.
  it.live.skipIf(process.getuid?.() !== 0)("that may not be written: 74 (fault 68)", () =>
    Effect.gen(function*() {
      const { folder, path } = yield* used
      chmodSync(folder, 0o555)
      const entry = join(import.meta.dirname, "../../src/entry.js")
      const asNobody = spawnSync("setpriv", ["--reuid=65534", "--clear-groups", process.execPath, entry], {
        env: { BIND_ADDR: "127.0.0.1:0", DATABASE_PATH: path, DISCOVERY_RELAY_URL: "none", LOG_FORMAT: "json" },
        encoding: "utf8",
        timeout: 15_000
      })
      assert.strictEqual(asNobody.status, 74, asNobody.stdout + asNobody.stderr)
    }).pipe(Effect.scoped), 30_000)
})

describe("settings and ports", () => {
  it.live("a port in use: 69, and the components below are released in order", () =>
    Effect.gen(function*() {
      const taken = yield* Effect.acquireRelease(
        Effect.callback<ReturnType<typeof createServer>>((resume) => {
          const server = createServer()
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.callback<void>((resume) => void server.close(() => resume(Effect.void)))
      )
      const address = taken.address()
      const port = typeof address === "object" ? address?.port : undefined
      const result = yield* failing({ env: { BIND_ADDR: `127.0.0.1:${port}` } })
      assertFailed(result, 69, /in use/)
      assert.deepStrictEqual(result.certificate?.released, ["websocket", "web", "aggregation", "crypto", "database"])
    }).pipe(Effect.scoped))

  it.live("a wrong value: 78, naming variable, value and what is allowed; nothing is acquired", () =>
    Effect.gen(function*() {
      const result = yield* failing({ env: { PAGE_SIZE: "many" } })
      assertFailed(result, 78, /PAGE_SIZE is "many".*allowed: .*1 to/)
      assert.deepStrictEqual(result.certificate?.released, [])
    }).pipe(Effect.scoped))

  it.live("an unknown flag: 64", () =>
    Effect.gen(function*() {
      const service = yield* Service.start({ args: ["--no-such-flag"] })
      const { code } = yield* service.ended
      assert.strictEqual(code, 64)
      assert.match([...service.stdout, ...service.stderr].join("\n"), /no-such-flag/)
    }).pipe(Effect.scoped))

  it.live("--help says what there is and ends with 0", () =>
    Effect.gen(function*() {
      const service = yield* Service.start({ args: ["--help"] })
      const { certificate, code } = yield* service.ended
      assert.deepStrictEqual([code, certificate], [0, undefined])
      assert.match(service.stdout.join("\n"), /serve --help/)
    }).pipe(Effect.scoped))

  it.live("flags win over the environment", () =>
    Effect.gen(function*() {
      const folder = yield* Service.folder
      const path = join(folder, "by-flag.db")
      const service = yield* Service.start({ folder, args: ["serve", "--database-path", path] })
      yield* service.listening
      assert.isTrue(existsSync(path))
      assert.strictEqual((yield* service.stop()).code, 0)
    }).pipe(Effect.scoped))
})

describe("starting", () => {
  it.live("accepts connections in under 2 seconds", () =>
    Effect.gen(function*() {
      const begun = performance.now()
      const service = yield* Service.start()
      yield* service.listening
      assert.isBelow(performance.now() - begun, 2000)
      assert.strictEqual((yield* service.stop()).code, 0)
    }).pipe(Effect.scoped))

  it.live("without a network serves what it has, says what cannot be reached and when it tries again", () =>
    Effect.gen(function*() {
      const service = yield* Service.start({ env: { DISCOVERY_RELAY_URL: "ws://127.0.0.1:9" } })
      const { http } = yield* service.listening
      const line = JSON.parse(yield* service.line("upstream cannot be reached"))
      assert.strictEqual(line.upstream, "ws://127.0.0.1:9")
      assert.match(line.retryAt, /^\d{4}-/)
      const answer = yield* Effect.promise(() => fetch(`${http}/ready`))
      assert.strictEqual(answer.status, 200)
      assert.strictEqual((yield* service.stop("SIGINT")).code, 0)
    }).pipe(Effect.scoped))

  it.live("stops clean in the middle of a dial", () =>
    Effect.gen(function*() {
      // Accepts TCP and never says a word.
      const sockets = new Set<Socket>()
      const mute = yield* Effect.acquireRelease(
        Effect.callback<ReturnType<typeof createServer>>((resume) => {
          const server = createServer((socket) => void sockets.add(socket.on("error", () => {})))
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) =>
          Effect.sync(() => {
            server.close()
            // Nobody reads them, so nobody would notice that the other side has gone.
            for (const socket of sockets) socket.destroy()
          })
      )
      const dialled = Effect.callback<void>((resume) => void mute.once("connection", () => resume(Effect.void)))
      const address = mute.address()
      const port = typeof address === "object" ? address?.port : undefined
      const service = yield* Service.start({ env: { DISCOVERY_RELAY_URL: `ws://127.0.0.1:${port}` } })
      yield* dialled
      yield* service.listening
      const before = performance.now()
      const { certificate, code } = yield* service.stop("SIGINT")
      assert.deepStrictEqual([code, certificate?.forced], [0, []])
      assert.isBelow(performance.now() - before, 1000)
    }).pipe(Effect.scoped))

  it.live("a signal at any moment of it ends in 0, in order (fault 2)", () =>
    Effect.gen(function*() {
      for (let millis = 60; millis <= 900; millis += 70) {
        yield* Effect.scoped(Effect.gen(function*() {
          const service = yield* Service.start()
          yield* Effect.sleep(millis)
          const { certificate, code, signal } = yield* service.stop("SIGTERM")
          // Before its first few milliseconds are over a process has no handlers, and nothing to release.
          if (signal === "SIGTERM" && service.stdout.length === 0) return
          assert.strictEqual(code, 0, `${millis} ms: ${service.stdout.join("\n")}`)
          assert.isTrue(certificate?.proofs.order)
          assert.deepStrictEqual(certificate?.forced, [])
        }))
      }
    }).pipe(Effect.scoped), 60_000)
})

describe("stopping when idle", () => {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    it.live(`${signal}: in order, 0, within 100 ms of work (fault 1)`, () =>
      Effect.gen(function*() {
        const service = yield* Service.start()
        yield* service.line(`"state":"ready"`)
        const { certificate, code } = yield* service.stop(signal)
        assert.strictEqual(code, 0)
        assert.deepStrictEqual(certificate?.released, ["websocket", "web", "aggregation", "crypto", "database"])
        assert.strictEqual(certificate?.wal, "checkpointed")
        assert.deepStrictEqual([certificate?.forced, certificate?.senders, certificate?.handles], [[], [], []])
        assert.notInclude(Object.values(certificate?.proofs ?? {}), false)
        const { draining, releasing } = certificate?.phases ?? { draining: 1000, releasing: 1000 }
        assert.isBelow(draining + releasing, 100)
        assert.isTrue(service.stdout.some((line) => line.includes("Ingester thread exited")))
      }).pipe(Effect.scoped))
  }
})
