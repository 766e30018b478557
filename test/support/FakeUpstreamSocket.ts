/**
 * Upstream sockets without a network, for tests on the test clock: whatever dials gets one, and the test plays the other
 * side of it, by hand or with a relay that answers by itself.
 *
 * For faults of real sockets (bytes, TCP, handshakes) there is `FakeUpstream`.
 */
import { Context, Effect, Layer, Queue } from "effect"
import { Socket } from "effect/socket"
import * as UpstreamEvents from "../../src/demo/UpstreamEvents.ts"
import type { Event } from "../../src/domain/Event.ts"

type Listener = (event: Socket.WebSocketEvent) => void
type EventType = "open" | "message" | "error" | "close"

/** One message from the service, decoded. */
export type Sent = readonly [type: string, ...rest: ReadonlyArray<unknown>]

/** One dial, seen from the upstream's side. */
export class FakeSocket implements Socket.WebSocketLike {
  readyState = 0
  isPaused = false
  /** What the service has said, in order; `messages` has the same as it comes. */
  readonly sent: Array<Sent> = []
  readonly messages: Queue.Queue<Sent> = Effect.runSync(Queue.unbounded<Sent>())
  /** The code of the service's Close frame. */
  closedWith: number | undefined
  isTerminated = false
  /** Answers the service's Close frame; a mute upstream does not. */
  isPolite = true
  onMessage: ((message: Sent) => void) | undefined
  readonly url: string
  readonly #listeners = new Map<EventType, Map<Listener, boolean>>()
  #held: Array<string | Uint8Array> = []

  constructor(url: string) {
    this.url = url
  }

  addEventListener(type: EventType, listener: Listener, options?: { readonly once?: boolean }): void {
    const listeners = this.#listeners.get(type) ?? new Map<Listener, boolean>()
    listeners.set(listener, options?.once === true)
    this.#listeners.set(type, listeners)
  }

  removeEventListener(type: EventType, listener: Listener): void {
    this.#listeners.get(type)?.delete(listener)
  }

  #emit(type: EventType, event: Socket.WebSocketEvent): void {
    const listeners = this.#listeners.get(type)
    for (const [listener, once] of Array.from(listeners ?? [])) {
      if (once) listeners?.delete(listener)
      listener(event)
    }
  }

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
    const held = this.#held
    this.#held = []
    this.say(...held)
  }

  send(data: string | Uint8Array): void {
    if (this.readyState !== 1) throw new Error("socket is not open")
    const message = JSON.parse(String(data)) as Sent
    this.sent.push(message)
    Queue.offerUnsafe(this.messages, message)
    this.onMessage?.(message)
  }

  close(code?: number): void {
    this.closedWith = code
    if (this.readyState >= 2) return
    this.readyState = 2
    if (this.isPolite) this.end(code ?? 1005)
  }

  terminate(): void {
    this.isTerminated = true
    this.end(1006)
  }

  /** The upgrade succeeded. */
  open(): void {
    this.readyState = 1
    this.#emit("open", {})
  }

  /** The connection could not be made. */
  refuse(message: string): void {
    this.readyState = 3
    this.#emit("error", { reason: message })
  }

  /** Frames from the upstream: text as it is, anything else as JSON. */
  say(...frames: ReadonlyArray<unknown>): void {
    for (const frame of frames) {
      const data = typeof frame === "string" || frame instanceof Uint8Array ? frame : JSON.stringify(frame)
      if (this.isPaused) this.#held.push(data)
      else if (this.readyState < 2) this.#emit("message", { data })
    }
  }

  /** Frames that have not been read because the service paused the socket. */
  get held(): number {
    return this.#held.length
  }

  /** The connection is over. */
  end(code: number, reason = ""): void {
    if (this.readyState === 3) return
    this.readyState = 3
    this.#emit("close", { code, reason })
  }
}

/** Everything that was dialled. */
export class Dials extends Context.Service<Dials, {
  readonly all: ReadonlyArray<FakeSocket>
  /** Waits for the next dial. */
  readonly next: Effect.Effect<FakeSocket>
}>()("test/FakeUpstreamSocket/Dials") {}

/** `play` is given each socket as it is dialled; it decides whether and when that opens. */
export const layer = (
  play: (socket: FakeSocket) => void
): Layer.Layer<Dials | Socket.WebSocketConstructor> =>
  Layer.effectContext(Effect.gen(function*() {
    const all: Array<FakeSocket> = []
    const dialled = yield* Queue.unbounded<FakeSocket>()
    const construct = (url: string) => {
      const socket = new FakeSocket(url)
      all.push(socket)
      Queue.offerUnsafe(dialled, socket)
      play(socket)
      return socket
    }
    return Context.make(Dials, { all, next: Queue.take(dialled) }).pipe(
      Context.add(Socket.WebSocketConstructor, construct)
    )
  }))

/** Plays nothing: the test does it all. */
export const byHand = layer(() => {})

export interface Relay {
  readonly events: UpstreamEvents.UpstreamEvents
  /** Every filter asked for, in order, over all connections. */
  readonly asked: Array<UpstreamEvents.WireFilter & { readonly subscription: string }>
  readonly play: (socket: FakeSocket) => void
  /** Stores an event and sends it to whoever listens. */
  readonly publish: (event: Event) => void
  /** Ends all connections. */
  readonly hangUp: () => void
}

/** An honest relay that opens at once and answers each REQ at once. `pageMax`: its own cap on `limit`. */
export const relay = (initial: Iterable<Event>, pageMax?: number): Relay => {
  const events = UpstreamEvents.make(initial, pageMax)
  const asked: Relay["asked"] = []
  const open = new Map<FakeSocket, Map<string, ReadonlyArray<UpstreamEvents.WireFilter>>>()
  const play = (socket: FakeSocket) => {
    const subscriptions = new Map<string, ReadonlyArray<UpstreamEvents.WireFilter>>()
    open.set(socket, subscriptions)
    socket.onMessage = ([type, subscription, ...rest]) => {
      if (typeof subscription !== "string") return
      if (type === "CLOSE") subscriptions.delete(subscription)
      if (type !== "REQ") return
      const filters = rest as ReadonlyArray<UpstreamEvents.WireFilter>
      for (const filter of filters) asked.push({ ...filter, subscription })
      subscriptions.set(subscription, filters)
      // What two filters match comes once.
      for (const event of new Set(filters.flatMap(events.query))) socket.say(["EVENT", subscription, event])
      socket.say(["EOSE", subscription])
    }
    queueMicrotask(() => socket.open())
  }
  const publish = (event: Event) => {
    events.add(event)
    for (const [socket, subscriptions] of open) {
      for (const [subscription, filters] of subscriptions) {
        const isWanted = filters.some((filter) => UpstreamEvents.matches(filter, event))
        if (isWanted) socket.say(["EVENT", subscription, event])
      }
    }
  }
  const hangUp = () => {
    for (const socket of open.keys()) socket.end(1012, "restarting")
    open.clear()
  }
  return { events, asked, play, publish, hangUp }
}
