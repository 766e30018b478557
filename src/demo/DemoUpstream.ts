/**
 * An honest upstream relay on loopback, with just enough of NIP-01 to be harvested: REQ, CLOSE, EVENT, EOSE, live events.
 */
import * as NodeWS from "@effect/platform-node/NodeWS"
import { Effect, type Scope } from "effect"
import { createServer } from "node:http"
import type { Event } from "../domain/Event.ts"
import * as loopback from "./loopback.ts"
import * as UpstreamEvents from "./UpstreamEvents.ts"

export interface DemoUpstream {
  readonly url: string
  /** Stores an event, and sends it to the subscriptions it matches. */
  readonly publish: (event: Event) => void
  /** Stores events before anybody asks for them. */
  readonly add: (events: ReadonlyArray<Event>) => void
  /** Events that a reader who pages backwards will have met at the end. */
  readonly offered: () => number
}

/** Events of one answer, at most. */
const pageMax = 500
const subscriptionsMax = 100
const frameBytesMax = 131_072

type Filters = ReadonlyArray<UpstreamEvents.WireFilter>

const parse = (data: NodeWS.RawData): ReadonlyArray<unknown> => {
  try {
    const value: unknown = Buffer.isBuffer(data) ? JSON.parse(data.toString()) : undefined
    return Array.isArray(value) ? value : []
  } catch {
    return []
  }
}

const isFilter = (value: unknown): value is UpstreamEvents.WireFilter =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** What a reader who pages backwards through everybody's events asks for. */
const isPage = ({ authors, ids, until }: UpstreamEvents.WireFilter) =>
  until !== undefined && authors === undefined && ids === undefined

/** Starts an upstream that ends, with all of its connections, when the scope closes. `port` 0 takes a free one. */
export const make = Effect.fnUntraced(function*(port: number): Effect.fn.Return<DemoUpstream, never, Scope.Scope> {
  const events = UpstreamEvents.make([], pageMax)
  const connections = new Map<NodeWS.WebSocket, Map<string, Filters>>()
  /** The first and widest page that was asked for. */
  let history: UpstreamEvents.WireFilter | undefined

  /** An event that two filters match is sent once. */
  const answer = (filters: Filters): ReadonlyArray<Event> =>
    filters.length === 1 && filters[0] !== undefined
      ? events.query(filters[0])
      : [...new Set(filters.flatMap((filter) => events.query(filter)))]

  const onMessage = (socket: NodeWS.WebSocket, subscriptions: Map<string, Filters>, data: NodeWS.RawData) => {
    const say = (...message: ReadonlyArray<unknown>) => socket.send(JSON.stringify(message))
    const [type, id, ...rest] = parse(data)
    if (typeof id !== "string") return say("NOTICE", "error: REQ or CLOSE with a subscription id, please")
    if (type === "CLOSE") return void subscriptions.delete(id)
    if (type !== "REQ") return say("NOTICE", "error: this relay only reads out what it has")
    const filters = rest.filter(isFilter)
    if (!subscriptions.has(id) && subscriptions.size >= subscriptionsMax) {
      return say("CLOSED", id, "error: too many subscriptions")
    }
    subscriptions.set(id, filters)
    history ??= filters.find(isPage)
    for (const event of answer(filters)) say("EVENT", id, event)
    say("EOSE", id)
  }

  const server = createServer((_request, response) => {
    response.writeHead(426, { "content-type": "text/plain", upgrade: "websocket" }).end("a relay of the demo\n")
  })
  const upgrader = new NodeWS.WebSocketServer({ server, perMessageDeflate: false, maxPayload: frameBytesMax })
  upgrader.on("error", () => {})
  upgrader.on("connection", (socket) => {
    const subscriptions = new Map<string, Filters>()
    connections.set(socket, subscriptions)
    socket.on("error", () => {})
    socket.on("message", (data) => onMessage(socket, subscriptions, data))
    socket.on("close", () => connections.delete(socket))
  })
  const taken = yield* Effect.orDie(loopback.listen(server, "127.0.0.1", port))

  return {
    url: `ws://127.0.0.1:${taken}`,
    add: (initial) => initial.forEach(events.add),
    publish: (event) => {
      events.add(event)
      for (const [socket, subscriptions] of connections) {
        for (const [id, filters] of subscriptions) {
          if (!filters.some((filter) => UpstreamEvents.matches(filter, event))) continue
          socket.send(JSON.stringify(["EVENT", id, event]))
        }
      }
    },
    offered: () => history === undefined ? 0 : events.count(history)
  }
})
