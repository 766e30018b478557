/** A whole relay in this process, on a free port, over a store in memory: what black-box tests talk to. */
import { Layer, Option, Redacted, References } from "effect"
import { hash } from "node:crypto"
import * as Aggregation from "../../src/aggregation/Aggregation.ts"
import { type Overrides, Settings } from "../../src/config/Settings.ts"
import * as WorkerVerifier from "../../src/crypto/WorkerVerifier.ts"
import * as SqliteDatabase from "../../src/database/sqlite/SqliteDatabase.ts"
import { Shutdown } from "../../src/lifecycle/Shutdown.ts"
import { Supervisor } from "../../src/lifecycle/Supervisor.ts"
import * as RelayServer from "../../src/websocket/RelayServer.ts"

/** Keeps any valid event unless told otherwise, and harvests nothing. */
export const relay = (overrides: Overrides = {}, database = SqliteDatabase.layerMemory) =>
  RelayServer.layer.pipe(
    Layer.provideMerge(Aggregation.layer),
    Layer.provideMerge(WorkerVerifier.layerInline),
    Layer.provideMerge(database),
    Layer.provideMerge(Supervisor.layer),
    Layer.provideMerge(Shutdown.layerTest),
    Layer.provideMerge(Settings.layerTest({
      bindAddr: { host: "127.0.0.1", port: 0 },
      admission: "open",
      upstreams: [],
      relaySecretKey: Option.some(Redacted.make(hash("sha256", "relay under test"))),
      ...overrides
    })),
    // What a test finds, it asserts.
    Layer.provideMerge(Layer.succeed(References.MinimumLogLevel, "None"))
  )
