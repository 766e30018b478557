/** NIP-67 over a real socket: whether an answer is whole. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { RelayAddress } from "../src/websocket/RelayServer.ts"
import { epoch, keyOf, notes, signed } from "./support/events.ts"
import { relay } from "./support/relay.ts"
import { connect } from "./support/TestClient.ts"

const dial = Effect.flatMap(RelayAddress, ({ url }) => connect(url))

layer(relay({ limits: { limitMax: 10, limitDefault: 10 } }), { excludeTestServices: true })("NIP-67", (it) => {
  const hint = Effect.fnUntraced(function*(filter: object, ...filters: ReadonlyArray<object>) {
    const client = yield* dial
    const { end } = yield* client.req("a", filter, ...filters)
    assert.strictEqual(end[0], "EOSE")
    assert.isArray(end[2])
    return (end[2] as ReadonlyArray<string>)[0]
  })

  it.effect("64. says finish when nothing that matches was left out, and more when something was", () =>
    Effect.gen(function*() {
      const client = yield* dial
      for (const event of notes(11, "eleven")) yield* client.publish(event)
      for (const event of notes(9, "nine")) yield* client.publish(event)
      const [eleven, nine] = ["eleven", "nine"].map((author) => ({ authors: [keyOf(author).pubkey] })) as [
        object,
        object
      ]
      assert.strictEqual(yield* hint(nine), "finish")
      assert.strictEqual(yield* hint(eleven), "more", "the relay's own limit")
      assert.strictEqual(yield* hint({ ...nine, limit: 8 }), "more", "the client's own limit")
      assert.strictEqual(yield* hint({ ...nine, limit: 9 }), "finish", "a limit that cuts nothing")
      assert.strictEqual(yield* hint({ ...nine, limit: 0 }), "more", "nothing was looked up")
      assert.strictEqual(yield* hint(nine, eleven), "more", "any filter")
      assert.strictEqual(yield* hint({ ...eleven, since: epoch - 5 }), "finish")
      assert.strictEqual(yield* hint({ ids: ["0".repeat(64)] }), "finish", "nothing matches")
    }))

  it.effect("64. never says finish in the middle of a second", () =>
    Effect.gen(function*() {
      const client = yield* dial
      const events = Array.from({ length: 15 }, (_, i) => signed({ content: `${i}` }, "one second"))
      for (const event of events) yield* client.publish(event)
      const { events: page, end } = yield* client.req("a", { authors: [events[0]!.pubkey] })
      assert.strictEqual(page.length, 10)
      assert.deepStrictEqual(end, ["EOSE", "a", ["more"]])
    }))
})
