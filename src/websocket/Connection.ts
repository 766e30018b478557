/**
 * One client: what it says, what it is told, and the scope in which that happens.
 *
 * A connection is a scope that holds its own sender to admission; both are gone when its socket is. Messages of one turn
 * are handled together, without a fiber of their own; only an EVENT gets one, as it waits for its commit, and a REQ, as it
 * waits for the store. Nothing else waits for them.
 *
 * What a client may leave unread is bounded (`outboundBytesMax`). Answers and live events never wait: a client over the
 * bound is cut with 1013. Stored events do: their scan pauses while a client has a quarter of it waiting, and a client
 * that takes nothing for long is cut too.
 */
import { Effect, Exit, Fiber } from "effect"
import { Admission, type AdmissionSender } from "../aggregation/Admission.ts"
import type { SettingsShape } from "../Config.ts"
import type { Commit, Database, QueryResult } from "../database/Database.ts"
import { answerOf as answerOfProblem, type ClientMessage, clientMessageOf } from "../domain/ClientMessage.ts"
import { type Event, isEphemeral, isReplaceable } from "../domain/Event.ts"
import type { Filter } from "../domain/Filter.ts"
import * as RelayMessage from "../domain/RelayMessage.ts"
import type { Journal } from "../lifecycle/Journal.ts"
import { type ClientSocket, drainMin, type SharedFrame } from "./ClientSocket.ts"
import * as publish from "./publish.ts"
import type { Subscriber, Subscriptions } from "./Subscriptions.ts"
import type { Tally } from "./Tally.ts"

/** EVENTs of one client that may be without an answer, in number and in characters; then its socket is not read. */
const inFlightMax = 256
const inFlightCharactersMax = 1_048_576

/** REQs of one client that are read or sent at once; the others wait for their turn. */
const scansMax = 4

/** COUNTs of one client at once. */
const countsMax = 4

/** Pings of a client between two looks at it; a client that sends more is closed. */
const pingsMax = 300

/** What all connections of a server share. */
export interface Shared {
  readonly limits: SettingsShape["limits"]
  readonly database: Pick<Database["Service"], "query" | "count">
  readonly subscriptions: Subscriptions
  readonly journal: Journal
  /** EVENTs without an answer, of all connections. */
  readonly inFlight: Tally
  /** Open connections that can be told to stop. */
  readonly connections: Set<Connection>
  /** From the moment on which nothing new is taken. */
  draining: boolean
}

/** An EVENT without an answer. */
interface InFlight {
  readonly eventId: string
  readonly characters: number
}

/**
 * A REQ, from its arrival to its end.
 *
 * `waiting` for its turn, `reading` the store, `sending` what was found, then `live`.
 */
class Subscription implements Subscriber {
  readonly id: string
  readonly filters: ReadonlyArray<Filter>
  readonly connection: Connection
  state: "waiting" | "reading" | "sending" | "live" | "closed" = "waiting"
  /** Commits that came while stored events were read and sent. */
  kept: Array<{ readonly commit: Commit; readonly frame: SharedFrame }> = []
  stored: QueryResult = { asOf: 0, events: [], complete: true }
  /** How many of `stored` were sent. */
  sent = 0
  fiber: Fiber.Fiber<unknown, unknown> | undefined

  constructor(id: string, filters: ReadonlyArray<Filter>, connection: Connection) {
    this.id = id
    this.filters = filters
    this.connection = connection
  }

  deliver(commit: Commit, frame: SharedFrame): void {
    if (this.state === "live") {
      if (this.isNews(commit)) this.connection.send(frame)
    } else {
      this.kept.push({ commit, frame })
      this.connection.keep(commit.raw.length)
    }
  }

  /** The read did not see it. Ephemeral events are never read, and share their number with the commit before them. */
  isNews(commit: Commit): boolean {
    return commit.seq > this.stored.asOf || isEphemeral(commit.event.kind)
  }
}

