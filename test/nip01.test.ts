/** NIP-01 as a client sees it, section by section, over a real socket. */
import { assert, describe, layer } from "@effect/vitest"
import { schnorr } from "@noble/curves/secp256k1.js"
import { Effect, Layer } from "effect"
import { hash } from "node:crypto"
import { Database, DatabaseError } from "../src/database/Database.ts"
import * as SqliteDatabase from "../src/database/sqlite/SqliteDatabase.ts"
import { canonical, type Event } from "../src/domain/Event.ts"
import { RelayAddress } from "../src/websocket/RelayServer.ts"
import { epoch, keyOf, notes, profileEvent, signed, withEditedContent, withForgedSignature } from "./support/events.ts"
import { relay } from "./support/relay.ts"
import { connect, type Message } from "./support/TestClient.ts"

const dial = Effect.flatMap(RelayAddress, ({ url }) => connect(url))

const limits = {
  subscriptionsMax: 4,
  filtersMax: 3,
  filterValuesMax: 100,
  limitMax: 20,
  limitDefault: 10,
  eventTagsMax: 50,
  contentMax: 1000,
  frameBytesMax: 16_384
}

/** Of the curve's group (BIP-340). */
const order = 0xffff_ffff_ffff_ffff_ffff_ffff_ffff_fffe_baae_dce6_af48_a03b_bfd2_5e8c_d036_4141n

const version = (n: number) => profileEvent({ name: `v${n}` }, "replaceable", { created_at: epoch + n })

const addressable = (d: string, created_at: number) =>
  signed({ kind: 30_023, tags: [["d", d]], created_at }, "addressable")

/** Nothing but the answers: what was sent between a request and the answer to a later one. */
const until = (received: ReadonlyArray<Message>, last: string) =>
  received.slice(0, received.findIndex(([type, id]) => type === "EOSE" && id === last)).filter(([type]) =>
    type !== "AUTH"
  )

/** Its reads fail while the flag is up. */
const brokenReads = { now: false }
const failing = Layer.effect(
  Database,
  Effect.map(Database, (database) => ({
    ...database,
    query: (...args: Parameters<typeof database.query>) =>
      Effect.suspend(() =>
        brokenReads.now
          ? Effect.fail(new DatabaseError({ operation: "read", cause: new Error("the disk is gone") }))
          : database.query(...args)
      )
  }))
).pipe(Layer.provide(SqliteDatabase.layerMemory))

