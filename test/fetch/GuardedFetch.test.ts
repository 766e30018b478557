import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, type Scope, Stream } from "effect"
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib"
import type { AddressGuard } from "../../src/fetch/AddressGuard.ts"
import { encodingsOf } from "../../src/fetch/Exchange.ts"
import { GuardedFetch, redirectTarget, type Request } from "../../src/fetch/GuardedFetch.ts"
import { HostBudgets } from "../../src/fetch/HostBudgets.ts"
import * as FakeDns from "../support/FakeDns.ts"
import * as Guarded from "../support/guarded.ts"
import * as HostileHost from "../support/HostileHost.ts"
import { png } from "../support/images.ts"

type Services = GuardedFetch | HostBudgets | AddressGuard | Scope.Scope

/** One hostile host, one fetcher, and ten seconds. */
const test = (
  name: string,
  effect: (host: HostileHost.HostileHost) => Effect.Effect<void, unknown, Services>,
  options?: Guarded.Options
) =>
  it.live(name, () =>
    Effect.gen(function*() {
      const host = yield* HostileHost.make()
      yield* effect(host).pipe(Effect.provide(Guarded.layer(options)))
    }).pipe(Effect.timeout("9 seconds")))

const caps = { encoded: 100_000, decoded: 1_000_000 }

const bodyOf = (url: string, request: Partial<Request> = {}) =>
  Effect.gen(function*() {
    const fetch = yield* GuardedFetch
    const response = yield* fetch.get({ url, accept: "*/*", caps, whole: true, ...request })
    const chunks = yield* Stream.runCollect(response.body)
    return Buffer.concat(chunks)
  }).pipe(Effect.scoped)

/** The body's length, or why there is none. */
const outcome = (url: string, request: Partial<Request> = {}) =>
  bodyOf(url, request).pipe(
    Effect.map((body) => `${body.length} bytes`),
    Effect.catch((error) => Effect.succeed(`${error.reason}: ${error.detail}`))
  )

type Answers = Parameters<FakeDns.FakeDns["set"]>[1]

const dnsOf = (names: Readonly<Record<string, ReadonlyArray<Answers>>>): FakeDns.FakeDns => {
  const dns = FakeDns.make()
  for (const [name, answers] of Object.entries(names)) dns.set(name, ...answers)
  return dns
}

describe("GuardedFetch", () => {
  test("sends one plain GET: no cookies, no referrer, no credentials", (host) =>
    Effect.gen(function*() {
      host.script("/a.png", HostileHost.ok("hello", { "set-cookie": "a=b" }))
      assert.strictEqual(String(yield* bodyOf(`${host.origin}/a.png?x=1#y`)), "hello")
      yield* bodyOf(`${host.origin}/a.png`)
      const expected = {
        "user-agent": "profile-aggregator/1",
        accept: "*/*",
        "accept-encoding": "identity",
        connection: "close",
        host: `127.0.0.1:${host.port}`
      }
      assert.deepStrictEqual(host.requests, [
        { method: "GET", target: "/a.png?x=1", headers: expected },
        { method: "GET", target: "/a.png", headers: expected }
      ])
    }))

  test("asks for a range where it is told to", (host) =>
    Effect.gen(function*() {
      host.script("/a.png", HostileHost.ranged(Buffer.from("0123456789")))
      const range = { first: 2, last: 4 }
      assert.strictEqual(String(yield* bodyOf(`${host.origin}/a.png`, { range })), "234")
      assert.strictEqual(host.requests[0]?.headers["range"], "bytes=2-4")
      assert.strictEqual(yield* outcome(`${host.origin}/a.png`, { range: { first: 10, last: 20 } }), "Range: 416")
    }))

  test("takes a part for no answer where the whole was asked for", (host) =>
    Effect.gen(function*() {
      host.script("/a.png", HostileHost.status(206))
      assert.strictEqual(yield* outcome(`${host.origin}/a.png`), "Protocol: 206")
    }))

  test("leaves no connection behind, whether a body was read, half read, or not at all", (host) =>
    Effect.gen(function*() {
      host.script("/endless", { _tag: "Endless", chunk: Buffer.alloc(1000, 1) })
      const fetch = yield* GuardedFetch
      const request = { url: `${host.origin}/endless`, accept: "*/*", caps, whole: false }
      yield* Effect.scoped(fetch.get(request))
      yield* Effect.scoped(Effect.flatMap(fetch.get(request), ({ body }) => Stream.runDrain(Stream.take(body, 1))))
      yield* host.until(() => host.open() === 0)
      assert.strictEqual(host.accepted(), 2)
    }))
})