export class Connection {
  readonly #shared: Shared
  readonly #socket: ClientSocket
  readonly #sender: AdmissionSender
  readonly #fork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>

  /** False once a Close frame was sent or the socket is gone; nothing is sent then. */
  #open = true
  /** We began the end: by a Close frame, or by cutting. */
  #ended = false
  #reading = true
  #paused = false
  #working = false
  #texts: Array<string> = []
  #next = 0

  readonly #inFlight = new Set<InFlight>()
  #inFlightCharacters = 0

  readonly #subscriptions = new Map<string, Subscription>()
  #queue: Array<Subscription> = []
  #scans = 0
  readonly #sending = new Set<Subscription>()
  #counts = 0
  /** Characters of commits kept for subscriptions that are not live yet. */
  #kept = 0

  #pings = 0
  #received = 0
  #seenAt: number
  #waitingBefore = 0

  constructor(options: {
    readonly shared: Shared
    readonly socket: ClientSocket
    readonly sender: AdmissionSender
    /** Runs an effect in the connection's scope. */
    readonly fork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
    /** Milliseconds, as in `look`. */
    readonly now: number
  }) {
    this.#shared = options.shared
    this.#socket = options.socket
    this.#sender = options.sender
    this.#fork = options.fork
    this.#seenAt = options.now
  }

  // What the client says

  /** Listens until the socket is gone. */
  readonly run: Effect.Effect<void> = Effect.callback<void>((resume) => {
    this.#socket.listen({
      messages: (texts) => this.#take(texts),
      binary: () => this.end(1003, "Nostr messages are text"),
      pinged: () => {
        if (++this.#pings > pingsMax) this.end(1008, "too many pings")
      },
      drained: () => this.#pump(),
      closed: (code) => {
        this.#closed(code)
        resume(Effect.void)
      }
    })
    return Effect.sync(() => this.#socket.terminate())
  })

  #take(texts: ReadonlyArray<string>): void {
    if (!this.#reading || !this.#open) return
    this.#texts.push(...texts)
    this.#work()
  }

