/**
 * Component 4: one port for Nostr clients, browsers and probes.
 *
 * It owns the HTTP server and the WebSocket server on it, and everything that is open on them. Stopping is one procedure,
 * `stop`, that tells clients what is going on, in order, and never waits for one of them without a bound
 * (`docs/shutdown.md`).
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeWS from "@effect/platform-node/NodeWS"
import { Context, Duration, Effect, Exit, Layer, Option, Scope } from "effect"
import { HttpRouter } from "effect/http"
import { randomBytes } from "node:crypto"
import { createServer, type IncomingMessage, type Server, STATUS_CODES } from "node:http"
import { type AddressInfo, Server as TcpServer } from "node:net"
import type { Duplex } from "node:stream"
import type { Admission } from "../aggregation/admission/Admission.ts"
import { Moderation } from "../aggregation/admission/Moderation.ts"
import { Settings } from "../config/Settings.ts"
import { Verifier } from "../crypto/Verifier.ts"
import { Database } from "../database/Database.ts"
import { ExitCode } from "../lifecycle/Certificate.ts"
import { announce, Shutdown } from "../lifecycle/Shutdown.ts"
import { StartError } from "../lifecycle/StartError.ts"
import { Supervisor } from "../lifecycle/Supervisor.ts"
import { Tally } from "../lifecycle/Tally.ts"
import * as Metrics from "../observability/Metrics.ts"
import { WsClientSocket } from "./client/ClientSocket.ts"
import * as Connection from "./client/Connection.ts"
import { Flusher } from "./client/Frames.ts"
import * as ItemSets from "./client/ItemSets.ts"
import { AddressRates } from "./client/RateLimit.ts"
import type { Shared } from "./client/Shared.ts"
import * as Subscriptions from "./client/Subscriptions.ts"
import { clientBehind, ClientCount, clientOf, isProxy, proxiesOf } from "./ClientAddress.ts"
import type { ManagementOptions } from "./http/ManagementApi.ts"
import * as Operators from "./http/Operators.ts"
import { relayInformation } from "./http/RelayInformation.ts"
import { refuseWhile, routes } from "./http/Routes.ts"

/** Where the relay listens, once it does; the port is the bound one. */
export class RelayAddress extends Context.Service<RelayAddress, {
  readonly host: string
  readonly port: number
  /** `ws://host:port` */
  readonly url: string
}>()("profile-aggregator/websocket/RelayAddress") {}

/** Milliseconds that `ws` waits for the answer to a Close frame; longer than the stop's own budget, which then rules. */
const closeTimeout = 2000

/** Fragments of one message: no client has a reason for more. */
const fragmentsMax = 1024

/** TCP connections beyond the WebSocket ones: pages, probes, and clients that have not said what they want. */
const httpConnectionsMax = 256

/** So many of these one address may always have: a browser opens six at once, and people share addresses. */
const httpPerAddressMin = 32

const software = "profile-aggregator"
const version = "0.1.0"

/** Answers an upgrade request with an HTTP error, and ends the connection whether or not the client reads it. */
const refuse = (stream: Duplex, status: 403 | 404 | 429 | 503): void => {
  stream.on("error", () => {})
  stream.once("finish", () => stream.destroy())
  const body = `${STATUS_CODES[status]}\n`
  stream.end([
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    "Connection: close",
    "Content-Type: text/plain",
    ...(status < 429 ? [] : ["Retry-After: 5"]),
    `Content-Length: ${body.length}`,
    "",
    body
  ].join("\r\n"))
}

/** Upgrades are taken on one path only (NIP-01); what follows a question mark changes nothing. */
const isRoot = (url: string | undefined): boolean => url === "/" || url?.startsWith("/?") === true

/** Binds, or says in one line why it cannot. */
const listen = (server: Server, { host, port }: { readonly host: string; readonly port: number }) =>
  Effect.callback<AddressInfo, StartError>((resume) => {
    const failed = (cause: NodeJS.ErrnoException) => {
      const why = cause.code === "EADDRINUSE" ? "the address is in use by another process" : cause.message
      resume(Effect.fail(
        new StartError({
          component: "websocket",
          message: `cannot listen on ${host}:${port}: ${why}`,
          exitCode: cause.code === "EADDRINUSE" ? ExitCode.Unavailable : ExitCode.Configuration,
          cause
        })
      ))
    }
    server.once("error", failed)
    server.listen({ host, port }, () => {
      server.off("error", failed)
      resume(Effect.succeed(server.address() as AddressInfo))
    })
  })

const urlOf = (scheme: "ws" | "http", { address, family, port }: AddressInfo): string =>
  `${scheme}://${family === "IPv6" ? `[${address}]` : address}:${port}`

