/**
 * The edges of the machine: what the simulation replaces of the modules that it loads.
 *
 * Everything between the edges is the service's own code as it stands: `main.ts`'s composition, `launch`, mailboxes,
 * ingester, admission, harvest, verifier, connections, and the relay server with its stop.
 */
import { registerHooks } from "node:module"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { type Module, modules } from "../support/modules.ts"

const src = join(import.meta.dirname, "../../src")
const fakes = join(import.meta.dirname, "fakes")
const urlOf = (module: string): string => pathToFileURL(join(src, module)).href

/** Importing module, the module or package that it imports, and the fake that it gets instead. */
export const edges: ReadonlyArray<readonly [from: Module, to: string, fake: string]> = [
  // The network.
  [modules.Listener, "node:http", "http.ts"],
  [modules.Listener, "node:net", "http.ts"],
  [modules.Door, "@effect/platform-node/NodeWS", "platformNode.ts"],
  [modules.Door, modules.ClientSocket, "clientSocket.ts"],
  [modules.main, modules.Aggregation, "aggregation.ts"],
  [modules.main, modules.Web, "web.ts"],
  // The disk, and its threads.
  [modules.SqliteDatabase, modules.DatabaseThread, "databaseThread.ts"],
  [modules.SqliteDatabase, modules.DatabaseFile, "databaseFile.ts"],
  [modules.SqliteDatabase, modules.FileWatch, "databaseFile.ts"],
  [modules.SqliteDatabase, modules.Reserve, "databaseFile.ts"],
  [modules.SqliteDatabase, modules.StoreReader, "storeReader.ts"],
  [modules.SqliteDatabase, modules.SqliteReader, "sqliteReader.ts"],
  [modules.main, modules.StateFolder, "stateFolder.ts"],
  // Signatures, and their threads.
  [modules.WorkerVerifier, modules.EngineSelection, "engineSelection.ts"],
  [modules.WorkerVerifier, modules.NodeVerifierThread, "verifierThread.ts"],
  [modules.WorkerVerifier, modules.RelayKey, "relayKey.ts"]
]

/**
 * Call it before anything of the service is imported. Afterwards it tells which edges nobody came to: the source imports
 * something else now, and what is simulated is not what it seems.
 */
export const install = (): () => ReadonlyArray<string> => {
  const met = new Set<string>()
  const ours = new Set<string>(Object.values(modules))
  const redirected = new Map(edges.map(([from, to, fake]) => [
    `${urlOf(from)} ${ours.has(to) ? urlOf(to) : to}`,
    pathToFileURL(join(fakes, fake)).href
  ]))
  registerHooks({
    resolve: (specifier, context, next) => {
      const to = specifier.startsWith(".") ? new URL(specifier, context.parentURL).href : specifier
      const edge = `${context.parentURL} ${to}`
      const url = redirected.get(edge)
      if (url === undefined) return next(specifier, context)
      met.add(edge)
      return { url, shortCircuit: true }
    }
  })
  return () => [...redirected.keys()].filter((edge) => !met.has(edge))
}
