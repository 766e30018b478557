/** The drill: a copy made beside a running service, the store lost, the copy put back. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber } from "effect"
import {
  appendFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { Settings } from "../../src/config/Settings.ts"
import * as Engine from "../../src/database/Engine.ts"
import { profileEvent } from "../support/events.ts"
import { folder } from "../support/service.ts"
import * as Service from "../support/service.ts"
import * as TestClient from "../support/TestClient.ts"
import { committed, databasePath, events, jsonLines, logged, run } from "./support.ts"

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8)
const serving = (home: string) =>
  Service.start({ folder: home, env: { DATABASE_PATH: databasePath(home), ADMISSION: "open" } })

describe("backup and restore", () => {
  it.live("bring a store back as it was, made while it served", () =>
    Effect.gen(function*() {
      const home = yield* folder
      const all = events(500)
      yield* run(home, ["import", "--no-verify"], { input: jsonLines(all) })
      const service = yield* serving(home)
      const { url } = yield* service.listening
      const target = join(home, "copy.db")
      const made = yield* run(home, ["backup", target, "--with-key"])
      assert.strictEqual(made.code, 0, made.stderr.join("\n"))
      assert.match(
        made.stderr.join("\n"),
        /copy\.db: 500 events, seq 500, \d+\.\d MB, every page read again; the key is in/
      )
      assert.deepStrictEqual([modeOf(target), modeOf(`${target}.key`)], ["600", "600"])
      const client = yield* TestClient.connect(url)
      assert.isTrue((yield* client.publish(profileEvent({}, "after the backup")))[2])
      const busy = yield* run(home, ["restore", target])
      assert.strictEqual(busy.code, 69)
      assert.strictEqual((yield* service.stop()).code, 0)
      assert.strictEqual(committed(home), 501)

      const key = readFileSync(`${databasePath(home)}.key`, "utf8")
      for (const file of readdirSync(home)) if (file.startsWith("events.db")) rmSync(join(home, file))
      const restored = yield* run(home, ["restore", target, "--with-key"])
      assert.strictEqual(restored.code, 0, restored.stderr.join("\n"))
      assert.strictEqual(readFileSync(`${databasePath(home)}.key`, "utf8"), key)
      const exported = yield* run(home, ["export"])
      assert.strictEqual(exported.stdout.length, 500)
      const again = yield* serving(home)
      yield* again.listening
      assert.strictEqual((yield* again.stop()).code, 0)
    }).pipe(Effect.scoped), 60_000)

  it.live("never replace what is there unless told to, and keep it then, log and all", () =>
    Effect.gen(function*() {
      const home = yield* folder
      const target = join(home, "copy.db")
      yield* run(home, ["import", "--no-verify"], { input: jsonLines(events(20)) })
      yield* run(home, ["backup", target])
      const twice = yield* run(home, ["backup", target])
      assert.strictEqual(twice.code, 74)
      assert.match(JSON.stringify(logged(twice, "error")), /is there already/)
      yield* run(home, ["import", "--no-verify"], { input: jsonLines(events(30)) })
      const refused = yield* run(home, ["restore", target])
      assert.strictEqual(refused.code, 74)
      assert.match(JSON.stringify(logged(refused, "error")), /with --force it is kept as/)
      assert.strictEqual(committed(home), 30)
      const forced = yield* run(home, ["restore", target, "--force"])
      assert.strictEqual(forced.code, 0, forced.stderr.join("\n"))
      assert.strictEqual(committed(home), 20)
      const aside = `${databasePath(home)}.before-restore`
      const kept = yield* run(home, ["count", "{}"], { env: { DATABASE_PATH: aside } })
      assert.deepStrictEqual(kept.stdout, ["30"])
      assert.strictEqual((yield* run(home, ["restore", target, "--force"])).code, 74)
    }).pipe(Effect.scoped), 60_000)

  it.live("refuse what is no whole backup, and change nothing", () =>
    Effect.gen(function*() {
      const home = yield* folder
      const good = join(home, "good.db")
      yield* run(home, ["import", "--no-verify"], { input: jsonLines(events(200)) })
      yield* run(home, ["backup", good])
      const bytes = readFileSync(good)
      const bad = join(home, "bad.db")
      const cases: ReadonlyArray<readonly [string, () => void, RegExp]> = [
        ["another program's", () => writeFileSync(bad, "something else".repeat(100)), /not a SQLite database/],
        ["cut short", () => truncateSync(bad, bytes.length >> 1), /truncated/],
        ["damaged", () => writeFileSync(bad, Buffer.from(bytes).fill(0, 8192 * 6, 8192 * 12)), /corrupt|malformed/],
        ["in use", () => appendFileSync(`${bad}-wal`, "x"), /has a log beside it/],
        ["nothing", () => rmSync(bad), /does not exist/]
      ]
      for (const [what, make, reason] of cases) {
        writeFileSync(bad, bytes)
        make()
        const result = yield* run(home, ["restore", bad, "--force"])
        rmSync(`${bad}-wal`, { force: true })
        assert.include([74, 78], result.code, what)
        assert.match(JSON.stringify(logged(result, "error")), reason, what)
        assert.strictEqual(committed(home), 200, what)
        assert.isFalse(existsSync(`${databasePath(home)}.partial`), what)
      }
    }).pipe(Effect.scoped), 60_000)

  it.live("leave nothing behind when they are interrupted", () =>
    Effect.gen(function*() {
      const home = yield* folder
      const large = events(400).map((event) => ({ ...event, content: "x".repeat(40_000) }))
      yield* run(home, ["import", "--no-verify"], { input: jsonLines(large) })
      const target = join(home, "copy.db")
      let steps = 0
      const begun = Deferred.makeUnsafe<void>()
      const backup = yield* Engine.backup(target, () => {
        steps++
        Deferred.doneUnsafe(begun, Exit.void)
      }).pipe(
        Effect.provide(Settings.layerTest({ databasePath: databasePath(home) })),
        Effect.forkChild
      )
      yield* Deferred.await(begun)
      yield* Fiber.interrupt(backup)
      assert.isBelow(steps, 3)
      assert.deepStrictEqual(readdirSync(home).filter((file) => file.startsWith("copy.db")), [])
    }).pipe(Effect.scoped), 60_000)
})
