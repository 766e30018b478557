/** NIP-42 and what it opens: private messages (NIP-17, NIP-59), protected events (NIP-70). Over a real socket. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import type { Event } from "../src/domain/Event.ts"
import { RelayAddress } from "../src/websocket/RelayServer.ts"
import { authenticate, authenticateWith, authEvent, challengeOf, relayUrl } from "./support/authentication.ts"
import { epoch, keyOf, signed, withForgedSignature } from "./support/events.ts"
import { relay } from "./support/relay.ts"
import { connect, type Message } from "./support/TestClient.ts"

const dial = Effect.flatMap(RelayAddress, ({ url }) => connect(url))

/** A client that has proved to hold these keys. */
const dialAs = Effect.fnUntraced(function*(...authors: ReadonlyArray<string>) {
  const client = yield* dial
  for (const author of authors) assert.isTrue((yield* authenticate(client, author))[2])
  return client
})

const prefixOf = (message: Message): string => String(message.at(-1)).split(": ")[0] ?? ""

const ids = (events: ReadonlyArray<Event>) => events.map(({ id }) => id).toSorted()

const [ann, bob] = ["ann", "bob"].map((name) => keyOf(name).pubkey) as [string, string]

/** A note that only its author may publish. */
const secret = (content: string, author: string) => signed({ content, tags: [["-"]] }, author)

