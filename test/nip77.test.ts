/** NIP-77 over a real socket, against the client of nostr-tools. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { nip77 } from "nostr-tools"
import type { Event } from "../src/domain/Event.ts"
import { RelayAddress } from "../src/websocket/RelayServer.ts"
import { deletionEvent, epoch, keyOf, notes, profileEvent, signed } from "./support/events.ts"
import { relay } from "./support/relay.ts"
import { connect, type TestClient } from "./support/TestClient.ts"

const dial = Effect.flatMap(RelayAddress, ({ url }) => connect(url))

const syncItemsMax = 60

interface Differences {
  readonly have: ReadonlyArray<string>
  readonly need: ReadonlyArray<string>
}

const negentropyOf = (events: ReadonlyArray<Event>) => {
  const storage = new nip77.NegentropyStorageVector()
  for (const { created_at, id } of events) storage.insert(created_at, id)
  storage.seal()
  return new nip77.Negentropy(storage, 50_000)
}

/** What the relay says that the client has alone, and lacks. */
const reconcile = Effect.fnUntraced(function*(client: TestClient, filter: object, events: ReadonlyArray<Event>) {
  const negentropy = negentropyOf(events)
  const have = new Set<string>()
  const need = new Set<string>()
  yield* client.send(["NEG-OPEN", "sync", filter, negentropy.initiate()])
  for (;;) {
    const [type, , message] = yield* client.next(([type, id]) => String(type).startsWith("NEG-") && id === "sync")
    assert.strictEqual(type, "NEG-MSG")
    const next = negentropy.reconcile(String(message), (id) => void have.add(id), (id) => void need.add(id))
    if (next === null) break
    yield* client.send(["NEG-MSG", "sync", next])
  }
  yield* client.send(["NEG-CLOSE", "sync"])
  return { have: [...have].toSorted(), need: [...need].toSorted() } satisfies Differences
})

const ids = (events: ReadonlyArray<Event>) => events.map(({ id }) => id).toSorted()

const publishAll = (client: TestClient, events: ReadonlyArray<Event>) =>
  Effect.forEach(events, (event) => client.publish(event), { discard: true })

