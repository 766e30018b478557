/**
 * Storage that fails under the real service, by number as in `docs/reliability.md`. Whatever the disk does: no event that was
 * answered `OK true` is missing afterwards, the file is whole, and the service says what it ends with.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { copyFileSync, existsSync, readFileSync, rmSync, statfsSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { signed } from "../support/events.ts"
import * as Flood from "../support/Flood.ts"
import * as Service from "../support/service.ts"
import * as smallDisk from "../support/smallDisk.ts"
import * as TestClient from "../support/TestClient.ts"
import { Ledger } from "../torture/Ledger.ts"
import { storedIn } from "../torture/StoredEvents.ts"
import * as Tools from "./Tools.ts"

// Whoever is traced, or starved by a test beside it, beats late.
const env = { ADMISSION: "open", LOG_LEVEL: "Info", WATCHDOG_KILL_SECS: "60" }

interface Load {
  readonly folder: string
  readonly under?: ReadonlyArray<string>
  /** Answers to one client after which it is stopped, if it still runs. */
  readonly enough?: number
}

/** Floods the service until it ends, then looks at its file, and has it start on that again. */
const flooded = Effect.fnUntraced(function*({ enough = 1500, folder, under }: Load) {
  const ledger = new Ledger()
  const wrong: Array<string> = []
  const ended = yield* Effect.scoped(Effect.gen(function*() {
    const service = yield* Service.start({ folder, env, ...under === undefined ? {} : { under } })
    const up = yield* Effect.exit(service.listening)
    if (up._tag === "Failure") return yield* service.ended
    const floods = yield* Effect.forEach(
      [1, 8, 64],
      (window, n) => Flood.start(up.value.url, Flood.noteStream(`${folder}, client ${n}`), window)
    )
    yield* Effect.raceAllFirst(floods.map((flood) => flood.answered(enough)))
    // One that is ending by itself takes this for nothing new.
    const ended = yield* service.stop()
    yield* Effect.forEach(floods, (flood) => flood.ended)
    wrong.push(...floods.flatMap((flood) => ledger.enter(flood)))
    return ended
  }))
  const path = join(folder, "profiles.db")
  wrong.push(...ledger.compare(storedIn(path)))
  const again = yield* Effect.scoped(Effect.gen(function*() {
    const service = yield* Service.start({ folder, env })
    yield* service.listening
    return yield* service.stop()
  }))
  wrong.push(...ledger.compare(storedIn(path)))
  assert.deepStrictEqual(wrong, [])
  assert.strictEqual(again.code, 0, "it starts again, and stops")
  return { ...ended, ledger, answers: ledger.answers }
})

/** How many of a load's answers came before the disk failed, and what the service said at its end. */
const assertStopped = ({ certificate, code, ledger }: Effect.Success<ReturnType<typeof flooded>>, reason: RegExp) => {
  assert.strictEqual(code, 74, JSON.stringify(certificate))
  assert.match([certificate?.cause, ...certificate?.failures ?? []].join("; "), reason)
  assert.isAbove(ledger.answers.false, 0, "what was in hand was refused")
  assert.deepStrictEqual([certificate?.proofs.order, certificate?.senders], [true, []])
}

describe("fault 62: a foreign writer holds the lock", () => {
  const event = signed({ content: "waits" })
  const held = Effect.fnUntraced(function*() {
    const service = yield* Service.start({ env })
    const { http, url } = yield* service.listening
    const client = yield* TestClient.connect(url)
    const foreign = yield* Effect.acquireRelease(
      Effect.sync(() => new DatabaseSync(service.databasePath)),
      (db) => Effect.sync(() => db.isOpen && db.close())
    )
    foreign.exec("BEGIN IMMEDIATE")
    yield* client.send(["EVENT", event])
    // Nobody else waits with it.
    const { status } = yield* Effect.promise(() => fetch(`${http}/health`))
    assert.strictEqual(status, 200)
    assert.isEmpty((yield* client.req("others", { ids: [event.id] })).events)
    return { service, foreign, answer: client.next(["OK", event.id], "15 seconds") }
  })

  it.live(
    "for two seconds: the write waits, the event loop does not, and nothing is refused",
    () =>
      Effect.gen(function*() {
        const { answer, foreign, service } = yield* held()
        yield* Effect.sleep("2 seconds")
        foreign.exec("ROLLBACK")
        assert.deepStrictEqual(yield* answer, ["OK", event.id, true, ""])
        assert.strictEqual((yield* service.stop()).code, 0)
      }).pipe(Effect.scoped),
    30_000
  )

  it.live(
    "for ever: the write is refused after its patience, and the service ends with 74",
    () =>
      Effect.gen(function*() {
        const { answer, service } = yield* held()
        const [, , accepted, reason] = yield* answer
        assert.isFalse(accepted)
        assert.match(String(reason), /^error: /)
        const { certificate, code } = yield* service.ended
        assert.deepStrictEqual([code, certificate?.proofs.order], [74, true])
        assert.match(certificate?.cause ?? "", /database is locked/)
      }).pipe(Effect.scoped),
    40_000
  )
})

