/**
 * One client: what it says, what it is told, and the scope in which that happens.
 *
 * A connection is a scope that holds its own sender to admission; both are gone when its socket is. Messages of one turn
 * are handled together, without a fiber of their own; what has to wait, waits in one of its parts (`Submissions`,
 * `OpenSubscriptions`, `Reconciliations`), and nothing else waits for it. A client with too many EVENTs and AUTHs
 * unanswered is not read.
 *
 * Most clients are idle most of the time, so one that is has no fiber, no timer and no collection that is empty: 5 kB with
 * its socket, of which half are Node's (`docs/performance.md`).
 *
 * What a client may leave unread is bounded (`outboundBytesMax`). Answers and live events never wait: a client over the
 * bound is cut with 1013. Stored events do: their scan pauses while a client has a quarter of it waiting, and a client
 * that takes nothing for long is cut too.
 *
 * Longer than other files: it is the one place where the parts of a client meet, and the state they share (read or not, open
 * or closing) would have to be public to be split.
 */
import { Effect, Exit, Fiber, Scope } from "effect"
import { Admission, type AdmissionSender } from "../../aggregation/admission/Admission.ts"
import { answerOf as answerOfProblem, clientMessageOf } from "../../domain/ClientMessage.ts"
import { type Work, workOfMessage, workOfText } from "../../domain/MessageWork.ts"
import type { Readers } from "../../domain/PrivateMessage.ts"
import type * as RelayMessage from "../../domain/RelayMessage.ts"
import type { MailboxClosed } from "../../lifecycle/Mailbox.ts"
import * as Metrics from "../../observability/Metrics.ts"
import { Authentication } from "./Authentication.ts"
import { type ClientSocket, type ClientSocketListener, drainMin } from "./ClientSocket.ts"
import { type Frame, type SharedFrame } from "./Frames.ts"
import { Keepalive } from "./Keepalive.ts"
import { OpenSubscriptions, type Outlet } from "./OpenSubscriptions.ts"
import type { Account } from "./OutboundBudget.ts"
import { Allowance } from "./RateLimit.ts"
import { Reconciliations } from "./Reconciliations.ts"
import type { Shared } from "./Shared.ts"
import { type Outlet as SubmissionsOutlet, Submissions } from "./Submissions.ts"

/** Pings of a client between two calls of `look`; a client that sends more is closed. */
const pingsMax = 300

/** A client that has used up its rate is tried again after so many milliseconds at the latest, as rates can be set anew. */
const restMax = 1000

type Message = ReturnType<typeof clientMessageOf>

/** The messages that wait in nearly every connection: none. */
const none: ReadonlyArray<string> = []

/** Who keeps the connections of a server. */
export interface Registry {
  readonly opened: (connection: Connection) => void
  /** Its socket is gone, and nothing is held for the client any more. */
  readonly ended: (connection: Connection) => void
}

export class Connection implements ClientSocketListener, Outlet, SubmissionsOutlet {
  /** Whom the connection is counted under (`ClientAddress`). */
  readonly client: string
  readonly #registry: Registry
  readonly #shared: Shared
  readonly #socket: ClientSocket
  readonly #scope: Scope.Closeable
  readonly #sender: AdmissionSender
  readonly #allowance: Allowance
  readonly #account: Account

  /** False once a Close frame was sent or the socket is gone; nothing is sent then. */
  #open = true
  /** We began the end: by a Close frame, or by cutting. */
  #ended = false
  #reading = true
  #paused = false
  /** It has used up what it may have, for now or for this turn, and is read on in a while. */
  #resting = false
  #working = false
  #texts: ReadonlyArray<string> = none
  #next = 0

  readonly #authentication: Authentication
  /** Made for the first EVENT or AUTH, for the first REQ or COUNT, and for the first NEG-OPEN. */
  #submissions: Submissions | undefined
  #subscriptions: OpenSubscriptions | undefined
  #reconciliations: Reconciliations | undefined

  #pings = 0
  readonly #keepalive: Keepalive

