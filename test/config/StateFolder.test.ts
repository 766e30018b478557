/** The folder for what is kept beside the store: where things are in it, and who may be in it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Overrides, Settings, stateFileOf } from "../../src/config/Settings.ts"
import * as StateFolder from "../../src/config/StateFolder.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(join(tmpdir(), "state-folder-"))),
  (path) => Effect.sync(() => fs.rmSync(path, { recursive: true, force: true }))
)

/** Enters as an instance with these settings does; `leave` is its end. */
const enter = Effect.fnUntraced(function*(overrides: Overrides) {
  const scope = yield* Scope.make()
  yield* StateFolder.hold.pipe(Effect.provideService(Scope.Scope, scope), Effect.provide(Settings.layerTest(overrides)))
  return { leave: Scope.close(scope, Exit.void) }
})

const certificateOf = (overrides: Overrides) => stateFileOf(Settings.valuesOf(overrides), ".certificate.json")
const keyOf = (overrides: Overrides) => Settings.valuesOf(overrides).relayKeyPath

describe("the state folder", () => {
  it("is the database's unless another is named, and every name in it begins with the database's", () => {
    assert.strictEqual(certificateOf({}), "./data/profile_aggregator.db.certificate.json")
    assert.strictEqual(certificateOf({ databasePath: "a.db" }), "a.db.certificate.json")
    assert.strictEqual(certificateOf({ databasePath: "a.db", stateDir: "." }), "a.db.certificate.json")
    assert.strictEqual(certificateOf({ databasePath: "/x/a.db", stateDir: "/y/" }), "/y/a.db.certificate.json")
  })

  it("holds the key, unless a path is given for it", () => {
    assert.strictEqual(keyOf({ databasePath: "/x/a.db" }), "/x/a.db.key")
    assert.strictEqual(keyOf({ databasePath: "/x/a.db", stateDir: "/y" }), "/y/a.db.key")
    assert.strictEqual(keyOf({ databasePath: "/x/a.db", stateDir: "/y", relayKeyPath: "/z/k" }), "/z/k")
  })

  it.effect("is refused with 69 while another instance is in it, whatever its database is called", () =>
    Effect.gen(function*() {
      const stateDir = yield* folder
      const first = yield* enter({ databasePath: "/a/one.db", stateDir })
      for (const databasePath of ["/b/one.db", "/b/two.db"]) {
        const error = yield* Effect.flip(enter({ databasePath, stateDir }))
        assert.strictEqual(error.exitCode, 69)
        assert.include(error.message, `${stateDir} (STATE_DIR) is in use by another instance, which holds `)
      }
      yield* first.leave
      const second = yield* enter({ databasePath: "/b/two.db", stateDir })
      yield* second.leave
    }).pipe(Effect.scoped))

  it.effect("is refused while an instance has its database in it, too", () =>
    Effect.gen(function*() {
      const stateDir = yield* folder
      const first = yield* enter({ databasePath: join(stateDir, "one.db") })
      assert.strictEqual((yield* Effect.flip(enter({ databasePath: "/b/two.db", stateDir }))).exitCode, 69)
      yield* first.leave
    }).pipe(Effect.scoped))

  it.effect("is shared by instances whose databases are in it", () =>
    Effect.gen(function*() {
      const path = yield* folder
      const one = yield* enter({ databasePath: join(path, "one.db") })
      const two = yield* enter({ databasePath: join(path, "two.db") })
      yield* Effect.all([one.leave, two.leave])
    }).pipe(Effect.scoped))

  it.effect("is not made where it is missing: 74", () =>
    Effect.gen(function*() {
      const stateDir = join(yield* folder, "missing")
      const error = yield* Effect.flip(enter({ databasePath: "/a/one.db", stateDir }))
      assert.strictEqual(error.exitCode, 74)
      assert.strictEqual(error.message, `the directory ${stateDir} (STATE_DIR) does not exist: create it`)
      assert.isFalse(fs.existsSync(stateDir))
    }).pipe(Effect.scoped))
})
