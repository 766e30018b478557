/**
 * What the simulation changes about the modules it loads, and nothing else: the edges of the machine become fakes, and a
 * planted variant rewrites one line of a real source file.
 *
 * Everything between the edges is the service's own code as it stands: `main.ts`'s composition, `launch`, mailboxes,
 * ingester, admission, harvest, verifier, connections, and the relay server with its stop.
 */
import { registerHooks } from "node:module"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"

const src = join(import.meta.dirname, "../../src")
const fakes = join(import.meta.dirname, "fakes")

/** Importing file, what it imports, and what it gets instead. */
const edges: ReadonlyArray<readonly [from: string, specifier: string, fake: string]> = [
  // The network.
  ["websocket/RelayServer.ts", "node:http", "http.ts"],
  ["websocket/RelayServer.ts", "node:net", "http.ts"],
  ["websocket/RelayServer.ts", "@effect/platform-node", "platformNode.ts"],
  ["websocket/RelayServer.ts", "./ClientSocket.ts", "clientSocket.ts"],
  ["main.ts", "./aggregation/Aggregation.ts", "aggregation.ts"],
  // The disk, and its threads.
  ["database/SqliteDatabase.ts", "./DatabaseThread.ts", "databaseThread.ts"],
  ["database/SqliteDatabase.ts", "./DatabaseFile.ts", "databaseFile.ts"],
  ["database/SqliteDatabase.ts", "./StoreReader.ts", "storeReader.ts"],
  ["database/SqliteDatabase.ts", "./SqliteReader.ts", "storeReader.ts"],
  // Signatures, and their threads.
  ["crypto/WorkerVerifier.ts", "./engines/EngineSelection.ts", "engineSelection.ts"],
  ["crypto/WorkerVerifier.ts", "./NodeVerifierThread.ts", "verifierThread.ts"],
  ["crypto/WorkerVerifier.ts", "./RelayKey.ts", "relayKey.ts"],
  // The command line, which is not simulated.
  ["main.ts", "./cli/Cli.ts", "cli.ts"]
]

export interface Rewrite {
  /** Below `src/`. */
  readonly file: string
  /** Text that stands there exactly once, and what stands there instead. */
  readonly from: string
  readonly to: string
  /** It need not stand there; this is the name under which it is told where it did. */
  readonly optional?: string
}

/** Call it before anything of the service is imported. Afterwards it tells which optional rewrites were made. */
export const install = (rewrites: ReadonlyArray<Rewrite>): () => ReadonlySet<string> => {
  const made = new Set<string>()
  const redirected = new Map(edges.map(([from, specifier, fake]) => [
    `${pathToFileURL(join(src, from)).href} ${specifier}`,
    pathToFileURL(join(fakes, fake)).href
  ]))
  registerHooks({
    resolve: (specifier, context, next) => {
      const url = redirected.get(`${context.parentURL} ${specifier}`)
      return url === undefined ? next(specifier, context) : { url, shortCircuit: true }
    },
    load: (url, context, next) => {
      const loaded = next(url, context)
      const here = url.startsWith("file:") ? rewrites.filter(({ file }) => fileURLToPath(url) === join(src, file)) : []
      if (here.length === 0) return loaded
      let source = Buffer.from(loaded.source as Uint8Array | string as Uint8Array).toString()
      for (const { file, from, optional, to } of here) {
        const parts = source.split(from)
        if (parts.length === 1 && optional !== undefined) continue
        if (optional !== undefined) made.add(optional)
        if (parts.length !== 2) throw new Error(`${file} has the line to rewrite ${parts.length - 1} times: ${from}`)
        source = parts.join(to)
      }
      return { ...loaded, source }
    }
  })
  return () => made
}
