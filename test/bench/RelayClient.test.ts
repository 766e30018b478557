import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber } from "effect"
import { createServer, type Socket } from "node:net"
import { connect, type RelayClient } from "./RelayClient.ts"

/** A server on a port of its own that does as `serve` says with each connection once it has asked for something. */
const server = (serve: (socket: Socket) => void) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly url: string; readonly close: Effect.Effect<void> }>((resume) => {
      const sockets = new Set<Socket>()
      const listener = createServer({ noDelay: true }, (socket) => {
        sockets.add(socket)
        socket.on("error", () => {})
        socket.once("data", () => serve(socket))
      })
      listener.listen(0, "127.0.0.1", () => {
        const { port } = listener.address() as { readonly port: number }
        const close = Effect.callback<void>((done) => {
          for (const socket of sockets) socket.destroy()
          listener.close(() => done(Effect.void))
        })
        resume(Effect.succeed({ url: `ws://127.0.0.1:${port}`, close }))
      })
    }),
    ({ close }) => close
  )

const accepted = Buffer.from("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")

const frame = (text: string): Buffer => {
  const payload = Buffer.from(text)
  const head = payload.length < 126
    ? Buffer.from([0x81, payload.length])
    : Buffer.from([0x81, 126, payload.length >> 8, payload.length & 255])
  return Buffer.concat([head, payload])
}

/** So many messages of a client, as texts. */
const messages = (client: RelayClient, count: number) =>
  Effect.callback<ReadonlyArray<string>>((resume) => {
    const all: Array<string> = []
    client.listener = {
      message: (_verb, bytes, start, end) => {
        all.push(bytes.toString("utf8", start, end))
        if (all.length === count) resume(Effect.succeed(all))
      }
    }
  })

describe("the client of the benchmark", () => {
  it.live("puts messages together that come in pieces, each client its own", () =>
    Effect.scoped(Effect.gen(function*() {
      const texts = Array.from({ length: 6 }, (_, i) => `["EVENT","${i}",{"content":"${"é".repeat(i * 40)}"}]`)
      const bytes = Buffer.concat(texts.map(frame))
      const waiting: Array<Socket> = []
      const { url } = yield* server((socket) => {
        // The answer to the handshake in two pieces, too.
        socket.write(accepted.subarray(0, 20))
        setTimeout(() => socket.write(accepted.subarray(20)), 5)
        waiting.push(socket)
      })
      const clients = yield* Effect.forEach([1, 2, 3], () => connect(url), { concurrency: "unbounded" })
      const heard = yield* Effect.forkChild(
        Effect.forEach(clients, (client) => messages(client, texts.length), { concurrency: "unbounded" })
      )
      yield* Effect.yieldNow
      // Pieces of all clients come between each other's, none of them where a frame ends.
      for (let at = 0; at < bytes.length; at += 97) {
        for (const socket of waiting) socket.write(bytes.subarray(at, at + 97))
        yield* Effect.sleep(1)
      }
      assert.deepStrictEqual(yield* Fiber.join(heard), [
        texts,
        texts,
        texts
      ])
    })))

  it.live("says why it could not connect, and waits for nobody who hangs up", () =>
    Effect.scoped(Effect.gen(function*() {
      const refusing = yield* server((socket) => socket.end("HTTP/1.1 503 Service Unavailable\r\n\r\n"))
      const silent = yield* server((socket) => socket.end())
      for (const [{ url }, text] of [[refusing, "HTTP/1.1 503"], [silent, "closed before it was open"]] as const) {
        const exit = yield* Effect.exit(connect(url))
        assert.include(Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "connected", text)
      }
    })))
})
