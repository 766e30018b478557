/**
 * Component 4: one port for Nostr clients, browsers and probes.
 *
 * It composes the listener (TCP), the door (who may connect), the clients that are in, and what is answered over HTTP.
 * Stopping is one procedure, `stop`, that tells clients what is going on, in order, and never waits for one of them without
 * a bound (`docs/shutdown.md`).
 */
import { Context, Duration, Effect, Exit, Layer, Option, Scope } from "effect"
import type { AddressInfo } from "node:net"
import { type Admission, drain } from "../aggregation/admission/Admission.ts"
import { Moderation } from "../aggregation/admission/Moderation.ts"
import { madeOf, Settings } from "../config/Settings.ts"
import { Verifier } from "../crypto/Verifier.ts"
import type { Database } from "../database/Database.ts"
import { announce, type Budget, Shutdown } from "../lifecycle/Shutdown.ts"
import type { StartError } from "../lifecycle/StartError.ts"
import { Supervisor } from "../lifecycle/Supervisor.ts"
import * as Metrics from "../observability/Metrics.ts"
import { WebApp } from "../web/WebApp.ts"
import * as Shared from "./client/Shared.ts"
import { clientBehind, clientOf, proxiesOf } from "./ClientAddress.ts"
import { Clients } from "./Clients.ts"
import * as Door from "./Door.ts"
import * as Handler from "./http/Handler.ts"
import { Listener } from "./Listener.ts"

/** Where the relay listens, once it does; the port is the bound one. */
export class RelayAddress extends Context.Service<RelayAddress, {
  readonly host: string
  readonly port: number
  /** `ws://host:port` */
  readonly url: string
}>()("profile-aggregator/websocket/RelayAddress") {}

const urlOf = (scheme: "ws" | "http", { address, family, port }: AddressInfo): string =>
  `${scheme}://${family === "IPv6" ? `[${address}]` : address}:${port}`

/** For clients to answer our Close frame. One that does not is no fault of ours, and must not delay the last commit. */
const handshakes: Budget = { name: "close handshakes", millis: 1000, cut: 250, isHarmless: true }
/** For sockets that were cut to be seen to end, so that what was held for them is given back. */
const socketsEnd: Budget = { name: "sockets end", millis: 1000 }

/** Everything that is open, from the port inwards. */
interface Parts {
  readonly shared: Shared.Shared
  readonly listener: Listener
  readonly clients: Clients
  readonly web: WebApp
  /** Of requests over HTTP. */
  readonly httpScope: Scope.Closeable
}

/** Warns once: behind a proxy that is not listed all clients are one, and share its limits. */
const unheededForward = (run: Shared.Shared["run"]) => {
  let isSaid = false
  return () => {
    if (isSaid) return
    isSaid = true
    run(
      Effect.logWarning(
        "X-Forwarded-For is ignored: set TRUSTED_PROXIES to the address of your proxy, or all clients count as one"
      ).pipe(Effect.annotateLogs({ component: "websocket" }))
    )
  }
}

const stop = Effect.fnUntraced(function*({ clients, httpScope, listener, shared, web }: Parts) {
  const { announceDelay } = yield* Settings
  const shutdown = yield* Shutdown
  // Readiness says no from here on, as the journal has left `ready`.
  if (!Duration.isZero(announceDelay)) yield* Effect.timeoutOption(shutdown.impatient, announceDelay)
  shared.draining = true
  yield* shutdown.drain
  shared.subscriptions.stop()
  listener.stopAccepting()
  yield* clients.each((connection) => connection.stopReading())
  yield* shutdown.bounded(drain, Effect.andThen(shared.inFlight.zero, web.streamsEnded))
  yield* clients.each((connection) => {
    connection.refuseInFlight()
    connection.closeSubscriptions("error: shutting down")
  })
  shutdown.journal.transition("releasing")
  yield* clients.each((connection) => connection.end(1001, "shutting down", "stopping"))
  const answered = yield* shutdown.bounded(handshakes, clients.gone)
  if (Option.isNone(answered)) {
    yield* Effect.logInfo("clients did not answer").pipe(Effect.annotateLogs({ sockets: clients.size }))
    yield* clients.each((connection) => connection.terminate())
  }
  listener.cut()
  yield* shutdown.bounded(
    socketsEnd,
    Effect.all([clients.gone, listener.closed, Scope.close(httpScope, Exit.void)], {
      concurrency: "unbounded",
      discard: true
    })
  )
}, Effect.annotateLogs({ component: "websocket" }))

