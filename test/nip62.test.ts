/** NIP-62 over a real socket, and what a harvest may not bring back. */
import { assert, describe, it as test, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { RelayAddress } from "../src/websocket/RelayServer.ts"
import { deletionEvent, epoch, keyOf, notes, profileEvent, signed } from "./support/events.ts"
import { make as makeUpstream } from "./support/FakeUpstream.ts"
import { relay } from "./support/relay.ts"
import { connect, type TestClient } from "./support/TestClient.ts"

const dial = Effect.flatMap(RelayAddress, ({ url }) => connect(url))

const relayUrl = "wss://relay.example"

const vanishEvent = (author: string, relays: ReadonlyArray<string>, created_at: number = epoch + 100) =>
  signed({ kind: 62, created_at, content: "please", tags: relays.map((url) => ["relay", url]) }, author)

const stored = (client: TestClient, author: string) =>
  client.req("stored", { authors: [keyOf(author).pubkey] }).pipe(
    Effect.map(({ events }) => events.map(({ kind }) => kind)),
    // Or what comes live would be taken for stored by the next look.
    Effect.tap(client.send(["CLOSE", "stored"]))
  )

layer(relay({ relayUrl }), { excludeTestServices: true })("NIP-62", (it) => {
  for (const [i, named] of ["ALL_RELAYS", relayUrl, "WSS://Relay.Example:443/"].entries()) {
    it.effect(`32. acts on a request that names ${named}`, () =>
      Effect.gen(function*() {
        const client = yield* dial
        const author = `vanishes ${i}`
        for (const event of notes(3, author)) yield* client.publish(event)
        assert.isTrue((yield* client.publish(vanishEvent(author, ["wss://other.example", named])))[2])
        assert.deepStrictEqual(yield* stored(client, author), [62])
      }))
  }

  it.effect("32. refuses a request that names no relay as invalid, and does nothing for one that names another", () =>
    Effect.gen(function*() {
      const client = yield* dial
      for (const event of notes(3, "stays")) yield* client.publish(event)
      for (const [relays, prefix] of [[[], "invalid"], [["wss://other.example"], "blocked"]] as const) {
        const [, , accepted, reply] = yield* client.publish(vanishEvent("stays", relays))
        assert.isFalse(accepted)
        assert.strictEqual(String(reply).split(": ")[0], prefix)
      }
      assert.deepStrictEqual(yield* stored(client, "stays"), [1, 1, 1])
    }))

  /** The first eleven name this relay. */
  const spellings = [
    "ws://relay.example",
    "https://relay.example/",
    "http://relay.example:80",
    "relay.example",
    " wss://relay.example ",
    "wss://relay.example:443",
    "wss://relay.example.",
    "wss://RELAY.example//",
    "wss://relay.example/?a=b",
    "wss://relay.example#a",
    "wss://relay.example?",
    "wss://relay.example:444",
    "wss://relay.example/path",
    "wss://user@relay.example",
    "wss://relay",
    "relay",
    "",
    "all_relays",
    "wss://relay.example.org",
    "wss://[::1]"
  ]
  it.effect("32. acts on a request, or refuses it, however the relay is spelled", () =>
    Effect.gen(function*() {
      const client = yield* dial
      const taken: Array<string> = []
      for (const spelling of spellings) {
        const author = `spells ${spelling}`
        yield* client.publish(notes(1, author)[0]!)
        const [, , accepted] = yield* client.publish(vanishEvent(author, [spelling]))
        assert.deepStrictEqual(yield* stored(client, author), accepted ? [62] : [1], JSON.stringify(spelling))
        if (accepted) taken.push(spelling)
      }
      assert.deepStrictEqual(taken, spellings.slice(0, 11))
    }))

  it.effect("33. removes everything up to its time, deletions and gift wraps too, for good, and takes what is newer", () =>
    Effect.gen(function*() {
      const client = yield* dial
      const { pubkey } = keyOf("all of it")
      const old = [
        ...notes(3, "all of it"),
        profileEvent({}, "all of it"),
        deletionEvent(["1".repeat(64)], "all of it", epoch)
      ]
      const wrap = signed({ kind: 1059, tags: [["p", pubkey]] }, "wrapper")
      for (const event of [...old, wrap]) assert.isTrue((yield* client.publish(event))[2])
      yield* client.publish(vanishEvent("all of it", ["ALL_RELAYS"]))
      assert.deepStrictEqual(yield* stored(client, "all of it"), [62])
      for (const event of [...old, wrap]) {
        const [, , accepted, reply] = yield* client.publish(event)
        assert.isFalse(accepted)
        assert.match(String(reply), /^blocked: /u)
      }
      const later = signed({ content: "back again", created_at: epoch + 101 }, "all of it")
      assert.isTrue((yield* client.publish(later))[2])
      assert.deepStrictEqual(yield* stored(client, "all of it"), [1, 62])
    }))

  it.effect("34. is not undone by a deletion", () =>
    Effect.gen(function*() {
      const client = yield* dial
      const [event] = notes(1, "undone")
      yield* client.publish(event!)
      const vanish = vanishEvent("undone", ["ALL_RELAYS"])
      yield* client.publish(vanish)
      yield* client.publish(deletionEvent([vanish.id], "undone", epoch + 200))
      assert.deepStrictEqual(yield* stored(client, "undone"), [5, 62])
      assert.isFalse((yield* client.publish(event!))[2])
    }))
})

layer(relay({}), { excludeTestServices: true })("NIP-62 without RELAY_URL", (it) => {
  it.effect("32. acts on a request that names this machine by any of its own names", () =>
    Effect.gen(function*() {
      const { url } = yield* RelayAddress
      const client = yield* dial
      for (const host of ["127.0.0.1", "localhost", "[::1]", "relay.localhost"]) {
        const author = `spells ${host}`
        yield* client.publish(notes(1, author)[0]!)
        assert.isTrue((yield* client.publish(vanishEvent(author, [url.replace("127.0.0.1", host)])))[2], host)
        assert.deepStrictEqual(yield* stored(client, author), [62], host)
      }
      yield* client.publish(notes(1, "elsewhere")[0]!)
      assert.isFalse((yield* client.publish(vanishEvent("elsewhere", ["ws://192.168.0.1:8080"])))[2])
      assert.deepStrictEqual(yield* stored(client, "elsewhere"), [1])
    }))
})

describe("a harvest", () => {
  test.live("35. does not bring back what its author deleted, or left with", () =>
    Effect.scoped(Effect.gen(function*() {
      const deleted = profileEvent({}, "deleted")
      const vanished = profileEvent({}, "vanished")
      const kept = profileEvent({}, "kept")
      const upstream = yield* makeUpstream({ events: [] })
      const settings = {
        relayUrl,
        upstreams: [upstream.url],
        admission: "profiles" as const,
        pictures: "off" as const,
        proof: "off" as const
      }
      yield* Effect.gen(function*() {
        const client = yield* dial
        yield* client.publish(deleted)
        yield* client.publish(deletionEvent([deleted.id], "deleted"))
        yield* client.publish(vanished)
        yield* client.publish(vanishEvent("vanished", ["ALL_RELAYS"]))
        yield* client.req("live", { kinds: [0], limit: 0 })
        for (const event of [deleted, vanished, kept]) upstream.publish(event)
        assert.deepStrictEqual(yield* client.next(["EVENT", "live"]), ["EVENT", "live", kept])
        assert.deepStrictEqual((yield* client.req("stored", { kinds: [0] })).events, [kept])
      }).pipe(Effect.provide(Layer.fresh(relay(settings))))
    })))
})
