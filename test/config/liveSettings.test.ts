/** Settings that change while the service runs: what is in force is read where it is used, and nothing is acquired again. */
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Layer, Option, Redacted, References } from "effect"
import { hash } from "node:crypto"
import * as Aggregation from "../../src/aggregation/Aggregation.ts"
import { madeOf, type Overrides, Settings } from "../../src/config/Settings.ts"
import { rows } from "../../src/config/SettingsTable.ts"
import * as WorkerVerifier from "../../src/crypto/WorkerVerifier.ts"
import * as SqliteDatabase from "../../src/database/sqlite/SqliteDatabase.ts"
import { Shutdown } from "../../src/lifecycle/Shutdown.ts"
import { Supervisor } from "../../src/lifecycle/Supervisor.ts"
import { RelayAddress } from "../../src/websocket/RelayServer.ts"
import * as RelayServer from "../../src/websocket/RelayServer.ts"
import { notes, profileEvent } from "../support/events.ts"
import { relay } from "../support/relay.ts"
import { connect } from "../support/TestClient.ts"

const variables = (found: ReadonlyArray<(typeof rows)[number]>) => found.map(({ setting }) => setting.variable)

const settingsOf = (overrides: Overrides = {}) =>
  Effect.runSync(Effect.provide(Settings, Settings.layerTest(overrides)))

describe("Settings that change", () => {
  it.effect("are in force for whoever holds them, all at once", () =>
    Effect.gen(function*() {
      const settings = yield* Settings
      const { limits, now, rules } = settings
      const next = Settings.valuesOf({ pageSize: 7, limits: { limitMax: 8 }, rules: { nameMin: 9 } })
      assert.deepStrictEqual(settings.change(next), [])
      assert.deepStrictEqual([settings.pageSize, limits.limitMax, rules.nameMin], [7, 8, 9])
      assert.deepStrictEqual(settings.now, next)
      // One moment stays what it was.
      assert.deepStrictEqual(now, Settings.defaults)
    }).pipe(Effect.provide(Settings.layerTest())))

  it.effect("leave what cannot change as it is, and say what waits for a restart", () =>
    Effect.gen(function*() {
      const settings = yield* Settings
      const next = Settings.valuesOf({ databasePath: "other.db", verifierThreads: 3, relayName: "another" })
      assert.deepStrictEqual(variables(settings.change(next)), [
        "DATABASE_PATH",
        "STATE_DIR",
        "RELAY_KEY_PATH",
        "VERIFIER_THREADS"
      ])
      assert.strictEqual(settings.databasePath, Settings.defaults.databasePath)
      assert.strictEqual(settings.now.databasePath, Settings.defaults.databasePath)
      assert.strictEqual(settings.relayName, "another")
    }).pipe(Effect.provide(Settings.layerTest())))

  it("belong to one running service", () => {
    const [one, other] = [settingsOf(), settingsOf()]
    one.change(Settings.valuesOf({ rules: { nameMin: 50 } }))
    assert.strictEqual(other.rules.nameMin, Settings.defaults.rules.nameMin)
    assert.strictEqual(settingsOf().rules.nameMin, Settings.defaults.rules.nameMin)
  })

  it("make anew what is made of them, once for each change", () => {
    let [value, made] = [1, 0]
    const double = madeOf(() => value, (read) => {
      made++
      return 2 * read
    })
    assert.deepStrictEqual([double(), double(), made], [2, 2, 1])
    value = 5
    assert.deepStrictEqual([double(), double(), made], [10, 10, 2])
  })

  it("are all but paths, addresses, threads and what the service is", () => {
    assert.deepStrictEqual(variables(rows.filter(({ setting }) => !setting.isLive)), [
      "BIND_ADDR",
      "DATABASE_PATH",
      "STATE_DIR",
      "RELAY_URL",
      "RELAY_SECRET_KEY",
      "RELAY_KEY_PATH",
      "ADMISSION",
      "LIST_KINDS",
      "WRITE_POLICY",
      "LOG_FORMAT",
      "VERIFIER_THREADS",
      "VERIFIER_ENGINE",
      "SIGNAL_EXIT",
      "WATCHDOG_KILL_SECS"
    ])
  })
})

/** A relay that asks nobody, behind a proxy that says who the client is. */
const alone: Overrides = {
  admission: "profiles",
  pictures: "off",
  proof: "off",
  trustedProxies: [{ address: "127.0.0.0", prefix: 8, family: "ipv4" }]
}

const change = (overrides: Overrides) =>
  Effect.map(Settings, (settings) =>
    settings.change({
      ...settings.now,
      ...overrides,
      limits: { ...settings.now.limits, ...overrides.limits },
      rules: { ...settings.now.rules, ...overrides.rules }
    }))

const dialFrom = (address: string) =>
  Effect.flatMap(RelayAddress, ({ url }) => connect(url, { headers: { "x-forwarded-for": address } }))