layer(relay({ relayUrl }), { excludeTestServices: true })("NIP-42", (it) => {
  describe("authentication", () => {
    it.effect("57. gives a challenge on connection, and takes its answer", () =>
      Effect.gen(function*() {
        const client = yield* dial
        const [, challenge] = yield* client.next("AUTH")
        assert.isAtLeast(String(challenge).length, 16)
        assert.deepStrictEqual((yield* authenticateWith(client, authEvent(String(challenge), "ann"))).slice(2), [
          true,
          ""
        ])
        const other = yield* dial
        assert.notStrictEqual((yield* other.next("AUTH"))[1], challenge, "another connection, another challenge")
      }))

    for (
      const [name, edit] of Object.entries({
        "another relay": { relay: "wss://other.example" },
        "another kind": { kind: 22_243 },
        "an event of eleven minutes ago": { created_at: Math.floor(Date.now() / 1000) - 660 },
        "an event of eleven minutes ahead": { created_at: Math.floor(Date.now() / 1000) + 660 }
      })
    ) {
      it.effect(`57. refuses ${name}`, () =>
        Effect.gen(function*() {
          const client = yield* dial
          yield* client.next("AUTH")
          const answer = yield* authenticateWith(client, authEvent(challengeOf(client), "ann", edit))
          assert.deepStrictEqual([answer[2], prefixOf(answer)], [false, "invalid"])
          const { end } = yield* client.req("a", { kinds: [4], authors: [ann] })
          assert.strictEqual(prefixOf(end), "auth-required")
        }))
    }

    it.effect("57. refuses another connection's challenge, and a forged signature", () =>
      Effect.gen(function*() {
        const [one, two] = [yield* dial, yield* dial]
        yield* one.next("AUTH")
        yield* two.next("AUTH")
        assert.isFalse((yield* authenticateWith(one, authEvent(challengeOf(two), "ann")))[2])
        const forged = withForgedSignature(authEvent(challengeOf(one), "ann"))
        assert.strictEqual(prefixOf(yield* authenticateWith(one, forged)), "invalid")
        assert.isTrue((yield* authenticate(one, "ann"))[2], "the challenge is valid still")
      }))

    it.effect("58. counts every key of a connection", () =>
      Effect.gen(function*() {
        const client = yield* dialAs("ann", "bob", "ann")
        for (const author of ["ann", "bob"]) {
          assert.isTrue((yield* client.publish(secret("both", author)))[2], author)
        }
      }))

    for (const relay of ["wss://relay.example/", "WSS://RELAY.example:443", "https://relay.example"]) {
      it.effect(`59. knows itself by ${relay}`, () =>
        Effect.gen(function*() {
          const client = yield* dial
          yield* client.next("AUTH")
          assert.isTrue((yield* authenticateWith(client, authEvent(challengeOf(client), "ann", { relay })))[2])
        }))
    }

    it.effect("18. never stores, serves or announces kind 22242", () =>
      Effect.gen(function*() {
        const [reader, client] = [yield* dial, yield* dial]
        yield* reader.req("live", { kinds: [22_242] })
        yield* authenticate(client, "ann")
        const event = authEvent(challengeOf(client), "ann")
        const answer = yield* client.publish(event)
        assert.deepStrictEqual([answer[2], prefixOf(answer)], [false, "invalid"])
        assert.deepStrictEqual((yield* reader.req("stored", { kinds: [22_242] })).events, [])
        assert.isFalse(reader.received().some(([type]) => type === "EVENT"))
      }))
  })

  describe("private messages (NIP-17, NIP-59)", () => {
    const message = signed({ kind: 4, content: "to bob", tags: [["p", bob]], created_at: epoch }, "ann")
    const wrap = signed({ kind: 1059, content: "wrapped", tags: [["p", bob]], created_at: epoch }, "one-time key")

    it.effect("60. asks a stranger to authenticate, and refuses the one who is not meant", () =>
      Effect.gen(function*() {
        const stranger = yield* dial
        for (const filter of [{ kinds: [4] }, { kinds: [1059], "#p": [bob] }, { kinds: [0, 4], authors: [ann] }]) {
          assert.strictEqual(prefixOf((yield* stranger.req("a", filter)).end), "auth-required")
          yield* stranger.send(["COUNT", "a", filter])
          assert.strictEqual(prefixOf(yield* stranger.next(["CLOSED", "a"])), "auth-required")
        }
        const eve = yield* dialAs("eve")
        for (const filter of [{ kinds: [4], authors: [ann] }, { kinds: [1059], "#p": [bob] }]) {
          assert.strictEqual(prefixOf((yield* eve.req("a", filter)).end), "restricted")
          yield* eve.send(["COUNT", "a", filter])
          assert.strictEqual(prefixOf(yield* eve.next(["CLOSED", "a"])), "restricted")
        }
      }))

    it.effect("shows them to those they are for, stored and live, and hides them from others in any filter", () =>
      Effect.gen(function*() {
        const [writer, stranger, eve] = [yield* dial, yield* dial, yield* dialAs("eve")]
        const [sender, receiver] = [yield* dialAs("ann"), yield* dialAs("bob")]
        const filter = { "#p": [bob] }
        for (const client of [stranger, eve, sender, receiver]) yield* client.req("live", filter)
        for (const event of [message, wrap]) assert.isTrue((yield* writer.publish(event))[2])

        assert.deepStrictEqual(yield* receiver.next(["EVENT", "live"]), ["EVENT", "live", message])
        assert.deepStrictEqual(yield* receiver.next(["EVENT", "live"]), ["EVENT", "live", wrap])
        assert.deepStrictEqual(yield* sender.next(["EVENT", "live"]), ["EVENT", "live", message])
        assert.deepStrictEqual(ids((yield* receiver.req("s", filter)).events), ids([message, wrap]))
        assert.deepStrictEqual(ids((yield* sender.req("s", filter)).events), ids([message]))
        for (const client of [stranger, eve]) {
          assert.deepStrictEqual((yield* client.req("s", filter)).events, [])
          assert.deepStrictEqual((yield* client.req("ids", { ids: [message.id, wrap.id] })).events, [])
          yield* client.send(["COUNT", "c", { ids: [message.id, wrap.id] }])
          assert.deepStrictEqual(yield* client.next(["COUNT", "c"]), ["COUNT", "c", { count: 0 }])
          assert.isFalse(client.received().some(([type]) => type === "EVENT"))
        }
      }))
  })

  describe("protected events (NIP-70)", () => {
    it.effect("19. takes one from its author only, once authenticated", () =>
      Effect.gen(function*() {
        const event = secret("protected", "ann")
        const [stranger, eve, author] = [yield* dial, yield* dialAs("eve"), yield* dialAs("ann")]
        for (const [client, prefix] of [[stranger, "auth-required"], [eve, "restricted"]] as const) {
          const answer = yield* client.publish(event)
          assert.deepStrictEqual([answer[2], prefixOf(answer)], [false, prefix])
        }
        assert.deepStrictEqual((yield* author.publish(event)).slice(2), [true, ""])
        assert.deepStrictEqual((yield* stranger.req("a", { ids: [event.id] })).events, [event], "anybody may read it")
      }))

    it.effect("19. refuses a repost that carries one", () =>
      Effect.gen(function*() {
        const client = yield* dialAs("eve")
        const content = JSON.stringify(secret("carried", "ann"))
        for (const kind of [6, 16]) {
          const answer = yield* client.publish(signed({ kind, content }, "eve"))
          assert.deepStrictEqual([answer[2], prefixOf(answer)], [false, "blocked"])
        }
        const open = JSON.stringify(signed({ content: "about \"-\"" }, "ann"))
        assert.isTrue((yield* client.publish(signed({ kind: 6, content: open }, "eve")))[2])
      }))
  })
})

layer(relay({ relayUrl, admission: "profiles", pictures: "off", proof: "off" }), { excludeTestServices: true })(
  "NIP-42 where everything is public",
  (it) => {
    it.effect("60. gives the challenge with the first refusal that it helps against, and not before", () =>
      Effect.gen(function*() {
        const client = yield* dial
        yield* client.req("a", { kinds: [0] })
        assert.isFalse(client.received().some(([type]) => type === "AUTH"))
        const event = signed({ kind: 0, tags: [["-"]] }, "ann")
        assert.strictEqual(prefixOf(yield* client.publish(event)), "auth-required")
        const types = client.received().map(([type]) => type)
        assert.isBelow(types.indexOf("AUTH"), types.indexOf("OK"))
        assert.isTrue((yield* authenticate(client, "ann"))[2])
        assert.notStrictEqual(prefixOf(yield* client.publish(event)), "auth-required")
      }))
  }
)