describe("GuardedFetch: what the answer means", () => {
  test("tells what will not change from what may", (host) =>
    Effect.gen(function*() {
      const reasons: Record<number, string> = {}
      const permanent: Array<number> = []
      for (const code of [404, 410, 400, 401, 403, 418, 451, 500, 502, 503, 504, 304]) {
        host.script("/a.png", HostileHost.status(code))
        const error = yield* Effect.flip(bodyOf(`${host.origin}/a.png`))
        assert.strictEqual(error.status, code)
        reasons[code] = error.reason
        if (error.isPermanent) permanent.push(code)
      }
      assert.deepStrictEqual(permanent, [404, 410])
      assert.deepStrictEqual(reasons, {
        304: "Protocol",
        400: "Denied",
        401: "Denied",
        403: "Denied",
        404: "Gone",
        410: "Gone",
        418: "Denied",
        451: "Denied",
        500: "ServerError",
        502: "ServerError",
        503: "ServerError",
        504: "ServerError"
      })
    }))

  test("honours Retry-After in seconds, as a date, and never for longer than a day (fault 59)", (host) =>
    Effect.gen(function*() {
      const pauses: Array<number | undefined> = []
      const inTwoMinutes = new Date(Date.now() + 120_500).toUTCString()
      const answers: ReadonlyArray<readonly [429 | 503, string]> = [
        [429, "100"],
        [503, inTwoMinutes],
        [429, "315360000"],
        [429, "Wed, 21 Oct 2099 07:28:00 GMT"]
      ]
      for (const [code, value] of answers) {
        host.script("/a.png", HostileHost.retryAfter(code, value))
        const error = yield* Effect.flip(bodyOf(`${host.origin}/a.png`)).pipe(
          Effect.provide(Guarded.layer(), { local: true })
        )
        assert.strictEqual(`${error.reason} ${error.status}`, `Paused ${code}`)
        pauses.push(error.retryAfter)
      }
      const [seconds, date = 0, ...capped] = pauses
      assert.strictEqual(seconds, 100_000)
      assert.isTrue(date > 118_000 && date <= 120_500, String(date))
      assert.deepStrictEqual(capped, [86_400_000, 86_400_000])
    }))

  test("pauses a host of its own accord when a 429 names no time, or garbage (fault 59)", (host) =>
    Effect.gen(function*() {
      for (const script of [HostileHost.status(429), HostileHost.retryAfter(429, "in a while")]) {
        host.script("/a.png", script)
        const error = yield* Effect.flip(bodyOf(`${host.origin}/a.png`)).pipe(
          Effect.provide(Guarded.layer(), { local: true })
        )
        assert.deepStrictEqual([error.reason, error.retryAfter], ["Paused", 30_000])
      }
    }))

  test("sends nothing more to a host that asked for a pause, whatever the path", (host) =>
    Effect.gen(function*() {
      host.script("/a.png", HostileHost.retryAfter(429, "100"))
      host.script("/b.png", HostileHost.ok("b"))
      yield* outcome(`${host.origin}/a.png`)
      const error = yield* Effect.flip(bodyOf(`${host.origin}/b.png`))
      assert.deepStrictEqual([error.reason, error.detail, error.isPermanent], ["Budget", "paused", false])
      assert.isTrue((error.retryAfter ?? 0) > 99_000)
      assert.strictEqual(host.requests.length, 1)
    }))

  test("takes a name without addresses, and a port without a listener, for silence", (host) =>
    Effect.gen(function*() {
      void host
      const names = ["http://nobody.example/", "http://broken.example/"]
      assert.deepStrictEqual(yield* Effect.forEach(names, (url) => outcome(url)), [
        "Name: NoSuchName",
        "Name: Unavailable"
      ])
      const closed = yield* Effect.scoped(Effect.map(HostileHost.make(), ({ origin }) => origin))
      assert.strictEqual(yield* outcome(closed), "Connect: ECONNREFUSED")
    }), { dns: dnsOf({ "broken.example": ["Unavailable"] }) })

  test("takes a server without TLS for silence", () =>
    Effect.gen(function*() {
      const { port } = yield* HostileHost.make({ greeting: Buffer.from("220 mail.example ESMTP\r\n") })
      const error = yield* Effect.flip(bodyOf(`https://127.0.0.1:${port}/`))
      assert.deepStrictEqual([error.reason, error.isPermanent], ["Tls", false])
    }))
})

