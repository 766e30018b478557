/** The relay's transport, its limits, and how it stops: real sockets, over a store that does as it is told. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Duration, Effect, Exit, Fiber, Latch, Layer, PubSub, Schema, Scope } from "effect"
import { Agent, request } from "node:http"
import { createConnection, type Socket } from "node:net"
import type { Overrides } from "../../src/config/Settings.ts"
import { type Event, rawOf } from "../../src/domain/Event.ts"
import { Shutdown } from "../../src/lifecycle/Shutdown.ts"
import { StartError } from "../../src/lifecycle/StartError.ts"
import { RelayAddress } from "../../src/websocket/RelayServer.ts"
import { epoch, keyOf, notes, signed } from "../support/events.ts"
import { noLeaks } from "../support/leaks.ts"
import { connect } from "../support/TestClient.ts"
import * as Fake from "./FakeStore.ts"

/** A relay that the test stops itself; the scope does otherwise. */
const start = Effect.fnUntraced(function*(overrides: Overrides = {}) {
  const scope = yield* Scope.make()
  yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
  const context = yield* Layer.buildWithScope(Fake.layer(overrides), scope)
  const { url, port } = Context.get(context, RelayAddress)
  const shutdown = Context.get(context, Shutdown)
  /** Stops, and says how long that took in milliseconds. */
  const stop = Effect.suspend(() => {
    const began = performance.now()
    shutdown.journal.stop({ name: "test", code: 0 })
    return Effect.map(Scope.close(scope, Exit.void), () => performance.now() - began)
  })
  return { url, port, store: Context.get(context, Fake.FakeStore), shutdown, journal: shutdown.journal, stop }
})

class TestFailed extends Schema.TaggedError<TestFailed>()("TestFailed", { message: Schema.String }) {}

/** Waits until something holds that happens soon, and fails when it does not within five seconds. */
const eventually = (what: string, holds: () => boolean) =>
  Effect.callback<void, TestFailed>((resume) => {
    const until = performance.now() + 5000
    const look = () => {
      if (holds()) resume(Effect.void)
      else if (performance.now() > until) resume(new TestFailed({ message: `not within 5 s: ${what}` }))
      else setImmediate(look)
    }
    look()
  })