const large = (n: number) => signed({ content: `${n} ${"x".repeat(20_000)}` }, `large ${n}`)
const ready = (http: string) => Effect.promise(async () => (await fetch(`${http}/ready`)).text())
const becomes = (http: string, expected: RegExp) =>
  Effect.gen(function*() {
    for (let text = ""; !expected.test(text); text = yield* ready(http)) yield* Effect.sleep(100)
  }).pipe(Effect.timeout("20 seconds"))
/** Publishes until one is refused; what was taken, and the number of the one that was not. */
const fill = Effect.fnUntraced(function*(client: TestClient.TestClient, first: number) {
  const taken: Array<string> = []
  for (let n = first;; n++) {
    const event = large(n)
    const [, , isAccepted, reason] = yield* client.publish(event)
    if (isAccepted !== true) {
      assert.strictEqual(reason, "error: the disk is full")
      return { taken, refused: n }
    }
    taken.push(event.id)
  }
})

describe("fault 63: the disk is full", () => {
  Tools.needing("tmpfs")(
    "writes are refused and reads go on, twice, and writing resumes by itself when there is room",
    () =>
      Effect.gen(function*() {
        const { folder, grow } = yield* smallDisk.make(3 * 1024 * 1024)
        const service = yield* Service.start({ folder, env })
        const { http, url } = yield* service.listening
        const client = yield* TestClient.connect(url)
        const acknowledged: Array<string> = []
        let next = 0
        for (const megabytes of [12, 48]) {
          const { refused, taken } = yield* fill(client, next)
          acknowledged.push(...taken)
          assert.isAbove(taken.length, 10)
          assert.strictEqual((yield* Effect.promise(() => fetch(`${http}/ready`))).status, 200)
          assert.strictEqual((yield* ready(http)).trim(), "ready, read-only: the disk is full")
          assert.lengthOf((yield* client.req(`full ${megabytes}`, { ids: taken.slice(0, 5) })).events, 5)
          assert.isFalse((yield* client.publish(large(refused)))[2], "nothing is tried meanwhile")
          grow(megabytes * 1024 * 1024)
          yield* becomes(http, /^ready\n$/)
          assert.isTrue((yield* client.publish(large(refused)))[2], "the same again")
          acknowledged.push(large(refused).id)
          next = refused + 1
        }
        const { bavail, bsize } = statfsSync(folder)
        writeFileSync(join(folder, "filler"), Buffer.alloc(bavail * bsize - 3 * 1024 * 1024))
        yield* service.line("the disk is filling up")
        assert.strictEqual(yield* ready(http), "ready\n", "which is a warning")
        rmSync(join(folder, "filler"))
        const { certificate, code } = yield* service.stop()
        assert.deepStrictEqual([code, certificate?.wal, certificate?.failures], [0, "checkpointed", []])
        const stored = storedIn(service.databasePath)
        assert.deepStrictEqual(stored.damage, [])
        assert.deepStrictEqual(acknowledged.filter((id) => !stored.ids.has(id)), [])
      }).pipe(Effect.scoped),
    120_000
  )

  Tools.needing("tmpfs")(
    "to its last byte at the start: reads are served, and writes are as soon as there is room",
    () =>
      Effect.gen(function*() {
        const { folder } = yield* smallDisk.make(8 * 1024 * 1024)
        const before = large(0)
        yield* Effect.scoped(Effect.gen(function*() {
          const service = yield* Service.start({ folder, env })
          const client = yield* TestClient.connect((yield* service.listening).url)
          assert.isTrue((yield* client.publish(before))[2])
          assert.strictEqual((yield* service.stop()).code, 0)
        }))
        const makeRoom = smallDisk.exhaust(folder)
        for (const when of ["once", "and once more"]) {
          yield* Effect.scoped(Effect.gen(function*() {
            const service = yield* Service.start({ folder, env })
            const { http, url } = yield* service.listening
            const client = yield* TestClient.connect(url)
            assert.lengthOf((yield* client.req("read", { ids: [before.id] })).events, 1)
            yield* fill(client, 1)
            assert.strictEqual((yield* ready(http)).trim(), "ready, read-only: the disk is full")
            if (when === "and once more") {
              makeRoom()
              yield* becomes(http, /^ready\n$/)
              assert.isTrue((yield* client.publish(large(10_000)))[2])
            }
            assert.strictEqual((yield* service.stop()).code, 0)
          }))
        }
      }).pipe(Effect.scoped),
    120_000
  )

  Tools.needing("strace")(
    "for a quota that is used up (EDQUOT), which SQLite takes for a broken disk",
    () =>
      Effect.gen(function*() {
        const folder = yield* Service.folder
        const path = join(folder, "profiles.db")
        yield* Effect.scoped(Effect.gen(function*() {
          const service = yield* Service.start({ folder, env })
          yield* service.listening
          yield* service.stop()
        }))
        // A write to the log, and the one beside it by which the service finds out why.
        const under = Tools.failing(
          [`${path}-wal`, `${path}.probe`],
          "pwrite64:error=EDQUOT:when=100",
          "write:error=EDQUOT:when=1"
        )
        const service = yield* Service.start({ folder, env, under })
        const { http, url } = yield* service.listening
        const client = yield* TestClient.connect(url)
        const { refused, taken } = yield* fill(client, 0)
        assert.strictEqual((yield* ready(http)).trim(), "ready, read-only: the disk is full")
        assert.lengthOf((yield* client.req("read", { ids: taken.slice(0, 2) })).events, 2)
        yield* becomes(http, /^ready\n$/)
        assert.isTrue((yield* client.publish(large(refused)))[2], "the same again")
        const { certificate, code } = yield* service.stop()
        assert.deepStrictEqual([code, certificate?.wal, certificate?.failures], [0, "checkpointed", []])
        const stored = storedIn(path)
        assert.deepStrictEqual([stored.damage, stored.ids.size], [[], taken.length + 1])
      }).pipe(Effect.scoped),
    120_000
  )

  Tools.needing("prlimit")("for files over a limit, whose last write is cut short: 74", () =>
    Effect.gen(function*() {
      const folder = yield* Service.folder
      const result = yield* flooded({ folder, enough: 100_000, under: ["prlimit", "--fsize=1500000", "--"] })
      assertStopped(result, /full|disk I\/O/)
      assert.isAbove(result.ledger.acknowledged, 50)
    }).pipe(Effect.scoped), 120_000)
})

