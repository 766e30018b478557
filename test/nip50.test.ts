/** NIP-50 over a real socket, as a client that picks people by what is typed would use it. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { request } from "node:http"
import type { Event } from "../src/domain/Event.ts"
import { npubOf } from "../src/domain/PublicKey.ts"
import { RelayAddress } from "../src/websocket/RelayServer.ts"
import { deletionEvent, epoch, keyOf, profileEvent, signed } from "./support/events.ts"
import { relay } from "./support/relay.ts"
import { connect, type TestClient } from "./support/TestClient.ts"

const dial = Effect.flatMap(RelayAddress, ({ url }) => connect(url))

const publishAll = (client: TestClient, events: ReadonlyArray<Event>) =>
  Effect.forEach(events, (event) => client.publish(event), { discard: true })

const named = (name: string, fields: Readonly<Record<string, unknown>> = {}, created_at = epoch) =>
  profileEvent({ name, display_name: undefined, about: undefined, ...fields }, `search ${name}`, { created_at })

const nameOf = ({ content }: { readonly content: string }) => (JSON.parse(content) as { readonly name: string }).name

const names = (client: TestClient, ...filters: ReadonlyArray<object>) =>
  Effect.map(client.req("search", ...filters), ({ events }) => events.map(nameOf))

layer(relay(), { excludeTestServices: true })("NIP-50", (it) => {
  describe("search", () => {
    it.effect("63. answers in the order of relevance, the limit applied last, and EOSE after all", () =>
      Effect.gen(function*() {
        const client = yield* dial
        yield* publishAll(client, [
          named("walrus_fan", {}, epoch + 3),
          named("someone", { about: "I paint a walrus a day" }, epoch + 9),
          named("Walrus", {}, epoch),
          named("walrusland", {}, epoch + 2),
          named("fourth", { display_name: "The Walrus" }, epoch + 8),
          named("fifth", { nip05: "walrus@sea.example" }, epoch + 7),
          named("none", { about: "walruses" }, epoch + 10)
        ])
        const all = ["Walrus", "walrus_fan", "walrusland", "fourth", "fifth", "someone"]
        assert.deepStrictEqual(yield* names(client, { search: "walrus" }), all)
        assert.deepStrictEqual(yield* names(client, { search: "walrus", kinds: [0], limit: 1 }), ["Walrus"])
        assert.deepStrictEqual(yield* names(client, { search: "walrus", limit: 4 }), all.slice(0, 4))
        assert.deepStrictEqual((yield* client.req("end", { search: "walrus" })).end, ["EOSE", "end", ["finish"]])
        assert.deepStrictEqual((yield* client.req("end", { search: "walrus", limit: 5 })).end, ["EOSE", "end", [
          "more"
        ]])
      }))

    it.effect("63. ignores tokens that it does not know, alone and beside words", () =>
      Effect.gen(function*() {
        const client = yield* dial
        const one = named("okapi")
        yield* client.publish(one)
        const search = "language:en okapi include:spam sentiment:positive nsfw:false sort:hot"
        assert.deepStrictEqual(yield* names(client, { search }), ["okapi"])
        assert.deepStrictEqual(yield* names(client, { search: "language:en", ids: [one.id] }), [], "asks for nothing")
        assert.deepStrictEqual(
          yield* names(client, { search: "domain:sea.example" }),
          [],
          "nobody verified a name there"
        )
      }))

    it.effect("63. finds from one letter on, whatever the script", () =>
      Effect.gen(function*() {
        const client = yield* dial
        yield* publishAll(client, [named("Żubr"), named("🦭 seal"), named("海象太郎"), named("тюлень")])
        const searches = {
          "żu": "Żubr",
          "zubr": "Żubr",
          "🦭": "🦭 seal",
          "海": "海象太郎",
          "太郎": "海象太郎",
          "т": "тюлень"
        }
        for (const [search, name] of Object.entries(searches)) {
          assert.deepStrictEqual(yield* names(client, { search }), [name], search)
        }
      }))

    it.effect("63. holds to the other conditions of its filter, and to profiles", () =>
      Effect.gen(function*() {
        const client = yield* dial
        const [early, late] = [named("gnu", {}, epoch), named("gnus", {}, epoch + 5)]
        yield* publishAll(client, [early, late, signed({ content: "gnu" }, "search gnu")])
        assert.deepStrictEqual(yield* names(client, { search: "gnu", authors: [late.pubkey] }), ["gnus"])
        assert.deepStrictEqual(yield* names(client, { search: "gnu", since: epoch + 1 }), ["gnus"])
        assert.deepStrictEqual(yield* names(client, { search: "gnu", until: epoch + 1 }), ["gnu"])
        assert.deepStrictEqual(yield* names(client, { search: "gnu", kinds: [1] }), [])
        assert.deepStrictEqual(yield* names(client, { search: "gnu", limit: 1 }, { ids: [late.id] }), ["gnu", "gnus"])
      }))

    it.effect("63. finds the current version, and nobody who has left", () =>
      Effect.gen(function*() {
        const client = yield* dial
        const first = profileEvent({ name: "axolotl" }, "moulting", { created_at: epoch })
        yield* client.publish(first)
        assert.deepStrictEqual(yield* names(client, { search: "axo" }), ["axolotl"])
        const second = profileEvent({ name: "newt" }, "moulting", { created_at: epoch + 1 })
        yield* client.publish(second)
        assert.deepStrictEqual(yield* names(client, { search: "axo" }), [])
        assert.deepStrictEqual(yield* names(client, { search: "new" }), ["newt"])
        yield* client.publish(deletionEvent([second.id], "moulting", epoch + 2))
        assert.deepStrictEqual(yield* names(client, { search: "new" }), [])
      }))

    it.effect("63. goes on with new profiles that answer it, and tells of no others", () =>
      Effect.gen(function*() {
        const [reader, writer] = [yield* dial, yield* dial]
        yield* reader.req("live", { search: "tapir", limit: 0 })
        yield* reader.req("kinds", { search: "TÁPIR malayan", kinds: [0], limit: 0 })
        yield* reader.req("author", { search: "tapir", authors: [keyOf("search zebra").pubkey], limit: 0 })
        yield* reader.req("nothing", { search: "?", limit: 0 })
        yield* reader.req("empty", { search: "nsfw:false", kinds: [0], limit: 0 })
        yield* reader.req("key", { search: npubOf(keyOf("search zebra").pubkey), limit: 0 })
        const told = [
          named("tapirus"),
          named("someone else", { about: "a Malayan tapir" }),
          named("zebra", { about: "a tapir" })
        ]
        yield* publishAll(writer, [named("tap"), signed({ content: "tapir" }), ...told])
        const last = told.at(-1)!
        for (const id of ["live", "author", "key"]) {
          yield* reader.next((m) => m[1] === id && (m[2] as Event).id === last.id)
        }
        const heard = (id: string) =>
          reader.received().filter((m) => m[0] === "EVENT" && m[1] === id).map((m) => nameOf(m[2] as Event))
        assert.deepStrictEqual(heard("live"), ["tapirus", "someone else", "zebra"])
        assert.deepStrictEqual(heard("kinds"), ["someone else"])
        assert.deepStrictEqual(heard("author"), ["zebra"])
        assert.deepStrictEqual(heard("nothing"), [])
        assert.deepStrictEqual(heard("empty"), [])
        assert.deepStrictEqual(heard("key"), ["zebra"])
      }))

    it.effect("63. survives hostile texts, refuses what is too long, and does not count", () =>
      Effect.gen(function*() {
        const client = yield* dial
        yield* client.publish(named("quokka"))
        for (
          const search of [
            "\"",
            "quokka\" OR \"a",
            "terms:a*",
            "NEAR(a b)",
            "'; DROP TABLE event; --",
            "(((",
            "^quokka"
          ]
        ) {
          yield* client.req("hostile", { search })
        }
        assert.deepStrictEqual(yield* names(client, { search: "\"quokka\"*" }), ["quokka"])
        yield* client.req("long", { search: "q".repeat(256) })
        yield* client.send(["REQ", "longer", { search: "q".repeat(257) }])
        assert.match(String((yield* client.next(["CLOSED", "longer"]))[2]), /^invalid: /u)
        yield* client.send(["COUNT", "count", { search: "quokka" }])
        assert.match(String((yield* client.next(["CLOSED", "count"]))[2]), /^unsupported: /u)
      }))

    it.effect("is in supported_nips", () =>
      Effect.gen(function*() {
        const { port } = yield* RelayAddress
        const body = yield* Effect.callback<string>((resume) => {
          request(
            { host: "127.0.0.1", port, headers: { accept: "application/nostr+json" }, agent: false },
            (response) => {
              let text = ""
              response.setEncoding("utf8").on("data", (chunk: string) => void (text += chunk))
              response.on("end", () => resume(Effect.succeed(text)))
            }
          ).end()
        })
        assert.include((JSON.parse(body) as { readonly supported_nips: ReadonlyArray<number> }).supported_nips, 50)
      }))
  })
})
