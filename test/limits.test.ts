/** Limits by work and by address, over real sockets. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { RelayAddress } from "../src/websocket/RelayServer.ts"
import { notes } from "./support/events.ts"
import { relay } from "./support/relay.ts"
import { connect } from "./support/TestClient.ts"

const dialFrom = (address: string) =>
  Effect.flatMap(RelayAddress, ({ url }) => connect(url, { headers: { "x-forwarded-for": address } }))

const trustedProxies = [{ address: "127.0.0.0", prefix: 8, family: "ipv4" }] as const

layer(relay({ trustedProxies, limits: { ratePerConnection: 2, ratePerAddress: 4, connectionsPerAddressMax: 4 } }), {
  excludeTestServices: true
})("limits", (it) => {
  describe("by work", () => {
    it.effect("75. refuse what is too much by its name, and nothing that comes in time", () =>
      Effect.gen(function*() {
        const client = yield* dialFrom("192.0.2.1")
        const events = notes(60, "burst")
        for (const event of events) yield* client.send(["EVENT", event])
        const answers = yield* Effect.forEach(events, (event) => client.next(["OK", event.id]))
        const accepted = answers.filter(([, , accepted]) => accepted)
        assert.isAtLeast(accepted.length, 15)
        assert.isBelow(accepted.length, 30)
        for (const [, , accepted, reply] of answers) {
          if (accepted !== true) assert.match(String(reply), /^rate-limited: /u)
        }
        const { end } = yield* client.req("a", { limit: 1 })
        assert.deepStrictEqual(end.slice(0, 2), ["CLOSED", "a"])
        assert.match(String(end[2]), /^rate-limited: /u)
        yield* client.send(["COUNT", "c", {}])
        assert.match(String((yield* client.next(["CLOSED", "c"]))[2]), /^rate-limited: /u)
        yield* client.send(["NEG-OPEN", "n", {}, "61"])
        assert.match(String((yield* client.next(["NEG-ERR", "n"]))[2]), /^rate-limited: /u)
      }))

    it.effect("bind all connections of an address together, and no other address", () =>
      Effect.gen(function*() {
        const clients = yield* Effect.all([1, 2, 3].map(() => dialFrom("192.0.2.2")))
        const events = notes(120, "together")
        yield* Effect.forEach(events, (event, i) => clients[i % 3]!.send(["EVENT", event]))
        const answers = yield* Effect.forEach(events, (event, i) => clients[i % 3]!.next(["OK", event.id]))
        const accepted = answers.filter(([, , accepted]) => accepted).length
        assert.isAtLeast(accepted, 30)
        assert.isBelow(accepted, 60)
        const other = yield* dialFrom("192.0.2.3")
        assert.strictEqual((yield* other.req("a", { limit: 1 })).end[0], "EOSE")
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
