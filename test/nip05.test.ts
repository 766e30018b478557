/** NIP-05 over real sockets: names are harvested from an upstream, or published; domains answer as the test says. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option, Redacted, References, type Scope } from "effect"
import { hash } from "node:crypto"
import * as Aggregation from "../src/aggregation/Aggregation.ts"
import { LearntSocket } from "../src/aggregation/upstream/RelayPool.ts"
import * as UpstreamSocket from "../src/aggregation/upstream/UpstreamSocket.ts"
import { type Overrides, Settings } from "../src/config/Settings.ts"
import * as WorkerVerifier from "../src/crypto/WorkerVerifier.ts"
import * as SqliteDatabase from "../src/database/sqlite/SqliteDatabase.ts"
import { Shutdown } from "../src/lifecycle/Shutdown.ts"
import { Supervisor } from "../src/lifecycle/Supervisor.ts"
import * as RelayServer from "../src/websocket/RelayServer.ts"
import * as FakeWeb from "./aggregation/FakeWeb.ts"
import { epoch, keyOf, profileEvent } from "./support/events.ts"
import { make as makeUpstream } from "./support/FakeUpstream.ts"
import { connect, type TestClient } from "./support/TestClient.ts"

const relay = (web: FakeWeb.FakeWeb, settings: Overrides) =>
  RelayServer.layer.pipe(
    Layer.provideMerge(Aggregation.layerUnconnected),
    Layer.provide(web.fetch),
    Layer.provide(UpstreamSocket.layer),
    Layer.provide(Layer.succeed(LearntSocket, () => {
      throw new Error("no relay is learnt here")
    })),
    Layer.provideMerge(WorkerVerifier.layerInline),
    Layer.provideMerge(SqliteDatabase.layerMemory),
    Layer.provideMerge(Supervisor.layer),
    Layer.provideMerge(Shutdown.layerTest),
    Layer.provideMerge(Settings.layerTest({
      bindAddr: { host: "127.0.0.1", port: 0 },
      relaySecretKey: Option.some(Redacted.make(hash("sha256", "nip05"))),
      upstreams: [],
      pictures: "off",
      proof: "off",
      ...settings
    })),
    Layer.provideMerge(Layer.succeed(References.MinimumLogLevel, "None"))
  )

const within = (
  settings: Overrides,
  web: FakeWeb.FakeWeb,
  test: (client: TestClient) => Effect.Effect<void, unknown, Scope.Scope>
) =>
  Effect.gen(function*() {
    const { url } = yield* RelayServer.RelayAddress
    yield* test(yield* connect(url))
  }).pipe(Effect.scoped, Effect.provide(relay(web, settings)), Effect.timeout("20 seconds"))

const documentOf = (names: Readonly<Record<string, string>>): FakeWeb.Answer => ({
  status: 200,
  body: Buffer.from(JSON.stringify({ names }))
})
const at = (domain: string, name: string) => `https://${domain}/.well-known/nostr.json?name=${name}`

const person = (name: string, nip05: string, created_at = epoch) =>
  profileEvent({ name, display_name: undefined, nip05 }, `nip05 ${name}`, { created_at })
const keyed = (name: string) => keyOf(`nip05 ${name}`).pubkey

const found = (client: TestClient, search: string) =>
  Effect.map(
    client.req("search", { search, kinds: [0] }),
    ({ events }) => events.map(({ content }) => (JSON.parse(content) as { readonly name: string }).name).toSorted()
  )

/** Asks until it finds so many, as names are looked at soon after their profiles are stored. */
const findsSoon = (client: TestClient, search: string, count: number) =>
  Effect.gen(function*() {
    let names = yield* found(client, search)
    while (names.length < count) {
      yield* Effect.sleep("100 millis")
      names = yield* found(client, search)
    }
    return names
  }).pipe(Effect.timeout("15 seconds"))

