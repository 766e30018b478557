import { assert, describe, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import { type OutgoingHttpHeaders, request } from "node:http"
import { Journal } from "../../../src/lifecycle/Journal.ts"
import { type Report, report } from "../../../src/lifecycle/Report.ts"
import { consolePage, spoken } from "../../../src/pages/ConsolePage.ts"
import { proxiesOf } from "../../../src/websocket/ClientAddress.ts"
import { isLocal } from "../../../src/websocket/http/Console.ts"
import { RelayAddress } from "../../../src/websocket/RelayServer.ts"
import { siteOf } from "../../pages/samples.ts"
import { keyOf, signed } from "../../support/events.ts"
import { relay } from "../../support/relay.ts"
import { connect } from "../../support/TestClient.ts"

const homely = { proxies: proxiesOf([]), relayUrl: "ws://localhost:7000" }
const local = (remoteAddress: string | undefined, headers: Record<string, string>, relay = homely) =>
  isLocal({ remoteAddress, headers: { host: "localhost:7000", ...headers } }, relay)

describe("who is local", () => {
  it("is who comes from a loopback address and asks for one, by any of its names", () => {
    for (const address of ["127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1"]) assert.isTrue(local(address, {}))
    for (const host of ["localhost", "LOCALHOST:7000", "127.0.0.1:7000", "127.9.9.9", "[::1]:7000", "[::1]"]) {
      assert.isTrue(local("127.0.0.1", { host }), host)
    }
  })

  it("is nobody from another address", () => {
    for (const address of [undefined, "", "126.255.255.255", "128.0.0.0", "10.0.0.1", "::2", "::ffff:10.0.0.1"]) {
      assert.isFalse(local(address, {}), address)
    }
  })

  it("is nobody who asks for another name, as that of a page can be made to resolve to this machine", () => {
    for (
      const host of [
        "",
        "rebind.example",
        "rebind.example:7000",
        "localhost.example",
        "127.0.0.1.example",
        "10.0.0.1",
        "a b",
        "user@localhost",
        "localhost/",
        "localhost#",
        "0x7f.1",
        "127.1",
        "2130706433",
        "localhost:",
        "localhost:7000/x"
      ]
    ) assert.isFalse(local("127.0.0.1", { host }), host)
    assert.isFalse(isLocal({ remoteAddress: "127.0.0.1", headers: {} }, homely), "no Host at all")
  })

  it("is nobody whose request has come through a proxy", () => {
    for (const name of ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"]) {
      assert.isFalse(local("127.0.0.1", { [name]: "" }), name)
    }
  })

  it("is nobody where the relay is a public one, but for whom its proxy would have named", () => {
    const relayUrl = "wss://relay.example"
    const proxies = proxiesOf([{ address: "127.0.0.1", family: "ipv4", prefix: 32 }])
    assert.isFalse(local("127.0.0.1", {}, { ...homely, relayUrl }))
    assert.isTrue(local("127.0.0.1", {}, { proxies, relayUrl }))
    assert.isFalse(local("127.0.0.2", {}, { proxies, relayUrl }), "not the proxy's address")
    assert.isFalse(local("127.0.0.1", { "x-forwarded-for": "127.0.0.1" }, { proxies, relayUrl }))
  })
})

const emptyJournal = () => new Journal({ now: () => 125_000, wallTime: () => 1_700_000_125_000, emit: () => {} })

describe("the page", () => {
  it("says durations as people do", () => {
    const said = [0, 999, 1000, 59_999, 60_000, 3_599_999, 3_600_000, 86_399_999, 86_400_000].map(spoken)
    assert.deepStrictEqual(said, [
      "0 ms",
      "999 ms",
      "1 s",
      "59 s",
      "1 min 0 s",
      "59 min 59 s",
      "1 h 0 min",
      "23 h 59 min",
      "1 d 0 h"
    ])
  })

  it("shows every holder with its age and call site, and escapes what it is called", () => {
    const journal = emptyJournal()
    const holder = { mailbox: "database", since: 1_700_000_000_000, inFlight: 3 }
    journal.mailboxes.add({
      name: "database",
      capacity: 8,
      depth: () => 5,
      holders: () => [{ ...holder, label: "<b>leaky</b>", site: ["Leaky.start @ leaky.ts:7"] }]
    })
    journal.fibers.add({ name: "crypto/job", since: 1_700_000_124_000 })
    journal.acquired.push("database", "crypto")
    journal.released.push("crypto")
    journal.lastCertificate = { stopped: { code: 70 } }
    const page = consolePage(siteOf("relay"), report(journal)).replace(/ data-of="[^"]*"/gu, "")
    assert.notInclude(page, "<b>")
    for (
      const text of [
        "<th scope=\"row\" class=\"\"><code>&lt;b&gt;leaky&lt;/b&gt;</code></th><td class=\"\">database</td><td class=\"n\">2 min 5 s</td>",
        "<td class=\"n\">3</td><td class=\"\"><code>Leaky.start @ leaky.ts:7</code><br></td>",
        "<th scope=\"row\" class=\"\">database</th><td class=\"n\">5</td><td class=\"n\">8</td>",
        "<th scope=\"row\" class=\"\">crypto</th><td class=\"\"><code>crypto/job</code></td><td class=\"n\">1 s</td>",
        "<th scope=\"row\" class=\"\">database</th><td class=\"\">open</td>",
        "<th scope=\"row\" class=\"\">crypto</th><td class=\"\">released</td>",
        "&quot;code&quot;: 70"
      ]
    ) assert.include(page, text)
  })

  it("can be read without seeing it: a language, one heading, captions, and cells that say what they head", () => {
    const page = consolePage(siteOf("relay"), report(emptyJournal()))
    assert.match(page, /<html lang="en">/)
    assert.strictEqual(page.match(/<h1>/g)?.length, 1)
    assert.strictEqual(page.match(/<table/g)?.length, page.match(/<caption>/g)?.length)
    assert.notMatch(page, /<th(?!ead| scope=)/)
    assert.notMatch(page, /<img| on\w+=/)
  })
})

interface Answer {
  readonly status: number
  readonly type: string
  readonly text: string
  readonly headers: Readonly<Record<string, unknown>>
}

const get = Effect.fnUntraced(function*(path: string, headers: OutgoingHttpHeaders = {}) {
  const { port } = yield* RelayAddress
  return yield* Effect.callback<Answer>((resume) => {
    request({ host: "127.0.0.1", port, path, headers, agent: false }, (response) => {
      let text = ""
      response.setEncoding("utf8")
      response.on("data", (chunk: string) => void (text += chunk))
      response.on("end", () =>
        resume(Effect.succeed({
          status: response.statusCode ?? 0,
          type: response.headers["content-type"] ?? "",
          text,
          headers: response.headers
        })))
    }).on("error", (error) => resume(Effect.die(error))).end()
  })
})

const relayUrl = "wss://relay.example"
let nonce = 0
const authorization = (author: string, u: string, method = "GET") => {
  const created_at = Math.floor(Date.now() / 1000)
  const event = signed(
    { kind: 27_235, created_at, content: String(nonce++), tags: [["u", u], ["method", method]] },
    author
  )
  return `Nostr ${Buffer.from(JSON.stringify(event)).toString("base64")}`
}
const far = { host: "relay.example" }
const asked = (path: string, header: string) => get(path, { ...far, authorization: header })

const trustedProxies = [{ address: "127.0.0.1", family: "ipv4", prefix: 32 }] as const
const operators = [keyOf("operator").pubkey]

layer(relay({ relayUrl, operators }), { excludeTestServices: true })("GET /console behind an unknown proxy", (it) => {
  it.effect("says what would make it certain of who asks", () =>
    Effect.gen(function*() {
      const { status, text } = yield* get("/console")
      assert.deepStrictEqual([status, Object.keys(JSON.parse(text) as object)], [403, ["error"]])
      assert.match(text, /this may be a proxy: set TRUSTED_PROXIES/)
    }))
})

layer(relay({ relayUrl, operators, trustedProxies }), { excludeTestServices: true })(
  "GET /console",
  (it) => {
    it.effect("is a page for a browser on this machine, which nothing can frame, keep, or read from elsewhere", () =>
      Effect.gen(function*() {
        const { headers, status, text, type } = yield* get("/console", { accept: "text/html,*/*;q=0.8" })
        assert.deepStrictEqual([status, type], [200, "text/html; charset=utf-8"])
        assert.include(text, "<caption>Senders, oldest first</caption>")
        assert.match(String(headers["content-security-policy"]), /default-src 'none'.*frame-ancestors 'none'/)
        assert.strictEqual(headers["cache-control"], "no-store")
        assert.isUndefined(headers["access-control-allow-origin"])
      }))

    it.effect("is JSON for a program, and for a browser that says so", () =>
      Effect.gen(function*() {
        for (
          const [path, accept] of [["/console", "application/json"], ["/console", undefined], [
            "/console?format=json",
            "text/html"
          ]] as const
        ) {
          const { text, type } = yield* get(path, accept === undefined ? {} : { accept })
          assert.strictEqual(type, "application/json", path)
          assert.deepStrictEqual((JSON.parse(text) as Report).components.map(({ name }) => name), [
            "database",
            "crypto",
            "aggregation",
            "websocket"
          ])
        }
      }))

    it.effect("shows the sender of a client for as long as it is connected", () =>
      Effect.gen(function*() {
        const labels = Effect.map(
          get("/console"),
          ({ text }) => (JSON.parse(text) as Report).senders.map(({ label }) => label)
        )
        const { url } = yield* RelayAddress
        const during = yield* Effect.scoped(Effect.gen(function*() {
          const client = yield* connect(url)
          yield* client.req("a", { limit: 0 })
          return yield* labels
        }))
        assert.lengthOf(during.filter((label) => label.startsWith("websocket/connection")), 1)
        let after = during
        while (after.some((label) => label.startsWith("websocket/connection"))) after = yield* labels
        assert.include(after, "database (owner)")
      }))

    it.effect("is refused to a stranger with one clear error", () =>
      Effect.gen(function*() {
        for (const headers of [far, { "x-forwarded-for": "127.0.0.1" }]) {
          const { status, text } = yield* get("/console", headers)
          assert.strictEqual(status, 403)
          assert.deepStrictEqual(Object.keys(JSON.parse(text) as object), ["error"])
          assert.match(text, /for this machine, and for operators who sign their request \(NIP-98\)/)
        }
      }))

    it.effect("takes a request that an operator has signed, once", () =>
      Effect.gen(function*() {
        const header = authorization("operator", "https://relay.example/console?format=json")
        const first = yield* asked("/console?format=json", header)
        assert.strictEqual(first.status, 200, first.text)
        const second = yield* asked("/console?format=json", header)
        assert.deepStrictEqual([second.status, second.text], [401, "{\"error\":\"authorization was used before\"}\n"])
      }))

    it.effect("refuses a signature of somebody else, for another address, or for another method", () =>
      Effect.gen(function*() {
        const url = "https://relay.example/console"
        for (
          const [header, error] of [
            [authorization("stranger", url), "not an operator of this relay"],
            [authorization("operator", "https://relay.example"), "authorization is for another address"],
            [authorization("operator", url, "POST"), "authorization is for another method"],
            ["Basic YWJjOmRlZg==", "no Nostr authorization"]
          ] as const
        ) {
          const { status, text } = yield* asked("/console", header)
          assert.deepStrictEqual([status, JSON.parse(text)], [401, { error }])
        }
      }))
  }
)

layer(relay({ relayUrl: "wss://relay.example/nostr", operators }), { excludeTestServices: true })(
  "GET /console of a relay under a path",
  (it) => {
    it.effect("is signed by the address that an operator sees", () =>
      Effect.gen(function*() {
        const seen = yield* asked("/console", authorization("operator", "https://relay.example/nostr/console"))
        const other = yield* asked("/console", authorization("operator", "https://relay.example/console"))
        assert.deepStrictEqual([seen.status, other.status], [200, 401])
      }))
  }
)
