/**
 * Modules of `src/` that programs name by path, as they load them from a checkout, rewrite them as they are loaded, or put
 * others in their place: simulation, planted bugs, mutants, benches. Every such path stands here and nowhere else, so that
 * whoever moves a file is told by its name, at once (`modules.test.ts`, and each of those programs as it starts).
 *
 * What is imported as usual is no concern of this map: the compiler knows it.
 */
import { existsSync } from "node:fs"
import { join } from "node:path"
import { pathToFileURL } from "node:url"

/** By the module's own name; paths are below `src/`. */
export const modules = {
  main: "main.ts",
  // config
  StateFolder: "config/StateFolder.ts",
  // lifecycle
  Certificate: "lifecycle/Certificate.ts",
  Journal: "lifecycle/Journal.ts",
  Launch: "lifecycle/Launch.ts",
  ServiceManager: "lifecycle/ServiceManager.ts",
  Slice: "lifecycle/Slice.ts",
  Tally: "lifecycle/Tally.ts",
  garbage: "lifecycle/garbage.ts",
  v8Flags: "lifecycle/v8Flags.js",
  Mailbox: "lifecycle/Mailbox.ts",
  Output: "lifecycle/Output.ts",
  Report: "lifecycle/Report.ts",
  Shutdown: "lifecycle/Shutdown.ts",
  StartError: "lifecycle/StartError.ts",
  Supervisor: "lifecycle/Supervisor.ts",
  compileCache: "lifecycle/compileCache.js",
  process: "lifecycle/process.ts",
  watchdog: "lifecycle/watchdog.ts",
  watchdogThread: "lifecycle/watchdogThread.ts",
  // database
  Ingester: "database/Ingester.ts",
  DatabaseFile: "database/sqlite/DatabaseFile.ts",
  DatabaseThread: "database/sqlite/thread/DatabaseThread.ts",
  Hidden: "database/sqlite/Hidden.ts",
  Removal: "database/sqlite/Removal.ts",
  SqliteWriter: "database/sqlite/SqliteWriter.ts",
  FileWatch: "database/sqlite/FileWatch.ts",
  Reserve: "database/sqlite/Reserve.ts",
  SqliteDatabase: "database/sqlite/SqliteDatabase.ts",
  SqliteReader: "database/sqlite/SqliteReader.ts",
  SqliteStore: "database/sqlite/SqliteStore.ts",
  StoreReader: "database/sqlite/StoreReader.ts",
  connection: "database/sqlite/connection.ts",
  // crypto
  EngineSelection: "crypto/engines/EngineSelection.ts",
  NodeVerifierThread: "crypto/NodeVerifierThread.ts",
  RelayKey: "crypto/RelayKey.ts",
  WorkerVerifier: "crypto/WorkerVerifier.ts",
  // domain
  Work: "domain/Work.ts",
  // aggregation
  Aggregation: "aggregation/Aggregation.ts",
  Harvest: "aggregation/harvest/Harvest.ts",
  HarvestSession: "aggregation/harvest/HarvestSession.ts",
  // websocket and web
  ClientSocket: "websocket/client/ClientSocket.ts",
  Connection: "websocket/client/Connection.ts",
  Door: "websocket/Door.ts",
  Listener: "websocket/Listener.ts",
  Submissions: "websocket/client/Submissions.ts",
  Web: "web/Web.ts"
} as const

/** A path below `src/` that stands in the map. */
export type Module = typeof modules[keyof typeof modules]

const here = join(import.meta.dirname, "../..")

/** Paths of the map that a checkout does not have; this one's unless told otherwise. */
export const missing = (root = here): ReadonlyArray<Module> =>
  Object.values(modules).filter((path) => !existsSync(join(root, "src", path)))

/** For programs, before they begin: stops them, and says which file is not where the map has it. */
export const demandModules = (): void => {
  const gone = missing()
  if (gone.length === 0) return
  console.error(
    `test/support/modules.ts names what is not there any more: ${gone.map((path) => `src/${path}`).join(", ")}`
  )
  process.exit(2)
}

/** A module of another checkout, which may be an older one: then it may lie elsewhere, by any of the paths `before`. */
export const load = async <A>(root: string, module: Module, ...before: ReadonlyArray<string>): Promise<A> => {
  const path = [module, ...before].map((path) => join(root, "src", path)).find((path) => existsSync(path))
  if (path === undefined) throw new Error(`${root} has no src/${[module, ...before].join(", nor src/")}`)
  return await import(pathToFileURL(path).href) as A
}
