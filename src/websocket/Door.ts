/**
 * Who may connect: from an upgrade request to a socket that is handed on, or to an HTTP error.
 *
 * Whoever accepts connections in another way, such as on threads of their own, hands sockets to the same place (`admit`).
 */
import * as NodeWS from "@effect/platform-node/NodeWS"
import { type IncomingMessage, STATUS_CODES } from "node:http"
import type { BlockList } from "node:net"
import type { Duplex } from "node:stream"
import type { SettingsShape } from "../config/Settings.ts"
import type * as Metrics from "../observability/Metrics.ts"
import { type ClientSocket, WsClientSocket } from "./client/ClientSocket.ts"
import { Flusher } from "./client/Frames.ts"
import { clientBehind, type ClientCount, isProxy } from "./ClientAddress.ts"

/** Milliseconds that `ws` waits for the answer to a Close frame; longer than the stop's own budget, which then rules. */
const closeTimeout = 2000

/** Fragments of one message: no client has a reason for more. */
const fragmentsMax = 1024

/** What a refusal is counted under. */
type Reason = keyof typeof Metrics.websocketConnectionsRefused

const statusOf: Readonly<Record<Reason, 403 | 429 | 503>> = { stopping: 503, blocked: 403, total: 503, address: 429 }

/** Answers an upgrade request with an HTTP error, and ends the connection whether or not the client reads it. */
const refuse = (
  stream: Duplex,
  status: 403 | 404 | 426 | 429 | 503,
  headers: ReadonlyArray<string> = ["Connection: close"]
): void => {
  stream.on("error", () => {})
  stream.once("finish", () => stream.destroy())
  const body = `${STATUS_CODES[status]}\n`
  stream.end([
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    ...headers,
    "Content-Type: text/plain",
    ...(status < 429 ? [] : ["Retry-After: 5"]),
    `Content-Length: ${body.length}`,
    "",
    body
  ].join("\r\n"))
}

/** The only version there is (RFC 6455 §4.2.2, §4.4); `ws` would also take 8, a draft's. */
const protocolVersion = "13"
const upgradeRequired = [
  "Connection: Upgrade, close",
  "Upgrade: websocket",
  `Sec-WebSocket-Version: ${protocolVersion}`
]

/** Upgrades are taken on one path only (NIP-01); what follows a question mark changes nothing. */
const isRoot = (url: string | undefined): boolean => url === "/" || url?.startsWith("/?") === true

export interface DoorOptions {
  readonly limits: SettingsShape["limits"]
  /** What they say about whom a request comes from is believed. */
  readonly proxies: () => BlockList
  /** How many connections are open, by client. */
  readonly clients: ClientCount
  readonly isBlocked: (client: string) => boolean
  readonly isDraining: () => boolean
  /** Called when it is known whether a TCP connection becomes a WebSocket. */
  readonly settled: (stream: Duplex) => void
  readonly onRefused: (reason: Reason) => void
  /** Called for an `X-Forwarded-For` of somebody who is not listed as a proxy. */
  readonly onIgnoredForward: () => void
  /** Takes a socket on. */
  readonly admit: (socket: ClientSocket, client: string) => void
}

/** Answers upgrade requests. */
export const make = (options: DoorOptions) => {
  const { clients, limits, proxies } = options
  const serverOptions: NodeWS.ServerOptions & { readonly closeTimeout: number } = {
    noServer: true,
    clientTracking: false,
    maxFragments: fragmentsMax,
    perMessageDeflate: false,
    closeTimeout
  }
  const webSockets = new NodeWS.WebSocketServer(serverOptions)
  const flusher = new Flusher()

  const refusalOf = (client: string): Reason | undefined => {
    if (options.isDraining()) return "stopping"
    if (options.isBlocked(client)) return "blocked"
    if (clients.total >= limits.connectionsMax) return "total"
    return clients.of(client) >= limits.connectionsPerAddressMax ? "address" : undefined
  }

  return (request: IncomingMessage, stream: Duplex, head: Buffer): void => {
    options.settled(stream)
    if (!isRoot(request.url)) return refuse(stream, 404)
    if (request.headers["sec-websocket-version"] !== protocolVersion) return refuse(stream, 426, upgradeRequired)
    const forwardedFor = request.headers["x-forwarded-for"]
    if (forwardedFor !== undefined && !isProxy(request.socket.remoteAddress, proxies())) options.onIgnoredForward()
    const client = clientBehind(request.socket.remoteAddress, [forwardedFor].flat().join(","), proxies())
    const reason = refusalOf(client)
    if (reason !== undefined) {
      options.onRefused(reason)
      return refuse(stream, statusOf[reason])
    }
    // A connection keeps the one it opens with.
    webSockets.options.maxPayload = limits.frameBytesMax
    webSockets.handleUpgrade(request, stream, head, (webSocket) => {
      options.admit(new WsClientSocket(webSocket, stream, flusher), client)
    })
  }
}
