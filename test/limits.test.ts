/** Limits by work and by address, over real sockets. */
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import { RelayAddress } from "../src/websocket/RelayServer.ts"
import { authenticate, relayUrl } from "./support/authentication.ts"
import { notes } from "./support/events.ts"
import { relay } from "./support/relay.ts"
import * as Service from "./support/service.ts"
import { connect } from "./support/TestClient.ts"

const dialFrom = (address: string) =>
  Effect.flatMap(RelayAddress, ({ url }) => connect(url, { headers: { "x-forwarded-for": address } }))

const trustedProxies = [{ address: "127.0.0.0", prefix: 8, family: "ipv4" }] as const

layer(relay({ trustedProxies, limits: { ratePerConnection: 2, ratePerAddress: 4, connectionsPerAddressMax: 4 } }), {
  excludeTestServices: true
})("limits", (it) => {
  describe("by work", () => {
    it.effect("75. hold back what is too much, and answer all of it in its time", () =>
      Effect.gen(function*() {
        const client = yield* dialFrom("192.0.2.1")
        const began = performance.now()
        const events = notes(12, "burst")
        for (const event of events) yield* client.send(["EVENT", event])
        const times: Array<number> = []
        for (const event of events) {
          const [, , accepted] = yield* client.next(["OK", event.id])
          assert.isTrue(accepted)
          times.push(performance.now() - began)
        }
        assert.isAbove(times[11]! - times[2]!, 2000, "two seconds' worth at once, the rest at the connection's rate")
      }))

    it.effect("bind all connections of an address together, and no other address", () =>
      Effect.gen(function*() {
        const clients = yield* Effect.all([1, 2, 3, 4].map(() => dialFrom("192.0.2.2")))
        const began = performance.now()
        const events = notes(16, "together")
        yield* Effect.forEach(events, (event, i) => clients[i % 4]!.send(["EVENT", event]))
        const other = yield* dialFrom("192.0.2.3")
        assert.strictEqual((yield* other.req("a", { limit: 1 })).end[0], "EOSE")
        const served = performance.now() - began
        const answers = yield* Effect.forEach(events, (event, i) => clients[i % 4]!.next(["OK", event.id]))
        assert.isTrue(answers.every(([, , accepted]) => accepted === true))
        assert.isAbove(performance.now() - began, 1500)
        assert.isBelow(served, performance.now() - began - 500, "another address does not wait for them")
      }))
  })

  describe("by address", () => {
    it.effect("73. count one /64 of IPv6 as one, behind a trusted proxy", () =>
      Effect.gen(function*() {
        for (let i = 1; i <= 4; i++) yield* dialFrom(`2001:db8:0:7::${i}`)
        assert.strictEqual((yield* Effect.flip(dialFrom("2001:db8:0:7:ffff::1"))).status, 429)
        yield* dialFrom("2001:db8:0:8::1")
      }))
  })

  it.effect("stand in the NIP-11 document", () =>
    Effect.gen(function*() {
      const { port } = yield* RelayAddress
      const document = yield* Effect.promise(() =>
        fetch(`http://127.0.0.1:${port}`, { headers: { accept: "application/nostr+json" } })
          .then((response) => response.json())
      )
      assert.containSubset(document, { limitation: { rate_per_connection: 2, rate_per_address: 4 } })
    }))
})

layer(relay({ relayUrl, trustedProxies, limits: { ratePerConnection: 1000, ratePerAddress: 40 } }), {
  excludeTestServices: true
})("limits by key", (it) => {
  it.effect("follow who has authenticated from one address to another, and bind nobody else", () =>
    Effect.gen(function*() {
      const clients = yield* Effect.all([1, 2, 3].map((n) => dialFrom(`198.51.100.${n}`)))
      for (const client of clients) assert.isTrue((yield* authenticate(client, "ann"))[2])
      const stranger = yield* dialFrom("198.51.100.4")
      const publish = Effect.fnUntraced(function*(client: typeof stranger, author: string) {
        const events = notes(40, author)
        const began = performance.now()
        for (const event of events) yield* client.send(["EVENT", event])
        for (const event of events) assert.isTrue((yield* client.next(["OK", event.id]))[2])
        return performance.now() - began
      })
      const [alone, ...together] = yield* Effect.all(
        [publish(stranger, "stranger"), ...clients.map((client, n) => publish(client, `followed ${n}`))],
        { concurrency: "unbounded" }
      )
      // Each address has enough for its 40; for 120 of one key it takes two seconds more than a key may have at once.
      assert.isAbove(Math.max(...together), 1200)
      assert.isBelow(alone, Math.max(...together) - 500, "a client that is nobody does not wait")
    }))
})

describe("X-Forwarded-For", () => {
  it.live("of a proxy that is not trusted is warned of once", () =>
    Effect.gen(function*() {
      const service = yield* Service.start({ env: { LOG_LEVEL: "Info" } })
      const { url } = yield* service.listening
      const warning = "X-Forwarded-For is ignored"
      yield* connect(url)
      assert.isFalse(service.stdout.some((line) => line.includes(warning)))
      for (const address of ["192.0.2.1", "192.0.2.2"]) yield* connect(url, { headers: { "x-forwarded-for": address } })
      assert.include(yield* service.line(warning), "TRUSTED_PROXIES")
      yield* service.stop()
      assert.strictEqual(service.stdout.filter((line) => line.includes(warning)).length, 1)
    }), 30_000)
})