  /** Handles what was received, up to the EVENT for which there is no room. */
  #work(): void {
    if (this.#working) return
    this.#working = true
    while (this.#next < this.#texts.length && !this.#isFull()) this.#handle(this.#texts[this.#next++] as string)
    this.#working = false
    if (this.#next < this.#texts.length) {
      if (this.#paused) return
      this.#paused = true
      this.#socket.pause()
      return
    }
    this.#texts = []
    this.#next = 0
    if (this.#paused && this.#reading) {
      this.#paused = false
      this.#socket.resume()
    }
  }

  #isFull(): boolean {
    return this.#inFlight.size >= inFlightMax || this.#inFlightCharacters >= inFlightCharactersMax
  }

  #handle(text: string): void {
    if (!this.#open) return
    const message = clientMessageOf(text, this.#shared.limits)
    switch (message._tag) {
      case "EVENT":
        return this.#event(message.event, text.length)
      case "REQ":
        return this.#req(message.subscription, message.filters)
      case "CLOSE":
        return this.#close(message.subscription)
      case "Problem":
        return this.#problem(message.answer === "OK" ? "OK" : "other", answerOfProblem(message))
      default:
        return this.#other(message)
    }
  }

  #problem(answer: "OK" | "other", frame: string): void {
    if (answer === "OK" && this.#open) this.#shared.journal.counters.answeredFalse++
    this.send(frame)
  }

  /** Messages of NIPs that are answered without much ado. */
  #other(message: Exclude<ClientMessage, { readonly _tag: "EVENT" | "REQ" | "CLOSE" }>): void {
    switch (message._tag) {
      case "COUNT":
        return this.#count(message.subscription, message.filters)
      case "AUTH":
        return this.#problem("OK", RelayMessage.ok(message.event.id, false, "error: authentication is not supported"))
      case "NEG-OPEN":
        return this.send(RelayMessage.negErr(message.subscription, "blocked: negentropy is not supported"))
      case "NEG-MSG":
        return this.send(RelayMessage.negErr(message.subscription, "closed: no such subscription"))
      case "NEG-CLOSE":
        return
    }
  }

  // EVENT

  #event(event: Event, characters: number): void {
    const refusal = publish.refusalOf(event)
    if (refusal !== undefined) return this.#answer(event.id, refusal)
    const inFlight: InFlight = { eventId: event.id, characters }
    this.#inFlight.add(inFlight)
    this.#inFlightCharacters += characters
    this.#shared.inFlight.add()
    this.#fork(this.#sender.submit(event)).addObserver((exit) => {
      if (Exit.isSuccess(exit)) return this.#settle(inFlight, publish.answerOf(exit.value))
      const answer = publish.answerOfCause(exit.cause)
      if (answer === publish.failed) this.#fork(Effect.logError("submission failed", exit.cause))
      this.#settle(inFlight, answer)
    })
  }

  /** Answers once; whoever comes second finds nothing to answer. */
  #settle(inFlight: InFlight, answer: publish.Answer): void {
    if (!this.#inFlight.delete(inFlight)) return
    this.#inFlightCharacters -= inFlight.characters
    this.#answer(inFlight.eventId, answer)
    this.#shared.inFlight.done()
    // Half, so that a socket is not paused and resumed for every event.
    if (this.#paused && this.#inFlight.size <= inFlightMax / 2) this.#work()
  }

  #answer(eventId: string, answer: publish.Answer): void {
    if (!this.#open) return
    const { counters } = this.#shared.journal
    if (answer.accepted) {
      counters.answeredTrue++
      this.send(RelayMessage.ok(eventId, true, answer.reply))
    } else {
      counters.answeredFalse++
      this.send(RelayMessage.ok(eventId, false, answer.reply))
    }
  }

  // REQ and CLOSE

  #req(id: string, filters: ReadonlyArray<Filter>): void {
    const { limits, subscriptions } = this.#shared
    this.#close(id)
    if (this.#subscriptions.size >= limits.subscriptionsMax) {
      return this.send(
        RelayMessage.closed(id, `rate-limited: at most ${limits.subscriptionsMax} subscriptions may be open`)
      )
    }
    if (filters.some((filter) => filter.search !== undefined)) {
      return this.send(RelayMessage.closed(id, "unsupported: search"))
    }
    const subscription = new Subscription(id, filters, this)
    this.#subscriptions.set(id, subscription)
    subscriptions.add(subscription)
    this.#queue.push(subscription)
    this.#scan()
  }

  /** Ends a subscription without a word, as CLOSE and a new REQ by the same name do (NIP-01). */
  #close(id: string): void {
    const subscription = this.#subscriptions.get(id)
    if (subscription === undefined) return
    const { state, fiber } = subscription
    this.#subscriptions.delete(id)
    this.#shared.subscriptions.remove(subscription)
    subscription.state = "closed"
    this.#unkeep(subscription)
    subscription.stored = { ...subscription.stored, events: [] }
    if (state === "waiting") this.#queue = this.#queue.filter((waiting) => waiting !== subscription)
    // Its turn ends with the fiber, so that a client cannot have more reads at work than it may.
    if (state === "reading") fiber?.interruptUnsafe()
    if (state === "sending") this.#turnOver(subscription)
  }

  #closeWith(id: string, reply: RelayMessage.Reply): void {
    this.#close(id)
    this.send(RelayMessage.closed(id, reply))
  }

  /** Starts reading for those whose turn it is. */
  #scan(): void {
    while (this.#scans < scansMax && this.#reading && this.#open) {
      const subscription = this.#queue.shift()
      if (subscription === undefined) return
      this.#scans++
      subscription.state = "reading"
      const { limits, database } = this.#shared
      const filters = subscription.filters.map((filter) => withLimit(filter, limits))
      subscription.fiber = this.#fork(database.query(filters, { limitMax: limits.limitMax }))
      subscription.fiber.addObserver((exit) => this.#found(subscription, exit as Exit.Exit<QueryResult, unknown>))
    }
  }

  #found(subscription: Subscription, exit: Exit.Exit<QueryResult, unknown>): void {
    subscription.fiber = undefined
    if (subscription.state === "closed") return this.#turnOver(subscription)
    if (Exit.isFailure(exit)) {
      this.#fork(Effect.logWarning("read failed", exit.cause))
      subscription.state = "sending"
      return this.#closeWith(subscription.id, "error: could not read the store")
    }
    subscription.stored = exit.value
    subscription.state = "sending"
    this.#sending.add(subscription)
    this.#pump()
  }

  #turnOver(subscription: Subscription): void {
    this.#sending.delete(subscription)
    this.#scans--
    this.#scan()
  }

  /** Sends stored events while the client keeps up; then EOSE, and what was committed meanwhile. */
  #pump(): void {
    const waitingMax = this.#waitingMax() / 4
    for (const subscription of this.#sending) {
      const head = RelayMessage.eventHead(subscription.id)
      const { events, complete } = subscription.stored
      while (subscription.sent < events.length) {
        if (!this.#open || !this.#reading || this.#socket.waiting() >= waitingMax) return
        this.#socket.send(`${head}${events[subscription.sent++]}]`)
      }
      this.#goLive(subscription, complete)
    }
  }

  #goLive(subscription: Subscription, complete: boolean): void {
    subscription.stored = { ...subscription.stored, events: [] }
    subscription.state = "live"
    this.send(RelayMessage.eose(subscription.id, complete ? "finish" : "more"))
    for (const { commit, frame } of this.#unkeep(subscription)) {
      if (subscription.isNews(commit)) this.send(frame)
    }
    this.#turnOver(subscription)
  }

  #unkeep(subscription: Subscription): Subscription["kept"] {
    const { kept } = subscription
    subscription.kept = []
    for (const { commit } of kept) this.#kept -= commit.raw.length
    return kept
  }

  /** A commit of so many characters waits for a subscription to go live. */
  keep(characters: number): void {
    this.#kept += characters
    if (this.#isBehind()) this.cut()
  }

  #count(id: string, filters: ReadonlyArray<Filter>): void {
    if (filters.some((filter) => filter.search !== undefined)) {
      return this.send(RelayMessage.closed(id, "unsupported: search"))
    }
    if (this.#counts >= countsMax) {
      return this.send(RelayMessage.closed(id, "rate-limited: too many counts at once"))
    }
    this.#counts++
    this.#fork(this.#shared.database.count(filters)).addObserver((exit) => {
      this.#counts--
      if (Exit.isSuccess(exit)) return this.send(RelayMessage.count(id, { count: exit.value }))
      this.send(RelayMessage.closed(id, "error: could not read the store"))
    })
  }

  // What the client is told

  /** Sends a frame, or cuts a client that has too much waiting. */
  send(frame: string | SharedFrame): void {
    if (!this.#open) return
    if (this.#isBehind()) return this.cut()
    this.#socket.send(frame)
  }

  #waitingMax(): number {
    // Below that a scan could wait for a `drained` that never comes.
    return Math.max(this.#shared.limits.outboundBytesMax, 4 * drainMin)
  }

  #isBehind(): boolean {
    return this.#socket.waiting() + this.#kept > this.#waitingMax()
  }

  /** For a client that does not read. */
  cut(): void {
    this.end(1013, "reading too slowly")
  }

  /**
   * Looks after the connection: asks a silent client whether it is there, and closes it when it does not answer. Called a
   * few times per `idleMillis`.
   */
  look(now: number, idleMillis: number): void {
    this.#pings = 0
    if (!this.#open) return
    const received = this.#socket.received()
    const waiting = this.#socket.waiting()
    const stuck = this.#sending.size > 0 && waiting > 0 && waiting === this.#waitingBefore
    this.#waitingBefore = waiting
    if (stuck) return this.cut()
    // A socket that we do not read cannot show that its client is alive.
    if (received !== this.#received || this.#paused) this.#seenAt = now
    this.#received = received
    if (now - this.#seenAt >= idleMillis) return this.end(1001, "idle for too long")
    if (now - this.#seenAt >= idleMillis / 2) this.#socket.ping()
  }

  // How it ends

  /** Takes no more messages, and sends no more stored events. */
  stopReading(): void {
    this.#reading = false
    this.#paused = true
    this.#texts = []
    this.#next = 0
    this.#socket.pause()
  }

  /** Answers what is still in flight: it was not decided in time. */
  refuseInFlight(): void {
    for (const inFlight of this.#inFlight) this.#settle(inFlight, publish.shuttingDown)
  }

  /** Tells the client that its subscriptions are over, one by one (NIP-01, CLOSED). */
  closeSubscriptions(reply: RelayMessage.Reply): void {
    for (const id of this.#subscriptions.keys()) this.#closeWith(id, reply)
  }

  /** Says goodbye; the socket is gone when the client has answered, or soon after. */
  end(code: number, reason: string): void {
    if (!this.#open) return
    this.#open = false
    this.#ended = true
    this.#release()
    this.#socket.close(code, reason)
  }

  terminate(): void {
    this.#open = false
    this.#ended = true
    this.#socket.terminate()
  }

  #closed(code: number): void {
    this.#open = false
    const { counters } = this.#shared.journal
    if (code !== 1006) counters.socketsClean++
    else if (this.#ended) counters.socketsTerminated++
    this.#release()
  }

  /** Gives back what is held for the client. Work that was accepted goes on; nobody waits for its answer. */
  #release(): void {
    this.#texts = []
    this.#next = 0
    for (const id of this.#subscriptions.keys()) this.#close(id)
    for (const inFlight of this.#inFlight) this.#settle(inFlight, publish.shuttingDown)
  }
}

/**
 * A filter without a limit gets the default one, or what it can match at most where that is known: an answer to 1,000 ids
 * or 1,000 profiles is not cut short because nobody thought of a limit.
 */
const withLimit = (filter: Filter, limits: Shared["limits"]): Filter => {
  if (filter.limit !== undefined) return filter
  const { ids, authors, kinds } = filter
  const most = ids?.length ??
    (authors !== undefined && kinds?.every(isReplaceable) === true ? authors.length * kinds.length : 0)
  return { ...filter, limit: Math.min(limits.limitMax, Math.max(limits.limitDefault, most)) }
}

/** Serves one client until its socket is gone. */
export const serve: (
  shared: Shared,
  socket: ClientSocket,
  number: number
) => Effect.Effect<void, never, Admission> = Effect.fn("Connection.serve")(
  function*(shared: Shared, socket: ClientSocket, number: number) {
    const admission = yield* Admission
    const sender = yield* admission.sender(`websocket/connection ${number}`)
    const scope = yield* Effect.scope
    const run = Effect.runForkWith(yield* Effect.context())
    const connection = new Connection({
      shared,
      socket,
      sender,
      fork: (effect) => Fiber.runIn(run(effect), scope),
      now: yield* Effect.clockWith((clock) => clock.currentTimeMillis)
    })
    yield* Effect.acquireRelease(
      Effect.sync(() => shared.connections.add(connection)),
      () => Effect.sync(() => shared.connections.delete(connection))
    )
    if (shared.draining) connection.terminate()
    yield* connection.run
  },
  Effect.scoped,
  // Admission is stopping, and so are we.
  (effect, _, socket) =>
    Effect.catchTag(effect, "MailboxClosed", () => Effect.sync(() => socket.close(1001, "shutting down")))
)