layer(relay({ limits: { syncItemsMax } }), { excludeTestServices: true })("NIP-77", (it) => {
  describe("as a server", () => {
    it.effect("tells both sides' differences", () =>
      Effect.gen(function*() {
        const client = yield* dial
        const all = notes(50, "both sides")
        yield* publishAll(client, all.slice(0, 40))
        const filter = { authors: [keyOf("both sides").pubkey] }
        assert.deepStrictEqual(yield* reconcile(client, filter, all.slice(20)), {
          have: ids(all.slice(40)),
          need: ids(all.slice(0, 20))
        })
      }))

    it.effect("finds nothing between equal sets, and everything against an empty one", () =>
      Effect.gen(function*() {
        const client = yield* dial
        const all = notes(30, "equal sets")
        yield* publishAll(client, all)
        const filter = { authors: [keyOf("equal sets").pubkey] }
        assert.deepStrictEqual(yield* reconcile(client, filter, all), { have: [], need: [] })
        assert.deepStrictEqual(yield* reconcile(client, filter, []), { have: [], need: ids(all) })
      }))

    it.effect("has a new event in the next reconciliation, and no replaced or deleted one", () =>
      Effect.gen(function*() {
        const client = yield* dial
        const [first, second] = [0, 1].map((n) => profileEvent({ name: `${n}` }, "moving", { created_at: epoch + n }))
        const since = epoch - 1
        const filter = { kinds: [0], authors: [keyOf("moving").pubkey] }
        for (const asked of [filter, { kinds: [0], since, until: epoch + 10 }]) {
          yield* reconcile(client, asked, [])
        }
        yield* client.publish(first!)
        assert.deepStrictEqual((yield* reconcile(client, filter, [])).need, [first!.id])
        yield* client.publish(second!)
        assert.deepStrictEqual((yield* reconcile(client, filter, [])).need, [second!.id])
        assert.deepStrictEqual((yield* reconcile(client, { kinds: [0], since, until: epoch + 10 }, [])).need, [
          second!.id
        ])
        assert.deepStrictEqual((yield* reconcile(client, { kinds: [0], since, until: epoch }, [])).need, [])
        yield* client.publish(deletionEvent([second!.id], "moving", epoch + 20))
        assert.deepStrictEqual((yield* reconcile(client, filter, [])).need, [])
      }))

    it.effect("20. has no expired event", () =>
      Effect.gen(function*() {
        const client = yield* dial
        const expiration = Math.floor(Date.now() / 1000) + 1
        const brief = signed({ content: "brief", tags: [["expiration", String(expiration)]] }, "brief")
        const filter = { authors: [brief.pubkey] }
        assert.isTrue((yield* client.publish(brief))[2])
        assert.deepStrictEqual((yield* reconcile(client, filter, [])).need, [brief.id])
        yield* Effect.sleep(1000 * expiration + 20 - Date.now())
        assert.deepStrictEqual((yield* reconcile(client, filter, [])).need, [])
      }))

    it.effect("67. takes as many events as its cap, and says NEG-ERR with the cap for one more", () =>
      Effect.gen(function*() {
        const client = yield* dial
        const all = notes(syncItemsMax + 1, "cap")
        yield* publishAll(client, all.slice(1))
        const filter = { authors: [keyOf("cap").pubkey] }
        assert.deepStrictEqual((yield* reconcile(client, filter, [])).need, ids(all.slice(1)))
        yield* publishAll(client, all.slice(0, 1))
        yield* client.send(["NEG-OPEN", "big", filter, negentropyOf([]).initiate()])
        const refusal = yield* client.next("NEG-ERR")
        assert.deepStrictEqual([refusal[1], refusal[3]], ["big", syncItemsMax])
        assert.match(String(refusal[2]), /^blocked: /u)
        const window = { ...filter, since: epoch - 10 }
        assert.deepStrictEqual(
          (yield* reconcile(client, window, [])).need,
          ids(all.slice(0, 11)),
          "a window of it is fine"
        )
      }))

    it.effect("67. answers another version of the protocol with its own", () =>
      Effect.gen(function*() {
        const client = yield* dial
        yield* client.send(["NEG-OPEN", "version", { kinds: [7] }, "62aabb"])
        assert.deepStrictEqual(yield* client.next("NEG-MSG"), ["NEG-MSG", "version", "61"])
      }))

    it.effect("66. says closed of an id that is not open, and keeps ids apart from those of REQ", () =>
      Effect.gen(function*() {
        const client = yield* dial
        yield* client.send(["NEG-MSG", "a", "61"])
        assert.match(String((yield* client.next(["NEG-ERR", "a"]))[2]), /^closed: /u)
        yield* client.req("a", { authors: [keyOf("apart").pubkey] })
        yield* client.send(["NEG-OPEN", "a", { kinds: [1], limit: 1 }, negentropyOf([]).initiate()])
        yield* client.next(["NEG-MSG", "a"])
        yield* client.send(["NEG-CLOSE", "a"])
        const event = signed({ content: "live still" }, "apart")
        yield* client.publish(event)
        assert.deepStrictEqual(yield* client.next("EVENT"), ["EVENT", "a", event])
        yield* client.send(["NEG-MSG", "a", "61"])
        assert.match(String((yield* client.next(["NEG-ERR", "a"]))[2]), /^closed: /u)
      }))

    it.effect("66. starts again on an open id", () =>
      Effect.gen(function*() {
        const client = yield* dial
        const all = notes(3, "again")
        yield* publishAll(client, all)
        for (const event of all.slice(0, 2)) {
          yield* client.send(["NEG-OPEN", "sync", { ids: [event.id] }, negentropyOf([]).initiate()])
        }
        const filter = { authors: [keyOf("again").pubkey] }
        // Answers to what was replaced may come or not; the last one decides.
        yield* client.send(["NEG-OPEN", "sync", filter, negentropyOf(all).initiate()])
        yield* client.send(["NEG-OPEN", "other", { ids: [] }, negentropyOf([]).initiate()])
        yield* client.next(["NEG-MSG", "other"])
        yield* client.next(["NEG-MSG", "sync"])
        assert.isFalse(client.received().some(([type]) => type === "NEG-ERR"))
      }))

    for (
      const [name, filter, message, expected] of [
        ["a filter with an unknown element", { kind: [1] }, "61", /^unsupported: /u],
        ["a filter that is none", 7, "61", /^invalid: /u],
        ["a search", { search: "boats" }, "61", /^unsupported: /u],
        ["private kinds of a stranger", { kinds: [1059] }, "61", /^auth-required: /u],
        ["a message that is not hex", { kinds: [1] }, "6", /^invalid: /u],
        ["a message that is cut off", { kinds: [7] }, "610002", /^invalid: /u],
        ["an empty message", { kinds: [1] }, "", /^invalid: /u]
      ] as const
    ) {
      it.effect(`66. refuses ${name} with NEG-ERR, and nothing else`, () =>
        Effect.gen(function*() {
          const client = yield* dial
          yield* client.send(["NEG-OPEN", "refused", filter, message])
          const refusal = yield* client.next("NEG-ERR")
          assert.strictEqual(refusal[1], "refused")
          assert.match(String(refusal[2]), expected)
          assert.isFalse(client.received().some(([type]) => type === "NOTICE" || type === "CLOSED"))
        }))
    }

    it.effect("refuses more than eight at once, and takes one again when one is closed", () =>
      Effect.gen(function*() {
        const client = yield* dial
        const open = (id: string) => client.send(["NEG-OPEN", id, { ids: [] }, negentropyOf([]).initiate()])
        for (let i = 0; i < 8; i++) {
          yield* open(`s${i}`)
          yield* client.next(["NEG-MSG", `s${i}`])
        }
        yield* open("one more")
        assert.match(String((yield* client.next("NEG-ERR"))[2]), /^rate-limited: /u)
        yield* client.send(["NEG-CLOSE", "s3"])
        yield* open("one more")
        yield* client.next(["NEG-MSG", "one more"])
      }))
  })
})

layer(relay({ limits: { syncItemsMax: 0 } }), { excludeTestServices: true })("NIP-77 turned off", (it) => {
  it.effect("66. is NEG-ERR, and not in supported_nips", () =>
    Effect.gen(function*() {
      const client = yield* dial
      yield* client.send(["NEG-OPEN", "a", {}, negentropyOf([]).initiate()])
      assert.match(String((yield* client.next(["NEG-ERR", "a"]))[2]), /^blocked: /u)
      const document = yield* Effect.promise(() =>
        fetch(client.url.replace("ws", "http"), { headers: { accept: "application/nostr+json" } })
          .then((response) => response.json())
      )
      assert.notInclude((document as { readonly supported_nips: ReadonlyArray<number> }).supported_nips, 77)
    }))
})
