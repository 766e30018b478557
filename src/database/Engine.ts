/**
 * Which engine keeps the events: all that the entry point and the commands know of a store, besides its contracts.
 *
 * A second engine is a folder beside `sqlite/` and a choice here, by the settings; nobody outside has to know.
 */
import { Effect, type Layer, type Scope } from "effect"
import { Settings } from "../config/Settings.ts"
import type { Shutdown } from "../lifecycle/Shutdown.ts"
import type { StartError } from "../lifecycle/StartError.ts"
import type { Supervisor } from "../lifecycle/Supervisor.ts"
import type { Archive } from "./Archive.ts"
import type { Condition } from "./Condition.ts"
import type { Copied, CopyProgress } from "./Copy.ts"
import type { Database } from "./Database.ts"
import type { Repaired, RepairOptions } from "./Repair.ts"
import * as SqliteArchive from "./sqlite/SqliteArchive.ts"
import * as SqliteBackup from "./sqlite/SqliteBackup.ts"
import * as SqliteCheck from "./sqlite/SqliteCheck.ts"
import * as SqliteDatabase from "./sqlite/SqliteDatabase.ts"
import * as SqliteRepair from "./sqlite/SqliteRepair.ts"

/** The store of the service: nobody else writes to it until it is released. */
export const layer: Layer.Layer<Database, StartError, Settings | Shutdown | Supervisor> = SqliteDatabase.layer

/** The store to read beside whoever writes to it; it must exist. */
export const archive: Layer.Layer<Archive, StartError, Settings> = SqliteArchive.layer

/** Keeps every service off the store, which need not exist, until the scope closes. */
export const hold: Effect.Effect<void, StartError, Settings | Scope.Scope> = Settings.use(SqliteDatabase.hold)

/** Reads the whole store, beside whoever writes to it, and says what state it is in. Changes nothing. */
export const check: Effect.Effect<Condition, never, Settings> = Settings.use(SqliteCheck.check)

/** Copies the store to a file as it is at one moment, beside whoever writes to it, and proves the copy. */
export const backup = (target: string, told: CopyProgress): Effect.Effect<Copied, StartError, Settings> =>
  Settings.use(({ databasePath }) => SqliteBackup.backup(databasePath, target, told))

/** Puts such a copy in the place of the store, which is kept under the name that comes with it; not while a service uses it. */
export const restore = (
  source: string,
  options: { readonly replace: boolean; readonly told: CopyProgress }
): Effect.Effect<Copied & { readonly aside: string }, StartError, Settings> =>
  Settings.use(({ databasePath }) =>
    Effect.map(SqliteBackup.restore(databasePath, source, options), (copied) => ({
      ...copied,
      aside: SqliteBackup.asideOf(databasePath)
    }))
  )

/** Goes through every event, takes out what is not what was signed, and enters anew what is not found; not beside a service. */
export const repair = (options: RepairOptions): Effect.Effect<Repaired, StartError, Settings> =>
  Settings.use((settings) => Effect.scoped(SqliteRepair.repair(settings, options)))
