/**
 * The subscriptions that one client has open: from REQ over its stored events to live ones, and to its end.
 *
 * No event is missed and none comes twice. A subscription is entered in the register before the store is read; commits
 * that come meanwhile are kept, and those the read already saw (`seq` up to its `asOf`) are dropped when it goes live.
 *
 * A few scans of a client run at once. A scan pauses while the client has not taken what it was sent, so what waits in
 * memory for a slow reader is one page per scan.
 */
import { Effect, Exit, type Fiber } from "effect"
import { hash } from "node:crypto"
import { type Commit, type DatabaseError, type QueryResult, textOf } from "../../database/Database.ts"
import { type Event, isEphemeral, isReplaceable } from "../../domain/Event.ts"
import type { Filter } from "../../domain/Filter.ts"
import { offsetOf } from "../../domain/HyperLogLog.ts"
import { mayRead, type Readers, readRefusal } from "../../domain/PrivateMessage.ts"
import * as RelayMessage from "../../domain/RelayMessage.ts"
import * as Metrics from "../../observability/Metrics.ts"
import { FramedAnswer } from "./FramedAnswer.ts"
import type { FrameRun, SharedFrame } from "./Frames.ts"
import type { Shared } from "./Shared.ts"
import type { Subscriber } from "./Subscriptions.ts"

/** REQs of one client that are read or sent at once; the others wait for their turn. */
const scansMax = 4

/** COUNTs of one client at once. */
const countsMax = 4

/** What the subscriptions need of their connection. */
export interface Outlet {
  /** Runs an effect in the connection's scope. */
  fork<A, E>(effect: Effect.Effect<A, E>): Fiber.Fiber<A, E>
  /** Sends a frame that cannot wait. */
  send(frame: string | SharedFrame): void
  /** Sends a stored event, which can. */
  sendStored(frame: string | FrameRun): void
  /** May a scan start or go on? After a no, `pump` is called when it may. */
  mayScan(): boolean
  /** May another scan begin, while so many bytes are held for those that have? One may always. */
  mayRead(held: number): boolean
  /** Bytes of stored events that may be sent now. */
  room(): number
  /** Called when `kept` or `memory` has changed. */
  keeping(): void
  /** Who the client has proved to be. */
  readers(): Readers
  /** Sends the challenge by which the client can prove more. */
  challenge(): void
}

/** `waiting` for its turn, `reading` the store, `sending` what was found, then `live`. */
type State = "waiting" | "reading" | "sending" | "live" | "closed"

class Subscription implements Subscriber {
  readonly id: string
  readonly filters: ReadonlyArray<Filter>
  readonly owner: OpenSubscriptions
  state: State = "waiting"
  /** Commits that came while stored events were read and sent. */
  kept: Array<{ readonly commit: Commit; readonly frame: SharedFrame }> = []
  stored: Omit<QueryResult, "messages"> = { asOf: 0, events: [], complete: true }
  /** How many of `stored` were sent. */
  sent = 0
  /** The rest of what is stored, where the store had it framed. */
  framed: FramedAnswer | undefined
  /** Bytes of `stored` and `framed`, which are held until the last of them is sent. */
  held = 0
  fiber: Fiber.Fiber<unknown, unknown> | undefined

  constructor(id: string, filters: ReadonlyArray<Filter>, owner: OpenSubscriptions) {
    this.id = id
    this.filters = filters
    this.owner = owner
  }

  deliver(commit: Commit, frame: SharedFrame): void {
    this.owner.deliver(this, commit, frame)
  }

  mayRead(event: Event): boolean {
    return this.owner.mayRead(event)
  }

  /** The read did not see it. Ephemeral events are never read, and share their number with the commit before them. */
  isNews(commit: Commit): boolean {
    return commit.seq > this.stored.asOf || isEphemeral(commit.event.kind)
  }
}

export class OpenSubscriptions {
  readonly #shared: Shared
  readonly #outlet: Outlet
  readonly #byId = new Map<string, Subscription>()
  /** In the order of their REQs. */
  #waiting: Array<Subscription> = []
  readonly #sending = new Set<Subscription>()
  #scans = 0
  #counts = 0
  #kept = 0
  #held = 0

  constructor(shared: Shared, outlet: Outlet) {
    this.#shared = shared
    this.#outlet = outlet
  }

  /** Characters of commits that are kept for subscriptions which are not live yet. */
  get kept(): number {
    return this.#kept
  }

