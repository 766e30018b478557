/** NIP-40 over a real socket. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { RelayAddress } from "../src/websocket/RelayServer.ts"
import { keyOf, signed } from "./support/events.ts"
import { relay } from "./support/relay.ts"
import { connect } from "./support/TestClient.ts"

const dial = Effect.flatMap(RelayAddress, ({ url }) => connect(url))

const now = () => Math.floor(Date.now() / 1000)

const expiring = (expiration: string, author: string, kind = 1) =>
  signed({ kind, content: expiration, created_at: now(), tags: [["expiration", expiration]] }, author)

layer(relay(), { excludeTestServices: true })("NIP-40", (it) => {
  it.effect("20. refuses what has expired on arrival, and announces none of it", () =>
    Effect.gen(function*() {
      const client = yield* dial
      yield* client.req("live", { authors: [keyOf("late").pubkey] })
      for (const kind of [0, 1, 30_023]) {
        const [, , accepted, reply] = yield* client.publish(expiring(String(now() - 1), "late", kind))
        assert.isFalse(accepted)
        assert.match(String(reply), /^invalid: /u)
      }
      assert.isFalse(client.received().some(([type]) => type === "EVENT"))
    }))

  it.effect("20. hides what has expired since, in REQ and COUNT, before it is swept", () =>
    Effect.gen(function*() {
      const client = yield* dial
      // Two, as one may be over in a moment.
      const expiration = now() + 2
      const event = expiring(String(expiration), "soon")
      const filter = { authors: [event.pubkey] }
      assert.isTrue((yield* client.publish(event))[2])
      assert.deepStrictEqual((yield* client.req("before", filter)).events, [event])
      yield* Effect.sleep(1000 * expiration + 20 - Date.now())
      assert.deepStrictEqual((yield* client.req("after", filter)).events, [])
      for (const asked of [filter, { ids: [event.id] }, { kinds: [1], authors: [event.pubkey] }]) {
        yield* client.send(["COUNT", "c", asked])
        assert.deepStrictEqual(yield* client.next(["COUNT", "c"]), ["COUNT", "c", { count: 0 }])
      }
    }))

  it.effect("keeps what expires later, and what does not say when", () =>
    Effect.gen(function*() {
      const client = yield* dial
      for (const expiration of [String(now() + 3600), "tomorrow", ""]) {
        assert.isTrue((yield* client.publish(expiring(expiration, "kept")))[2], expiration)
      }
      assert.strictEqual((yield* client.req("a", { authors: [keyOf("kept").pubkey] })).events.length, 3)
    }))

  it.effect("20. lets an ephemeral event through to who listens", () =>
    Effect.gen(function*() {
      const [reader, writer] = [yield* dial, yield* dial]
      yield* reader.req("live", { kinds: [20_001] })
      const event = expiring(String(now() + 60), "ephemeral", 20_001)
      assert.isTrue((yield* writer.publish(event))[2])
      assert.deepStrictEqual(yield* reader.next("EVENT"), ["EVENT", "live", event])
    }))
})
