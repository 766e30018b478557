/** NIP-86 management, authorized by NIP-98, over real HTTP. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { hash } from "node:crypto"
import { request } from "node:http"
import { RelayAddress } from "../src/websocket/RelayServer.ts"
import { dmRelaysEvent, epoch, goodProfile, keyOf, notes, profileEvent, signed } from "./support/events.ts"
import { relay } from "./support/relay.ts"
import { connect } from "./support/TestClient.ts"

const dial = Effect.flatMap(RelayAddress, ({ url }) => connect(url))

const relayUrl = "wss://relay.example"
const contentType = "application/nostr+json+rpc"
const operator = "operator"

interface Answer {
  readonly status: number
  readonly body: { readonly result?: unknown; readonly error?: string }
}

const now = () => Math.floor(Date.now() / 1000)

/** Differs at every call, as two requests of one second may be the same otherwise. */
let nonce = 0

/** The `Authorization` of a body, in every part as it should be unless told otherwise. */
const authorization = (
  body: string,
  edit: { author?: string; kind?: number; created_at?: number; tags?: Readonly<Record<string, string>> } = {}
) => {
  const tags = { u: "https://relay.example", method: "POST", payload: hash("sha256", body), ...edit.tags }
  const event = signed({
    kind: edit.kind ?? 27_235,
    created_at: edit.created_at ?? now(),
    content: String(nonce++),
    tags: Object.entries(tags).filter(([, value]) => value !== "")
  }, edit.author ?? operator)
  return `Nostr ${Buffer.from(JSON.stringify(event)).toString("base64")}`
}

const post = Effect.fnUntraced(function*(body: string, headers: Readonly<Record<string, string>>) {
  const { port } = yield* RelayAddress
  return yield* Effect.callback<Answer>((resume) => {
    const sent = request(
      { host: "127.0.0.1", port, path: "/", method: "POST", headers: { ...headers }, agent: false },
      (response) => {
        let text = ""
        response.setEncoding("utf8")
        response.on("data", (chunk: string) => void (text += chunk))
        response.on("end", () =>
          resume(Effect.sync(() => ({
            status: response.statusCode ?? 0,
            body: text.startsWith("{") ? JSON.parse(text) as Answer["body"] : { error: text }
          }))))
      }
    )
    sent.on("error", (error) => resume(Effect.die(error)))
    sent.end(body)
  })
})

const bodyOf = (method: string, params: ReadonlyArray<unknown>) => JSON.stringify({ method, params })

/** A request of the operator's. */
const ask = (method: string, ...params: ReadonlyArray<unknown>) => {
  const body = bodyOf(method, params)
  return post(body, { "content-type": contentType, authorization: authorization(body) })
}

/** The same, answered. */
const told = (method: string, ...params: ReadonlyArray<unknown>) =>
  Effect.map(ask(method, ...params), ({ status, body }) => {
    assert.strictEqual(status, 200, JSON.stringify(body))
    return body.result
  })

const informed = Effect.flatMap(
  RelayAddress,
  ({ port }) =>
    Effect.promise(() =>
      fetch(`http://127.0.0.1:${port}`, { headers: { accept: "application/nostr+json" } })
        .then((response) => response.json())
        .then((document) => document as Readonly<Record<string, unknown>>)
    )
)

const operators = [keyOf(operator).pubkey]