  /** Bytes that are held for the client: commits, and stored events until the last of an answer is sent. */
  get memory(): number {
    return this.#kept + this.#held
  }

  /** Are there stored events that wait for the client? */
  get isSending(): boolean {
    return this.#sending.size > 0
  }

  /** REQ: opens a subscription, in place of one by the same name (NIP-01). */
  open(id: string, filters: ReadonlyArray<Filter>): void {
    const { limits, subscriptions, count } = this.#shared
    this.close(id)
    if (this.#byId.size >= limits.subscriptionsMax) {
      return this.#refuse(id, `rate-limited: at most ${limits.subscriptionsMax} subscriptions may be open`)
    }
    if (this.#isRefused(id, filters)) return
    const subscription = new Subscription(id, filters, this)
    this.#byId.set(id, subscription)
    subscriptions.add(subscription)
    count(Metrics.websocketSubscriptions, subscriptions.size)
    this.#waiting.push(subscription)
    this.#scan()
  }

  /** COUNT (NIP-45). */
  count(id: string, filters: ReadonlyArray<Filter>): void {
    if (isSearch(filters)) return this.#refuse(id, "unsupported: search")
    if (this.#isRefused(id, filters)) return
    if (this.#counts >= countsMax) return this.#refuse(id, "rate-limited: too many counts at once")
    this.#counts++
    this.#outlet.fork(this.#counted(filters)).addObserver((exit) => {
      this.#counts--
      if (Exit.isSuccess(exit)) return this.#outlet.send(RelayMessage.count(id, exit.value))
      this.#unreadable(id, exit)
    })
  }

  /** With the registers by which several relays' answers can be added up, where the NIP defines them. */
  #counted(filters: ReadonlyArray<Filter>): Effect.Effect<RelayMessage.Count, DatabaseError> {
    const { database } = this.#shared
    const readers = [...this.#outlet.readers()]
    const offset = offsetOf(filters, (text) => hash("sha256", text))
    const [filter] = filters
    return offset === undefined || filter === undefined
      ? Effect.map(database.count(filters, { readers }), (count) => ({ count }))
      : database.sketch(filter, { offset, readers })
  }

  /** Refuses filters that ask for private messages of others, after a challenge where signing in would help (NIP-42). */
  #isRefused(id: string, filters: ReadonlyArray<Filter>): boolean {
    const refusal = readRefusal(filters, this.#outlet.readers())
    if (refusal === undefined) return false
    if (refusal.startsWith("auth-required")) this.#outlet.challenge()
    this.#refuse(id, refusal)
    return true
  }

  mayRead(event: Event): boolean {
    return mayRead(event, this.#outlet.readers())
  }

  /** CLOSED: nothing may follow by that id, so a subscription that was open by it ends too. */
  #refuse(id: string, reply: RelayMessage.Reply): void {
    this.close(id)
    this.#outlet.send(RelayMessage.closed(id, reply))
  }

  #unreadable(id: string, exit: Exit.Failure<unknown, unknown>): void {
    this.#outlet.fork(Effect.logWarning("read failed", exit.cause))
    this.#refuse(id, "error: could not read the store")
  }

  /** Ends a subscription without a word, as CLOSE does (NIP-01); silent for an id that is not open. */
  close(id: string): void {
    const subscription = this.#byId.get(id)
    if (subscription === undefined) return
    const { state, fiber } = subscription
    const { subscriptions, count } = this.#shared
    this.#byId.delete(id)
    subscriptions.remove(subscription)
    count(Metrics.websocketSubscriptions, subscriptions.size)
    subscription.state = "closed"
    this.#unhold(subscription)
    this.#unkeep(subscription)
    if (state === "waiting") this.#waiting = this.#waiting.filter((other) => other !== subscription)
    // Its turn ends with the fiber, so that a client cannot have more reads at work than it may.
    if (state === "reading") fiber?.interruptUnsafe()
    if (state === "sending") {
      this.#outlet.keeping()
      this.#turnOver(subscription)
    }
  }

