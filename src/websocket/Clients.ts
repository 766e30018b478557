/** The connections that are open: each from its socket to the end of its scope. */
import { type Context, Duration, Effect, Exit, Option } from "effect"
import type { Admission } from "../aggregation/admission/Admission.ts"
import { Tally } from "../lifecycle/Tally.ts"
import * as Metrics from "../observability/Metrics.ts"
import type { ClientSocket } from "./client/ClientSocket.ts"
import * as Connection from "./client/Connection.ts"
import type { Shared } from "./client/Shared.ts"
import { ClientCount } from "./ClientAddress.ts"

export class Clients {
  readonly #shared: Shared
  readonly #context: Context.Context<Admission>
  readonly #connections = new Set<Connection.Connection>()
  /** How many there are whose scope has not ended. */
  readonly #open = new Tally()
  readonly #registry: Connection.Registry
  #number = 0

  /** By client. */
  readonly counts = new ClientCount()

  constructor(shared: Shared, context: Context.Context<Admission>) {
    this.#shared = shared
    this.#context = context
    this.#registry = {
      opened: (connection) => this.#connections.add(connection),
      ended: (connection) => {
        this.#connections.delete(connection)
        this.#forget(connection.client)
      }
    }
  }

  /** How many there are. */
  get size(): number {
    return this.#open.count
  }

  /** Waits until there is none. */
  get gone(): Effect.Effect<void> {
    return this.#open.zero
  }

  /** Serves a client over a socket of any kind, until the socket is gone. */
  connect(socket: ClientSocket, client: string): void {
    const shared = this.#shared
    this.counts.add(client)
    this.#open.add()
    shared.count(Metrics.websocketConnectionsOpened, 1)
    shared.count(Metrics.websocketConnections, this.size)
    const serve = Connection.serve(shared, socket, { number: ++this.#number, client }, this.#registry)
    shared.run(Effect.provideContext(serve, this.#context)).addObserver((exit) => {
      if (Exit.isSuccess(exit)) return
      this.#forget(client)
      // Admission is stopping, and so are we.
      if (Option.isSome(Exit.findErrorOption(exit))) return socket.close(1001, "shutting down")
      socket.terminate()
      shared.run(Effect.logError("connection failed", exit.cause))
    })
  }

  /** With pauses for other fibers, as there may be many. */
  each(f: (connection: Connection.Connection) => void): Effect.Effect<void> {
    return Effect.suspend(() =>
      Effect.forEach([...this.#connections], (connection) => Effect.sync(() => f(connection)), { discard: true })
    )
  }

  /** Ends the connections of clients that have been blocked since they connected. */
  endBlocked(isBlocked: (client: string) => boolean): void {
    for (const connection of this.#connections) {
      if (isBlocked(connection.client)) connection.end(1008, "blocked", "blocked")
    }
  }

  /** Visits all connections, again and again: ends those that are stuck or silent, and forgets rates that are full again. */
  get lookingAfter(): Effect.Effect<never> {
    const { journal, limits, rates } = this.#shared
    const idleMillis = () => Duration.toMillis(limits.idleTimeout)
    return Effect.clockWith((clock) =>
      this.each((connection) => connection.look(clock.currentTimeMillisUnsafe(), idleMillis()))
    ).pipe(
      Effect.andThen(Effect.sync(() => rates.sweep(journal.now()))),
      (round) => Effect.suspend(() => Effect.delay(round, idleMillis() / 4)),
      Effect.forever
    )
  }

  #forget(client: string): void {
    this.counts.remove(client)
    this.#open.done()
    this.#shared.count(Metrics.websocketConnections, this.size)
  }
}