layer(relay({ relayUrl, operators }), { excludeTestServices: true })("NIP-86", (it) => {
  describe("authorization (NIP-98)", () => {
    const body = bodyOf("supportedmethods", [])
    const asked = (header: string, type = contentType) => post(body, { "content-type": type, authorization: header })

    it.effect("68. takes a request that an operator has signed", () =>
      Effect.gen(function*() {
        for (const u of ["https://relay.example", "https://relay.example/", "wss://relay.example"]) {
          const { status, body: answer } = yield* asked(authorization(body, { tags: { u } }))
          assert.strictEqual(status, 200, u)
          assert.includeMembers(answer.result as Array<string>, ["banpubkey", "changerelayname"])
        }
      }))

    for (
      const [name, header] of Object.entries({
        "no authorization": (): string => "",
        "another scheme": (): string => "Basic YWJjOmRlZg==",
        "a stranger": () => authorization(body, { author: "stranger" }),
        "another kind": () => authorization(body, { kind: 22_242 }),
        "an authorization of two minutes ago": () => authorization(body, { created_at: now() - 120 }),
        "an authorization of two minutes ahead": () => authorization(body, { created_at: now() + 120 }),
        "another address": () => authorization(body, { tags: { u: "https://other.example" } }),
        "another method": () => authorization(body, { tags: { method: "GET" } }),
        "another body": () => authorization(bodyOf("banpubkey", [])),
        "no payload": () => authorization(body, { tags: { payload: "" } }),
        "a forged signature": () => {
          const event = JSON.parse(Buffer.from(authorization(body).slice(6), "base64").toString()) as { sig: string }
          return `Nostr ${Buffer.from(JSON.stringify({ ...event, sig: "0".repeat(128) })).toString("base64")}`
        }
      })
    ) {
      it.effect(`68. answers ${name} with 401`, () =>
        Effect.gen(function*() {
          const { status, body: answer } = yield* asked(header())
          assert.strictEqual(status, 401)
          assert.isString(answer.error)
        }))
    }

    it.effect("68. takes an authorization once", () =>
      Effect.gen(function*() {
        const header = authorization(body)
        assert.strictEqual((yield* asked(header)).status, 200)
        assert.strictEqual((yield* asked(header)).status, 401)
      }))

    it.effect("68. wants its own content type, in any case and with parameters", () =>
      Effect.gen(function*() {
        assert.strictEqual((yield* asked(authorization(body), "application/json")).status, 415)
        assert.strictEqual((yield* asked(authorization(body), "Application/Nostr+JSON+RPC; charset=utf-8")).status, 200)
      }))

    it.effect("refuses a body that is no request, too long, or asks for what there is not", () =>
      Effect.gen(function*() {
        for (const text of ["{", "[]", "null", bodyOf("createrole", []), bodyOf("banpubkey", ["x"])]) {
          const answer = yield* post(text, { "content-type": contentType, authorization: authorization(text) })
          assert.strictEqual(answer.status, 400, text)
        }
        const long = JSON.stringify({ method: "supportedmethods", params: ["x".repeat(70_000)] })
        const answer = yield* post(long, { "content-type": contentType, authorization: authorization(long) })
        assert.strictEqual(answer.status, 413)
      }))
  })

  describe("methods", () => {
    it.effect("bans a pubkey: removes what is stored, refuses what comes, and lifts it again", () =>
      Effect.gen(function*() {
        const client = yield* dial
        const spam = notes(600, "spammer")
        const { pubkey } = keyOf("spammer")
        for (const event of spam) yield* client.send(["EVENT", event])
        for (const event of spam) yield* client.next(["OK", event.id, true])
        assert.isTrue(yield* told("banpubkey", pubkey, "spam"))
        assert.deepStrictEqual(yield* told("listbannedpubkeys"), [{ pubkey, reason: "spam" }])
        assert.deepStrictEqual((yield* client.req("a", { authors: [pubkey] })).events, [])
        const answer = yield* client.publish(spam[0]!)
        assert.isFalse(answer[2])
        assert.match(String(answer[3]), /^blocked: /u)
        const vanish = signed({ kind: 62, tags: [["relay", "ALL_RELAYS"]], created_at: epoch - 9999 }, "spammer")
        assert.isTrue((yield* client.publish(vanish))[2], "34. whatever their standing")
        assert.isTrue(yield* told("unbanpubkey", pubkey))
        assert.deepStrictEqual(yield* told("listbannedpubkeys"), [])
        assert.isTrue((yield* client.publish(spam[0]!))[2])
      }))

    it.effect("bans an event, and allows it again", () =>
      Effect.gen(function*() {
        const client = yield* dial
        const event = signed({ content: "bad" }, "writer")
        yield* client.publish(event)
        yield* told("banevent", event.id, "bad taste")
        assert.deepStrictEqual(yield* told("listbannedevents"), [{ id: event.id, reason: "bad taste" }])
        assert.deepStrictEqual((yield* client.req("a", { ids: [event.id] })).events, [])
        assert.isFalse((yield* client.publish(event))[2])
        yield* told("allowevent", event.id)
        assert.isTrue((yield* client.publish(event))[2])
      }))

    it.effect("31. disallows a kind, but for deletion and vanishing, and allows it again", () =>
      Effect.gen(function*() {
        const client = yield* dial
        const event = signed({ kind: 7777 }, "writer")
        yield* told("disallowkind", 7777)
        assert.match(String((yield* client.publish(event))[3]), /^blocked: /u)
        for (const kind of [5, 62]) assert.strictEqual((yield* ask("disallowkind", kind)).status, 400)
        yield* told("allowkind", 7777)
        assert.isTrue((yield* client.publish(event))[2])
        assert.deepStrictEqual(yield* told("listallowedkinds"), [7777])
      }))

    it.effect("changes what the relay says about itself, at once", () =>
      Effect.gen(function*() {
        yield* told("changerelayname", "a new name")
        yield* told("changerelaydescription", "and what for")
        yield* told("changerelayicon", "https://relay.example/icon.png")
        assert.containSubset(yield* informed, {
          name: "a new name",
          description: "and what for",
          icon: "https://relay.example/icon.png",
          pubkey: operators[0]
        })
        assert.includeMembers((yield* informed)["supported_nips"] as Array<number>, [86, 98])
      }))

    it.effect("blocks an address: closes what is open, refuses what comes, and unblocks it", () =>
      Effect.gen(function*() {
        const client = yield* dial
        yield* told("blockip", "127.0.0.1", "noise")
        assert.deepStrictEqual(yield* told("listblockedips"), [{ ip: "127.0.0.1", reason: "noise" }])
        assert.strictEqual((yield* client.closed()).code, 1008)
        const refused = yield* Effect.flip(dial)
        assert.strictEqual(refused.status, 403)
        yield* told("unblockip", "127.0.0.1")
        yield* dial
      }))
  })
})

