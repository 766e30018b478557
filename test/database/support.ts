/** Layers of the database for tests: a store in memory, and one in a directory that is removed afterwards. */
import { Effect, Layer, References } from "effect"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Settings } from "../../src/config/Settings.ts"
import type { Database } from "../../src/database/Database.ts"
import * as SqliteDatabase from "../../src/database/sqlite/SqliteDatabase.ts"
import { Shutdown } from "../../src/lifecycle/Shutdown.ts"
import { Supervisor } from "../../src/lifecycle/Supervisor.ts"

const relayUrl = "ws://localhost:8080"

/** Thousands of lines about stores that open and close say nothing. */
export const quiet = Layer.succeed(References.MinimumLogLevel, "Warn")

/** The lifecycle that every component needs, a new one each time. */
export const lifecycle = Supervisor.layer.pipe(Layer.provideMerge(Layer.fresh(Shutdown.layerTest)))

/** The layer under test, with what it needs. */
export type TestLayer = Layer.Layer<Database | Shutdown, unknown>

export const memory = SqliteDatabase.layerMemory.pipe(
  Layer.provideMerge(lifecycle),
  Layer.provide(Settings.layerTest({ relayUrl })),
  Layer.provide(quiet)
)

/** The store in that file. */
export const at = (databasePath: string, level: "Warn" | "Info" = "Warn") =>
  SqliteDatabase.layer.pipe(
    Layer.provideMerge(lifecycle),
    Layer.provide(Settings.layerTest({ relayUrl, databasePath })),
    Layer.provide(Layer.succeed(References.MinimumLogLevel, level))
  )

/** A directory of its own, removed with the scope. */
export const directory = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(join(tmpdir(), "database-"))),
  (path) => Effect.sync(() => fs.rmSync(path, { recursive: true, force: true }))
)

/** A new file in a directory of its own. */
export const file = Layer.unwrap(Effect.map(directory, (path) => at(join(path, "test.db"))))
