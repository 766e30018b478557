import { NodeWS } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, type Scope } from "effect"
import { Socket } from "effect/socket"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import * as GuardedWebSocket from "../../src/fetch/GuardedWebSocket.ts"
import * as FakeDns from "../support/FakeDns.ts"
import * as Guarded from "../support/guarded.ts"
import * as HostileHost from "../support/HostileHost.ts"

interface Relay {
  readonly port: number
  /** Headers of the handshakes so far. */
  readonly handshakes: ReadonlyArray<Readonly<Record<string, unknown>>>
}

/** Says `greeting` to everybody who connects. */
const relay = (greeting: string): Effect.Effect<Relay, never, Scope.Scope> =>
  Effect.gen(function*() {
    const handshakes: Array<Readonly<Record<string, unknown>>> = []
    const server = createServer()
    const sockets = new NodeWS.WebSocketServer({ server })
    sockets.on("connection", (socket, request) => {
      handshakes.push(request.headers)
      socket.on("error", () => {})
      socket.send(greeting)
    })
    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
      () =>
        Effect.callback<void>((resume) => {
          for (const socket of sockets.clients) socket.terminate()
          server.close(() => resume(Effect.void))
        })
    )
    return { port: (server.address() as AddressInfo).port, handshakes }
  })

/** The first frame, or the reason why there is none. */
const first = (url: string, options: Guarded.Options = {}, limits: Partial<GuardedWebSocket.Options> = {}) =>
  Effect.gen(function*() {
    const socket = yield* Socket.makeWebSocket(url)
    const { pull } = yield* socket.reader
    return String((yield* pull)[0])
  }).pipe(
    Effect.scoped,
    Effect.catchTag("SocketError", ({ reason }) =>
      Effect.succeed(
        reason._tag === "SocketOpenError" ? `not opened: ${messageOf(reason.cause)}` : reason._tag
      )),
    Effect.provide(
      Layer.provide(Layer.effect(Socket.WebSocketConstructor, GuardedWebSocket.make(limits)), Guarded.layer(options))
    )
  )

const messageOf = (cause: unknown): string => {
  if (typeof cause === "object" && cause !== null && "message" in cause) return String(cause.message)
  if (typeof cause === "object" && cause !== null && "error" in cause) return messageOf(cause.error)
  return String(cause)
}

describe("GuardedWebSocket", () => {
  it.live("opens a socket to a host that may be contacted, and says who it is", () =>
    Effect.gen(function*() {
      const dns = FakeDns.make()
      dns.set("relay.example", ["127.0.0.1"])
      const { handshakes, port } = yield* relay("hello")
      assert.strictEqual(yield* first(`ws://127.0.0.1:${port}/`), "hello")
      assert.strictEqual(yield* first(`ws://relay.example:${port}/`, { dns }), "hello")
      assert.deepStrictEqual(
        handshakes.map((headers) => [headers["user-agent"], headers["sec-websocket-extensions"], headers["origin"]]),
        [["profile-aggregator/1", undefined, undefined], ["profile-aggregator/1", undefined, undefined]]
      )
    }))

  it.live("does not open what the guard refuses, says why, and does not throw", () =>
    Effect.gen(function*() {
      const dns = FakeDns.make()
      dns.set("private.example", ["10.0.0.1"])
      dns.set("mixed.example", ["127.0.0.1", "10.0.0.1"])
      const refusals: ReadonlyArray<readonly [string, string]> = [
        ["ws://10.0.0.1/", "address is not public"],
        ["ws://[::1]/", "address is not public"],
        ["ws://private.example/", "address is not public"],
        ["ws://mixed.example:7777/", "address is not public"],
        ["http://127.0.0.1/", "scheme is not allowed"],
        ["ws://user:pass@127.0.0.1/", "URL holds credentials"],
        ["not a url", "malformed URL"],
        ["ws://nobody.example/", "name not resolved: NoSuchName"]
      ]
      for (const [url, reason] of refusals) assert.strictEqual(yield* first(url, { dns }), `not opened: ${reason}`, url)
    }))

  it.live("closes on a message that is too long", () =>
    Effect.gen(function*() {
      const { port } = yield* relay("x".repeat(1001))
      assert.strictEqual(yield* first(`ws://127.0.0.1:${port}/`, {}, { payloadBytesMax: 1001 }), "x".repeat(1001))
      assert.match(
        yield* first(`ws://127.0.0.1:${port}/`, {}, { payloadBytesMax: 1000 }),
        /^Socket(?:Read|Close)Error$/
      )
    }))

  it.live("follows no redirect, and gives up on a handshake that is never answered", () =>
    Effect.gen(function*() {
      const host = yield* HostileHost.make()
      host.script("/redirect", HostileHost.redirect("ws://10.0.0.1/"))
      host.script("/hang", { _tag: "Hang" })
      assert.match(yield* first(`ws://127.0.0.1:${host.port}/redirect`), /^not opened: .*302/)
      const hang = yield* first(`ws://127.0.0.1:${host.port}/hang`, {}, { handshakeMillis: 100 })
      assert.match(hang, /^not opened: .*timed out/)
      yield* host.until(() => host.open() === 0)
    }))
})
