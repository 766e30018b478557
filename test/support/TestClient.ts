/**
 * A Nostr client over a real socket, for tests. It trusts nothing it is told: every frame is kept as it came.
 *
 * Waiting has a deadline everywhere and fails with what was received instead, so use it under `it.live`.
 */
import { NodeWS } from "@effect/platform-node"
import { Duration, Effect, Schema, type Scope } from "effect"
import type { IncomingHttpHeaders } from "node:http"
import type { Event } from "../../src/domain/Event.ts"

/** The handshake was refused (`status`), or there is no server (0). */
export class ConnectRefused extends Schema.TaggedError<ConnectRefused>()("ConnectRefused", {
  url: Schema.String,
  status: Schema.Finite,
  detail: Schema.String
}) {
  override get message() {
    return `${this.url} refused the connection: ${this.status} ${this.detail}`
  }
}

/** The deadline passed. `received` shows the last messages that came and were not what was waited for. */
export class NothingCame extends Schema.TaggedError<NothingCame>()("NothingCame", {
  waitedFor: Schema.String,
  millis: Schema.Finite,
  received: Schema.Array(Schema.String)
}) {
  override get message() {
    return `no ${this.waitedFor} within ${this.millis} ms; received ${this.received.join("\n  ") || "nothing"}`
  }
}

/** A decoded frame: `["EVENT", …]`; a frame that is not JSON is `["(not JSON)", text]`. */
export type Message = ReadonlyArray<unknown>

/** What a REQ was answered with before its EOSE or CLOSED. */
export interface Answer {
  readonly events: ReadonlyArray<Event>
  /** The message that ended it: `["EOSE", …]` or `["CLOSED", …]`. */
  readonly end: Message
}

export interface TestClient {
  readonly url: string
  /** Headers of the handshake's answer. */
  readonly headers: IncomingHttpHeaders
  /** Sends JSON. */
  readonly send: (message: unknown) => Effect.Effect<void>
  /** Sends a text or binary frame as it is. */
  readonly sendRaw: (frame: string | Uint8Array) => Effect.Effect<void>
  /** Takes the first message that matches, sent before or after the call; others stay for later calls. */
  readonly next: (match: Match, within?: Duration.Input) => Effect.Effect<Message, NothingCame>
  /** Sends a REQ, and takes all that it is answered with up to EOSE or CLOSED. */
  readonly req: (subscription: string, ...filters: ReadonlyArray<object>) => Effect.Effect<Answer, NothingCame>
  /** Sends an EVENT, and takes its OK. */
  readonly publish: (event: Event) => Effect.Effect<Message, NothingCame>
  /** Everything that came, in order, taken or not. */
  readonly received: () => ReadonlyArray<Message>
  /** How the connection ended; 1006 when no Close frame came (RFC 6455 §7.4.1). */
  readonly closed: (
    within?: Duration.Input
  ) => Effect.Effect<{ readonly code: number; readonly reason: string }, NothingCame>
  /** Starts the close handshake. */
  readonly close: (code?: number, reason?: string) => Effect.Effect<void>
  /** Drops the TCP connection without a word. */
  readonly cut: Effect.Effect<void>
  /** Stops reading, as a slow client does; the kernel's buffers fill up. */
  readonly pause: Effect.Effect<void>
  readonly resume: Effect.Effect<void>
  readonly socket: NodeWS.WebSocket
}

/** A message type such as `"OK"`, its beginning such as `["OK", id]`, or a predicate. */
export type Match = string | ReadonlyArray<unknown> | ((message: Message) => boolean)

const patience = Duration.seconds(5)

const predicateOf = (match: Match) => (message: Message): boolean => {
  if (typeof match === "function") return match(message)
  const start = typeof match === "string" ? [match] : match
  return start.every((part, i) => message[i] === part)
}

const nameOf = (match: Match) => typeof match === "function" ? "matching message" : JSON.stringify(match)

const decode = (data: NodeWS.RawData): Message => {
  const text = Buffer.isBuffer(data)
    ? data.toString()
    : Buffer.concat(Array.isArray(data) ? data : [Buffer.from(data)]).toString()
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) ? value : ["(no array)", value]
  } catch {
    return ["(not JSON)", text]
  }
}

