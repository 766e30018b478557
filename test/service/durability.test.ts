/** What was answered `OK true` is on disk, whatever ends the process: a signal under load, or SIGKILL. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { copyFileSync, mkdirSync, renameSync, rmSync } from "node:fs"
import { dirname, join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { signed } from "../support/events.ts"
import * as Flood from "../support/Flood.ts"
import * as Service from "../support/service.ts"
import * as TestClient from "../support/TestClient.ts"

const env = { ADMISSION: "open", LOG_LEVEL: "Info" }

/** Ids in the file, read with SQLite alone. */
const idsIn = (path: string): ReadonlySet<string> => {
  const database = new DatabaseSync(path, { readOnly: true })
  try {
    const [check] = database.prepare("PRAGMA integrity_check").all()
    assert.deepStrictEqual({ ...check }, { integrity_check: "ok" })
    return new Set(database.prepare("SELECT raw FROM event").all().map(({ raw }) => JSON.parse(String(raw)).id))
  } finally {
    database.close()
  }
}

const acknowledged = (flood: Flood.Flood): ReadonlyArray<string> =>
  [...flood.answers].filter(([, answers]) => answers.includes(true)).map(([id]) => id)

describe("fault 4: SIGTERM with six clients flooding", () => {
  it.live(
    "keeps every acknowledged event, answers none twice, and says goodbye to each client",
    () =>
      Effect.gen(function*() {
        const service = yield* Service.start({ env })
        const { url } = yield* service.listening
        const floods = yield* Effect.forEach(
          [0, 1, 2, 3, 4, 5],
          (n) => Flood.start(url, Flood.noteStream(`flooder ${n}`), 64)
        )
        yield* Effect.forEach(floods, (flood) => flood.answered(300))
        const { certificate, code } = yield* service.stop("SIGTERM")
        yield* Effect.forEach(floods, (flood) => flood.ended)

        assert.strictEqual(code, 0, JSON.stringify(certificate))
        assert.deepStrictEqual([certificate?.forced, certificate?.senders, certificate?.queue], [[], [], 0])
        assert.isTrue(service.stdout.some((line) => line.includes("Ingester thread exited")))
        const stored = idsIn(service.databasePath)
        let told = 0
        for (const flood of floods) {
          told += acknowledged(flood).length
          assert.deepStrictEqual(acknowledged(flood).filter((id) => !stored.has(id)), [], "acknowledged, so stored")
          assert.deepStrictEqual([...flood.answers.values()].filter((answers) => answers.length > 1), [], "once")
          assert.match(flood.closedSubscriptions.get("live") ?? "", /^error: shutting down/)
          assert.strictEqual(flood.closeCode(), 1001)
        }
        assert.isAtLeast(told, 1800)
        assert.isAtMost(told, certificate?.answered.true ?? 0)
        assert.strictEqual(stored.size, certificate?.committed)
      }).pipe(Effect.scoped),
    60_000
  )
})

describe("fault 13: SIGKILL under load, ten times on one file", () => {
  it.live("never loses an acknowledged event", () =>
    Effect.gen(function*() {
      const folder = yield* Service.folder
      const told: Array<string> = []
      for (let round = 0; round < 10; round++) {
        yield* Effect.scoped(Effect.gen(function*() {
          const service = yield* Service.start({ env, folder })
          const { url } = yield* service.listening
          const floods = yield* Effect.forEach([0, 1, 2], (n) =>
            Flood.start(url, Flood.noteStream(`round ${round}, flooder ${n}`), 64))
          yield* Effect.forEach(floods, (flood) =>
            flood.answered(50 + round * 20))
          yield* service.signal("SIGKILL")
          yield* Effect.forEach(floods, (flood) => flood.ended)
          told.push(...floods.flatMap(acknowledged))
        }))
      }
      // The next start recovers what the last kill left behind.
      const service = yield* Service.start({ env, folder })
      yield* service.listening
      assert.strictEqual((yield* service.stop()).code, 0)
      const stored = idsIn(service.databasePath)
      assert.deepStrictEqual(told.filter((id) => !stored.has(id)), [])
      assert.isAtLeast(told.length, 3000)
    }).pipe(Effect.scoped), 120_000)
})

/** What an operator does to a file that is in use; the path is the database's. */
const displacements: Readonly<Record<string, (path: string) => void>> = {
  "replaced by a copy": (path) => {
    copyFileSync(path, `${path}.new`)
    renameSync(`${path}.new`, path)
  },
  removed: (path) => rmSync(path),
  "removed with its log": (path) => ["", "-wal", "-shm"].forEach((ending) => rmSync(path + ending)),
  "moved away with its folder": (path) => renameSync(dirname(path), `${dirname(path)}.moved`),
  "left without its log": (path) => rmSync(`${path}-wal`)
}

describe("fault 83: the file is removed or replaced while it is in use", () => {
  for (const [name, displace] of Object.entries(displacements)) {
    it.live(`${name}: nothing is acknowledged any more, and it ends with 74`, () =>
      Effect.gen(function*() {
        const folder = join(yield* Service.folder, "data")
        mkdirSync(folder)
        const service = yield* Service.start({ env, folder })
        const client = yield* TestClient.connect((yield* service.listening).url)
        assert.isTrue((yield* client.publish(signed({ content: "before" })))[2])
        displace(service.databasePath)
        const [, , isAccepted, reason] = yield* client.publish(signed({ content: "after" }))
        assert.isFalse(isAccepted)
        assert.match(String(reason), /^error: /)
        const { certificate, code } = yield* service.ended
        assert.strictEqual(code, 74, JSON.stringify(certificate))
        assert.match(certificate?.cause ?? "", /(removed|replaced).* while it was in use/)
        assert.deepStrictEqual([certificate?.proofs.order, certificate?.senders], [true, []])
        if (name !== "left without its log") assert.match(certificate?.wal ?? "", /^lost: /)
      }).pipe(Effect.scoped), 30_000)
  }

  it.live("removed, and then asked to stop: it is not certified", () =>
    Effect.gen(function*() {
      const service = yield* Service.start({ env })
      const client = yield* TestClient.connect((yield* service.listening).url)
      assert.isTrue((yield* client.publish(signed({ content: "before" })))[2])
      rmSync(service.databasePath)
      const { certificate, code } = yield* service.stop()
      assert.deepStrictEqual([code, certificate?.cause], [74, "SIGTERM"])
      assert.match(certificate?.wal ?? "", /^lost: .* was removed while it was in use/)
      assert.match((certificate?.failures ?? []).join(), /was removed while it was in use/)
    }).pipe(Effect.scoped), 30_000)
})