/** A TCP connection that says what it is told and nothing else. */
const raw = Effect.fnUntraced(function*(port: number, text = "") {
  const socket = yield* Effect.acquireRelease(
    Effect.callback<Socket, TestFailed>((resume) => {
      const socket = createConnection({ port, host: "127.0.0.1" }, () => resume(Effect.succeed(socket)))
      socket.once("error", ({ message }) => resume(new TestFailed({ message })))
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )
  const chunks: Array<Buffer> = []
  let isClosed = false
  socket.on("data", (chunk: Buffer) => void chunks.push(chunk))
  socket.on("error", () => {})
  socket.on("close", () => void (isClosed = true))
  if (text !== "") socket.write(text)
  const bytes = () => Buffer.concat(chunks)
  return {
    socket,
    text: () => bytes().toString("latin1"),
    closed: eventually("the connection is closed", () => isClosed),
    isClosed: () => isClosed,
    /** Code of the Close frame that came last, after whatever came before. */
    closeCode: () => {
      const at = bytes().lastIndexOf(0x88)
      return at < 0 ? undefined : bytes().readUInt16BE(at + 2)
    }
  }
})

const handshake = (path = "/") =>
  `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n` +
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

/** A WebSocket client of bare bytes: it never answers a Close frame, or anything else. */
const mute = Effect.fnUntraced(function*(port: number) {
  const client = yield* raw(port, handshake())
  yield* eventually("the handshake is answered", () => client.text().includes("\r\n\r\n"))
  return client
})

/** A frame masked with zeroes, which leave the payload as it is. */
const frame = (first: number, payload: Buffer, length = payload.length) => {
  const header = Buffer.alloc(14)
  header[0] = first
  header[1] = 0x80 | 127
  header.writeBigUInt64BE(BigInt(length), 2)
  return Buffer.concat([header, payload])
}

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
}

const ask = (
  port: number,
  path: string,
  options: { readonly agent?: Agent; readonly headers?: Record<string, string> }
) =>
  Effect.callback<Answer, TestFailed>((resume) => {
    request({ host: "127.0.0.1", port, path, ...options }, (response) => {
      response.resume()
      response.on("end", () => resume(Effect.succeed({ status: response.statusCode ?? 0, headers: response.headers })))
    }).on("error", ({ message }) => resume(new TestFailed({ message }))).end()
  })

const keepAlive = Effect.acquireRelease(
  Effect.sync(() => new Agent({ keepAlive: true, maxSockets: 1 })),
  (agent) => Effect.sync(() => agent.destroy())
)

describe("RelayServer", () => {
  it.live("says where it cannot listen, and why", () =>
    noLeaks(Effect.gen(function*() {
      const { port } = yield* start()
      const error = yield* Effect.flip(start({ bindAddr: { host: "127.0.0.1", port } }))
      assert.instanceOf(error, StartError)
      assert.strictEqual(error.exitCode, 69)
      assert.strictEqual(error.message, `cannot listen on 127.0.0.1:${port}: the address is in use by another process`)
    })))

  describe("limits", () => {
    it.live("takes a message of the advertised size, and closes with 1009 at one byte more", () =>
      noLeaks(Effect.gen(function*() {
        const { url } = yield* start({ limits: { frameBytesMax: 4096 } })
        const client = yield* connect(url)
        yield* client.sendRaw("x".repeat(4096))
        yield* client.next("NOTICE")
        yield* client.sendRaw("x".repeat(4097))
        assert.strictEqual((yield* client.closed()).code, 1009)
      })))

    it.live("closes with 1009 at a frame that declares 1 GiB, before any of it came", () =>
      Effect.scoped(Effect.gen(function*() {
        const { port } = yield* start()
        const client = yield* mute(port)
        client.socket.write(frame(0x81, Buffer.alloc(0), 2 ** 30))
        yield* eventually("it is closed", () => client.closeCode() === 1009)
      })))

    for (
      const [name, code, bytes] of [
        ["invalid UTF-8", 1007, frame(0x81, Buffer.from([0xc3, 0x28]))],
        ["a frame without a mask", 1002, Buffer.from([0x81, 0x01, 0x78])],
        ["a reserved opcode", 1002, frame(0x83, Buffer.alloc(0))],
        ["a reserved bit", 1002, frame(0xc1, Buffer.alloc(0))],
        ["a ping in fragments", 1002, frame(0x09, Buffer.alloc(0))],
        ["a binary message", 1003, frame(0x82, Buffer.from("x"))],
        [
          "2000 fragments",
          1008,
          Buffer.concat([
            frame(0x01, Buffer.from("x")),
            ...Array.from({ length: 2000 }, () => frame(0x00, Buffer.from("x")))
          ])
        ]
      ] as const
    ) {
      it.live(`closes with ${code} at ${name}`, () =>
        Effect.scoped(Effect.gen(function*() {
          const { port } = yield* start()
          const client = yield* mute(port)
          client.socket.write(bytes)
          yield* eventually("it is closed", () => client.closeCode() === code)
        })))
    }

    it.live("69. upgrades on one path only", () =>
      noLeaks(Effect.gen(function*() {
        const { url } = yield* start()
        for (const path of ["/relay", "//", "/%2f"]) {
          assert.strictEqual((yield* Effect.flip(connect(`${url}${path}`))).status, 404)
        }
        yield* connect(`${url}/?token=1`)
      })))

    it.live("upgrades to the one version there is, and says which (RFC 6455 §4.4)", () =>
      noLeaks(Effect.gen(function*() {
        const { port } = yield* start()
        for (const version of ["8", "7", "14", "13, 8"]) {
          const client = yield* raw(port, handshake().replace("Version: 13", `Version: ${version}`))
          yield* client.closed
          assert.match(client.text(), /^HTTP\/1\.1 426 Upgrade Required\r\n/, version)
          assert.match(client.text(), /\r\nSec-WebSocket-Version: 13\r\n/)
        }
      })))

    it.live("refuses one connection too many of one address with 429, until another one has gone", () =>
      noLeaks(Effect.gen(function*() {
        const { url, store } = yield* start({ limits: { connectionsPerAddressMax: 2 } })
        const [first] = [yield* connect(url), yield* connect(url)]
        assert.strictEqual((yield* Effect.flip(connect(url))).status, 429)
        yield* first.close()
        yield* eventually("its sender is released", () => store.holders.size === 1)
        yield* connect(url)
      })))

    it.live("refuses one connection too many in total with 503", () =>
      noLeaks(Effect.gen(function*() {
        const { url } = yield* start({ limits: { connectionsMax: 1 } })
        yield* connect(url)
        assert.strictEqual((yield* Effect.flip(connect(url))).status, 503)
      })))

    it.live("faults 16, 17 and 18: closes a connection that sends nothing, half a header, or half a body, at the header timeout", () =>
      Effect.scoped(Effect.gen(function*() {
        const { port } = yield* start({ limits: { headerTimeout: Duration.millis(200) } })
        const clients = yield* Effect.all([
          raw(port),
          raw(port, "GET / HTTP/1.1\r\nHost: x\r\nAcce"),
          raw(port, "POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
        ])
        for (const client of clients) yield* client.closed
        assert.match(clients[1].text(), /^HTTP\/1.1 408 /u)
      })))

    it.live("drops TCP connections of one address that say nothing beyond as many as it may have, and no others", () =>
      Effect.scoped(Effect.gen(function*() {
        const { port, url } = yield* start({ limits: { connectionsPerAddressMax: 40 } })
        const clients = yield* Effect.forEach(Array.from({ length: 40 }), () => connect(url))
        // What became a WebSocket counts no more.
        const silent = yield* Effect.forEach(
          Array.from({ length: 40 }),
          (_, i) => raw(port, i % 2 === 0 ? "" : "GET / HT")
        )
        yield* (yield* raw(port)).closed
        assert.isFalse(silent.some((connection) => connection.isClosed()))
        silent[0]!.socket.destroy()
        yield* eventually("there is room again", () => silent[0]!.isClosed())
        const last = yield* raw(port, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        yield* eventually("it is answered", () => last.text().startsWith("HTTP/1.1 200 "))
        assert.strictEqual((yield* clients[0]!.req("a", { limit: 0 })).end[0], "EOSE")
      })))

    it.live("takes any number of TCP connections from a proxy, which stand for as many clients", () =>
      Effect.scoped(Effect.gen(function*() {
        const { port } = yield* start({
          limits: { connectionsPerAddressMax: 1 },
          trustedProxies: [{ address: "127.0.0.0", prefix: 8, family: "ipv4" }]
        })
        const silent = yield* Effect.forEach(Array.from({ length: 50 }), () => raw(port))
        const last = yield* raw(port, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        yield* eventually("it is answered", () => last.text().startsWith("HTTP/1.1 200 "))
        assert.isFalse(silent.some((connection) => connection.isClosed()))
      })))

    it.live("72. closes a client that does not answer pings, and keeps one that does", () =>
      Effect.scoped(Effect.gen(function*() {
        const { url } = yield* start({ limits: { idleTimeout: Duration.millis(200) } })
        const alive = yield* connect(url)
        const silent = yield* connect(url, { autoPong: false })
        assert.strictEqual((yield* silent.closed()).code, 1001)
        assert.strictEqual((yield* alive.req("a", { limit: 0 })).end[0], "EOSE")
      })))

    it.live("75. cuts a client that does not read with 1013, and delivers everything to the others (fault 20)", () =>
      Effect.scoped(Effect.gen(function*() {
        const { url, store, journal } = yield* start({ limits: { outboundBytesMax: 524_288, frameBytesMax: 131_072 } })
        const [slow, quick] = [yield* connect(url), yield* connect(url)]
        for (const client of [slow, quick]) yield* client.req("all", { limit: 0 })
        yield* slow.pause
        const events = notes(200).map((event) => ({ ...event, content: "x".repeat(60_000) }))
        for (const event of events) {
          yield* store.save(event)
          yield* quick.next((m) => m[0] === "EVENT" && (m[2] as Event).id === event.id)
        }
        assert.strictEqual(store.holders.size, 2, "both connections are still there, one of them closing")
        yield* slow.resume
        assert.deepStrictEqual(yield* slow.closed(), { code: 1013, reason: "reading too slowly" })
        yield* eventually("its sender is released", () => store.holders.size === 1)
        assert.strictEqual(journal.counters.socketsClean, 1)
      })))

    it.live("destroys a cut client that never reads at all (fault 20)", () =>
      Effect.scoped(Effect.gen(function*() {
        const { url, store, journal } = yield* start({ limits: { outboundBytesMax: 524_288 } })
        const slow = yield* connect(url)
        yield* slow.req("all", { limit: 0 })
        yield* slow.pause
        for (const event of notes(300)) {
          yield* store.save({ ...event, content: "x".repeat(60_000) })
          yield* Effect.yieldNow
        }
        yield* eventually("its sender is released", () => store.holders.size === 0)
        assert.strictEqual(journal.counters.socketsTerminated, 1)
      })))

    for (const isPacking of [false, true]) {
      it.live(`sends a long answer to a client that reads late, whole and in order; framed already: ${isPacking}`, () =>
        Effect.scoped(Effect.gen(function*() {
          const { url, store } = yield* start({ limits: { outboundBytesMax: 524_288 } })
          store.isPacking = isPacking
          const events = notes(300).map((event) => ({ ...event, content: "é".repeat(30_000) }))
          for (const event of events) yield* store.save(event)
          const [late, other] = [yield* connect(url), yield* connect(url)]
          yield* late.pause
          yield* late.send(["REQ", "a", { limit: 300 }])
          for (let i = 0; i < 20; i++) yield* other.req("b", { ids: [events[i]!.id] })
          yield* late.resume
          yield* late.next("EOSE")
          assert.deepStrictEqual(
            late.received().filter(([type]) => type === "EVENT").map((m) => (m[2] as Event).id),
            events.map(({ id }) => id)
          )
        })))
    }
  })

  it.live("neither misses an event nor sends it twice, whenever a subscription is opened", () =>
    Effect.scoped(Effect.gen(function*() {
      const { url, store } = yield* start()
      const clients = yield* Effect.all(Array.from({ length: 10 }, () => connect(url)))
      const events = notes(400)
      for (const [i, event] of events.entries()) {
        yield* store.save(event)
        if (i % 40 === 20) yield* clients[Math.floor(i / 40)]!.send(["REQ", "a", { authors: [keyOf("author").pubkey] }])
        if (i % 3 === 0) yield* Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))
      }
      const expected = new Set(events.map(({ id }) => id))
      for (const client of clients) {
        const seen = () => client.received().filter(([type]) => type === "EVENT").map((m) => (m[2] as Event).id)
        yield* eventually("everything came", () => seen().length >= expected.size)
        yield* client.req("end", { limit: 0 })
        assert.strictEqual(seen().length, expected.size)
        assert.deepStrictEqual(new Set(seen()), expected)
      }
    })))

  it.live("drops what the read has seen, whether it is announced before EOSE or after", () =>
    Effect.scoped(Effect.gen(function*() {
      const { url, store } = yield* start()
      const client = yield* connect(url)
      const [begun, latch] = [yield* Deferred.make<void>(), yield* Latch.make()]
      store.pace = Effect.andThen(Deferred.succeed(begun, undefined), latch.await)
      // Committed and readable, but the announcement lags behind.
      const [first, second, fresh] = [signed({ content: "1" }), signed({ content: "2" }), signed({ content: "3" })]
      for (const [i, event] of [first, second].entries()) store.commits.push({ seq: i + 1, event, raw: rawOf(event) })
      yield* client.send(["REQ", "a", { kinds: [1] }])
      yield* Deferred.await(begun)
      yield* PubSub.publish(store.saved, store.commits.slice(0, 1))
      yield* latch.open
      yield* client.next("EOSE")
      yield* PubSub.publish(store.saved, store.commits.slice(1))
      yield* store.save(fresh)
      yield* client.next((m) => m[0] === "EVENT" && (m[2] as Event).id === fresh.id)
      assert.deepStrictEqual(client.received().map(([type]) => type), ["EVENT", "EVENT", "EOSE", "EVENT"])
    })))

  describe("stopping", () => {
    it.live("76. closes every subscription by name, says goodbye with 1001, and gives all senders back", () =>
      noLeaks(Effect.gen(function*() {
        const { url, store, journal, stop } = yield* start()
        const clients = yield* Effect.all(Array.from({ length: 5 }, () => connect(url)))
        for (const client of clients) {
          yield* client.req("a", { limit: 0 })
          yield* client.req("b", { limit: 0 })
        }
        const took = yield* stop
        for (const client of clients) {
          assert.deepStrictEqual(yield* client.next(["CLOSED", "a"]), ["CLOSED", "a", "error: shutting down"])
          assert.deepStrictEqual(yield* client.next(["CLOSED", "b"]), ["CLOSED", "b", "error: shutting down"])
          assert.deepStrictEqual(yield* client.closed(), { code: 1001, reason: "shutting down" })
          assert.isFalse(client.received().some(([type]) => type === "NOTICE"))
        }
        assert.isBelow(took, 1000)
        assert.deepStrictEqual(journal.forced, [])
        assert.deepStrictEqual(journal.released, ["websocket"])
        assert.deepStrictEqual([...store.holders], [])
        assert.strictEqual(journal.counters.socketsClean, 5)
        assert.strictEqual(journal.counters.socketsTerminated, 0)
        assert.strictEqual((yield* Effect.flip(connect(url))).status, 0, "nobody listens any more")
      })))

    it.live("answers events in flight before it says goodbye, and delivers nothing live meanwhile", () =>
      noLeaks(Effect.gen(function*() {
        const { url, store, journal, stop } = yield* start()
        const [writer, reader] = [yield* connect(url), yield* connect(url)]
        const latch = yield* Latch.make()
        const arrived = yield* Deferred.make<void>()
        store.submit = (event) =>
          Deferred.succeed(arrived, undefined).pipe(Effect.andThen(latch.await), Effect.andThen(store.save(event)))
        yield* reader.req("live", {})
        const event = signed()
        yield* writer.send(["EVENT", event])
        yield* Deferred.await(arrived)
        const stopping = yield* Effect.forkChild(stop, { startImmediately: true })
        yield* eventually("nobody listens", () => journal.state === "draining")
        yield* latch.open
        assert.deepStrictEqual(yield* writer.next("OK"), ["OK", event.id, true, ""])
        assert.strictEqual((yield* writer.closed()).code, 1001)
        yield* reader.closed()
        assert.deepStrictEqual(reader.received().map(([type]) => type), ["EOSE", "CLOSED"])
        assert.strictEqual(writer.received().filter(([type]) => type === "OK").length, 1)
        yield* Fiber.join(stopping)
        assert.deepStrictEqual(journal.forced, [])
        assert.deepStrictEqual([journal.counters.answeredTrue, journal.counters.answeredFalse], [1, 0])
      })))

    for (const isStubborn of [false, true]) {
      const name = isStubborn ? "an event that cannot be interrupted and is" : "an event that is"
      it.live(`refuses ${name} not decided in time, once, and does not wait for it`, () =>
        Effect.scoped(Effect.gen(function*() {
          const { url, store, journal, shutdown, stop } = yield* start()
          const writer = yield* connect(url)
          const arrived = yield* Deferred.make<void>()
          const end = yield* Deferred.make<void>()
          store.submit = (event) =>
            Deferred.succeed(arrived, undefined).pipe(
              Effect.andThen(Deferred.await(end)),
              Effect.andThen(store.save(event)),
              isStubborn ? Effect.uninterruptible : Effect.interruptible
            )
          const event = signed()
          yield* writer.send(["EVENT", event])
          yield* Deferred.await(arrived)
          // The operator's second signal cuts the four seconds of the drain short.
          yield* shutdown.hurry
          const took = yield* stop
          assert.isBelow(took, 2000)
          yield* Deferred.succeed(end, undefined)
          yield* writer.closed()
          assert.deepStrictEqual(writer.received(), [["OK", event.id, false, "error: shutting down"]])
          assert.include(journal.forced, "drain")
        })))
    }

    it.live("faults 16 to 19 and 21: does not wait for clients that are mute, half-spoken, silent or not reading", () =>
      noLeaks(Effect.gen(function*() {
        const { url, port, store, journal, stop } = yield* start()
        yield* raw(port)
        yield* raw(port, "GET / HTTP/1.1\r\nHost: x\r\nAcce")
        yield* raw(port, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
        yield* mute(port)
        const slow = yield* connect(url)
        yield* slow.req("all", { limit: 0 })
        yield* slow.pause
        for (const event of notes(100)) yield* store.save({ ...event, content: "x".repeat(60_000) })
        const polite = yield* connect(url)
        const took = yield* stop
        assert.isBelow(took, 1800)
        assert.deepStrictEqual(yield* polite.closed(), { code: 1001, reason: "shutting down" })
        assert.deepStrictEqual(journal.forced, ["close handshakes"])
        assert.strictEqual(journal.counters.socketsTerminated, 2)
        assert.strictEqual(journal.counters.socketsClean, 1)
        assert.deepStrictEqual([...store.holders], [])
      })))

    it.live("answers probes while it drains, sends others away, and takes no new connection", () =>
      noLeaks(Effect.gen(function*() {
        const { url, port, store, journal, stop } = yield* start()
        journal.transition("ready")
        const latch = yield* Latch.make()
        store.submit = (event) => Effect.andThen(latch.await, store.save(event))
        const writer = yield* connect(url)
        yield* writer.send(["EVENT", signed()])
        yield* writer.req("a", { limit: 0 })
        const agents = yield* Effect.all([keepAlive, keepAlive, keepAlive, keepAlive])
        for (const agent of agents) assert.strictEqual((yield* ask(port, "/ready", { agent })).status, 200)

        const stopping = yield* Effect.forkChild(stop, { startImmediately: true })
        yield* eventually("it drains", () => journal.state === "draining")
        const [health, ready, other, upgrade] = yield* Effect.all([
          ask(port, "/health", { agent: agents[0] }),
          ask(port, "/ready", { agent: agents[1] }),
          ask(port, "/", { agent: agents[2] }),
          ask(port, "/", {
            agent: agents[3],
            headers: {
              connection: "upgrade",
              upgrade: "websocket",
              "sec-websocket-version": "13",
              "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="
            }
          })
        ])
        assert.deepStrictEqual([health.status, ready.status, other.status, upgrade.status], [200, 503, 503, 503])
        assert.strictEqual(other.headers["connection"], "close")
        assert.isString(other.headers["retry-after"])
        assert.strictEqual((yield* Effect.flip(connect(url))).status, 0)
        yield* latch.open
        yield* Fiber.join(stopping)
      })))

    it.live("goes on serving while it announces its end, with readiness already gone", () =>
      noLeaks(Effect.gen(function*() {
        const { url, port, journal, shutdown, stop } = yield* start({ announceDelay: Duration.minutes(1) })
        journal.transition("ready")
        const stopping = yield* Effect.forkChild(stop, { startImmediately: true })
        assert.strictEqual((yield* ask(port, "/ready", {})).status, 503)
        const client = yield* connect(url)
        assert.strictEqual((yield* client.req("a", { limit: 0 })).end[0], "EOSE")
        assert.isTrue((yield* client.publish(signed({ created_at: epoch })))[2])
        yield* shutdown.hurry
        assert.strictEqual((yield* client.closed()).code, 1001)
        yield* Fiber.join(stopping)
      })))

    it.live("ends at once with a storm of connections at its door (fault 23)", () =>
      Effect.scoped(Effect.gen(function*() {
        const { url, stop } = yield* start()
        const storm = Effect.forEach(
          Array.from({ length: 60 }),
          () =>
            Effect.exit(Effect.flatMap(connect(url), (client) => Effect.race(client.req("a", {}), client.closed()))),
          { concurrency: 20, discard: true }
        )
        const [took] = yield* Effect.all([Effect.delay(stop, "5 millis"), storm], { concurrency: "unbounded" })
        assert.isBelow(took, 2000)
      })))
  })
})
