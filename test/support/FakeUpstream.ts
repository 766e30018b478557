/**
 * Somebody else's relay, over a real socket on loopback: honest by default, and wrong in every way that has been seen
 * once told to be.
 *
 * Faults are switches that combine, and can be changed while clients are connected: what is next sent obeys them.
 */
import { NodeWS } from "@effect/platform-node"
import { Effect, type Scope } from "effect"
import { createServer } from "node:http"
import type { Socket } from "node:net"
import { verifyEvent } from "nostr-tools"
import { withForgedSignature } from "../../src/demo/Signer.ts"
import { make as makeEvents, matches, type UpstreamEvents, type WireFilter } from "../../src/demo/UpstreamEvents.ts"
import type { Event } from "../../src/domain/Event.ts"

/** Plain JSON, so that a child process can be told too. */
export interface Faults {
  /** Accepts TCP and never answers the handshake. */
  readonly neverUpgrade?: boolean
  /** Answers the handshake with this HTTP status, and these headers, such as `retry-after`. */
  readonly refuse?: { readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  /** Answers nothing after the handshake, not even a Close frame. */
  readonly mute?: boolean
  /** Sends the stored events, and no EOSE. */
  readonly neverEose?: boolean
  /** After so many messages on a connection: a Close frame with this code, or the TCP connection is dropped. */
  readonly closeAfter?: { readonly messages: number; readonly code?: number; readonly reason?: string }
  /** After so many bytes from us, handshake included, the TCP connection is dropped: any offset of any frame. */
  readonly cutAfterBytes?: number
  /** With `cutAfterBytes`: each connection is dropped so many bytes later than the one before it. */
  readonly cutStepBytes?: number
  /** One message, then so many milliseconds of nothing. */
  readonly dripMillis?: number
  /** Every stored event comes with a signature that its author never made. */
  readonly forge?: boolean
  /**
   * Every REQ, or only that of the live subscription, is answered by its page again and again, without EOSE, as fast as
   * the socket takes it.
   */
  readonly flood?: boolean | "live"
  /** Whatever `until` says, the newest page comes: paging backwards makes no progress. */
  readonly samePage?: boolean
  /** Events of other kinds, authors and times come with each page. */
  readonly outsideFilter?: boolean
  /** The filter's `limit` is ignored. */
  readonly ignoreLimit?: boolean
  /** Pages come oldest first. */
  readonly oldestFirst?: boolean
  /** So many NOTICE messages come before each answer. */
  readonly notices?: number
  /**
   * An AUTH challenge at the start and before each answer, and `CLOSED auth-required:` instead of it (NIP-42);
   * "until answered": by a valid event that names this relay and the connection's challenge.
   */
  readonly auth?: boolean | "until answered"
  /** Each REQ is answered by CLOSED with this reason. */
  readonly closed?: string
  /** These frames come before each answer, as they are: no JSON, unknown types, wrong shapes. */
  readonly garbage?: ReadonlyArray<string>
  /** One frame of so many bytes comes before each answer. */
  readonly hugeFrameBytes?: number
}

export interface Options {
  readonly events?: Iterable<Event>
  /** The relay's own cap on a filter's `limit`. */
  readonly pageMax?: number
  readonly faults?: Faults
  /** What it understands besides NIP-01, or instead; true: the message has been dealt with. Faults do not apply to it. */
  readonly play?: (
    message: ReadonlyArray<unknown>,
    say: (...frames: ReadonlyArray<unknown>) => void,
    events: UpstreamEvents
  ) => boolean
  /** Told of each request as it comes. */
  readonly onRequest?: (request: Request) => void
  /** 0 takes a free one. */
  readonly port?: number
}

/** What a client has done, in order. */
export type Request =
  | { readonly _tag: "Connected" }
  | { readonly _tag: "Req"; readonly subscription: string; readonly filters: ReadonlyArray<WireFilter> }
  | { readonly _tag: "Other"; readonly message: unknown }
  | { readonly _tag: "Closed"; readonly code: number; readonly reason: string }

export interface FakeUpstream {
  readonly url: string
  /** Replaces all faults. */
  readonly behave: (faults: Faults) => void
  /** Stores an event, and sends it to the subscriptions it matches. */
  readonly publish: (event: Event) => void
  /** Sends a frame to every connection, as it is. */
  readonly broadcast: (frame: string) => void
  readonly requests: () => ReadonlyArray<Request>
  /** Waits until what has happened, all together, satisfies the predicate. Bound it with `Effect.timeout`. */
  readonly until: (predicate: (requests: ReadonlyArray<Request>) => boolean) => Effect.Effect<void>
  readonly connections: () => number
  /** Frames handed to sockets so far. */
  readonly sent: () => number
  /** Drops every TCP connection, and goes on listening. */
  readonly cutAll: () => void
}

interface Connection {
  readonly socket: NodeWS.WebSocket
  readonly subscriptions: Map<string, ReadonlyArray<WireFilter>>
  /** What is to be sent; a drip takes one at a time. */
  readonly outbox: Array<string>
  sent: number
  sending: boolean
  /** The last one given (NIP-42), and whether it was answered. */
  challenge: string
  isKnown: boolean
}

/** Bytes that may wait in a socket before a flood pauses for it to drain. */
const floodBytesMax = 1 << 20

const start = async (options: Options): Promise<FakeUpstream & { readonly stop: () => Promise<void> }> => {
  const events = makeEvents(options.events ?? [], options.pageMax)
  const connections = new Set<Connection>()
  const sockets = new Set<Socket>()
  const requests: Array<Request> = []
  const watchers = new Set<() => void>()
  let faults = options.faults ?? {}
  let sent = 0
  /** Connections that `cutAfterBytes` has been applied to since `behave`. */
  let cuts = 0

  const note = (request: Request) => {
    requests.push(request)
    options.onRequest?.(request)
    for (const watcher of watchers) watcher()
  }

  /** Sends the outbox as the faults want it; runs once per connection at a time. */
  const flush = (connection: Connection): void => {
    if (connection.sending) return
    const { socket, outbox } = connection
    const { closeAfter, dripMillis } = faults
    while (outbox.length > 0 && socket.readyState === socket.OPEN) {
      if (closeAfter !== undefined && connection.sent >= closeAfter.messages) {
        return closeAfter.code === undefined ? socket.terminate() : socket.close(closeAfter.code, closeAfter.reason)
      }
      socket.send(outbox.shift() ?? "")
      connection.sent += 1
      sent += 1
      if (dripMillis === undefined) continue
      connection.sending = true
      setTimeout(() => {
        connection.sending = false
        flush(connection)
      }, dripMillis)
      return
    }
  }
  const say = (connection: Connection, ...frames: ReadonlyArray<string>) => {
    if (faults.mute === true) return
    connection.outbox.push(...frames)
    flush(connection)
  }

  const pageOf = (filters: ReadonlyArray<WireFilter>): ReadonlyArray<Event> => {
    const page = new Map<string, Event>()
    const doubles: Array<Event> = []
    for (const filter of filters) {
      const { until, limit, ...rest } = filter
      const asked = events.query({
        ...rest,
        ...(until === undefined || faults.samePage === true ? {} : { until }),
        ...(limit === undefined || faults.ignoreLimit === true ? {} : { limit })
      })
      for (const event of asked) {
        // What the store holds twice comes twice; what two filters match comes once.
        if (filters.length === 1 && page.has(event.id)) doubles.push(event)
        page.set(event.id, event)
      }
    }
    const strangers = faults.outsideFilter === true
      ? events.query({}).filter((event) => !filters.some((filter) => matches(filter, event))).slice(0, 5)
      : []
    const all = [...strangers, ...page.values(), ...doubles]
    return faults.oldestFirst === true ? all.toReversed() : all
  }

  const flood = (connection: Connection, frames: ReadonlyArray<string>) => {
    const { socket } = connection
    const more = () => {
      if (socket.readyState !== socket.OPEN || (faults.flood ?? false) === false || frames.length === 0) return
      if (socket.bufferedAmount < floodBytesMax) say(connection, ...frames)
      setImmediate(more)
    }
    more()
  }

  const answer = (connection: Connection, subscription: string, filters: ReadonlyArray<WireFilter>) => {
    const reply = (...frames: ReadonlyArray<string>) => say(connection, ...frames)
    for (let i = 0; i < (faults.notices ?? 0); i++) reply(JSON.stringify(["NOTICE", `notice ${i}`]))
    if (faults.garbage !== undefined) reply(...faults.garbage)
    if (faults.hugeFrameBytes !== undefined) reply("x".repeat(faults.hugeFrameBytes))
    if (faults.auth !== undefined && faults.auth !== false && !connection.isKnown) {
      connection.challenge = `challenge ${connection.sent}`
      return reply(
        JSON.stringify(["AUTH", connection.challenge]),
        JSON.stringify(["CLOSED", subscription, "auth-required: who are you?"])
      )
    }
    if (faults.closed !== undefined) return reply(JSON.stringify(["CLOSED", subscription, faults.closed]))
    const frames = pageOf(filters).map((event) =>
      JSON.stringify(["EVENT", subscription, faults.forge === true ? withForgedSignature(event) : event])
    )
    if (faults.flood === true || (faults.flood === "live" && subscription === "live")) {
      return flood(connection, frames)
    }
    reply(...frames)
    if (faults.neverEose !== true) reply(JSON.stringify(["EOSE", subscription]))
  }

  const onMessage = (connection: Connection, text: string) => {
    const message = JSON.parse(text) as ReadonlyArray<unknown>
    const [type, subscription, ...filters] = message
    const isPlayed = options.play?.(message, (...frames) => {
      say(connection, ...frames.map((frame) => typeof frame === "string" ? frame : JSON.stringify(frame)))
    }, events)
    if (isPlayed === true) return note({ _tag: "Other", message })
    if (type === "REQ" && typeof subscription === "string") {
      connection.subscriptions.set(subscription, filters as ReadonlyArray<WireFilter>)
      note({ _tag: "Req", subscription, filters: filters as ReadonlyArray<WireFilter> })
      return answer(connection, subscription, filters as ReadonlyArray<WireFilter>)
    }
    if (type === "AUTH" && faults.auth === "until answered") {
      const event = message[1] as Event
      const tag = (name: string) => event.tags.find(([first]) => first === name)?.[1]
      connection.isKnown = event.kind === 22_242 &&
        verifyEvent({ ...event, tags: event.tags.map((each) => [...each]) }) &&
        tag("challenge") === connection.challenge && URL.parse(tag("relay") ?? "")?.port === String(port)
      say(connection, JSON.stringify(["OK", event.id, connection.isKnown, connection.isKnown ? "" : "invalid: no"]))
    }
    if (type === "CLOSE" && typeof subscription === "string") connection.subscriptions.delete(subscription)
    note({ _tag: "Other", message })
  }

  const server = createServer((_, response) => void response.writeHead(426).end())
  const upgrader = new NodeWS.WebSocketServer({ noServer: true, perMessageDeflate: false })
  server.on("connection", (socket) => {
    sockets.add(socket)
    socket.once("close", () => sockets.delete(socket))
    socket.on("error", () => {})
    if (faults.cutAfterBytes !== undefined) {
      cutAfter(socket, faults.cutAfterBytes + cuts * (faults.cutStepBytes ?? 0))
      cuts += 1
    }
  })
  server.on("upgrade", (request, socket: Socket, head) => {
    if (faults.neverUpgrade === true) return
    if (faults.refuse !== undefined) {
      const headers = Object.entries({ connection: "close", ...faults.refuse.headers })
      const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join("")
      socket.end(`HTTP/1.1 ${faults.refuse.status} Refused\r\n${lines}\r\n`)
      return
    }
    upgrader.handleUpgrade(request, socket, head, (ws) => {
      const connection: Connection = {
        socket: ws,
        subscriptions: new Map(),
        outbox: [],
        sent: 0,
        sending: false,
        challenge: "challenge",
        isKnown: false
      }
      connections.add(connection)
      note({ _tag: "Connected" })
      // A paused socket reads nothing, so its peer's Close frame stays unanswered as well.
      if (faults.mute === true) ws.pause()
      ws.on("error", () => {})
      ws.on("message", (data: Buffer) => onMessage(connection, data.toString()))
      ws.on("close", (code, reason) => {
        connections.delete(connection)
        note({ _tag: "Closed", code, reason: reason.toString() })
      })
      if ((faults.auth ?? false) !== false) say(connection, JSON.stringify(["AUTH", connection.challenge]))
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject)
    server.listen(options.port ?? 0, "127.0.0.1", resolve)
  })
  const address = server.address()
  const port = typeof address === "object" ? address?.port : undefined

  return {
    url: `ws://127.0.0.1:${port}`,
    behave: (next) => {
      faults = next
      cuts = 0
    },
    publish: (event) => {
      events.add(event)
      for (const connection of connections) {
        for (const [subscription, filters] of connection.subscriptions) {
          if (!filters.some((filter) => matches(filter, event))) continue
          say(connection, JSON.stringify(["EVENT", subscription, event]))
        }
      }
    },
    broadcast: (frame) => {
      for (const connection of connections) say(connection, frame)
    },
    requests: () => requests,
    until: (predicate) =>
      Effect.callback<void>((resume) => {
        const look = () => {
          if (!predicate(requests)) return
          watchers.delete(look)
          resume(Effect.void)
        }
        watchers.add(look)
        look()
        return Effect.sync(() => watchers.delete(look))
      }),
    connections: () => connections.size,
    sent: () => sent,
    cutAll: () => {
      for (const socket of sockets) socket.destroy()
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      })
  }
}

/** Lets `bytes` bytes of what is written to a socket through, and drops the connection at the next one. */
const cutAfter = (socket: Socket, bytes: number) => {
  let left = bytes
  const write = socket.write.bind(socket)
  const limited = (chunk: Uint8Array | string, ...rest: ReadonlyArray<unknown>): boolean => {
    const whole = typeof chunk === "string" ? Buffer.from(chunk, rest[0] === "latin1" ? "latin1" : "utf8") : chunk
    const part = whole.subarray(0, left)
    left -= part.length
    if (part.length < whole.length) {
      write(part, () => socket.destroy())
      return false
    }
    const done = rest.find((argument) => typeof argument === "function")
    return done === undefined ? write(part) : write(part, done as () => void)
  }
  socket.write = limited
}

/** Starts an upstream that stops, with all of its connections, when the scope closes. */
export const make = (options: Options = {}): Effect.Effect<FakeUpstream, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(() => start(options)),
    (upstream) => Effect.promise(upstream.stop)
  )
