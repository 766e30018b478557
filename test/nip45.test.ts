/** NIP-45 over a real socket; registers against those of nostr-tools. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { computeOffset, estimateCount, feedPubkey, hllDecode, hllEncode } from "nostr-tools/nip45"
import { RelayAddress } from "../src/websocket/RelayServer.ts"
import { keyOf, notes, signed } from "./support/events.ts"
import { relay } from "./support/relay.ts"
import { connect, type TestClient } from "./support/TestClient.ts"

const dial = Effect.flatMap(RelayAddress, ({ url }) => connect(url))

interface Count {
  readonly count: number
  readonly hll?: string
  readonly approximate?: boolean
}

const count = Effect.fnUntraced(function*(client: TestClient, ...filters: ReadonlyArray<object>) {
  yield* client.send(["COUNT", "c", ...filters])
  const [, , answer] = yield* client.next(["COUNT", "c"])
  return answer as Count
})

const { pubkey } = keyOf("counted")
const target = keyOf("followed").pubkey

layer(relay({ limits: { limitMax: 5, filtersMax: 4 } }), { excludeTestServices: true })("NIP-45", (it) => {
  it.effect("61. counts events that match any filter, each once, beyond every limit", () =>
    Effect.gen(function*() {
      const client = yield* dial
      const events = notes(20, "counted")
      for (const event of events) yield* client.publish(event)
      const authors = [pubkey]
      assert.deepStrictEqual(yield* count(client, { authors }), { count: 20 })
      assert.deepStrictEqual(yield* count(client, { authors, kinds: [1] }, { ids: [events[0]!.id] }), { count: 20 })
      assert.deepStrictEqual(yield* count(client, { authors, kinds: [0] }), { count: 0 })
      assert.deepStrictEqual(yield* count(client, { authors, since: events[4]!.created_at }), { count: 5 })
    }))

  for (
    const [name, filters] of Object.entries({
      "no filter": [],
      "an unknown element": [{ kind: [1] }],
      "a filter that is none": ["all"],
      "too many filters": Array.from({ length: 5 }, () => ({})),
      "private kinds": [{ kinds: [1059] }]
    })
  ) {
    it.effect(`61. refuses ${name} with CLOSED, and gives no number`, () =>
      Effect.gen(function*() {
        const client = yield* dial
        yield* client.send(["COUNT", "refused", ...filters])
        assert.match(
          String((yield* client.next(["CLOSED", "refused"]))[2]),
          /^(?:invalid|unsupported|auth-required): /u
        )
        assert.isFalse(client.received().some(([type]) => type === "COUNT" || type === "NOTICE"))
      }))
  }

  it.effect("62. counts authors in registers, as nostr-tools does, for one tag condition only", () =>
    Effect.gen(function*() {
      const client = yield* dial
      const followers = Array.from(
        { length: 300 },
        (_, i) => signed({ kind: 3, tags: [["p", target]] }, `follower ${i}`)
      )
      for (const event of followers) yield* client.send(["EVENT", event])
      for (const event of followers) yield* client.next(["OK", event.id, true])

      const answer = yield* count(client, { kinds: [3], "#p": [target] })
      assert.strictEqual(answer.count, followers.length)
      let registers = new Uint8Array(256)
      for (const { pubkey } of followers) {
        registers = new Uint8Array(feedPubkey(registers, pubkey, computeOffset(target)))
      }
      assert.strictEqual(answer.hll, hllEncode(registers))
      assert.approximately(estimateCount(hllDecode(answer.hll ?? "") ?? registers), followers.length, 60)

      for (
        const filters of [
          [{ kinds: [3] }],
          [{ "#p": [target], "#t": ["x"] }],
          [{ "#p": [target] }, { kinds: [3] }],
          [{ "#p": [] }]
        ]
      ) {
        assert.notProperty(yield* count(client, ...filters), "hll")
      }
    }))
})
