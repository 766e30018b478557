/**
 * Clients that mean no good, over plain TCP: they say what no WebSocket library would say, and leave unsaid what every one
 * of them says by itself. Each is gone with the scope, at the latest.
 */
import { Effect, type Scope } from "effect"
import { connect as dial, type Socket } from "node:net"
import type { Event } from "../../src/domain/Event.ts"
import { backtrackingStream, deletionStream } from "./Removals.ts"

/** A TCP connection that is never an error for anybody here: refused, reset and cut are all part of it. */
const connection = (port: number): Effect.Effect<Socket, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const socket = dial({ host: "127.0.0.1", port, allowHalfOpen: true })
      socket.on("error", () => {})
      return socket
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

const handshake = [
  "GET / HTTP/1.1",
  "Host: relay",
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
  "",
  ""
].join("\r\n")

/** A masked text frame (RFC 6455 §5.2); the mask is zero, so that the payload is readable. */
const frame = (text: string): Buffer => {
  const payload = Buffer.from(text)
  const head = payload.length < 126
    ? Buffer.from([0x81, 0x80 | payload.length])
    : Buffer.from([0x81, 0x80 | 126, payload.length >> 8, payload.length & 0xff])
  return Buffer.concat([head, Buffer.alloc(4), payload])
}

/** Publishes as fast as the socket takes it, and reads nothing of what it is told. */
const flood = (port: number, events: Iterator<Event>) =>
  Effect.flatMap(connection(port), (socket) => {
    socket.pause()
    socket.write(handshake)
    const more = () => {
      for (let i = 0; i < 20 && socket.writable && socket.writableLength < 1 << 20; i++) {
        socket.write(frame(`["EVENT",${JSON.stringify(events.next().value)}]`))
      }
    }
    return Effect.asVoid(Effect.acquireRelease(
      Effect.sync(() => setInterval(more, 5)),
      (timer) => Effect.sync(() => clearInterval(timer))
    ))
  })

const streamRequest = (method: "GET" | "HEAD") => `${method} /api/live HTTP/1.1\r\nHost: relay\r\n\r\n`

/** Somebody who has asked for the figures as they change. */
const streamReader = (port: number, method: "GET" | "HEAD") =>
  Effect.tap(connection(port), (socket) => Effect.sync(() => socket.write(streamRequest(method))))

/** Connections of one slow reader, and how much each of them reads how often: bytes and milliseconds. */
const slowReaders = { count: 100, bytes: 256, every: 250 }

const everything = `["REQ","everything",{}]`

/** Writes one byte after the other, for as long as the scope lives. */
const drip = (socket: Socket, text: string, millis: number) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      let at = 0
      return setInterval(() => {
        if (socket.writable && at < text.length) socket.write(text.charAt(at++))
      }, millis)
    }),
    (timer) => Effect.sync(() => clearInterval(timer))
  )