  closeAll(): void {
    for (const id of this.#byId.keys()) this.close(id)
  }

  /** Ends every subscription and says why, by its name. */
  refuseAll(reply: RelayMessage.Reply): void {
    for (const id of this.#byId.keys()) this.#refuse(id, reply)
  }

  /** A new event that matches. */
  deliver(subscription: Subscription, commit: Commit, frame: SharedFrame): void {
    if (subscription.state === "live") {
      if (subscription.isNews(commit)) this.#outlet.send(frame)
    } else if (subscription.state !== "closed") {
      subscription.kept.push({ commit, frame })
      this.#kept += commit.raw.length
      this.#outlet.keeping()
    }
  }

  /** Starts reading for those whose turn it is. */
  #scan(): void {
    while (this.#scans < scansMax && this.#outlet.mayRead(this.#held)) {
      const subscription = this.#waiting.shift()
      if (subscription === undefined) return
      this.#scans++
      subscription.state = "reading"
      const { limits, database } = this.#shared
      const filters = subscription.filters.map((filter) => withLimit(filter, limits))
      const readers = [...this.#outlet.readers()]
      const options = { limitMax: limits.limitMax, readers, subscription: subscription.id }
      const fiber = this.#outlet.fork(database.query(filters, options))
      subscription.fiber = fiber
      fiber.addObserver((exit) => this.#found(subscription, exit))
    }
  }

  #found(subscription: Subscription, exit: Exit.Exit<QueryResult, unknown>): void {
    subscription.fiber = undefined
    if (subscription.state === "closed") {
      if (Exit.isSuccess(exit)) exit.value.messages?.giveBack()
      return this.#turnOver(subscription)
    }
    subscription.state = "sending"
    if (Exit.isFailure(exit)) return this.#unreadable(subscription.id, exit)
    const { messages } = exit.value
    subscription.stored = exit.value
    if (messages !== undefined) subscription.framed = new FramedAnswer(messages)
    this.#sending.add(subscription)
    subscription.held = sizeOf(exit.value)
    this.#held += subscription.held
    this.#outlet.keeping()
    this.pump()
  }

  #turnOver(subscription: Subscription): void {
    this.#sending.delete(subscription)
    this.#scans--
    this.#scan()
  }

  /** Sends stored events while the client keeps up; then EOSE, and what was committed meanwhile. */
  pump(): void {
    for (const subscription of this.#sending) {
      const isDone = this.#pumpFramed(subscription) && this.#pumpEvents(subscription)
      if (!isDone || !this.#outlet.mayScan()) return
      this.#goLive(subscription)
    }
  }

  /** Sends what is framed already, in one piece as far as there is room; true when nothing is left. */
  #pumpFramed({ framed }: Subscription): boolean {
    if (framed === undefined) return true
    const before = framed.sent
    const run = framed.run(this.#outlet.room())
    if (run !== undefined) this.#outlet.sendStored(run)
    this.#shared.count(Metrics.websocketEventsSent, framed.sent - before)
    if (framed.isSent) framed.end()
    return framed.isSent
  }

  #pumpEvents(subscription: Subscription): boolean {
    const { events } = subscription.stored
    if (events.length === 0) return true
    const before = subscription.sent
    const head = RelayMessage.eventHead(subscription.id)
    while (subscription.sent < events.length && this.#outlet.room() > 0) {
      this.#outlet.sendStored(`${head}${textOf(events[subscription.sent++]!)}]`)
    }
    this.#shared.count(Metrics.websocketEventsSent, subscription.sent - before)
    return subscription.sent === events.length
  }

  #goLive(subscription: Subscription): void {
    const { asOf, complete } = subscription.stored
    subscription.stored = { asOf, complete, events: [] }
    this.#unhold(subscription)
    subscription.state = "live"
    this.#outlet.send(RelayMessage.eose(subscription.id, complete ? "finish" : "more"))
    for (const { commit, frame } of this.#unkeep(subscription)) {
      if (subscription.isNews(commit)) this.#outlet.send(frame)
    }
    this.#turnOver(subscription)
  }

  #unhold(subscription: Subscription): void {
    this.#held -= subscription.held
    subscription.held = 0
    subscription.framed?.end()
    subscription.framed = undefined
  }

  #unkeep(subscription: Subscription): Subscription["kept"] {
    const { kept } = subscription
    subscription.kept = []
    for (const { commit } of kept) this.#kept -= commit.raw.length
    return kept
  }
}

/** Bytes of what was found; of texts about. */
const sizeOf = ({ events, messages }: QueryResult): number =>
  messages?.bytes.byteLength ?? events.reduce((size, event) => size + event.length, 0)

const isSearch = (filters: ReadonlyArray<Filter>): boolean => filters.some((filter) => filter.search !== undefined)

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