describe("fault 50: a name whose addresses change", () => {
  const dns = dnsOf({ "rebind.example": [["127.0.0.1"], ["10.0.0.1"]] })

  test("connects to the address that was checked, and asks for it once", (host) =>
    Effect.gen(function*() {
      host.script("/a.png", HostileHost.ok("a"))
      assert.strictEqual(yield* outcome(`http://rebind.example:${host.port}/a.png`), "1 bytes")
      assert.strictEqual(dns.queries.length, 1)
      assert.strictEqual(yield* outcome(`http://rebind.example:${host.port}/a.png`), "Refused: address is not public")
      assert.strictEqual(host.requests.length, 1)
    }), { dns })
})

const from = (url: string, location: string): string => {
  const target = redirectTarget(new URL(url), location)
  return target._tag === "Success" ? target.success : target.failure.detail
}

describe("fault 51: redirects", () => {
  test("follows three hops, and not a fourth", (host) =>
    Effect.gen(function*() {
      for (let i = 0; i < 20; i++) {
        host.script(`/${i}`, HostileHost.redirect(`/${i + 1}`, [301, 302, 303, 307, 308][i % 5]))
      }
      host.script("/20", HostileHost.ok("done"))
      assert.strictEqual(yield* outcome(`${host.origin}/17`), "4 bytes")
      assert.strictEqual(yield* outcome(`${host.origin}/16`), "TooManyRedirects: too many redirects")
      assert.strictEqual(yield* outcome(`${host.origin}/0`), "TooManyRedirects: too many redirects")
      assert.strictEqual(host.requests.length, 4 + 4 + 4)
    }))

  test("leads where a browser goes when the target is raw UTF-8", (host) =>
    Effect.gen(function*() {
      host.script("/a", HostileHost.redirect(Buffer.from("/bücher/名.png").toString("latin1")))
      host.script("/b%C3%BCcher/%E5%90%8D.png", HostileHost.ok("b"))
      assert.strictEqual(yield* outcome(`${host.origin}/a`), "1 bytes")
      assert.strictEqual(from("https://a.example/", "/\u00fc"), "https://a.example/%C3%BC")
      const domain = Buffer.from("https://bücher.example/").toString("latin1")
      assert.strictEqual(from("https://a.example/", domain), "https://xn--bcher-kva.example/")
    }))

  test("gives up on a loop after four requests", (host) =>
    Effect.gen(function*() {
      host.script("/a", HostileHost.redirect("/a"))
      assert.strictEqual(yield* outcome(`${host.origin}/a`), "TooManyRedirects: too many redirects")
      assert.strictEqual(host.requests.length, 4)
    }))

  test("follows none where none is allowed (NIP-05)", (host) =>
    Effect.gen(function*() {
      host.script("/a", HostileHost.redirect("/b"))
      host.script("/b", HostileHost.ok("b"))
      assert.strictEqual(
        yield* outcome(`${host.origin}/a`, { redirectsMax: 0 }),
        "TooManyRedirects: too many redirects"
      )
      assert.strictEqual(host.requests.length, 1)
    }))

  test("checks each hop as if it were the first", (host) =>
    Effect.gen(function*() {
      const targets: ReadonlyArray<readonly [string, string]> = [
        ["http://10.0.0.1/", "address is not public"],
        ["http://169.254.169.254/latest/meta-data", "address is not public"],
        ["//[::1]/", "address is not public"],
        ["http://inside.example/", "address is not public"],
        ["http://93.184.216.34:6379/", "port is not allowed"],
        ["file:///etc/passwd", "scheme is not allowed"],
        ["data:image/png;base64,AAAA", "scheme is not allowed"],
        ["javascript:alert(1)", "scheme is not allowed"],
        ["http://user:pass@127.0.0.1/", "URL holds credentials"],
        [`http://127.0.0.1/${"x".repeat(3000)}`, "URL is too long"],
        ["http://[", "malformed URL"]
      ]
      for (const [target, reason] of targets) {
        host.script("/a", HostileHost.redirect(target))
        const error = yield* Effect.flip(bodyOf(`${host.origin}/a`))
        assert.deepStrictEqual([error.reason, error.detail, error.isPermanent], ["Refused", reason, true], target)
      }
      assert.strictEqual(host.accepted(), targets.length)
    }), { dns: dnsOf({ "inside.example": [["192.168.0.1"]] }) })

  test("takes a redirect without a target for no HTTP", (host) =>
    Effect.gen(function*() {
      host.script("/a", HostileHost.status(302))
      assert.strictEqual(yield* outcome(`${host.origin}/a`), "Protocol: redirect without a target")
    }))

  it("never leaves https for http", () => {
    assert.strictEqual(from("https://a.example/x/y", "http://a.example/"), "redirect from https to http")
    assert.strictEqual(from("https://a.example/x/y", "../z"), "https://a.example/z")
    assert.strictEqual(from("https://a.example/x/y", "//b.example/"), "https://b.example/")
    assert.strictEqual(from("http://a.example/", "https://a.example/"), "https://a.example/")
  })

  test("gives a hop's place back before the next one asks for its own", (host) =>
    Effect.gen(function*() {
      host.script("/a", HostileHost.redirect("/b"))
      host.script("/b", HostileHost.ok("b"))
      const all = yield* Effect.all([outcome(`${host.origin}/a`), outcome(`${host.origin}/a`)], { concurrency: 2 })
      assert.deepStrictEqual(all, ["1 bytes", "1 bytes"])
    }), { budgets: { concurrency: 1, waitMillisMax: 800 } })
})

