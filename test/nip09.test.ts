/** NIP-09 over a real socket: what authors take back stays away. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import type { Event } from "../src/domain/Event.ts"
import { RelayAddress } from "../src/websocket/RelayServer.ts"
import {
  deletionEvent,
  dmRelaysEvent,
  epoch,
  keyOf,
  notes,
  profileEvent,
  relayListEvent,
  signed
} from "./support/events.ts"
import { relay } from "./support/relay.ts"
import { connect, type TestClient } from "./support/TestClient.ts"

const dial = Effect.flatMap(RelayAddress, ({ url }) => connect(url))

const stored = (client: TestClient, author: string) =>
  client.req("stored", { authors: [keyOf(author).pubkey] }).pipe(
    Effect.map(({ events }) => events.map(({ id }) => id)),
    // Or what comes live would be taken for stored by the next look.
    Effect.tap(client.send(["CLOSE", "stored"]))
  )

/** Asks for the removal of addresses. */
const deletionOf = (addresses: ReadonlyArray<string>, author: string, created_at: number) =>
  signed({ kind: 5, created_at, tags: addresses.map((address) => ["a", address]) }, author)

const version = (created_at: number) => signed({ kind: 30_023, tags: [["d", "a:b"]], created_at }, "addresses")

const note = (content: string, author: string) => signed({ content }, author)

const refused = Effect.fnUntraced(function*(client: TestClient, event: Event) {
  const [, , accepted, reply] = yield* client.publish(event)
  assert.isFalse(accepted)
  assert.match(String(reply), /^blocked: /u)
})

layer(relay(), { excludeTestServices: true })("NIP-09", (it) => {
  it.effect("24. removes its author's events by id, and nobody else's", () =>
    Effect.gen(function*() {
      const client = yield* dial
      const [mine, yours] = [note("mine", "deleter"), note("yours", "bystander")]
      for (const event of [mine, yours]) yield* client.publish(event)
      const deletion = deletionEvent([mine.id, yours.id], "deleter")
      assert.isTrue((yield* client.publish(deletion))[2])
      assert.deepStrictEqual(yield* stored(client, "deleter"), [deletion.id])
      assert.deepStrictEqual(yield* stored(client, "bystander"), [yours.id])
      yield* refused(client, mine)
    }))

  it.effect("24. refuses an event that was deleted before it came", () =>
    Effect.gen(function*() {
      const client = yield* dial
      const [late, other] = [note("late", "early deleter"), note("late", "somebody else")]
      yield* client.publish(deletionEvent([late.id, other.id], "early deleter"))
      yield* refused(client, late)
      assert.isTrue((yield* client.publish(other))[2], "of another author")
    }))

  it.effect("25, 30. removes versions of an address up to its own time, and takes newer ones", () =>
    Effect.gen(function*() {
      const client = yield* dial
      const { pubkey } = keyOf("addresses")
      yield* client.publish(version(epoch + 10))
      yield* client.publish(deletionOf([`30023:${pubkey}:a:b`], "addresses", epoch + 9))
      const ask = Effect.map(client.req("a", { kinds: [30_023], authors: [pubkey] }), ({ events }) => events)
      assert.deepStrictEqual(yield* ask, [version(epoch + 10)], "newer than the request")
      yield* client.publish(deletionOf([`30023:${pubkey}:a:b`], "addresses", epoch + 10))
      assert.deepStrictEqual(yield* ask, [])
      yield* refused(client, version(epoch + 10))
      assert.isTrue((yield* client.publish(version(epoch + 11)))[2])
    }))

  it.effect("26. removes profiles and relay lists by their address", () =>
    Effect.gen(function*() {
      const client = yield* dial
      const { pubkey } = keyOf("leaves")
      const events = [
        profileEvent({}, "leaves"),
        relayListEvent({ read: ["wss://relay.example"] }, "leaves"),
        dmRelaysEvent(["wss://relay.example"], "leaves")
      ]
      for (const event of events) yield* client.publish(event)
      const deletion = deletionOf([0, 10_002, 10_050].map((kind) => `${kind}:${pubkey}:`), "leaves", epoch)
      yield* client.publish(deletion)
      assert.deepStrictEqual(yield* stored(client, "leaves"), [deletion.id])
    }))

  it.effect("27. ignores an address of somebody else, and heeds the others", () =>
    Effect.gen(function*() {
      const client = yield* dial
      const [mine, yours] = [profileEvent({}, "heeded"), profileEvent({}, "unheeded")]
      for (const event of [mine, yours]) yield* client.publish(event)
      const deletion = deletionOf([`0:${yours.pubkey}:`, `0:${mine.pubkey}:`], "heeded", epoch + 1)
      assert.isTrue((yield* client.publish(deletion))[2])
      assert.deepStrictEqual(yield* stored(client, "heeded"), [deletion.id])
      assert.deepStrictEqual(yield* stored(client, "unheeded"), [yours.id])
    }))

  it.effect("28. stores, serves and announces the request itself", () =>
    Effect.gen(function*() {
      const [reader, writer] = [yield* dial, yield* dial]
      const deletion = deletionEvent(["1".repeat(64)], "announced")
      yield* reader.req("live", { kinds: [5], authors: [deletion.pubkey] })
      yield* writer.publish(deletion)
      assert.deepStrictEqual(yield* reader.next("EVENT"), ["EVENT", "live", deletion])
      assert.deepStrictEqual((yield* reader.req("later", { kinds: [5], authors: [deletion.pubkey] })).events, [
        deletion
      ])
    }))

  it.effect("29. does nothing to another request", () =>
    Effect.gen(function*() {
      const client = yield* dial
      const event = note("gone for good", "second thoughts")
      yield* client.publish(event)
      const deletion = deletionEvent([event.id], "second thoughts")
      yield* client.publish(deletion)
      const second = deletionEvent([deletion.id], "second thoughts", epoch + 2)
      assert.isTrue((yield* client.publish(second))[2])
      assert.deepStrictEqual(yield* stored(client, "second thoughts"), [second.id, deletion.id])
      yield* refused(client, event)
    }))

  it.effect("removes a thousand events at once", () =>
    Effect.gen(function*() {
      const client = yield* dial
      const events = notes(1000, "thousand")
      for (const event of events) yield* client.send(["EVENT", event])
      for (const event of events) yield* client.next(["OK", event.id, true])
      const deletion = deletionEvent(events.map(({ id }) => id), "thousand")
      assert.isTrue((yield* client.publish(deletion))[2])
      assert.deepStrictEqual(yield* stored(client, "thousand"), [deletion.id])
    }))
})

layer(relay({ admission: "profiles", pictures: "off", proof: "off" }), { excludeTestServices: true })(
  "NIP-09 where profiles are kept",
  (it) => {
    it.effect("31. takes deletions, of profiles whose author is not known here too", () =>
      Effect.gen(function*() {
        const client = yield* dial
        const profile = profileEvent({}, "kept")
        assert.isTrue((yield* client.publish(profile))[2])
        assert.isTrue((yield* client.publish(deletionEvent([profile.id], "kept")))[2])
        assert.deepStrictEqual((yield* client.req("a", { kinds: [0], authors: [profile.pubkey] })).events, [])
        yield* refused(client, profile)
        const { pubkey } = keyOf("unknown")
        assert.isTrue((yield* client.publish(deletionOf([`0:${pubkey}:`], "unknown", epoch)))[2])
        yield* refused(client, profileEvent({}, "unknown"))
      }))
  }
)
