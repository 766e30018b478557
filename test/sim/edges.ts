/**
 * The edges of the machine: what the simulation replaces of the modules that it loads.
 *
 * Everything between the edges is the service's own code as it stands: `main.ts`'s composition, `launch`, mailboxes,
 * ingester, admission, harvest, verifier, connections, and the relay server with its stop.
 */
import { registerHooks } from "node:module"
import { join } from "node:path"
import { pathToFileURL } from "node:url"

const src = join(import.meta.dirname, "../../src")
const fakes = join(import.meta.dirname, "fakes")

/** Importing file, what it imports, and what it gets instead. */
const edges: ReadonlyArray<readonly [from: string, specifier: string, fake: string]> = [
  // The network.
  ["websocket/Listener.ts", "node:http", "http.ts"],
  ["websocket/Listener.ts", "node:net", "http.ts"],
  ["websocket/Door.ts", "@effect/platform-node/NodeWS", "platformNode.ts"],
  ["websocket/Door.ts", "./client/ClientSocket.ts", "clientSocket.ts"],
  ["main.ts", "./aggregation/Aggregation.ts", "aggregation.ts"],
  ["main.ts", "./web/Web.ts", "web.ts"],
  // The disk, and its threads.
  ["database/sqlite/SqliteDatabase.ts", "./thread/DatabaseThread.ts", "databaseThread.ts"],
  ["database/sqlite/SqliteDatabase.ts", "./DatabaseFile.ts", "databaseFile.ts"],
  ["database/sqlite/SqliteDatabase.ts", "./FileWatch.ts", "databaseFile.ts"],
  ["database/sqlite/SqliteDatabase.ts", "./Reserve.ts", "databaseFile.ts"],
  ["database/sqlite/SqliteDatabase.ts", "./StoreReader.ts", "storeReader.ts"],
  ["database/sqlite/SqliteDatabase.ts", "./SqliteReader.ts", "sqliteReader.ts"],
  ["main.ts", "./config/StateFolder.ts", "stateFolder.ts"],
  // Signatures, and their threads.
  ["crypto/WorkerVerifier.ts", "./engines/EngineSelection.ts", "engineSelection.ts"],
  ["crypto/WorkerVerifier.ts", "./NodeVerifierThread.ts", "verifierThread.ts"],
  ["crypto/WorkerVerifier.ts", "./RelayKey.ts", "relayKey.ts"]
]

/**
 * Call it before anything of the service is imported. Afterwards it tells which edges nobody came to: the source imports
 * something else now, and what is simulated is not what it seems.
 */
export const install = (): () => ReadonlyArray<string> => {
  const met = new Set<string>()
  const redirected = new Map(edges.map(([from, specifier, fake]) => [
    `${pathToFileURL(join(src, from)).href} ${specifier}`,
    pathToFileURL(join(fakes, fake)).href
  ]))
  registerHooks({
    resolve: (specifier, context, next) => {
      const edge = `${context.parentURL} ${specifier}`
      const url = redirected.get(edge)
      if (url === undefined) return next(specifier, context)
      met.add(edge)
      return { url, shortCircuit: true }
    }
  })
  return () => [...redirected.keys()].filter((edge) => !met.has(edge))
}