layer(relay({ relayUrl, operators, admission: "profiles", pictures: "off", proof: "off" }), {
  excludeTestServices: true
})("NIP-86 where profiles are kept", (it) => {
  it.effect("keeps an allowed author's profile whatever the rules say, and what belongs to it", () =>
    Effect.gen(function*() {
      const client = yield* dial
      const bare = profileEvent({ about: "", picture: "" }, "friend")
      const { pubkey } = keyOf("friend")
      assert.match(String((yield* client.publish(bare))[3]), /^blocked: /u)
      yield* told("allowpubkey", pubkey)
      assert.isTrue((yield* client.publish(bare))[2])
      assert.isTrue((yield* client.publish(dmRelaysEvent(["wss://relay.example"], "friend")))[2])
      yield* told("unallowpubkey", pubkey)
      assert.isFalse((yield* client.publish(profileEvent({ about: "" }, "friend", { created_at: epoch + 1 })))[2])
    }))

  it.effect("keeps a kind more, of the authors it keeps", () =>
    Effect.gen(function*() {
      const client = yield* dial
      const contacts = signed({ kind: 3, created_at: epoch }, "kept")
      assert.isTrue((yield* client.publish(profileEvent(goodProfile, "kept")))[2])
      assert.isFalse((yield* client.publish(contacts))[2])
      yield* told("allowkind", 3)
      assert.deepStrictEqual(yield* told("listallowedkinds"), [0, 3, 5, 62, 10_002, 10_050])
      assert.isTrue((yield* client.publish(contacts))[2])
    }))
})

layer(relay({ relayUrl }), { excludeTestServices: true })("NIP-86 without operators", (it) => {
  it.effect("is nobody's to use, and not in supported_nips", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* ask("supportedmethods")).status, 401)
      assert.notInclude((yield* informed)["supported_nips"] as Array<number>, 86)
    }))
})