layer(relay({ limits }, failing), { excludeTestServices: true })("NIP-01", (it) => {
  describe("a store that cannot be read", () => {
    it.effect("44. is CLOSED with error, without EOSE, and nothing comes by that name any more", () =>
      Effect.gen(function*() {
        const client = yield* dial
        brokenReads.now = true
        yield* Effect.addFinalizer(() => Effect.sync(() => brokenReads.now = false))
        yield* client.send(["REQ", "a", {}])
        const [, , reply] = yield* client.next(["CLOSED", "a"])
        assert.match(String(reply), /^error: /u)
        brokenReads.now = false
        yield* client.publish(signed({ content: "after the failure" }, "unread"))
        yield* client.req("b", { ids: [] })
        assert.isFalse(client.received().some(([type, id]) => id === "a" && (type === "EOSE" || type === "EVENT")))
        assert.strictEqual((yield* client.req("a", { authors: [keyOf("unread").pubkey] })).events.length, 1)
      }))
  })

  describe("Events and signatures", () => {
    it.effect("accepts a valid event with OK true and an empty reason", () =>
      Effect.gen(function*() {
        const client = yield* dial
        const event = signed({ content: "first" }, "valid")
        assert.deepStrictEqual(yield* client.publish(event), ["OK", event.id, true, ""])
      }))

    it.effect("3, 4. serves an event as it was signed, unknown keys left out", () =>
      Effect.gen(function*() {
        const client = yield* dial
        const event = signed(
          { content: "\" \\ \n \t / \u007f \u2028 é 日本 🐢", tags: [["t", "a", "b"], ["x"]] },
          "as it was"
        )
        yield* client.send(["EVENT", { ...event, likes: 3 }])
        yield* client.next(["OK", event.id, true])
        const { events } = yield* client.req("a", { ids: [event.id] })
        assert.deepStrictEqual(events, [event])
      }))

    it.effect("8. refuses other content under the same id, and a forged signature, as invalid", () =>
      Effect.gen(function*() {
        const client = yield* dial
        const event = signed({ content: "mine" }, "forged")
        for (const wrong of [withEditedContent(event), withForgedSignature(event)]) {
          const [, id, accepted, reply] = yield* client.publish(wrong)
          assert.deepStrictEqual([id, accepted], [wrong.id, false])
          assert.match(String(reply), /^invalid: /u)
        }
        assert.deepStrictEqual((yield* client.req("a", { ids: [event.id] })).events, [])
      }))

    for (
      const [name, edit] of Object.entries({
        "1. refuses an upper-case id": { id: "A".repeat(64) },
        "1. refuses an upper-case pubkey": { pubkey: "B".repeat(64) },
        "1. refuses a short signature": { sig: "ab" },
        "5. refuses a negative created_at": { created_at: -1 },
        "5. refuses a fraction in created_at": { created_at: 1.5 },
        "5. refuses an unsafe integer in created_at": { created_at: 2 ** 53 },
        "6. refuses a kind of 65536": { kind: 65_536 },
        "6. refuses a kind of -1": { kind: -1 },
        "7. refuses a null in a tag": { tags: [["t", null]] },
        "7. refuses a number in a tag": { tags: [["t", 1]] },
        "7. refuses an empty tag": { tags: [[]] },
        "7. refuses tags that are an object": { tags: {} },
        "11. refuses no content": { content: undefined },
        "11. refuses one tag too many": { tags: Array.from({ length: limits.eventTagsMax + 1 }, () => ["t"]) },
        "23. refuses one character too many": { content: "é".repeat(limits.contentMax + 1) }
      })
    ) {
      it.effect(`${name} with one OK false that begins with invalid`, () =>
        Effect.gen(function*() {
          const client = yield* dial
          const event = { ...signed({}, "shape"), ...edit }
          yield* client.send(["EVENT", event])
          const [, , accepted, reply] = yield* client.next(["OK", event.id])
          assert.isFalse(accepted)
          assert.match(String(reply), /^invalid: /u)
          yield* client.req("end", { limit: 0 })
          assert.strictEqual(client.received().filter(([type]) => type === "OK").length, 1)
        }))
    }

    it.effect("23. accepts content of exactly the advertised number of characters", () =>
      Effect.gen(function*() {
        const client = yield* dial
        const event = signed({ content: "🐢".repeat(limits.contentMax) }, "full")
        assert.isTrue((yield* client.publish(event))[2])
      }))

    it.effect("9. answers an event without a usable id with a NOTICE", () =>
      Effect.gen(function*() {
        const client = yield* dial
        yield* client.send(["EVENT", { content: "who am I" }])
        assert.match(String((yield* client.next("NOTICE"))[1]), /^invalid: /u)
      }))

    it.effect("21. refuses an event from too far in the future", () =>
      Effect.gen(function*() {
        const client = yield* dial
        const created_at = Math.floor(Date.now() / 1000) + 3600
        const [, , accepted, reply] = yield* client.publish(signed({ created_at }, "future"))
        assert.isFalse(accepted)
        assert.match(String(reply), /^invalid: /u)
      }))

    it.effect("2. hashes control characters escaped, as clients do, and refuses the id of the raw form", () =>
      Effect.gen(function*() {
        const client = yield* dial
        const event = signed({ content: "a\u0001b\u001f\n\t" }, "control")
        assert.isTrue((yield* client.publish(event))[2])
        assert.deepStrictEqual((yield* client.req("a", { ids: [event.id] })).events, [event])

        const { content, created_at, kind, pubkey, tags } = event
        const escaped = JSON.stringify([0, pubkey, created_at, kind, tags, content])
        const id = hash("sha256", escaped.replace("\\u0001", "\u0001").replace("\\u001f", "\u001f"))
        const sig = Buffer.from(schnorr.sign(Buffer.from(id, "hex"), keyOf("control").secret)).toString("hex")
        const [, , accepted, reply] = yield* client.publish({ ...event, id, sig })
        assert.isFalse(accepted)
        assert.match(String(reply), /^invalid: /u)
      }))

    it.effect("2. refuses NUL and lone surrogates, which not every store keeps", () =>
      Effect.gen(function*() {
        const client = yield* dial
        for (const content of ["a\0b", "a\ud800b"]) {
          const [, , accepted, reply] = yield* client.publish(signed({ content }, "control"))
          assert.isFalse(accepted)
          assert.match(String(reply), /^invalid: /u)
        }
      }))

    it.effect("4. takes the last of a key that comes twice, which is what was signed or is refused", () =>
      Effect.gen(function*() {
        const client = yield* dial
        const event = signed({ content: "twice" }, "twice")
        const text = JSON.stringify(event)
        yield* client.sendRaw(`["EVENT",${text.replace("{", "{\"content\":\"first\",")}]`)
        yield* client.next(["OK", event.id, true])
        const served = client.received().length
        yield* client.req("a", { ids: [event.id] })
        assert.deepStrictEqual(client.received().slice(served)[0], ["EVENT", "a", event])
        const other = signed({ content: "other" }, "twice")
        yield* client.sendRaw(`["EVENT",${JSON.stringify(other).replace(/\}$/u, ",\"content\":\"last\"}")}]`)
        yield* client.next(["OK", other.id, false])
      }))

    it.effect("5. reads an integer however JSON writes it", () =>
      Effect.gen(function*() {
        const client = yield* dial
        const event = signed({ content: "e", created_at: 1_700_000_000 }, "integer")
        for (const written of ["1.7e9", "1700000000.0"]) {
          yield* client.sendRaw(`["EVENT",${JSON.stringify(event).replace("1700000000", written)}]`)
          yield* client.next(["OK", event.id, true])
        }
        assert.deepStrictEqual((yield* client.req("a", { ids: [event.id] })).events, [event])
      }))

    it.effect("8. answers every broken signature and key as invalid", () =>
      Effect.gen(function*() {
        const client = yield* dial
        const event = signed({ content: "broken" }, "broken")
        const [r, s] = [event.sig.slice(0, 64), event.sig.slice(64)]
        const negated = ((order - BigInt(`0x${s}`)) % order).toString(16).padStart(64, "0")
        const offCurve = { pubkey: "0".repeat(63) + "5", created_at: epoch, kind: 1, tags: [], content: "" }
        for (
          const wrong of [
            { ...event, sig: r + negated },
            { ...event, sig: r + order.toString(16) },
            { ...event, sig: r + "f".repeat(64) },
            { ...event, sig: "f".repeat(64) + s },
            { ...event, sig: "0".repeat(128) },
            { ...offCurve, id: hash("sha256", canonical(offCurve)), sig: event.sig },
            { ...event, pubkey: "f".repeat(64) }
          ]
        ) {
          const [, id, accepted, reply] = yield* client.publish(wrong)
          assert.deepStrictEqual([id, accepted], [wrong.id, false])
          assert.match(String(reply), /^invalid: /u)
        }
      }))

    it.effect("23. counts a message in bytes", () =>
      Effect.gen(function*() {
        const client = yield* dial
        // Under the limit in characters, over it in bytes.
        yield* client.sendRaw(JSON.stringify(["REQ", "a", { "#t": ["é".repeat(limits.frameBytesMax - 1000)] }]))
        assert.strictEqual((yield* client.closed()).code, 1009)
      }))
  })

  describe("Kinds", () => {
    it.effect("12, 16. keeps only the newest profile of an author, and neither stores nor announces an older one", () =>
      Effect.gen(function*() {
        const client = yield* dial
        const { pubkey } = keyOf("replaceable")
        const newest = version(2)
        yield* client.publish(version(0))
        yield* client.publish(newest)
        yield* client.req("live", { kinds: [0], authors: [pubkey], limit: 0 })
        for (const older of [version(1), version(0)]) {
          const [, , accepted, reply] = yield* client.publish(older)
          assert.isFalse(accepted)
          assert.strictEqual(reply, "invalid: a newer version is stored")
        }
        assert.isFalse(client.received().some(([type, id]) => type === "EVENT" && id === "live"))
        const { events } = yield* client.req("a", { kinds: [0], authors: [pubkey] })
        assert.deepStrictEqual(events, [newest])
      }))

    it.effect("13. keeps the lowest id of two profiles of the same second, whichever came first", () =>
      Effect.gen(function*() {
        const client = yield* dial
        for (const author of ["tie one", "tie two"]) {
          const [one, two] = [profileEvent({ name: "one" }, author), profileEvent({ name: "two" }, author)]
          const [low, high] = one.id < two.id ? [one, two] : [two, one]
          for (const event of author === "tie one" ? [low, high] : [high, low]) yield* client.publish(event)
          const { events } = yield* client.req("a", { kinds: [0], authors: [low.pubkey] })
          assert.deepStrictEqual(events, [low])
        }
      }))

    it.effect("keeps one addressable event per d tag", () =>
      Effect.gen(function*() {
        const client = yield* dial
        const [a1, a2, b] = [addressable("a", epoch), addressable("a", epoch + 1), addressable("b", epoch)]
        for (const event of [a1, a2, b]) yield* client.publish(event)
        const { events } = yield* client.req("a", { kinds: [30_023], authors: [a1.pubkey] })
        assert.deepStrictEqual(events.map(({ id }) => id), [a2.id, b.id])
      }))

    it.effect("17. sends ephemeral events to open subscriptions, stores none, and says mute where nobody listens", () =>
      Effect.gen(function*() {
        const [reader, writer] = [yield* dial, yield* dial]
        const event = signed({ kind: 20_001, created_at: Math.floor(Date.now() / 1000) }, "ephemeral")
        yield* reader.req("live", { kinds: [20_001] })
        assert.isTrue((yield* writer.publish(event))[2])
        assert.deepStrictEqual(yield* reader.next("EVENT"), ["EVENT", "live", event])
        assert.deepStrictEqual((yield* reader.req("stored", { kinds: [20_001] })).events, [])
        const unheard = signed({ kind: 20_002, created_at: event.created_at }, "ephemeral")
        const [, , accepted, reply] = yield* writer.publish(unheard)
        assert.isFalse(accepted)
        assert.match(String(reply), /^mute: /u)
      }))

    it.effect("14. ignores the d tag of replaceable kinds, those below 1000 too", () =>
      Effect.gen(function*() {
        const client = yield* dial
        for (const kind of [0, 3, 10_000, 19_999]) {
          const [old, young] = [0, 1].map((n) =>
            signed({ kind, tags: [["d", `${n}`]], created_at: epoch + n, content: "{}" }, "ignores d")
          ) as [Event, Event]
          yield* client.publish(old)
          yield* client.publish(young)
          const { events } = yield* client.req("a", { kinds: [kind], authors: [old.pubkey] })
          assert.deepStrictEqual(events, [young], `${kind}`)
        }
      }))

    it.effect("15. takes no d tag for an empty one, and the first of several", () =>
      Effect.gen(function*() {
        const client = yield* dial
        const versions = [[], [["d", ""]], [["d"]], [["d", "x"], ["d", "y"]], [["d", "x"]]].map((tags, n) =>
          signed({ kind: 30_001, tags, created_at: epoch + n }, "no d")
        )
        for (const event of versions) yield* client.publish(event)
        const { events } = yield* client.req("a", { kinds: [30_001], authors: [versions[0]!.pubkey] })
        assert.deepStrictEqual(events.map(({ created_at }) => created_at), [epoch + 4, epoch + 2])
      }))
  })

  describe("From client to relay: EVENT", () => {
    it.effect("10. answers a stored event that is sent again with OK true and duplicate", () =>
      Effect.gen(function*() {
        const client = yield* dial
        const event = signed({ content: "again" }, "again")
        yield* client.publish(event)
        const [, , accepted, reply] = yield* client.publish(event)
        assert.isTrue(accepted)
        assert.match(String(reply), /^duplicate: /u)
      }))

    it.effect("9. answers many events, each once, by its id", () =>
      Effect.gen(function*() {
        const client = yield* dial
        const events = notes(300, "many")
        for (const event of events) yield* client.send(["EVENT", event])
        for (const event of events) yield* client.next(["OK", event.id, true])
        yield* client.req("end", { limit: 0 })
        assert.strictEqual(client.received().filter(([type]) => type === "OK").length, 300)
      }))

    it.effect("stores one event sent on many sockets at once once, and answers each (fault 34)", () =>
      Effect.gen(function*() {
        const clients = yield* Effect.all(Array.from({ length: 50 }, () => dial))
        const event = signed({ content: "everywhere" }, "everywhere")
        const answers = yield* Effect.all(clients.map((client) => client.publish(event)), { concurrency: "unbounded" })
        assert.deepStrictEqual(answers.map(([, , accepted]) => accepted), clients.map(() => true))
        assert.strictEqual(answers.filter(([, , , reply]) => reply === "").length, 1)
        assert.strictEqual((yield* clients[0]!.req("a", { authors: [event.pubkey] })).events.length, 1)
      }))

    it.effect("18, 19. refuses an authentication event and a protected one", () =>
      Effect.gen(function*() {
        const client = yield* dial
        for (const event of [signed({ kind: 22_242 }, "refused"), signed({ tags: [["-"]] }, "refused")]) {
          const [, , accepted, reply] = yield* client.publish(event)
          assert.isFalse(accepted)
          assert.match(String(reply), /^(?:invalid|auth-required): /u)
        }
      }))
  })

  describe("From client to relay: REQ", () => {
    it.effect("47. answers stored events, newest first and the lowest id among equals, then EOSE, then live ones", () =>
      Effect.gen(function*() {
        const [reader, writer] = [yield* dial, yield* dial]
        const stored = [
          ...notes(3, "order"),
          ...["x", "y", "z"].map((content) => signed({ content, created_at: epoch - 1 }, "order"))
        ]
        for (const event of stored) yield* writer.publish(event)
        const { events, end } = yield* reader.req("a", { authors: [keyOf("order").pubkey] })
        const expected = stored.toSorted((a, b) => b.created_at - a.created_at || (a.id < b.id ? -1 : 1))
        assert.deepStrictEqual(events.map(({ id }) => id), expected.map(({ id }) => id))
        assert.strictEqual(end[0], "EOSE")
        const live = signed({ content: "live", created_at: epoch + 9 }, "order")
        yield* writer.publish(live)
        assert.deepStrictEqual(yield* reader.next("EVENT"), ["EVENT", "a", live])
      }))

    it.effect("43. sends EOSE once, with nothing before it when nothing matches", () =>
      Effect.gen(function*() {
        const client = yield* dial
        yield* client.req("none", { ids: ["0".repeat(64)] })
        yield* client.req("end", { limit: 0 })
        assert.deepStrictEqual(until(client.received(), "end").map(([type]) => type), ["EOSE"])
      }))

    it.effect("46. binds the limit to the stored events only", () =>
      Effect.gen(function*() {
        const [reader, writer] = [yield* dial, yield* dial]
        const stored = notes(3, "limit")
        for (const event of stored) yield* writer.publish(event)
        const filter = { authors: [keyOf("limit").pubkey] }
        assert.deepStrictEqual((yield* reader.req("zero", { ...filter, limit: 0 })).events, [])
        assert.deepStrictEqual((yield* reader.req("one", { ...filter, limit: 1 })).events, stored.slice(0, 1))
        const live = notes(2, "limit", epoch + 10)
        for (const event of live) yield* writer.publish(event)
        for (const subscription of ["zero", "one"]) {
          for (const event of live) {
            yield* reader.next((m) => m[1] === subscription && (m[2] as Event).id === event.id)
          }
        }
      }))

    it.effect("56. gives the default number of events without a limit, and no more than the largest", () =>
      Effect.gen(function*() {
        const [reader, writer] = [yield* dial, yield* dial]
        const stored = notes(limits.limitMax + 1, "limits")
        for (const event of stored) yield* writer.publish(event)
        const filter = { authors: [keyOf("limits").pubkey] }
        assert.strictEqual((yield* reader.req("a", filter)).events.length, limits.limitDefault)
        const most = yield* reader.req("b", { ...filter, limit: 5000 })
        assert.strictEqual(most.events.length, limits.limitMax)
        assert.deepStrictEqual(most.end, ["EOSE", "b", ["more"]])
        const byId = yield* reader.req("c", { ids: stored.slice(0, limits.limitDefault + 5).map(({ id }) => id) })
        assert.strictEqual(byId.events.length, limits.limitDefault + 5, "as many as were asked for by id")
        assert.deepStrictEqual(byId.end, ["EOSE", "c", ["finish"]])
      }))

    it.effect("49. takes filters as alternatives, and sends an event that matches two of them once", () =>
      Effect.gen(function*() {
        const client = yield* dial
        const [a, b] = notes(2, "alternatives") as [Event, Event]
        yield* client.publish(a)
        yield* client.publish(b)
        const { events } = yield* client.req("a", { ids: [a.id] }, { authors: [a.pubkey] }, { ids: [b.id] })
        assert.deepStrictEqual(events, [a, b])
      }))

    it.effect("50, 54. takes conditions of one filter together, several tags included", () =>
      Effect.gen(function*() {
        const client = yield* dial
        const three = signed({ tags: [["t", "a"], ["r", "b"], ["L", "c"]] }, "tags")
        const two = signed({ tags: [["t", "a"], ["r", "b"], ["l", "c"]], content: "lower case" }, "tags")
        yield* client.publish(three)
        yield* client.publish(two)
        const all = { "#t": ["a", "z"], "#r": ["b"], "#L": ["c"] }
        assert.deepStrictEqual((yield* client.req("a", { authors: [three.pubkey], ...all })).events, [three])
        assert.deepStrictEqual((yield* client.req("b", { authors: [three.pubkey], "#t": ["z"] })).events, [])
      }))

    it.effect("48. takes since and until inclusively", () =>
      Effect.gen(function*() {
        const client = yield* dial
        const events = notes(3, "window")
        for (const event of events) yield* client.publish(event)
        const ask = (id: string, filter: object) =>
          Effect.map(client.req(id, { authors: [keyOf("window").pubkey], ...filter }), (answer) => answer.events.length)
        assert.strictEqual(yield* ask("a", { since: epoch - 1, until: epoch - 1 }), 1)
        assert.strictEqual(yield* ask("b", { since: epoch - 1 }), 2)
        assert.strictEqual(yield* ask("c", { until: epoch - 1 }), 2)
        assert.strictEqual(yield* ask("d", { since: epoch, until: epoch - 1 }), 0)
      }))

    it.effect("52. matches nothing with an empty list, stored or live", () =>
      Effect.gen(function*() {
        const client = yield* dial
        for (const filter of [{ ids: [] }, { authors: [] }, { kinds: [] }, { "#t": [] }]) {
          assert.deepStrictEqual((yield* client.req("a", filter)).events, [])
          yield* client.publish(signed({ content: JSON.stringify(filter), tags: [["t", "x"]] }, "empty list"))
        }
        yield* client.req("end", { limit: 0 })
        assert.isFalse(client.received().some(([type]) => type === "EVENT"))
      }))

    it.effect("38. replaces a subscription by the same id, with its stored events and an EOSE again", () =>
      Effect.gen(function*() {
        const [reader, writer] = [yield* dial, yield* dial]
        const [one, two] = [signed({ content: "1" }, "replace one"), signed({ content: "2" }, "replace two")]
        yield* writer.publish(one)
        assert.strictEqual((yield* reader.req("a", { authors: [one.pubkey] })).events.length, 1)
        assert.strictEqual((yield* reader.req("a", { authors: [one.pubkey] })).events.length, 1)
        yield* reader.req("a", { authors: [two.pubkey] })
        yield* writer.publish(signed({ content: "for the old filter" }, "replace one"))
        yield* writer.publish(two)
        assert.deepStrictEqual(yield* reader.next("EVENT"), ["EVENT", "a", two])
      }))

    it.effect("54. tells #e from #E, and looks at the first value of a tag only", () =>
      Effect.gen(function*() {
        const client = yield* dial
        const id = "e".repeat(64)
        const event = signed({ tags: [["e", id], ["t", "first", "second"]] }, "letters")
        const upper = signed({ tags: [["E", id]] }, "letters")
        yield* client.publish(event)
        yield* client.publish(upper)
        const ask = (filter: object) =>
          Effect.map(client.req("a", { authors: [event.pubkey], ...filter }), ({ events }) => events)
        assert.deepStrictEqual(yield* ask({ "#e": [id] }), [event])
        assert.deepStrictEqual(yield* ask({ "#E": [id] }), [upper])
        assert.deepStrictEqual(yield* ask({ "#t": ["first"] }), [event])
        assert.deepStrictEqual(yield* ask({ "#t": ["second"] }), [])
      }))

    it.effect("37. keeps the subscriptions of two clients apart", () =>
      Effect.gen(function*() {
        const [a, b] = [yield* dial, yield* dial]
        const event = signed({ content: "apart" }, "apart")
        yield* a.req("same", { authors: [event.pubkey] })
        yield* b.req("same", { kinds: [31_999] })
        yield* b.publish(event)
        assert.deepStrictEqual(yield* a.next("EVENT"), ["EVENT", "same", event])
        yield* b.req("end", { limit: 0 })
        assert.isFalse(b.received().some(([type]) => type === "EVENT"))
      }))

    it.effect("sends one event to every subscription that wants it", () =>
      Effect.gen(function*() {
        const event = signed({ content: "for all", tags: [["p", "a".repeat(64)]] }, "fan-out")
        const filters = [{ authors: [event.pubkey] }, { ids: [event.id] }, { "#p": ["a".repeat(64)] }, { kinds: [1] }]
        const readers = yield* Effect.all(Array.from({ length: 12 }, () => dial))
        yield* Effect.all(
          readers.map((reader, i) => reader.req(i % 2 === 0 ? "even" : `odd${i}`, { ...filters[i % 4], limit: 0 }))
        )
        const writer = yield* dial
        yield* writer.publish(event)
        for (const [i, reader] of readers.entries()) {
          const id = i % 2 === 0 ? "even" : `odd${i}`
          assert.deepStrictEqual(
            yield* reader.next((m) => m[0] === "EVENT" && (m[2] as Event).id === event.id),
            [
              "EVENT",
              id,
              event
            ]
          )
        }
      }))

    for (
      const [name, message] of Object.entries({
        "40, 42. refuses no filter": [],
        "41, 42. refuses a filter that is no object": ["kind 1"],
        "42, 53. refuses an unknown element": [{ kind: [1] }],
        "42, 54. refuses a tag of two letters": [{ "#ab": ["x"] }],
        "42, 54. refuses a tag that is no letter": [{ "#1": ["x"] }],
        "42, 51. refuses an upper-case #p": [{ "#p": ["A".repeat(64)] }],
        "42, 51. refuses an id of 63 characters": [{ ids: ["a".repeat(63)] }],
        "42, 55. refuses kinds that are no list": [{ kinds: 1 }],
        "42, 55. refuses a kind of 65536": [{ kinds: [65_536] }],
        "42, 51. refuses an upper-case id": [{ ids: ["A".repeat(64)] }],
        "42, 51. refuses a prefix of an author": [{ authors: ["ab"] }],
        "42, 55. refuses a kind as text": [{ kinds: ["1"] }],
        "42, 55. refuses a negative limit": [{ limit: -1 }],
        "42, 55. refuses a fraction in since": [{ since: 1.5 }],
        "41, 42. refuses too many filters": Array.from({ length: limits.filtersMax + 1 }, () => ({ limit: 0 })),
        "41, 42. refuses too many values": [{ kinds: Array.from({ length: limits.filterValuesMax + 1 }, (_, i) => i) }],
        "41, 42. refuses one refused filter among others": [{ kinds: [1] }, { kinds: [-1] }]
      })
    ) {
      it.effect(`${name} with CLOSED, its prefix first, and no EOSE`, () =>
        Effect.gen(function*() {
          const client = yield* dial
          yield* client.send(["REQ", "refused", ...message])
          const [, id, reply] = yield* client.next("CLOSED")
          assert.strictEqual(id, "refused")
          assert.match(String(reply), /^(?:invalid|unsupported): /u)
          yield* client.publish(signed({ content: name }, "refused filters"))
          yield* client.req("end", { limit: 0 })
          assert.deepStrictEqual(until(client.received(), "end").map(([type]) => type), ["CLOSED", "OK"])
        }))
    }

    it.effect("41. ends with what was open by that name, when a REQ or COUNT is refused by it", () =>
      Effect.gen(function*() {
        const [reader, writer] = [yield* dial, yield* dial]
        const refused = [["REQ", "a", { limit: -1 }], ["REQ", "a"], ["COUNT", "a", { limit: -1 }], ["COUNT", "a", {
          search: "x"
        }]]
        for (const message of refused) {
          yield* reader.req("a", { authors: [keyOf("refused by name").pubkey] })
          yield* reader.send(message)
          yield* reader.next(["CLOSED", "a"])
          yield* writer.publish(signed({ content: JSON.stringify(message) }, "refused by name"))
          yield* reader.req("end", { ids: [] })
        }
        const live = reader.received().filter(([type], i, all) => type === "EVENT" && all[i - 1]?.[0] === "CLOSED")
        assert.deepStrictEqual(live, [])
        assert.strictEqual((yield* reader.req("a", { authors: [keyOf("refused by name").pubkey] })).events.length, 4)
      }))

    it.effect("36. takes a subscription id of 64 characters, and refuses none, 65, and no text", () =>
      Effect.gen(function*() {
        const client = yield* dial
        const long = "🐢".repeat(64)
        assert.deepStrictEqual((yield* client.req(long, { limit: 0 })).end.slice(0, 2), ["EOSE", long])
        for (const id of ["", "x".repeat(65)]) {
          yield* client.send(["REQ", id, { limit: 0 }])
          assert.match(String((yield* client.next(["CLOSED", id]))[2]), /^invalid: /u)
        }
        yield* client.send(["REQ", 7, { limit: 0 }])
        yield* client.next("NOTICE")
      }))

    it.effect("refuses one subscription too many, and takes it when another one is closed", () =>
      Effect.gen(function*() {
        const client = yield* dial
        for (let i = 0; i < limits.subscriptionsMax; i++) yield* client.req(`s${i}`, { limit: 0 })
        assert.strictEqual((yield* client.req("one more", { limit: 0 })).end[0], "CLOSED")
        assert.strictEqual((yield* client.req("s0", { limit: 0 })).end[0], "EOSE", "replacing is not adding")
        yield* client.send(["CLOSE", "s1"])
        assert.strictEqual((yield* client.req("one more", { limit: 0 })).end[0], "EOSE")
      }))
  })

  describe("From client to relay: CLOSE", () => {
    it.effect("39. ends a subscription without a word", () =>
      Effect.gen(function*() {
        const client = yield* dial
        const event = signed({ content: "after" }, "closed")
        yield* client.req("a", { authors: [event.pubkey] })
        yield* client.send(["CLOSE", "a"])
        yield* client.publish(event)
        yield* client.req("end", { limit: 0 })
        assert.deepStrictEqual(until(client.received(), "end").map(([type]) => type), ["EOSE", "OK"])
      }))

    it.effect("39. is silent about a subscription that is not open", () =>
      Effect.gen(function*() {
        const client = yield* dial
        yield* client.send(["CLOSE", "never opened"])
        yield* client.req("end", { limit: 0 })
        assert.deepStrictEqual(until(client.received(), "end"), [])
      }))
  })

  describe("From relay to client: NOTICE", () => {
    for (
      const [name, frame] of Object.entries({
        "text that is not JSON": "hello",
        "an object": "{}",
        "an unknown message": "[\"HELLO\"]",
        "an empty array": "[]",
        "a deep array": "[".repeat(5000) + "]".repeat(5000)
      })
    ) {
      it.effect(`71. answers ${name}, and goes on`, () =>
        Effect.gen(function*() {
          const client = yield* dial
          yield* client.sendRaw(frame)
          assert.match(String((yield* client.next("NOTICE"))[1]), /^invalid: /u)
          assert.strictEqual((yield* client.req("still here", { limit: 0 })).end[0], "EOSE")
        }))
    }
  })
})

layer(relay(), { excludeTestServices: true })("NIP-01 with room for many", (it) => {
  it.effect("45. misses nothing and doubles nothing between stored and live, whenever a subscription is opened", () =>
    Effect.gen(function*() {
      const [reader, writer] = [yield* dial, yield* dial]
      const events = notes(300, "hand-over").toReversed()
      const names: Array<string> = []
      for (const [i, event] of events.entries()) {
        yield* writer.send(["EVENT", event])
        if (i % 10 !== 0) continue
        const name = `s${i}`
        names.push(name)
        yield* reader.send(["REQ", name, { authors: [keyOf("hand-over").pubkey] }])
      }
      for (const event of events) yield* writer.next(["OK", event.id, true])
      for (const name of names) for (const _ of events) yield* reader.next(["EVENT", name])
      yield* reader.req("end", { limit: 0 })
      const expected = events.map(({ id }) => id).toSorted()
      for (const name of names) {
        const mine = reader.received().filter(([type, id]) => type === "EVENT" && id === name)
        assert.deepStrictEqual(mine.map((m) => (m[2] as Event).id).toSorted(), expected)
      }
    }))
})