  constructor(options: {
    readonly registry: Registry
    readonly shared: Shared
    readonly socket: ClientSocket
    /** Closed when the socket is gone. */
    readonly scope: Scope.Closeable
    readonly sender: AdmissionSender
    readonly client: string
    /** Milliseconds, as in `look`. */
    readonly now: number
  }) {
    this.#registry = options.registry
    this.#shared = options.shared
    this.#socket = options.socket
    this.#scope = options.scope
    this.#sender = options.sender
    this.client = options.client
    const { authentication, journal, limits, rates } = options.shared
    const now = () => journal.now()
    this.#allowance = new Allowance({
      rates,
      rate: () => limits.ratePerConnection,
      client: options.client,
      now: now()
    })
    this.#account = { waiting: 0, taken: 0, readAt: now(), cut: () => this.#cut() }
    this.#keepalive = new Keepalive(options.now)
    this.#authentication = new Authentication(
      authentication,
      this,
      (pubkey) => this.#open && this.#allowance.include(pubkey, now())
    )
  }

  /** Listens from now on, until the socket is gone. */
  begin(): void {
    if (this.#shared.draining) this.terminate()
    this.#socket.listen(this)
    if (!this.#shared.draining) this.#authentication.greet()
  }

  // What the socket says (`ClientSocketListener`)

  messages(texts: ReadonlyArray<string>): void {
    this.#take(texts)
  }

  binary(): void {
    this.end(1003, "Nostr messages are text", "protocol")
  }

  pinged(): void {
    if (++this.#pings > pingsMax) this.end(1008, "too many pings", "protocol")
  }

  violated(isOversize: boolean): void {
    this.#open = false
    this.#shared.count(Metrics.websocketConnectionsCut[isOversize ? "oversize" : "protocol"], 1)
    this.#release()
  }

  drained(): void {
    this.#report()
    this.#subscriptions?.pump()
  }

  closed(code: number): void {
    this.#open = false
    const { counters } = this.#shared
    if (code !== 1006) counters.socketsClean++
    else if (this.#ended) counters.socketsTerminated++
    this.#release()
    const end = Effect.catchCause(
      Scope.close(this.#scope, Exit.void),
      (cause) => Effect.logError("connection failed", cause)
    )
    this.#shared.run(end).addObserver(() => this.#registry.ended(this))
  }

  // What subscriptions and the rest need (`Outlet`)

  fork<A, E>(effect: Effect.Effect<A, E>): Fiber.Fiber<A, E> {
    return Fiber.runIn(this.#shared.run(effect), this.#scope)
  }

  /** Sends a frame, or cuts a client that has too much waiting. */
  send(frame: string | SharedFrame): void {
    this.keeping()
    if (this.#open) this.#socket.send(frame)
  }

  sendStored(frame: Frame): void {
    this.#socket.send(frame)
  }

  isOpen(): boolean {
    return this.#open
  }

  settled(): void {
    if (this.#paused && this.#submissions?.hasRoom === true) this.#work()
  }

  mayScan(): boolean {
    return this.#open && this.#reading
  }

  room(): number {
    if (!this.mayScan()) return 0
    return Math.max(drainMin, Math.min(this.#waitingMax(), this.#shared.outbound.share) / 4) - this.#socket.waiting()
  }

  mayRead(held: number): boolean {
    return this.mayScan() && (held === 0 || held + this.#socket.waiting() <= this.#shared.outbound.share)
  }

  /** Cuts a client that has more waiting than it may. */
  keeping(): void {
    const waiting = this.#report()
    if (waiting + (this.#subscriptions?.kept ?? 0) > this.#waitingMax()) this.#cut()
  }

  /** Tells the budget what waits for the client; says how much of it is with the socket. */
  #report(): number {
    const waiting = this.#socket.waiting()
    const held = this.#subscriptions?.memory ?? 0
    // Less than `drainMin` is soon with the kernel, and no `drained` would tell.
    const all = held + (waiting < drainMin ? 0 : waiting)
    if (this.#open && (all > 0 || this.#account.waiting > 0)) {
      this.#shared.outbound.report(this.#account, all, this.#socket.taken(), this.#shared.journal.now())
    }
    return waiting
  }

  readers(): Readers {
    return this.#authentication.readers
  }

  challenge(): void {
    this.#authentication.challenge()
  }

  // What the client says

  #take(texts: ReadonlyArray<string>): void {
    if (!this.#reading || !this.#open) return
    this.#texts = this.#texts.length === 0 ? texts : [...this.#texts, ...texts]
    this.#work()
  }

  /** Handles what was received, up to the EVENT for which there is no room, or to where the client has nothing left. */
  #work(): void {
    if (this.#working || this.#resting) return
    this.#working = true
    while (this.#next < this.#texts.length && this.#submissions?.isFull !== true && !this.#mustRest()) {
      this.#handle(this.#texts[this.#next++] as string)
    }
    this.#working = false
    if (this.#next < this.#texts.length) {
      if (this.#paused) return
      this.#paused = true
      this.#socket.pause()
      return
    }
    this.#texts = none
    this.#next = 0
    if (this.#paused && this.#reading) {
      this.#paused = false
      this.#socket.resume()
    }
  }

  /** Has the client used up what it may have? Then it is read on when it has something again. */
  #mustRest(): boolean {
    const { journal, limits, turns } = this.#shared
    if (limits.ratePerConnection === 0 && limits.ratePerAddress === 0) return false
    if (this.#allowance.isEmpty(journal.now())) {
      this.#shared.count(Metrics.websocketMessagesLimited, 1)
      const rest = Math.min(restMax, this.#allowance.wait(journal.now()))
      this.fork(Effect.sleep(rest)).addObserver(() => this.#goOn())
    } else if (turns.isOver(this.client)) turns.wait(this.client, () => this.#goOn())
    else return false
    this.#resting = true
    return true
  }

  #goOn(): void {
    this.#resting = false
    if (this.#open && this.#reading) this.#work()
  }

  /** Pays for what a message makes us do. */
  #spend(work: Work): void {
    this.#allowance.spend(work)
    this.#shared.turns.spend(this.client, work)
  }

  #submitting(): Submissions {
    return this.#submissions ??= new Submissions(this.#shared, this, this.#sender, this.#authentication, this.client)
  }

  #subscribing(): OpenSubscriptions {
    return this.#subscriptions ??= new OpenSubscriptions(this.#shared, this)
  }

  #reconciling(): Reconciliations {
    return this.#reconciliations ??= new Reconciliations(this.#shared, this)
  }

  #handle(text: string): void {
    if (!this.#open) return
    this.#spend(workOfText(text.length))
    const message = clientMessageOf(text, this.#shared.limits)
    this.#spend(workOfMessage(message))
    this.#shared.count(verbOf(message), 1)
    switch (message._tag) {
      case "EVENT":
        return this.#submitting().publish(message.event, text.length)
      case "REQ":
        return this.#subscribing().open(message.subscription, message.filters)
      case "CLOSE":
        return this.#subscriptions?.close(message.subscription)
      case "COUNT":
        return this.#subscribing().count(message.subscription, message.filters)
      case "AUTH":
        return this.#submitting().authenticate(message.event, text.length)
      case "NEG-OPEN":
        return this.#reconciling().open(message.subscription, message.filter, message.message)
      case "NEG-MSG":
        return this.#reconciling().message(message.subscription, message.message)
      case "NEG-CLOSE":
        return this.#reconciliations?.close(message.subscription)
      case "Problem":
        if (message.answer === "OK") {
          return this.#submitting().answer(message.eventId, { accepted: false, reply: message.reply })
        }
        // A message that is refused by its id ends what was open by that id.
        if (message.answer === "CLOSED") this.#subscriptions?.close(message.subscription)
        if (message.answer === "NEG-ERR") this.#reconciliations?.close(message.subscription)
        return this.send(answerOfProblem(message))
    }
  }

  // What the client is told

  #waitingMax(): number {
    // With less, a scan could wait for a `drained` that never comes.
    return Math.max(this.#shared.limits.outboundBytesMax, 4 * drainMin)
  }

  /** For a client that does not read. */
  #cut(): void {
    this.end(1013, "reading too slowly", "slow")
  }

  /** Looks after the connection (`Keepalive`): cuts a client that is stuck, asks a silent one, and closes one that is gone. */
  look(now: number, idleMillis: number): void {
    this.#pings = 0
    if (!this.#open) return
    this.#report()
    this.#reconciliations?.look()
    const finding = this.#keepalive.look(now, idleMillis, {
      received: this.#socket.received(),
      waiting: this.#socket.waiting(),
      isSending: this.#subscriptions?.isSending === true,
      isPaused: this.#paused
    })
    if (finding === "stuck") this.#cut()
    if (finding === "ask") this.#socket.ping()
    if (finding === "gone") this.end(1001, "idle for too long", "idle")
  }

  // How it ends

  /** Takes no more messages, and sends no more stored events. */
  stopReading(): void {
    this.#reading = false
    this.#paused = true
    this.#texts = none
    this.#next = 0
    this.#socket.pause()
  }

  /** Answers what is still in flight: it was not decided in time. */
  refuseInFlight(): void {
    this.#submissions?.refuseAll()
  }

  /** Tells the client that its subscriptions are over, one by one (NIP-01, CLOSED). */
  closeSubscriptions(reply: RelayMessage.Reply): void {
    this.#subscriptions?.refuseAll(reply)
    this.#reconciliations?.refuseAll(reply)
  }

  /** Says goodbye; the socket is gone when the client has answered, or soon after. */
  end(code: number, reason: string, cause: keyof typeof Metrics.websocketConnectionsCut): void {
    if (!this.#open) return
    this.#shared.count(Metrics.websocketConnectionsCut[cause], 1)
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

  /** Gives back what is held for the client. Work that was accepted goes on; nobody waits for its answer. */
  #release(): void {
    this.#texts = none
    this.#next = 0
    this.#allowance.release()
    this.#shared.outbound.forget(this.#account)
    this.#subscriptions?.closeAll()
    this.#reconciliations?.closeAll()
    this.#submissions?.refuseAll()
  }
}

const verbOf = ({ _tag }: Message): (typeof Metrics.websocketMessages)["EVENT"] =>
  _tag === "Problem" ? Metrics.websocketMessages.malformed : Metrics.websocketMessages[_tag]

/**
 * Serves one client from now on, until its socket is gone; the registry is told of both. Fails when admission is stopping: then
 * nothing was begun.
 */
export const serve: (
  shared: Shared,
  socket: ClientSocket,
  from: { readonly number: number; readonly client: string },
  registry: Registry
) => Effect.Effect<void, MailboxClosed, Admission> = Effect.fn("Connection.serve")(
  function*(
    shared: Shared,
    socket: ClientSocket,
    { client, number }: { readonly number: number; readonly client: string },
    registry: Registry
  ) {
    const admission = yield* Admission
    const scope = Scope.makeUnsafe()
    const sender = yield* Scope.provide(admission.sender(`websocket/connection ${number}`), scope)
    const now = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
    const connection = new Connection({ registry, shared, socket, scope, sender, client, now })
    registry.opened(connection)
    connection.begin()
  }
)
