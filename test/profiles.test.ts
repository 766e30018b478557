/** What a relay of profiles does with what is special about them, over a real socket. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { RelayAddress } from "../src/websocket/RelayServer.ts"
import { epoch, keyOf, profileEvent, relayListEvent, signed } from "./support/events.ts"
import { relay } from "./support/relay.ts"
import { connect, type TestClient } from "./support/TestClient.ts"

const dial = Effect.flatMap(RelayAddress, ({ url }) => connect(url))

const list = (author: string) => relayListEvent({ write: ["wss://relay.example"] }, author)

/** The subscription is closed again, or what comes live would be taken for stored by the next look. */
const stored = (client: TestClient, pubkey: string) =>
  client.req("stored", { kinds: [0], authors: [pubkey] }).pipe(
    Effect.map(({ events }) => events),
    Effect.tap(client.send(["CLOSE", "stored"]))
  )

const profiles = { admission: "profiles", pictures: "off", proof: "off" } as const

layer(relay(profiles), { excludeTestServices: true })("profiles", (it) => {
  describe("kind 0", () => {
    for (const content of ["", "hello", "[]", "null", "{\"name\":", "\"{}\""]) {
      it.effect(`77. must be a JSON object: refuses ${JSON.stringify(content)}`, () =>
        Effect.gen(function*() {
          const client = yield* dial
          const [, , accepted, reply] = yield* client.publish(profileEvent(content, `content ${content}`))
          assert.isFalse(accepted)
          assert.match(String(reply), /^blocked: /u)
        }))
    }

    it.effect("80. keeps serving the last accepted version for a while when a newer one is refused", () =>
      Effect.gen(function*() {
        const client = yield* dial
        const good = profileEvent({}, "grace")
        yield* client.publish(good)
        assert.isFalse((yield* client.publish(profileEvent({ about: "" }, "grace", { created_at: epoch + 1 })))[2])
        const ask = stored(client, good.pubkey)
        assert.deepStrictEqual(yield* ask, [good])
        const better = profileEvent({ name: "better" }, "grace", { created_at: epoch + 2 })
        yield* client.publish(better)
        assert.deepStrictEqual(yield* ask, [better])
      }))
  })

  describe("other kinds", () => {
    it.effect("78. keeps the relay lists of authors it keeps, and of nobody else", () =>
      Effect.gen(function*() {
        const client = yield* dial
        yield* client.publish(profileEvent({}, "listed"))
        assert.isTrue((yield* client.publish(list("listed")))[2])
        assert.match(String((yield* client.publish(list("unlisted")))[3]), /^blocked: /u)
        const { events } = yield* client.req("a", { kinds: [10_002], authors: [keyOf("listed").pubkey] })
        assert.deepStrictEqual(events, [list("listed")])
      }))

    it.effect("refuses notes as blocked, and says so beforehand in NIP-11", () =>
      Effect.gen(function*() {
        const client = yield* dial
        assert.match(String((yield* client.publish(signed({ content: "a note" }, "listed")))[3]), /^blocked: /u)
        const document = yield* Effect.promise(() =>
          fetch(client.url.replace("ws", "http"), { headers: { accept: "application/nostr+json" } })
            .then((response) => response.json())
        )
        assert.containSubset(document, { limitation: { restricted_writes: true } })
      }))
  })
})

layer(relay(), { excludeTestServices: true })("profiles where anything is kept", (it) => {
  it.effect("77. lets a strictly newer empty profile wipe, and an older or equal one not", () =>
    Effect.gen(function*() {
      const client = yield* dial
      const good = profileEvent({}, "wipe")
      const ask = stored(client, good.pubkey)
      yield* client.publish(good)
      yield* client.publish(profileEvent("{}", "wipe", { created_at: epoch - 1 }))
      assert.deepStrictEqual(yield* ask, [good])
      const wiped = profileEvent("{}", "wipe", { created_at: epoch + 1 })
      yield* client.publish(wiped)
      assert.deepStrictEqual(yield* ask, [wiped])
    }))
})