describe("fault 52: encodings", () => {
  const text = Buffer.from("text ".repeat(1000))

  test("undoes one, and two of them", (host) =>
    Effect.gen(function*() {
      const answers: ReadonlyArray<readonly [string, Uint8Array]> = [
        ["gzip", gzipSync(text)],
        ["X-GZIP", gzipSync(text)],
        ["deflate", deflateSync(text)],
        ["br", brotliCompressSync(text)],
        ["zstd", zstdCompressSync(text)],
        ["identity", text],
        ["gzip, br", brotliCompressSync(gzipSync(text))]
      ]
      for (const [encoding, body] of answers) {
        host.script("/a", HostileHost.ok(body, { "content-encoding": encoding }))
        assert.strictEqual(yield* outcome(`${host.origin}/a`), "5000 bytes", encoding)
      }
      host.script("/a", HostileHost.encoded(text, 2))
      assert.strictEqual(yield* outcome(`${host.origin}/a`), "5000 bytes")
    }))

  test("refuses three, fifty, and any that it does not know", (host) =>
    Effect.gen(function*() {
      host.script("/three", HostileHost.encoded(text, 3))
      host.script("/fifty", HostileHost.encoded(text, 50))
      host.script("/unknown", HostileHost.ok(text, { "content-encoding": "compress" }))
      assert.strictEqual(yield* outcome(`${host.origin}/three`), "Encoding: too many encodings")
      assert.strictEqual(yield* outcome(`${host.origin}/fifty`), "Encoding: too many encodings")
      assert.strictEqual(yield* outcome(`${host.origin}/unknown`), "Encoding: unknown encoding")
      assert.deepStrictEqual(encodingsOf(" GZIP , identity,, br"), ["gzip", "br"])
    }))

  test("stops a bomb of 200 MB at the decoded cap, compressed once or twice", (host) =>
    Effect.gen(function*() {
      for (const times of [1, 2] as const) {
        host.script("/bomb", { _tag: "Bomb", bytes: 200_000_000, times })
        const before = process.memoryUsage().rss
        const error = yield* Effect.flip(bodyOf(`${host.origin}/bomb`))
        assert.deepStrictEqual([error.reason, error.isPermanent], ["TooLarge", true])
        assert.isBelow(process.memoryUsage().rss - before, 100_000_000)
        yield* host.until(() => host.open() === 0)
      }
    }), { deadlines: { total: 4000, idle: 2000 } })

  test("survives an encoded body that nobody reads", (host) =>
    Effect.gen(function*() {
      host.script("/a", HostileHost.encoded(Buffer.alloc(2_000_000), 1))
      const fetch = yield* GuardedFetch
      for (let i = 0; i < 5; i++) {
        yield* Effect.scoped(fetch.get({ url: `${host.origin}/a`, accept: "*/*", caps, whole: false }))
        yield* host.until(() => host.open() === 0)
      }
    }))

  test("takes a body that is not what its encoding says for no HTTP", (host) =>
    Effect.gen(function*() {
      host.script("/garbage", HostileHost.ok(text, { "content-encoding": "gzip" }))
      host.script("/cut", HostileHost.ok(gzipSync(text).subarray(0, 20), { "content-encoding": "gzip" }))
      assert.match(yield* outcome(`${host.origin}/garbage`), /^Protocol: Z_/)
      assert.match(yield* outcome(`${host.origin}/cut`), /^Protocol: Z_BUF_ERROR/)
    }))
})