describe("fault 64: one sync fails", () => {
  for (const error of ["EIO", "ENOSPC"]) {
    Tools.needing("strace")(
      `with ${error}: its batch is refused, and the writer stops for good, 74`,
      () =>
        Effect.gen(function*() {
          const folder = yield* Service.folder
          const under = Tools.failing(join(folder, "profiles.db-wal"), `fsync,fdatasync:error=${error}:when=12`)
          const result = yield* flooded({ folder, under })
          assertStopped(result, /disk I\/O error|full/)
          assert.isAbove(result.ledger.acknowledged, 0)
          assert.isBelow(result.ledger.acknowledged, 1500, "it ended by itself")
        }).pipe(Effect.scoped),
      120_000
    )
  }
})

describe("fault 65: the n-th write fails", () => {
  Tools.needing("strace")("for n from 1 on: no answer is lost, and the file is whole", () =>
    Effect.gen(function*() {
      for (const n of [1, 7, 40, 120]) {
        yield* Effect.scoped(Effect.gen(function*() {
          const folder = yield* Service.folder
          const under = Tools.failing(join(folder, "profiles.db-wal"), `pwrite64:error=EIO:when=${n}`)
          const { code } = yield* flooded({ folder, under, enough: 400 })
          assert.strictEqual(code, 74, `write ${n}`)
        }))
      }
    }), 240_000)

  Tools.needing("libfiu")(
    "at random, of any file: no answer is lost, and the file is whole",
    () =>
      Effect.gen(function*() {
        const codes: Array<number | null> = []
        for (let n = 0; n < 3; n++) {
          yield* Effect.scoped(Effect.gen(function*() {
            const folder = yield* Service.folder
            const under = Tools.failingByChance("posix/io/rw/pwrite", 0.005)
            const { code } = yield* flooded({ folder, under, enough: 1000 })
            codes.push(code)
          }))
        }
        console.log(`random write failures: codes ${codes.join(", ")}`)
        for (const code of codes) assert.include([0, 74], code)
      }),
    240_000
  )
})

