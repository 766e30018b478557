/** NIP-11 and the other plain HTTP of the relay, over a real socket. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { request } from "node:http"
import { Settings } from "../src/config/Settings.ts"
import { Verifier } from "../src/crypto/Verifier.ts"
import { Shutdown } from "../src/lifecycle/Shutdown.ts"
import { RelayAddress } from "../src/websocket/RelayServer.ts"
import { relay } from "./support/relay.ts"

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
  readonly body: string
}

const ask = Effect.fnUntraced(function*(path: string, headers: Record<string, string> = {}, method = "GET") {
  const { port } = yield* RelayAddress
  return yield* Effect.callback<Answer, Error>((resume) => {
    request({ host: "127.0.0.1", port, path, headers, method, agent: false }, (response) => {
      let body = ""
      response.setEncoding("utf8")
      response.on("data", (chunk: string) => void (body += chunk))
      response.on(
        "end",
        () => resume(Effect.succeed({ status: response.statusCode ?? 0, headers: response.headers, body }))
      )
    }).on("error", (error) => resume(Effect.fail(error))).end()
  })
})

const nostr = { accept: "application/nostr+json" }
const hostile = "<script>alert(\"1\")</script> & 'co'"

layer(relay({ relayName: hostile, relayDescription: "about </title><b>", relayContact: "mailto:me@example.com" }), {
  excludeTestServices: true
})("NIP-11", (it) => {
  describe("Relay Information Document", () => {
    it.effect("describes the relay, and the limits that it enforces", () =>
      Effect.gen(function*() {
        const { limits } = yield* Settings
        const { pubkey } = yield* Verifier
        const { status, headers, body } = yield* ask("/", nostr)
        assert.strictEqual(status, 200)
        assert.strictEqual(headers["content-type"], "application/nostr+json")
        const document = JSON.parse(body) as Record<string, unknown>
        assert.strictEqual(document["name"], hostile)
        assert.strictEqual(document["pubkey"], pubkey)
        assert.strictEqual(document["contact"], "mailto:me@example.com")
        assert.notProperty(document, "profile_rules")
        assert.containSubset(document["limitation"], {
          max_message_length: limits.frameBytesMax,
          max_subscriptions: limits.subscriptionsMax,
          max_limit: limits.limitMax,
          default_limit: limits.limitDefault,
          max_subid_length: limits.subscriptionIdMax,
          max_event_tags: limits.eventTagsMax,
          max_content_length: limits.contentMax,
          created_at_upper_limit: limits.createdAtFutureMax,
          restricted_writes: false
        })
      }))

    it.effect("74. lists the NIPs that work, and no others", () =>
      Effect.gen(function*() {
        const { body } = yield* ask("/", nostr)
        assert.deepStrictEqual((JSON.parse(body) as { readonly supported_nips: unknown }).supported_nips, [
          1,
          2,
          9,
          11,
          13,
          17,
          40,
          42,
          45,
          50,
          59,
          62,
          65,
          67,
          70,
          77
        ])
      }))

    for (
      const accept of [
        "APPLICATION/Nostr+JSON",
        "text/html;q=0.1, application/nostr+json; charset=utf-8",
        "a/b,application/nostr+json"
      ]
    ) {
      it.effect(`70. is given to a client that accepts ${accept}`, () =>
        Effect.gen(function*() {
          assert.strictEqual((yield* ask("/", { accept })).headers["content-type"], "application/nostr+json")
        }))
    }

    for (const method of ["GET", "HEAD", "OPTIONS"]) {
      it.effect(`70. comes with the three CORS headers on ${method}`, () =>
        Effect.gen(function*() {
          const { status, headers } = yield* ask("/", nostr, method)
          assert.include([200, 204], status)
          for (const name of ["origin", "headers", "methods"]) {
            assert.isString(headers[`access-control-allow-${name}`], name)
          }
        }))
    }
  })

  describe("for people and operators", () => {
    it.effect("is alive from the beginning, and ready once everything is", () =>
      Effect.gen(function*() {
        const { journal } = yield* Shutdown
        assert.strictEqual((yield* ask("/health")).status, 200)
        assert.strictEqual((yield* ask("/ready")).status, 503)
        journal.transition("ready")
        assert.strictEqual((yield* ask("/ready")).status, 200)
      }))

    it.effect("answers 404 elsewhere", () =>
      Effect.gen(function*() {
        for (const path of ["/nothing", "/..%2f", "/index.html"]) assert.strictEqual((yield* ask(path)).status, 404)
      }))

    it.effect("treats an upgrade to anything but a WebSocket as the plain request it is", () =>
      Effect.gen(function*() {
        const { status } = yield* ask("/health", { connection: "upgrade", upgrade: "h2c" })
        assert.strictEqual(status, 200)
      }))
  })
})

layer(relay({ admission: "profiles", pictures: "on", proof: "on", rules: { aboutMin: 20 } }), {
  excludeTestServices: true
})("NIP-11 where only profiles are kept", (it) => {
  describe("Relay Information Document", () => {
    it.effect("says what a profile is held to", () =>
      Effect.gen(function*() {
        const document = JSON.parse((yield* ask("/", nostr)).body) as Record<string, unknown>
        assert.containSubset(document["profile_rules"], {
          created_at_min: 1_577_836_800,
          about_min: 20,
          bridge: { domains: ["mostr.pub", "mostr-pub", "momostr.pink", "brid.gy"] },
          picture_min: { width: 300, height: 600 },
          posts: { kinds: [1], min: 1, quorum: 2 },
          nip05: "check"
        })
      }))
  })
})

layer(
  relay({
    admission: "profiles",
    relayIcon: "https://relay.example/icon.png",
    relayBanner: "https://relay.example/banner.png",
    relayTerms: "https://relay.example/terms",
    rules: { createdAtMin: 1_600_000_000 }
  }),
  { excludeTestServices: true }
)("NIP-11 of a relay of profiles", (it) => {
  it.effect("says what its operator has set, and how old a profile may be in seconds back", () =>
    Effect.gen(function*() {
      const document = JSON.parse((yield* ask("/", nostr)).body) as Record<string, unknown>
      assert.containSubset(document, {
        icon: "https://relay.example/icon.png",
        banner: "https://relay.example/banner.png",
        terms_of_service: "https://relay.example/terms"
      })
      assert.match(String(document["software"]), /^https:\/\//)
      const { created_at_lower_limit: back } = document["limitation"] as Record<string, number>
      assert.approximately(Date.now() / 1000 - (back ?? 0), 1_600_000_000, 60)
    }))
})