/** Every kind of hostile client by name; `events` is an endless supply, `name` of nobody else. */
export const kinds = {
  /** Connects, and says nothing. */
  silent: (port: number) => Effect.asVoid(connection(port)),

  /** Half a request header, one byte at a time. */
  dripping: (port: number) =>
    Effect.flatMap(connection(port), (socket) => Effect.asVoid(drip(socket, handshake.slice(0, -4), 100))),

  /** A POST whose body never comes. */
  "half a body": (port: number) =>
    Effect.map(connection(port), (socket) => {
      socket.write("POST / HTTP/1.1\r\nHost: relay\r\nContent-Length: 1000\r\n\r\nabc")
      socket.resume()
    }),

  /** Asks for everything, reads it, and never answers a Close frame. */
  mute: (port: number) =>
    Effect.map(connection(port), (socket) => {
      socket.write(handshake)
      socket.write(frame(everything))
      socket.resume()
    }),

  /** Asks for everything, and never reads a byte. */
  "never reading": (port: number) =>
    Effect.map(connection(port), (socket) => {
      socket.pause()
      socket.write(handshake)
      for (let i = 0; i < 20; i++) socket.write(frame(`["REQ","everything ${i}",{}]`))
    }),

  /** Publishes as fast as the socket takes it, and reads nothing of what it is told. */
  flooding: flood,

  /** Asks for more deletions than are remembered of anybody, as fast as the socket takes it. */
  "flooding with deletions": (port: number, _events: Iterator<Event>, name: string) =>
    flood(port, deletionStream(name)),

  /** Fields of 60 kB, each made for a pattern to go back and forth over. */
  backtracking: (port: number, _events: Iterator<Event>, name: string) => flood(port, backtrackingStream(name)),

  /** A hundred connections that ask for everything, and read a few bytes now and then. */
  "slow readers": (port: number) =>
    Effect.flatMap(
      Effect.forEach(Array.from({ length: slowReaders.count }), () =>
        Effect.map(connection(port), (socket) => {
          socket.pause()
          socket.write(handshake)
          for (let i = 0; i < 5; i++) socket.write(frame(`["REQ","everything ${i}",{}]`))
          return socket
        })),
      (sockets) =>
        Effect.asVoid(Effect.acquireRelease(
          Effect.sync(() =>
            setInterval(() => {
              for (const socket of sockets) socket.read(slowReaders.bytes)
            }, slowReaders.every)
          ),
          (timer) => Effect.sync(() => clearInterval(timer))
        ))
    ),

  /** Publishes, and closes its side of the connection only. */
  "half open": (port: number, events: Iterator<Event>) =>
    Effect.map(connection(port), (socket) => {
      socket.write(handshake)
      for (let i = 0; i < 5; i++) socket.write(frame(`["EVENT",${JSON.stringify(events.next().value)}]`))
      socket.end()
      socket.resume()
    }),

  /** Reads the stream of live figures to its end. */
  "reading the stream": (port: number) =>
    Effect.map(streamReader(port, "GET"), (socket) => {
      socket.resume()
    }),

  /** Asks for the stream of live figures as often as one address may, and never reads a byte. */
  "never reading the stream": (port: number) =>
    Effect.asVoid(Effect.forEach(
      Array.from({ length: 4 }),
      () =>
        Effect.map(streamReader(port, "GET"), (socket) => {
          socket.pause()
        })
    )),

  /** Asks what the stream would be like, which has no end. */
  "asking about the stream": (port: number) =>
    Effect.map(streamReader(port, "HEAD"), (socket) => {
      socket.resume()
    }),

  /** Opens streams of live figures and is gone, some before the answer, some after its first bytes. */
  "leaving the stream": (port: number) =>
    Effect.asVoid(Effect.acquireRelease(
      Effect.sync(() => {
        const open = new Set<Socket>()
        const timer = setInterval(() => {
          if (open.size > 20) return
          const socket = dial({ host: "127.0.0.1", port })
          open.add(socket)
          socket.on("error", () => {})
          socket.once("close", () => open.delete(socket))
          socket.write(streamRequest("GET"))
          if (open.size % 2 === 0) socket.once("data", () => socket.destroy())
          else socket.setTimeout(5, () => socket.destroy())
        }, 20)
        return { open, timer }
      }),
      ({ open, timer }) =>
        Effect.sync(() => {
          clearInterval(timer)
          for (const socket of open) socket.destroy()
        })
    )),

  /** Half a frame, and then nothing. */
  "half a frame": (port: number) =>
    Effect.map(connection(port), (socket) => {
      socket.write(handshake)
      socket.write(frame(everything).subarray(0, 12))
      socket.resume()
    }),

  /** New connections all the time, before, during and after the stop. */
  storm: (port: number) =>
    Effect.asVoid(Effect.acquireRelease(
      Effect.sync(() => {
        const open = new Set<Socket>()
        const timer = setInterval(() => {
          if (open.size > 50) return
          const socket = dial({ host: "127.0.0.1", port })
          open.add(socket)
          socket.on("error", () => {})
          socket.once("close", () => open.delete(socket))
          socket.write(handshake)
          socket.resume()
          socket.setTimeout(300, () => socket.destroy())
        }, 10)
        return { open, timer }
      }),
      ({ open, timer }) =>
        Effect.sync(() => {
          clearInterval(timer)
          for (const socket of open) socket.destroy()
        })
    ))
} as const satisfies Record<
  string,
  (port: number, events: Iterator<Event>, name: string) => Effect.Effect<void, never, Scope.Scope>
>

export type Kind = keyof typeof kinds
export const names = Object.keys(kinds) as ReadonlyArray<Kind> as readonly [Kind, ...ReadonlyArray<Kind>]