describe("fault 66: a disk that lies", () => {
  Tools.needing("strace")(
    "and writes less of a page than it says: found at the next start, 74, and left as it is",
    () =>
      Effect.gen(function*() {
        const folder = yield* Service.folder
        const path = join(folder, "profiles.db")
        yield* Effect.scoped(Effect.gen(function*() {
          const service = yield* Service.start({ folder, env })
          const { url } = yield* service.listening
          const flood = yield* Flood.start(url, Flood.noteStream("before"), 64)
          yield* flood.answered(400)
          yield* service.stop()
        }))
        // Only the checkpoint at the end writes to the file itself, a page at a time.
        yield* Effect.scoped(Effect.gen(function*() {
          const under = Tools.failing(path, "pwrite64:retval=8192:when=3..12")
          const service = yield* Service.start({ folder, env, under })
          const { url } = yield* service.listening
          const flood = yield* Flood.start(url, Flood.noteStream("lost"), 64)
          yield* flood.answered(400)
          yield* service.stop()
        }))
        const before = readFileSync(path)
        const service = yield* Service.start({ folder, env })
        const { certificate, code } = yield* service.ended
        assert.strictEqual(code, 74)
        assert.match(certificate?.cause ?? "", /is corrupt|cannot be read/)
        assert.isTrue(before.equals(readFileSync(path)))
      }).pipe(Effect.scoped),
    120_000
  )
})

/** A folder as a crash leaves it: 1000 records, 100 MB, that are in the log alone. */
const crashedWithLog = Effect.gen(function*() {
  const [folder, crashed] = [yield* Service.folder, yield* Service.folder]
  const service = yield* Service.start({ folder, env })
  yield* service.listening
  yield* service.stop()
  const db = yield* Effect.acquireRelease(
    Effect.sync(() => new DatabaseSync(service.databasePath)),
    (db) => Effect.sync(() => db.close())
  )
  db.exec("PRAGMA wal_autocheckpoint = 0")
  const insert = db.prepare("INSERT INTO record (space, key, value) VALUES ('test', ?, ?)")
  for (let n = 0; n < 100; n++) {
    db.exec("BEGIN")
    for (let i = 0; i < 10; i++) insert.run(`${n}.${i}`, "x".repeat(100_000))
    db.exec("COMMIT")
  }
  for (const name of ["profiles.db", "profiles.db-wal"]) copyFileSync(join(folder, name), join(crashed, name))
  return crashed
})

const recordsIn = (path: string): unknown => {
  const db = new DatabaseSync(path, { readOnly: true })
  try {
    return db.prepare("SELECT count(*) AS count FROM record WHERE space = 'test'").get()?.["count"]
  } finally {
    db.close()
  }
}

describe("fault 3: a signal while a large log is folded in", () => {
  it.live("waits for that, ends with 0, and the next start has everything", () =>
    Effect.gen(function*() {
      const folder = yield* crashedWithLog
      const interrupted = yield* Service.start({ folder, env })
      yield* interrupted.line(`"state":"starting"`)
      yield* interrupted.signal("SIGTERM")
      assert.isFalse(
        interrupted.stdout.some((line) => line.includes("recovered")),
        "the signal came before the end of it"
      )
      const { certificate, code } = yield* interrupted.ended
      assert.deepStrictEqual([code, certificate?.forced], [0, []])
      assert.notInclude(interrupted.states(), "ready")
      const again = yield* Service.start({ folder, env })
      yield* again.listening
      assert.strictEqual((yield* again.stop()).code, 0)
      assert.strictEqual(recordsIn(again.databasePath), 1000)
      assert.deepStrictEqual(storedIn(again.databasePath).damage, [])
    }).pipe(Effect.scoped), 60_000)
})

describe("fault 71: a large log after a crash", () => {
  it.live("is folded in at the start, which says so and is not ready before", () =>
    Effect.gen(function*() {
      const crashed = yield* crashedWithLog
      const walBytes = statSync(join(crashed, "profiles.db-wal")).size
      assert.isAbove(walBytes, 90_000_000)

      const again = yield* Service.start({ folder: crashed, env })
      const line = JSON.parse(yield* again.line("recovered"))
      assert.strictEqual(line.walBytes, walBytes)
      assert.notInclude(again.states(), "ready")
      const { http } = yield* again.listening
      assert.strictEqual((yield* Effect.promise(() => fetch(`${http}/ready`))).status, 200)
      const { certificate, code } = yield* again.stop()
      assert.deepStrictEqual([code, certificate?.wal], [0, "checkpointed"])
      assert.isFalse(existsSync(join(crashed, "profiles.db-wal")))
      assert.deepStrictEqual(storedIn(again.databasePath).damage, [])
    }).pipe(Effect.scoped), 60_000)
})