const make = Effect.gen(function*() {
  yield* announce("websocket")
  const settings = yield* Settings
  const database = yield* Database
  const verifier = yield* Verifier
  const moderation = yield* Moderation
  const shutdown = yield* Shutdown
  const supervisor = yield* Supervisor
  const { limits } = settings
  const { journal } = shutdown

  const context = yield* Effect.context<Admission>()
  const run = Effect.runForkWith(context)
  const subscriptions = yield* Subscriptions.make
  const itemSets = yield* ItemSets.make(limits.syncItemsMax)
  // The verifier is released after this component, so its mailbox is open.
  const { verify } = yield* Effect.orDie(verifier.sender("websocket/authentication"))
  const shared: Shared = {
    limits,
    database,
    authentication: {
      relayUrl: settings.relayUrl,
      // Where direct messages are kept, most clients will want to read some.
      isFirst: settings.admission === "open",
      makeChallenge: () => randomBytes(16).toString("hex"),
      verify
    },
    subscriptions,
    itemSets,
    journal,
    inFlight: new Tally(),
    rates: new AddressRates(limits.ratePerAddress),
    run,
    count: (metric, input) => metric.updateUnsafe(input, context),
    draining: false
  }

  // HTTP

  const headerMillis = Duration.toMillis(limits.headerTimeout)
  const server = createServer({
    headersTimeout: headerMillis,
    requestTimeout: headerMillis,
    connectionsCheckingInterval: Math.min(1000, headerMillis / 2),
    keepAliveTimeout: 5000,
    shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() === "websocket"
  })
  server.maxConnections = limits.connectionsMax + httpConnectionsMax
  /** Every TCP connection, whatever became of it. */
  const streams = new Set<Duplex>()
  const proxies = proxiesOf(settings.trustedProxies)
  /**
   * Those that are no WebSocket, or not yet, and how many an address has. As many as may become one at once: whoever opens
   * more and says nothing would keep others out until the header timeout.
   */
  const undecided = new Map<Duplex, string>()
  const undecidedBy = new ClientCount()
  const undecidedMax = Math.max(limits.connectionsPerAddressMax, httpPerAddressMin)
  const decide = (stream: Duplex) => {
    const client = undecided.get(stream)
    if (client === undefined) return
    undecided.delete(stream)
    undecidedBy.remove(client)
  }
  /** One for all of them, as each would keep its own for as long as it lives. */
  function gone(this: Duplex) {
    streams.delete(this)
    decide(this)
  }
  server.on("connection", (stream) => {
    streams.add(stream)
    stream.on("close", gone)
    if (isProxy(stream.remoteAddress, proxies)) return
    const client = clientOf(stream.remoteAddress)
    if (undecidedBy.of(client) >= undecidedMax) {
      shared.count(Metrics.websocketConnectionsRefused.address, 1)
      stream.destroy()
      return
    }
    undecidedBy.add(client)
    undecided.set(stream, client)
  })
  const httpScope = yield* Scope.make()
  const connections = new Set<Connection.Connection>()
  /** By its group: who has one address of a /64 can have them all. */
  const isBlocked = (client: string) => moderation.rules("ip", "banned").some(({ name }) => clientOf(name) === client)
  const self = { pubkey: verifier.pubkey, software, version }
  const information = () => relayInformation(settings, self, moderation.text)
  const operatorOf = Operators.make({ operators: settings.operators, limits, verify })
  const management: ManagementOptions = {
    operatorOf,
    relayUrl: settings.relayUrl,
    moderation,
    onChange: ({ method }) =>
      Effect.sync(() => {
        if (method.startsWith("ban") || method === "disallowkind") itemSets.clear()
        for (const connection of method === "blockip" ? connections : []) {
          if (isBlocked(connection.client)) connection.end(1008, "blocked", "blocked")
        }
      })
  }
  const { relayUrl } = settings
  const app = yield* HttpRouter.toHttpEffect(
    routes({ information, relayUrl, journal, management, console: { journal, relayUrl, operatorOf, proxies } })
  )
  server.on(
    "request",
    yield* NodeHttpServer.makeHandler(app, {
      scope: httpScope,
      middleware: refuseWhile(() => shared.draining)
    })
  )

  // WebSocket

  const options: NodeWS.ServerOptions & { readonly closeTimeout: number } = {
    noServer: true,
    clientTracking: false,
    maxPayload: limits.frameBytesMax,
    maxFragments: fragmentsMax,
    perMessageDeflate: false,
    closeTimeout
  }
  const webSockets = new NodeWS.WebSocketServer(options)
  const flusher = new Flusher()
  const clients = new ClientCount()
  /** How many there are whose scope has not ended. */
  const open = new Tally()
  let connectionNumber = 0

  const forget = (client: string) => {
    clients.remove(client)
    open.done()
    shared.count(Metrics.websocketConnections, open.count)
  }
  const registry: Connection.Registry = {
    opened: (connection) => connections.add(connection),
    ended: (connection) => {
      connections.delete(connection)
      forget(connection.client)
    }
  }

  const connect = (webSocket: NodeWS.WebSocket, stream: Duplex, client: string) => {
    clients.add(client)
    open.add()
    shared.count(Metrics.websocketConnectionsOpened, 1)
    shared.count(Metrics.websocketConnections, open.count)
    const socket = new WsClientSocket(webSocket, stream, flusher)
    run(Connection.serve(shared, socket, { number: ++connectionNumber, client }, registry)).addObserver((exit) => {
      if (Exit.isSuccess(exit)) return
      forget(client)
      // Admission is stopping, and so are we.
      if (Option.isSome(Exit.findErrorOption(exit))) return socket.close(1001, "shutting down")
      webSocket.terminate()
      run(Effect.logError("connection failed", exit.cause))
    })
  }

  const refusalOf = (client: string): keyof typeof Metrics.websocketConnectionsRefused | undefined => {
    if (shared.draining) return "stopping"
    if (isBlocked(client)) return "blocked"
    if (clients.total >= limits.connectionsMax) return "total"
    return clients.of(client) >= limits.connectionsPerAddressMax ? "address" : undefined
  }

  server.on("upgrade", (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    decide(stream)
    const forwardedFor = request.headers["x-forwarded-for"]
    const client = clientBehind(request.socket.remoteAddress, [forwardedFor].flat().join(","), proxies)
    if (!isRoot(request.url)) return refuse(stream, 404)
    const reason = refusalOf(client)
    if (reason !== undefined) {
      shared.count(Metrics.websocketConnectionsRefused[reason], 1)
      return refuse(stream, reason === "blocked" ? 403 : reason === "address" ? 429 : 503)
    }
    webSockets.handleUpgrade(request, stream, head, (webSocket) => connect(webSocket, stream, client))
  })

  /** With pauses for other fibers, as there may be many. */
  const each = (f: (connection: Connection.Connection) => void) =>
    Effect.suspend(() =>
      Effect.forEach([...connections], (connection) => Effect.sync(() => f(connection)), { discard: true })
    )

  const idleMillis = Duration.toMillis(limits.idleTimeout)
  yield* supervisor.fork(
    "websocket/idle connections",
    Effect.clockWith((clock) => each((connection) => connection.look(clock.currentTimeMillisUnsafe(), idleMillis)))
      .pipe(
        Effect.andThen(Effect.sync(() => shared.rates.sweep(journal.now(), (client) => clients.of(client) > 0)))
      )
      .pipe(
        Effect.delay(idleMillis / 4),
        Effect.forever
      )
  )

  // Stopping

  const closed = new Tally()
  closed.add()
  server.once("close", () => closed.done())
  const stop = Effect.gen(function*() {
    // Readiness says no from here on, as the journal has left `ready`.
    if (!Duration.isZero(settings.announceDelay)) {
      yield* Effect.timeoutOption(shutdown.impatient, settings.announceDelay)
    }
    shared.draining = true
    yield* shutdown.drain
    subscriptions.stop()
    // The TCP server's own `close`: HTTP's would also cut probes, and stop enforcing the header timeout.
    TcpServer.prototype.close.call(server)
    yield* each((connection) => connection.stopReading())
    yield* shutdown.bounded("drain", shared.inFlight.zero)
    yield* each((connection) => {
      connection.refuseInFlight()
      connection.closeSubscriptions("error: shutting down")
    })
    journal.transition("releasing")
    yield* each((connection) => connection.end(1001, "shutting down", "stopping"))
    const handshakes = yield* shutdown.bounded("close handshakes", open.zero)
    if (Option.isNone(handshakes)) {
      yield* Effect.logInfo("clients did not answer").pipe(Effect.annotateLogs({ sockets: open.count }))
      yield* each((connection) => connection.terminate())
    }
    server.close()
    server.closeAllConnections()
    for (const stream of streams) stream.destroy()
    yield* shutdown.bounded(
      "sockets end",
      Effect.all([open.zero, closed.zero, Scope.close(httpScope, Exit.void)], {
        concurrency: "unbounded",
        discard: true
      })
    )
  }).pipe(Effect.annotateLogs({ component: "websocket" }))

  const bound = yield* Effect.acquireRelease(listen(server, settings.bindAddr), () => stop)
  server.on("error", (error) => void run(Effect.logError("server failed", error)))
  const address = { host: bound.address, port: bound.port, url: urlOf("ws", bound) }
  yield* Effect.logInfo("listening").pipe(
    Effect.annotateLogs({ component: "websocket", url: address.url, page: urlOf("http", bound) })
  )
  return RelayAddress.of(address)
})

export const layer: Layer.Layer<
  RelayAddress,
  StartError,
  Settings | Database | Verifier | Admission | Moderation | Shutdown | Supervisor
> = Layer.effect(RelayAddress, make)