describe("NIP-05", () => {
  it.live("after a harvest, domain: finds those whose name the domain knows, and no look-alike", () =>
    Effect.gen(function*() {
      const web = FakeWeb.make()
      for (const name of ["mira", "bob", "eve", "_"]) {
        const names = { Mira: keyed("mira").toUpperCase(), bob: keyed("bob"), eve: keyed("somebody"), _: keyed("root") }
        web.set(at("boats.example", name), documentOf(names))
      }
      for (const domain of ["boats.example.tide.example", "b0ats.example", "tide.example"]) {
        for (const name of ["mallory", "trent"]) {
          web.set(at(domain, name), documentOf({ mallory: keyed("mallory"), trent: keyed("trent") }))
        }
      }
      const upstream = yield* makeUpstream({
        events: [
          person("mira", "Mira@BOATS.example"),
          person("bob", "bob@boats.example", epoch + 1),
          person("root", "boats.example", epoch + 2),
          // Somebody else's name, one that is not listed, and domains that only look alike.
          person("eve", "eve@boats.example", epoch + 3),
          person("victor", "victor@boats.example", epoch + 4),
          person("mallory", "mallory@boats.example.tide.example", epoch + 5),
          person("trent", "trent@b0ats.example", epoch + 6),
          person("none", "boats", epoch + 7)
        ]
      })
      yield* within({ upstreams: [upstream.url], nip05: "check" }, web, (client) =>
        Effect.gen(function*() {
          assert.deepStrictEqual(yield* findsSoon(client, "domain:boats.example", 3), ["bob", "mira", "root"])
          assert.deepStrictEqual(yield* findsSoon(client, "domain:b0ats.example", 1), ["trent"])
          assert.deepStrictEqual(yield* found(client, "domain:BOATS.example"), ["bob", "mira", "root"])
          assert.deepStrictEqual(yield* found(client, "domain:boats.example mira"), ["mira"])
          assert.deepStrictEqual(yield* found(client, "domain:tide.example"), [])
          assert.deepStrictEqual(yield* found(client, "domain:example"), [])
          // All are kept, whatever their names came to.
          assert.strictEqual((yield* client.req("all", { kinds: [0] })).events.length, 8)
          // `victor` may have been looked for under his own name as well.
          assert.isAtMost(web.requests.filter(({ url }) => url.startsWith("https://boats.example/")).length, 2)
        }))
    }).pipe(Effect.scoped))

  it.live("an open relay looks at names as well, whatever the setting, and rejects nobody", () =>
    Effect.forEach(["check", "require"] as const, (nip05) =>
      Effect.gen(function*() {
        const web = FakeWeb.make()
        web.set(at("boats.example", "mira"), documentOf({ mira: keyed("mira") }))
        yield* within({ admission: "open", nip05 }, web, (client) =>
          Effect.gen(function*() {
            for (const name of ["mira", "eve"]) {
              const [, , isAccepted] = yield* client.publish(person(name, `${name}@boats.example`))
              assert.isTrue(isAccepted)
            }
            assert.deepStrictEqual(yield* findsSoon(client, "domain:boats.example", 1), ["mira"])
          }))
      }), { discard: true, concurrency: 2 }))

  it.live("as a rule it rejects whose name is not theirs, and waits where the domain is silent", () =>
    Effect.gen(function*() {
      const web = FakeWeb.make()
      web.set(at("boats.example", "mira"), documentOf({ mira: keyed("mira"), eve: keyed("somebody") }))
      web.set(at("boats.example", "victor"), documentOf({}))
      web.set(at("silent.example", "kim"), { status: 500 })
      yield* within({ nip05: "require" }, web, (client) =>
        Effect.gen(function*() {
          const told = (name: string, nip05: string) =>
            Effect.map(client.publish(person(name, nip05)), (message) => message.slice(2))
          assert.deepStrictEqual(yield* told("mira", "mira@boats.example"), [true, ""])
          assert.deepStrictEqual(yield* told("eve", "eve@boats.example"), [
            false,
            "blocked: NIP-05 name belongs to another key"
          ])
          assert.deepStrictEqual(yield* told("victor", "victor@boats.example"), [
            false,
            "blocked: NIP-05 name is not listed"
          ])
          assert.deepStrictEqual(yield* told("none", ""), [false, "blocked: no NIP-05 name"])
          assert.deepStrictEqual(yield* told("odd", "odd@boats"), [false, "blocked: NIP-05 name is malformed"])
          assert.deepStrictEqual(yield* told("kim", "kim@silent.example"), [
            false,
            "error: NIP-05 domain did not answer, try again later"
          ])
          assert.deepStrictEqual(yield* found(client, "domain:boats.example"), ["mira"])
          assert.strictEqual((yield* client.req("all", { kinds: [0] })).events.length, 1)
        }))
    }))

  it.live("off, it asks no domain", () =>
    Effect.gen(function*() {
      const web = FakeWeb.make()
      yield* within({}, web, (client) =>
        Effect.gen(function*() {
          yield* client.publish(person("mira", "mira@boats.example"))
          assert.deepStrictEqual(yield* found(client, "domain:boats.example"), [])
          assert.deepStrictEqual(web.requests, [])
        }))
    }))
})