describe("fault 53: hosts that take their time", () => {
  const cut = (name: string, script: HostileHost.Script, detail: RegExp, atMost: number) =>
    test(name, (host) =>
      Effect.gen(function*() {
        host.script("/a", script)
        const start = performance.now()
        const error = yield* Effect.flip(bodyOf(`${host.origin}/a`))
        const millis = performance.now() - start
        assert.strictEqual(error.reason, "Timeout")
        assert.match(error.detail, detail)
        assert.isFalse(error.isPermanent)
        assert.isBelow(millis, atMost)
        yield* host.until(() => host.open() === 0)
      }))

  cut("cuts one that says nothing", { _tag: "Hang" }, /no headers/, 700)
  cut("cuts one that says nothing after its headers", { _tag: "HangAfterHeaders" }, /idle/, 700)
  cut(
    "cuts one that sends its headers byte by byte",
    { _tag: "Drip", bytes: Buffer.alloc(100), millis: 50, head: true },
    /no headers/,
    700
  )
  cut(
    "cuts one that sends its body byte by byte at the total deadline, although it is never idle",
    { _tag: "Drip", bytes: Buffer.alloc(10_000), millis: 50, head: false },
    /in all/,
    1500
  )
  cut("cuts one that sends hints for ever", { _tag: "EndlessHints" }, /no headers/, 700)

  test("cuts one that never answers a TLS handshake at the connect deadline", (host) =>
    Effect.gen(function*() {
      const outcomes = yield* outcome(`https://127.0.0.1:${host.port}/`)
      assert.strictEqual(outcomes, "Timeout: connecting took too long")
      yield* host.until(() => host.open() === 0)
    }), { deadlines: { connect: 200 } })

  test("cuts a body without end at the cap", (host) =>
    Effect.gen(function*() {
      host.script("/a", { _tag: "Endless", chunk: Buffer.alloc(10_000, 1) })
      assert.match(yield* outcome(`${host.origin}/a`), /^TooLarge: (?:encoded|decoded) body$/)
      yield* host.until(() => host.open() === 0)
      // What was on its way when we hung up is the kernel's buffers, not a flood.
      assert.isBelow(host.sent(), 20_000_000)
    }))

  test("waits for a name no longer than for a connection", (host) =>
    Effect.gen(function*() {
      void host
      assert.strictEqual(yield* outcome("http://never.example/"), "Timeout: name not resolved in time")
    }), { dns: dnsOf({ "never.example": ["never"] }), deadlines: { connect: 200 } })
})