layer(relay(alone), { excludeTestServices: true })("a running relay", (it) => {
  it.effect("judges the next profile by the rules as they are now, and forgets what other rules refused", () =>
    Effect.gen(function*() {
      const client = yield* dialFrom("192.0.2.1")
      const submit = (event: ReturnType<typeof profileEvent>) =>
        Effect.map(
          Effect.andThen(client.send(["EVENT", event]), client.next(["OK", event.id])),
          ([, , accepted, reason]) => [accepted, reason]
        )
      const [first, second] = [profileEvent({ name: "Mira" }, "one"), profileEvent({ name: "Mira" }, "two")]
      assert.deepStrictEqual(yield* submit(first), [true, ""])
      yield* change({ rules: { nameMin: 90 } })
      assert.deepStrictEqual(yield* submit(second), [false, "blocked: name is too short"])
      yield* change({ rules: { nameMin: 1 } })
      assert.deepStrictEqual(yield* submit(second), [true, ""])
    }))

  it.effect("lets in as many connections of an address as it may have now", () =>
    Effect.gen(function*() {
      yield* dialFrom("192.0.2.2")
      yield* change({ limits: { connectionsPerAddressMax: 1 } })
      assert.strictEqual((yield* Effect.flip(dialFrom("192.0.2.2"))).status, 429)
      yield* change({ limits: { connectionsPerAddressMax: 2 } })
      yield* dialFrom("192.0.2.2")
      yield* change({ limits: { connectionsPerAddressMax: 100, connectionsMax: 1 } })
      assert.strictEqual((yield* Effect.flip(dialFrom("192.0.2.9"))).status, 503)
      yield* change({ limits: { connectionsMax: 100 } })
    }))

  it.effect("limits the work of a connection that is open already", () =>
    Effect.gen(function*() {
      const client = yield* dialFrom("192.0.2.3")
      /** Milliseconds until all of them are answered. */
      const flood = Effect.fnUntraced(function*(name: string) {
        const began = performance.now()
        const events = notes(8, name)
        for (const event of events) yield* client.send(["EVENT", event])
        for (const event of events) assert.notMatch(String((yield* client.next(["OK", event.id]))[3]), /^rate/u)
        return performance.now() - began
      })
      yield* flood("before")
      yield* change({ limits: { ratePerConnection: 2 } })
      assert.isAbove(yield* flood("after"), 200)
      yield* change({ limits: { ratePerConnection: 0, ratePerAddress: 2 } })
      assert.isAbove(yield* flood("by address"), 200)
      yield* change({ limits: { ratePerAddress: 0 } })
    }))

  it.effect("believes the proxies it has now", () =>
    Effect.gen(function*() {
      yield* change({ trustedProxies: [], limits: { ratePerAddress: 0, connectionsPerAddressMax: 1 } })
      yield* dialFrom("192.0.2.4")
      // Whatever the header says, they all come from this machine.
      assert.strictEqual((yield* Effect.flip(dialFrom("192.0.2.5"))).status, 429)
    }))
})

/** The settings of a test, and which of those that can change have been read of them until `stop`. */
const watched = (overrides: Overrides) => {
  const read = new Set<string>()
  let isWatching = true
  const settings = settingsOf(overrides)
  const watch = <A extends object>(target: A, group: string): A =>
    new Proxy(target, {
      get: (_, name) => {
        const value: unknown = Reflect.get(target, name)
        const row = rows.find(({ path }) => path.join(".") === `${group}${String(name)}`)
        if (isWatching && row?.setting.isLive === true) read.add(row.setting.variable)
        if (name === "now") return watch(value as object, "")
        return name === "limits" || name === "rules" ? watch(value as object, `${name}.`) : value
      }
    })
  return { read, stop: () => void (isWatching = false), layer: Layer.succeed(Settings, watch(settings, "")) }
}

describe("acquiring the service", () => {
  it.live("reads nothing that can change, but what is read again later", () =>
    Effect.gen(function*() {
      for (const admission of ["profiles", "open"] as const) {
        const settings = watched({
          admission,
          bindAddr: { host: "127.0.0.1", port: 0 },
          upstreams: [],
          nip05: "check",
          relaySecretKey: Option.some(Redacted.make(hash("sha256", "relay under test")))
        })
        yield* Effect.scoped(
          Layer.build(RelayServer.layer.pipe(
            Layer.provideMerge(Aggregation.layer),
            Layer.provideMerge(WorkerVerifier.layerInline),
            Layer.provideMerge(SqliteDatabase.layerMemory),
            Layer.provideMerge(Supervisor.layer),
            Layer.provideMerge(Shutdown.layerTest),
            Layer.provideMerge(settings.layer),
            Layer.provideMerge(Layer.succeed(References.MinimumLogLevel, "None"))
          )).pipe(Effect.andThen(Effect.sync(settings.stop)))
        )
        assert.deepStrictEqual([...settings.read].toSorted(), [
          // Which upstreams have a fiber; whoever changes them begins and ends those.
          "DISCOVERY_RELAY_URL",
          // How often Node looks for slow requests; how slow they may be is read each time.
          "HEADER_TIMEOUT_SECS",
          // Loops that have begun, and read it in each round.
          "IDLE_TIMEOUT_SECS",
          "NIP05"
        ])
      }
    }))
})
