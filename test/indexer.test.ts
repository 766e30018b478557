/** The relay as an indexer: what clients expect of the relays in a kind 10086 list, over a real socket. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { nip11, SimplePool } from "nostr-tools"
import { RelayAddress } from "../src/websocket/RelayServer.ts"
import { dmRelaysEvent, epoch, keyOf, profileEvent, relayListEvent, signed } from "./support/events.ts"
import { relay } from "./support/relay.ts"
import { connect } from "./support/TestClient.ts"

const known = Array.from({ length: 150 }, (_, n) => `indexed ${n}`)
const unknown = Array.from({ length: 350 }, (_, n) => keyOf(`not indexed ${n}`).pubkey)

/** Profile, relays to write to, relays for messages: what others have to know of an author. */
const published = known.map((author) => [
  profileEvent({ name: author }, author),
  relayListEvent({ write: ["wss://one.example"] }, author),
  dmRelaysEvent(["wss://two.example"], author)
])

layer(relay({ admission: "profiles", pictures: "off", proof: "off" }), { excludeTestServices: true })(
  "an indexer relay (kind 10086)",
  (it) => {
    it.effect(
      "answers for 500 authors at once: the newest of each kind, nothing else, and that this is all",
      () =>
        Effect.gen(function*() {
          const { url } = yield* RelayAddress
          const client = yield* connect(url)
          const newer = profileEvent({ name: "newer" }, known[0], { created_at: epoch + 1 })
          for (const event of [...published.flat(), newer]) assert.isTrue((yield* client.publish(event))[2])
          const authors = [...known.map((author) => keyOf(author).pubkey), ...unknown]
          // As clients ask: no limit, kinds that we may not have, from somebody who has not said who they are.
          const { end, events } = yield* client.req("index", { kinds: [0, 3, 10_002, 10_050], authors })
          const expected = [newer, ...published.flat().filter(({ id }) => id !== published[0]![0]!.id)]
          assert.sameMembers(events.map(({ id }) => id), expected.map(({ id }) => id))
          assert.deepStrictEqual(end, ["EOSE", "index", ["finish"]])
          assert.isFalse(client.received().some(([type]) => type === "AUTH"))
          // "There is none" is an answer too: who finds no kind 10050 must not send (NIP-17).
          const none = yield* client.req("none", { kinds: [10_050], authors: [unknown[0]] })
          assert.deepStrictEqual([none.events, none.end], [[], ["EOSE", "none", ["finish"]]])
        }),
      40_000
    )

    it.effect("can be listed with and without a final slash, and found by a pool of such relays", () =>
      Effect.gen(function*() {
        const { url } = yield* RelayAddress
        const pool = yield* Effect.acquireRelease(
          Effect.sync(() => new SimplePool()),
          (open) => Effect.sync(() => open.destroy())
        )
        for (const listed of [url, `${url}/`]) {
          yield* connect(listed)
          const found = yield* Effect.promise(() =>
            pool.get([listed], { kinds: [10_002], authors: [keyOf(known[7]!).pubkey] })
          )
          assert.strictEqual(found?.id, published[7]![1]!.id)
        }
      }))

    it.effect("says in its NIP-11 document what it has, that anybody may read, and how large a question may be", () =>
      Effect.gen(function*() {
        const { url } = yield* RelayAddress
        const document = yield* Effect.promise(() => nip11.fetchRelayInformation(url))
        assert.match(document.description, /kinds 0, 10002 and 10050/u)
        assert.containSubset(document, {
          limitation: { auth_required: false, payment_required: false, restricted_writes: true }
        })
        assert.isAtLeast(document.limitation?.max_limit ?? 0, 500 * 4)
        assert.isAtLeast(document.limitation?.max_message_length ?? 0, 500 * 67 + 200)
        assert.includeMembers(document.supported_nips, [1, 11, 45, 50, 65, 67, 77])
      }))
  }
)

const list = (kind: number, author = "lister", created_at = epoch) =>
  signed({ kind, created_at, tags: [["p", "a".repeat(64)]] }, author)

layer(relay({ admission: "profiles", pictures: "off", proof: "off", listKinds: [3, 10_000, 10_002] }), {
  excludeTestServices: true
})("an indexer of other lists (LIST_KINDS)", (it) => {
  it.effect("keeps those of authors whose profile is kept, one of each, and no others", () =>
    Effect.gen(function*() {
      const client = yield* connect((yield* RelayAddress).url)
      assert.isFalse((yield* client.publish(list(3)))[2])
      assert.isTrue((yield* client.publish(profileEvent({ name: "lister" }, "lister")))[2])
      const [follows, mutes] = [list(3, "lister", epoch + 1), list(10_000)]
      for (const event of [list(3), follows, mutes]) assert.isTrue((yield* client.publish(event))[2])
      const [, , isTaken, reply] = yield* client.publish(dmRelaysEvent(["wss://two.example"], "lister"))
      assert.deepStrictEqual([isTaken, reply], [false, "blocked: kind is not kept here"])
      const { events } = yield* client.req("lists", { authors: [keyOf("lister").pubkey], kinds: [3, 10_000, 10_050] })
      assert.sameMembers(events.map(({ id }) => id), [follows.id, mutes.id])
    }))
})