describe("fault 54: lengths that lie", () => {
  test("refuses a declared length above the cap before the body is read", (host) =>
    Effect.gen(function*() {
      host.script("/a", { _tag: "LyingLength", declared: 100_001, body: Buffer.from("short") })
      assert.strictEqual(yield* outcome(`${host.origin}/a`), "TooLarge: declared length")
    }))

  test("takes a body that ends before its declared length for a broken connection", (host) =>
    Effect.gen(function*() {
      host.script("/a", { _tag: "LyingLength", declared: 1000, body: Buffer.from("short") })
      assert.match(yield* outcome(`${host.origin}/a`), /^Reset: /)
    }))

  test("reads no further than the declared length", (host) =>
    Effect.gen(function*() {
      host.script("/a", { _tag: "LyingLength", declared: 5, body: Buffer.alloc(1_000_000, 1) })
      assert.strictEqual(yield* outcome(`${host.origin}/a`), "5 bytes")
    }))

  test("survives a connection that ends at any byte of the answer, politely or not", (host) =>
    Effect.gen(function*() {
      const body = Buffer.alloc(40, 1)
      const seen = new Set<string>()
      for (let at = 0; at <= 110; at++) {
        host.script("/a", { _tag: "CutAt", at, body, reset: at % 2 === 1 })
        seen.add((yield* outcome(`${host.origin}/a`)).replace(/:.*/, ""))
      }
      assert.deepStrictEqual([...seen].toSorted(), ["40 bytes", "Protocol", "Reset"].filter((kind) => seen.has(kind)))
      assert.isTrue(seen.has("40 bytes") && seen.has("Reset"))
    }))

  test("takes what is no HTTP for silence", (host) =>
    Effect.gen(function*() {
      const answers = ["SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 200 OK\nno\n", "HTTP/9.9 1 x\r\n\r\n", "\0\0\0\0"]
      for (const text of answers) {
        host.script("/a", { _tag: "Raw", bytes: Buffer.from(text) })
        assert.match(yield* outcome(`${host.origin}/a`), /^(?:Protocol|Reset)/)
      }
      host.script("/a", { _tag: "HugeHeader", bytes: 20_000 })
      assert.strictEqual(yield* outcome(`${host.origin}/a`), "Protocol: HPE_HEADER_OVERFLOW")
      host.script("/a", {
        _tag: "Raw",
        bytes: Buffer.from("HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"),
        keepOpen: true
      })
      assert.strictEqual(yield* outcome(`${host.origin}/a`), "Protocol: upgraded")
      yield* host.until(() => host.open() === 0)
    }))
})

