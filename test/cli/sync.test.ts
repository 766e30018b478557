/** NIP-77 as a client, against our own relay in another process. */
import { NodeWS } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createServer } from "node:http"
import type { Event } from "../../src/domain/Event.ts"
import { withForgedSignature } from "../support/events.ts"
import { folder } from "../support/service.ts"
import * as Service from "../support/service.ts"
import { committed, databasePath, events, jsonLines, logged, run } from "./support.ts"

/** A relay over these events, which takes any valid one. */
const relayWith = Effect.fnUntraced(function*(stored: ReadonlyArray<Event>) {
  const home = yield* folder
  yield* run(home, ["import", "--no-verify"], { input: jsonLines(stored) })
  const relay = yield* Service.start({
    folder: home,
    env: { DATABASE_PATH: databasePath(home), ADMISSION: "open" }
  })
  const { url } = yield* relay.listening
  return { home, url, relay }
})

const storeWith = Effect.fnUntraced(function*(stored: ReadonlyArray<Event>) {
  const home = yield* folder
  yield* run(home, ["import", "--no-verify"], { input: jsonLines(stored) })
  return home
})

const exported = (home: string) => Effect.map(run(home, ["export"]), ({ stdout }) => stdout)

describe("sync", () => {
  it.live(
    "both: the two stores end byte for byte the same, and a second run finds nothing",
    () =>
      Effect.gen(function*() {
        const all = events(2500)
        const { home: theirs, relay, url } = yield* relayWith(all.filter((_, i) => i % 9 !== 0))
        const ours = yield* storeWith(all.filter((_, i) => i % 9 !== 1))
        const result = yield* run(ours, ["sync", url])
        assert.strictEqual(result.code, 0, result.stderr.join("\n"))
        assert.deepStrictEqual(result.stdout, [])
        const again = yield* run(ours, ["sync", url])
        assert.match(again.stderr.join("\n"), /Done\. Have 0, need 0\./)
        yield* relay.stop()
        const stored = yield* exported(ours)
        assert.strictEqual(stored.length, 2500)
        assert.isTrue(stored.join("\n") === (yield* exported(theirs)).join("\n"))
      }).pipe(Effect.scoped),
    60_000
  )

  it.live("a direction and a filter bind it; up and none work beside a running service", () =>
    Effect.gen(function*() {
      const all = events(300)
      const { home: theirs, relay, url } = yield* relayWith(all.slice(100))
      const ours = yield* storeWith(all.slice(0, 200))
      const service = yield* Service.start({ folder: ours, env: { DATABASE_PATH: databasePath(ours) } })
      yield* service.listening
      assert.strictEqual((yield* run(ours, ["sync", url, "--dir", "down"])).code, 69)
      const none = yield* run(ours, ["sync", url, "--dir", "none"])
      assert.match(none.stderr.join("\n"), /Have 100 need 100/)
      assert.deepStrictEqual([committed(ours), committed(theirs)], [200, 200])
      const up = yield* run(ours, ["sync", url, "--dir", "up", "--filter", "{\"kinds\":[0]}"])
      assert.strictEqual(up.code, 0)
      const profiles = all.slice(0, 100).filter(({ kind }) => kind === 0).length
      assert.deepStrictEqual([committed(ours), committed(theirs)], [200, 200 + profiles])
      yield* service.stop()
      assert.strictEqual((yield* run(ours, ["sync", url, "--dir", "down"])).code, 0)
      assert.deepStrictEqual([committed(ours), committed(theirs)], [300, 200 + profiles])
      yield* relay.stop()
    }).pipe(Effect.scoped), 60_000)

  it.live("does not keep what is forged, and says so", () =>
    Effect.gen(function*() {
      const [good, bad] = events(2) as [Event, Event]
      const { relay, url } = yield* relayWith([good, withForgedSignature(bad)])
      const ours = yield* storeWith([])
      const result = yield* run(ours, ["sync", url])
      assert.strictEqual(result.code, 0)
      assert.match(result.stderr.join("\n"), /Down: 1 stored, 1 not kept/)
      assert.match(JSON.stringify(logged(result, "warn")), /forged/)
      assert.strictEqual(committed(ours), 1)
      yield* relay.stop()
    }).pipe(Effect.scoped), 30_000)

  it.live(
    "names what is wrong: the URL, the filter, a relay that is not there, one that refuses",
    () =>
      Effect.gen(function*() {
        const ours = yield* storeWith(events(3))
        assert.strictEqual((yield* run(ours, ["sync", "https://relay.example"])).code, 64)
        assert.strictEqual((yield* run(ours, ["sync", "ws://127.0.0.1:1", "--filter", "[{},{}]"])).code, 64)
        assert.strictEqual((yield* run(ours, ["sync", "ws://127.0.0.1:1", "--dir", "sideways"])).code, 64)
        const absent = yield* run(ours, ["sync", "ws://127.0.0.1:1"])
        assert.strictEqual(absent.code, 69)
        assert.match(JSON.stringify(logged(absent, "error")), /ECONNREFUSED/)

        const server = yield* Effect.acquireRelease(
          Effect.callback<ReturnType<typeof createServer>>((resume) => {
            const server = createServer()
            const relay = new NodeWS.WebSocketServer({ server })
            relay.on("connection", (socket) =>
              socket.on("message", () =>
                socket.send("[\"NEG-ERR\",\"N\",\"blocked: this query is too big\"]")))
            server.listen(0, "127.0.0.1", () =>
              resume(Effect.succeed(server)))
          }),
          (server) => Effect.callback<void>((resume) => void server.close(() => resume(Effect.void)))
        )
        const address = server.address()
        const port = typeof address === "object" ? address?.port : undefined
        const refused = yield* run(ours, ["sync", `ws://127.0.0.1:${port}`])
        assert.strictEqual(refused.code, 1)
        assert.match(JSON.stringify(logged(refused, "error")), /blocked: this query is too big/)
      }).pipe(Effect.scoped),
    40_000
  )
})
