/**
 * The TCP side of the server: binding, how many connections an address may hold open without a word, and closing.
 *
 * It knows nothing of WebSockets. Whoever decides what became of a connection says so (`settled`), and from then on the
 * connection is no longer counted here; all of them are cut at the end, whatever they are.
 */
import { Duration, Effect } from "effect"
import { createServer, type Server } from "node:http"
import { type AddressInfo, type BlockList, Server as TcpServer } from "node:net"
import type { Duplex } from "node:stream"
import type { SettingsShape } from "../config/Settings.ts"
import { ExitCode } from "../lifecycle/Certificate.ts"
import { StartError } from "../lifecycle/StartError.ts"
import { Tally } from "../lifecycle/Tally.ts"
import { ClientCount, clientOf, isProxy } from "./ClientAddress.ts"

/** TCP connections beyond the WebSocket ones: pages, probes, and clients that have not said what they want. */
const httpConnectionsMax = 256

/** So many of these one address may always have: a browser opens six at once, and people share addresses. */
const httpPerAddressMin = 32

/** Milliseconds for which a connection is kept for another request. */
const keepAliveMillis = 5000

export interface ListenerOptions {
  readonly limits: SettingsShape["limits"]
  /** They may open any number of connections. */
  readonly proxies: () => BlockList
  /** A connection was dropped, as its address has too many. */
  readonly onDropped: () => void
}

export class Listener {
  /** For its requests and upgrades; connections are this file's business. */
  readonly server: Server
  readonly #options: ListenerOptions
  /** Every TCP connection, whatever became of it. */
  readonly #streams = new Set<Duplex>()
  /** Those that are no WebSocket, or not yet, by whom they are counted under. */
  readonly #unsettled = new Map<Duplex, string>()
  readonly #unsettledBy = new ClientCount()
  readonly #open = new Tally()
  /** One for all connections, as each would keep its own for as long as it lives. */
  readonly #gone: (this: Duplex) => void

  constructor(options: ListenerOptions) {
    this.#options = options
    const forget = (stream: Duplex) => {
      this.#streams.delete(stream)
      this.settled(stream)
    }
    this.#gone = function() {
      forget(this)
    }
    const { limits } = options
    const headerMillis = () => Duration.toMillis(limits.headerTimeout)
    const server = createServer({
      connectionsCheckingInterval: Math.min(1000, headerMillis() / 2),
      keepAliveTimeout: keepAliveMillis,
      shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() === "websocket"
    })
    // Node reads them with every connection and every check.
    Object.defineProperties(server, {
      headersTimeout: { get: headerMillis },
      requestTimeout: { get: headerMillis },
      maxConnections: { get: () => limits.connectionsMax + httpConnectionsMax }
    })
    server.on("connection", (stream) => this.#connected(stream))
    this.#open.add()
    server.once("close", () => this.#open.done())
    this.server = server
  }

  /** Binds, or says in one line why it cannot. */
  bind({ host, port }: SettingsShape["bindAddr"]): Effect.Effect<AddressInfo, StartError> {
    const { server } = this
    return Effect.callback((resume) => {
      const failed = (cause: NodeJS.ErrnoException) => {
        const isTaken = cause.code === "EADDRINUSE"
        const why = isTaken ? "the address is in use by another process" : cause.message
        resume(Effect.fail(
          new StartError({
            component: "websocket",
            message: `cannot listen on ${host}:${port}: ${why}`,
            exitCode: isTaken ? ExitCode.Unavailable : ExitCode.Configuration,
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
  }

  /** It is known what the connection is: a WebSocket, or nothing that we want. */
  settled(stream: Duplex): void {
    const client = this.#unsettled.get(stream)
    if (client === undefined) return
    this.#unsettled.delete(stream)
    this.#unsettledBy.remove(client)
  }

  /** Takes no new connection. The TCP server's own `close`: HTTP's would also cut probes, and stop enforcing the header timeout. */
  stopAccepting(): void {
    TcpServer.prototype.close.call(this.server)
  }

  /** Cuts whatever is left. */
  cut(): void {
    this.server.close()
    this.server.closeAllConnections()
    for (const stream of this.#streams) stream.destroy()
  }

  /** Waits until the port and all connections are closed. */
  get closed(): Effect.Effect<void> {
    return this.#open.zero
  }

  /**
   * As many of an address as may become WebSockets at once: whoever opens more and says nothing would keep others out until
   * the header timeout.
   */
  #connected(stream: Duplex & { readonly remoteAddress?: string | undefined }): void {
    const { limits, onDropped, proxies } = this.#options
    this.#streams.add(stream)
    stream.on("close", this.#gone)
    if (isProxy(stream.remoteAddress, proxies())) return
    const client = clientOf(stream.remoteAddress)
    if (this.#unsettledBy.of(client) >= Math.max(limits.connectionsPerAddressMax, httpPerAddressMin)) {
      onDropped()
      stream.destroy()
      return
    }
    this.#unsettledBy.add(client)
    this.#unsettled.set(stream, client)
  }
}
