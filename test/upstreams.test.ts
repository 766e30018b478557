/** What clients see of a relay that reads from others, over real sockets on both sides. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import type { Overrides } from "../src/config/Settings.ts"
import type { Event } from "../src/domain/Event.ts"
import { RelayAddress } from "../src/websocket/RelayServer.ts"
import { dmRelaysEvent, epoch, keyOf, profileEvent, relayListEvent, signed } from "./support/events.ts"
import * as FakeUpstream from "./support/FakeUpstream.ts"
import { relay } from "./support/relay.ts"
import { connect, type TestClient } from "./support/TestClient.ts"

const loopback = { address: "127.0.0.0", prefix: 8, family: "ipv4" } as const

/** A client of a relay with these settings. */
const dial = Effect.fnUntraced(function*(overrides: Overrides) {
  const { url } = Context.get(yield* Layer.build(relay(overrides)), RelayAddress)
  return yield* connect(url)
})

/** Everything of that kind, stored or still to come, up to so many. */
const until = Effect.fnUntraced(function*(client: TestClient, kind: number, count: number) {
  yield* client.send(["REQ", "until", { kinds: [kind], limit: 500 }])
  const events: Array<Event> = []
  while (events.length < count) events.push((yield* client.next(["EVENT", "until"], "20 seconds"))[2] as Event)
  yield* client.send(["CLOSE", "until"])
  return events
})

const ask = (client: TestClient, kind: number, author: string) =>
  client.req("ask", { kinds: [kind], authors: [keyOf(author).pubkey] }).pipe(
    Effect.map(({ events }) => events),
    Effect.tap(client.send(["CLOSE", "ask"]))
  )

/** What an author can write who wants us to dial what we should not. */
const nasty = (url: string): ReadonlyArray<ReadonlyArray<string>> => [
  ["r", url],
  ["r", url.replace("127.0.0.1", "localhost")],
  ["r", url.replace("127.0.0.1", "[::ffff:127.0.0.1]")],
  ["r", url.replace("127.0.0.1", "0x7f000001")],
  ["r", "ws://10.0.0.1"],
  ["r", "ws://169.254.169.254/latest/meta-data"],
  ["r", `ws://${"a".repeat(56)}.onion`],
  ["r", "wss://relay.example"],
  ["r", "javascript:alert(1)"],
  ["r"],
  ["r", ""],
  ...Array.from({ length: 1900 }, (_, n) => ["r", `${url}/${n}`])
]

describe("a harvest", () => {
  it.live(
    "65. loses nothing of a second that a page ends in, and is not ended by short pages",
    () =>
      Effect.gen(function*() {
        // Three to a second, and pages of four: each ends between two profiles of the same second.
        const events = Array.from(
          { length: 40 },
          (_, n) => profileEvent({ name: `person ${n}` }, `second ${n}`, { created_at: epoch - Math.floor(n / 3) })
        )
        const upstream = yield* FakeUpstream.make({ events, pageMax: 4 })
        const client = yield* dial({ upstreams: [upstream.url], pageSize: 500 })
        const came = yield* until(client, 0, events.length)
        assert.sameMembers(came.map(({ id }) => id), events.map(({ id }) => id))
      }).pipe(Effect.scoped),
    30_000
  )

  it.live(
    "80. treats a newer version that is refused as it does when a client sends it: the last good one stays",
    () =>
      Effect.gen(function*() {
        const good = profileEvent({}, "refused later")
        const bad = profileEvent({ about: "" }, "refused later", { created_at: epoch + 1 })
        const upstream = yield* FakeUpstream.make({ events: [good] })
        const client = yield* dial({ upstreams: [upstream.url], admission: "profiles", pictures: "off", proof: "off" })
        assert.deepStrictEqual(yield* until(client, 0, 1), [good])
        upstream.publish(bad)
        // Upstreams are read in order: once this one is here, the one before has been judged.
        upstream.publish(profileEvent({}, "after it", { created_at: epoch + 2 }))
        yield* until(client, 0, 2)
        assert.deepStrictEqual(yield* ask(client, 0, "refused later"), [good])
        const [, , accepted, reply] = yield* client.publish(bad)
        assert.deepStrictEqual([accepted, reply], [false, "blocked: no about"])
        assert.deepStrictEqual(yield* ask(client, 0, "refused later"), [good])
      }).pipe(Effect.scoped),
    30_000
  )
})

describe("relay lists", () => {
  /** A relay that asks authors' relays whether they have posted, and one of an author that has only there. */
  const world = Effect.fnUntraced(
    function*(listed: (url: string) => ReadonlyArray<ReadonlyArray<string>>, overrides: Overrides) {
      const author = "posts elsewhere"
      const own = yield* FakeUpstream.make({ events: [signed({ content: "a note" }, author)] })
      const list = signed({ kind: 10_002, tags: listed(own.url) }, author)
      const upstream = yield* FakeUpstream.make({ events: [list] })
      const client = yield* dial({
        upstreams: [upstream.url],
        admission: "profiles",
        pictures: "off",
        proofQuorum: 1,
        ...overrides
      })
      const [, , accepted, reply] = yield* client.publish(profileEvent({}, author))
      return { accepted, reply, own, list, client, author }
    }
  )

  it.live(
    "78. are read by marker: an author's notes are looked for where they write, and nowhere they only read",
    () =>
      Effect.gen(function*() {
        for (const marker of [["write"], []]) {
          const { accepted, own, list, client, author } = yield* world((url) => [["r", url, ...marker]], {
            fetchAllow: [loopback]
          })
          assert.isTrue(accepted)
          assert.isAbove(own.requests().length, 0)
          yield* client.publish(list)
          assert.deepStrictEqual(yield* ask(client, 10_002, author), [list])
        }
        const { accepted, own } = yield* world((url) => [["r", url, "read"]], { fetchAllow: [loopback] })
        assert.isFalse(accepted)
        assert.deepStrictEqual(own.requests(), [])
      }).pipe(Effect.scoped),
    30_000
  )

  it.live("78. are kept without a relay too, as their author's last word", () =>
    Effect.gen(function*() {
      const client = yield* dial({ admission: "profiles", pictures: "off", proof: "off" })
      yield* client.publish(profileEvent({}, "left"))
      for (
        const [full, empty] of [
          [relayListEvent({ write: ["wss://relay.example"] }, "left"), relayListEvent({}, "left", epoch + 1)],
          [dmRelaysEvent(["wss://relay.example"], "left"), dmRelaysEvent([], "left", epoch + 1)]
        ] as const
      ) {
        assert.isTrue((yield* client.publish(full))[2])
        assert.isTrue((yield* client.publish(empty))[2])
        assert.deepStrictEqual(yield* ask(client, full.kind, "left"), [empty])
      }
    }).pipe(Effect.scoped))

  it.live(
    "79. are hostile input: private addresses, onions, ourselves and giant lists are not dialled",
    () =>
      Effect.gen(function*() {
        const { accepted, client, list, own, author } = yield* world(nasty, { relayUrl: "wss://relay.example" })
        assert.isFalse(accepted)
        assert.deepStrictEqual(own.requests(), [])
        assert.strictEqual(own.connections(), 0)
        // The relay lives on, and the list is data like any other.
        assert.match(String((yield* client.publish(list))[3]), /^(?:blocked|error): /u)
        assert.deepStrictEqual(yield* ask(client, 10_002, author), [])
      }).pipe(Effect.scoped),
    30_000
  )
})