const make = Effect.gen(function*() {
  yield* announce("websocket")
  const settings = yield* Settings
  const { bindAddr, limits } = settings
  const moderation = yield* Moderation
  const supervisor = yield* Supervisor
  // The verifier is released after this component, so its mailbox is open.
  const { verify } = yield* Effect.flatMap(Verifier, ({ sender }) => Effect.orDie(sender("websocket/authentication")))
  const shared = yield* Shared.make(verify)
  const { counters } = shared
  const { journal, state } = yield* Shutdown
  yield* state("answered", () => ({ true: counters.answeredTrue, false: counters.answeredFalse }))
  yield* state("sockets", () => ({ clean: counters.socketsClean, terminated: counters.socketsTerminated }))
  const clients = new Clients(shared, yield* Effect.context<Admission>())
  const proxies = madeOf(() => settings.trustedProxies, proxiesOf)
  /** By its group: who has one address of a /64 can have them all. */
  const isBlocked = (client: string) => moderation.rules("ip", "banned").some(({ name }) => clientOf(name) === client)
  const onRefused: Door.DoorOptions["onRefused"] = (reason) =>
    shared.count(Metrics.websocketConnectionsRefused[reason], 1)
  const listener = new Listener({ limits, proxies, onDropped: () => onRefused("address") })
  const httpScope = yield* Scope.make()
  const handler = yield* Handler.make({
    scope: httpScope,
    proxies,
    verify,
    isDraining: () => shared.draining,
    metricsAllowed: madeOf(() => settings.metricsAllow, proxiesOf),
    clientBehind: (remoteAddress, forwardedFor) => clientBehind(remoteAddress, forwardedFor, proxies()),
    refusalOf: (client, cost) => {
      if (isBlocked(client)) return 403
      const now = journal.now()
      const bucket = shared.rates.hold(client, now)
      bucket.holders--
      if (bucket.isEmpty(now)) return 429
      bucket.spend(cost)
      return undefined
    },
    onChange: ({ method }) => {
      if (method.startsWith("ban") || method === "disallowkind") shared.itemSets.clear()
      if (method === "blockip") clients.endBlocked(isBlocked)
    }
  })
  const upgrade = Door.make({
    limits,
    proxies,
    clients: clients.counts,
    isBlocked,
    isDraining: () => shared.draining,
    settled: (stream) => listener.settled(stream),
    onRefused,
    onIgnoredForward: unheededForward(shared.run),
    admit: (socket, client) => clients.connect(socket, client)
  })
  listener.server.on("request", handler).on("upgrade", upgrade)
  yield* supervisor.fork("websocket/idle connections", clients.lookingAfter)

  const web = yield* WebApp
  const parts: Parts = { shared, listener, clients, web, httpScope }
  const bound = yield* Effect.acquireRelease(listener.bind(bindAddr), () => stop(parts))
  listener.server.on("error", (error) => void shared.run(Effect.logError("server failed", error)))
  const address = { host: bound.address, port: bound.port, url: urlOf("ws", bound) }
  yield* Effect.logInfo("listening").pipe(
    Effect.annotateLogs({ component: "websocket", url: address.url, page: urlOf("http", bound) })
  )
  yield* supervisor.fork("web/loading", web.loaded)
  return RelayAddress.of(address)
})

export const layer: Layer.Layer<
  RelayAddress,
  StartError,
  Settings | Database | Verifier | Admission | Moderation | Shutdown | Supervisor
> = Layer.effect(RelayAddress, make)