/** Every handler is in place before the handshake ends: a relay may speak first. */
const open = (url: string, options: NodeWS.ClientOptions) => {
  const socket = new NodeWS.WebSocket(url, { perMessageDeflate: false, handshakeTimeout: 5000, ...options })
  const received: Array<Message> = []
  const inbox: Array<Message> = []
  const onChange = new Set<() => void>()
  let ended: { readonly code: number; readonly reason: string } | undefined
  let headers: IncomingHttpHeaders = {}
  const changed = () => {
    for (const callback of onChange) callback()
  }
  socket.on("upgrade", (response) => void (headers = response.headers))
  socket.on("message", (data) => {
    const message = decode(data)
    received.push(message)
    inbox.push(message)
    changed()
  })
  // The close event that follows is the one that counts.
  socket.on("error", () => {})
  socket.on("close", (code, reason) => {
    ended = { code, reason: reason.toString() }
    changed()
  })
  return { socket, received, inbox, onChange, ended: () => ended, headers: () => headers }
}

/** Connects, and cuts the connection when the scope closes. */
export const connect = (
  url: string,
  options: NodeWS.ClientOptions = {}
): Effect.Effect<TestClient, ConnectRefused, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<ReturnType<typeof open>, ConnectRefused>((resume) => {
      const state = open(url, options)
      const refuse = (status: number, detail: string) =>
        resume(Effect.fail(new ConnectRefused({ url, status, detail })))
      state.socket.once("open", () => resume(Effect.succeed(state)))
      state.socket.once("error", (error) => refuse(0, error.message))
      state.socket.once("unexpected-response", (request, response) => {
        refuse(response.statusCode ?? 0, response.statusMessage ?? "")
        request.destroy()
      })
    }),
    ({ socket }) => Effect.sync(() => socket.terminate())
  ).pipe(Effect.map((state) => make(url, state)))

const make = (url: string, state: ReturnType<typeof open>): TestClient => {
  const { socket, inbox, received, onChange } = state

  /** Looks now, and again at every change, until `look` finds something or the deadline passes. */
  const wait = <A>(waitedFor: string, look: () => A | undefined, within: Duration.Input) =>
    Effect.callback<A>((resume) => {
      const again = () => {
        const found = look()
        if (found === undefined) return
        onChange.delete(again)
        resume(Effect.succeed(found))
      }
      onChange.add(again)
      again()
      return Effect.sync(() => onChange.delete(again))
    }).pipe(Effect.timeoutOrElse({
      duration: within,
      orElse: () =>
        Effect.suspend(() =>
          Effect.fail(
            new NothingCame({
              waitedFor,
              millis: Duration.toMillis(within),
              received: [
                ...received.slice(-8).map((message) => JSON.stringify(message).slice(0, 200)),
                ...(state.ended() === undefined ? [] : [`Close ${state.ended()?.code} ${state.ended()?.reason}`])
              ]
            })
          )
        )
    }))

  const take = (predicate: (message: Message) => boolean) => {
    const at = inbox.findIndex(predicate)
    return at < 0 ? undefined : inbox.splice(at, 1)[0]
  }
  const next = (match: Match, within: Duration.Input = patience) => {
    const predicate = predicateOf(match)
    return wait(nameOf(match), () => take(predicate), within)
  }
  const sendRaw = (frame: string | Uint8Array) => Effect.sync(() => socket.send(frame))
  const send = (message: unknown) => sendRaw(JSON.stringify(message))

  return {
    url,
    headers: state.headers(),
    socket,
    send,
    sendRaw,
    next,
    req: Effect.fnUntraced(function*(subscription, ...filters) {
      yield* send(["REQ", subscription, ...filters])
      const end = yield* next(([type, id]) => (type === "EOSE" || type === "CLOSED") && id === subscription)
      const events: Array<Event> = []
      for (let found = take(predicateOf(["EVENT", subscription])); found !== undefined;) {
        events.push(found[2] as Event)
        found = take(predicateOf(["EVENT", subscription]))
      }
      return { events, end }
    }),
    publish: (event) => Effect.andThen(send(["EVENT", event]), next(["OK", event.id])),
    received: () => received,
    closed: (within = patience) => wait("Close", state.ended, within),
    close: (code, reason) => Effect.sync(() => socket.close(code, reason)),
    cut: Effect.sync(() => socket.terminate()),
    pause: Effect.sync(() => socket.pause()),
    resume: Effect.sync(() => socket.resume())
  }
}