describe("fault 58: URLs that must not be fetched", () => {
  test("refuses data:, blob:, javascript:, credentials and 10 MB before anything else happens", (host) =>
    Effect.gen(function*() {
      const urls = ["data:image/png;base64,AAAA", "blob:nodedata:1", "javascript:alert(1)", "ftp://127.0.0.1/"]
      for (const url of urls) assert.strictEqual(yield* outcome(url), "Refused: scheme is not allowed")
      const withCredentials = host.origin.replace("//", "//user:pass@")
      assert.strictEqual(yield* outcome(withCredentials), "Refused: URL holds credentials")
      assert.strictEqual(yield* outcome(`${host.origin}/${"x".repeat(10_000_000)}`), "Refused: URL is too long")
      const budgets = yield* HostBudgets
      assert.deepStrictEqual(yield* budgets.hosts, [])
      assert.strictEqual(host.accepted(), 0)
    }))
})

describe("fault 60: stopping while a host hangs", () => {
  const phases: Readonly<Record<string, HostileHost.Script>> = {
    "before the headers": { _tag: "Hang" },
    "in the body": { _tag: "HangAfterHeaders" },
    "in a body that drips": { _tag: "Drip", bytes: Buffer.alloc(1000), millis: 50, head: false },
    "in a body without end": { _tag: "Endless", chunk: Buffer.alloc(1000) }
  }
  for (const [phase, script] of Object.entries(phases)) {
    test(`ends at once, and hangs up, ${phase}`, (host) =>
      Effect.gen(function*() {
        host.script("/a", script)
        const request = { caps: { encoded: Infinity, decoded: Infinity } }
        const fiber = yield* Effect.forkScoped(outcome(`${host.origin}/a`, request), { startImmediately: true })
        yield* host.until(() => host.requests.length === 1)
        yield* Effect.sleep(20)
        const start = performance.now()
        yield* Fiber.interrupt(fiber)
        assert.isBelow(performance.now() - start, 100)
        const exit = yield* Fiber.await(fiber)
        assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
        yield* host.until(() => host.open() === 0)
        assert.deepStrictEqual((yield* (yield* HostBudgets).hosts).map(({ inFlight }) => inFlight), [0])
      }), { deadlines: { connect: 30_000, idle: 30_000, total: 30_000 } })
  }

  test("ends at once while a name is being looked up", (host) =>
    Effect.gen(function*() {
      void host
      const fiber = yield* Effect.forkScoped(outcome("http://never.example/"), { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      assert.isTrue(Exit.isFailure(yield* Fiber.await(fiber)))
    }), { dns: dnsOf({ "never.example": ["never"] }) })
})

describe("budgets", () => {
  test("asks one host for two things at a time", (host) =>
    Effect.gen(function*() {
      host.script("/a", { _tag: "Drip", bytes: Buffer.alloc(3), millis: 20, head: false })
      const { hosts } = yield* HostBudgets
      const look = Effect.runSyncWith(yield* Effect.context())
      let most = 0
      yield* Effect.forkScoped(host.until(() => {
        for (const { inFlight } of look(hosts)) most = Math.max(most, inFlight)
        return false
      }))
      const all = yield* Effect.forEach(
        Array.from({ length: 8 }),
        () => outcome(`${host.origin}/a`),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual([...new Set(all)], ["3 bytes"])
      assert.strictEqual(most, 2)
      // One that we have closed may still be open over there.
      assert.isAtMost(host.openMax(), 3)
    }))

  test("says when to come back once a host's pace is spent, and sends nothing", (host) =>
    Effect.gen(function*() {
      host.script("/a", HostileHost.ok(png(1, 1)))
      yield* outcome(`${host.origin}/a`)
      const error = yield* Effect.flip(bodyOf(`${host.origin}/a`))
      assert.deepStrictEqual([error.reason, error.detail], ["Budget", "rate"])
      assert.isAbove(error.retryAfter ?? 0, 55_000)
      assert.strictEqual(host.requests.length, 1)
    }), { budgets: { perMinuteOf: () => 1 } })
})
