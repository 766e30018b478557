/**
 * What one client asked to have accepted, EVENTs and AUTHs, each from its message to its one OK.
 *
 * An EVENT is called back after its commit, without a fiber; one for which admission has no room waits in a fiber of the
 * connection's scope, and so does an AUTH for its signature. Each is answered once: a decision that comes after that is dropped.
 */
import { Effect, Exit, type Fiber } from "effect"
import type { AdmissionOutcome, AdmissionSender } from "../../aggregation/admission/Admission.ts"
import type { Event } from "../../domain/Event.ts"
import type { Source } from "../../domain/Gate.ts"
import * as RelayMessage from "../../domain/RelayMessage.ts"
import type { MailboxClosed } from "../../lifecycle/Mailbox.ts"
import * as Metrics from "../../observability/Metrics.ts"
import type { Authentication } from "./Authentication.ts"
import * as publish from "./publish.ts"
import type { Shared } from "./Shared.ts"

/** EVENTs and AUTHs of one client that may be without an answer, in number and in characters. */
const unansweredMax = 256
const unansweredCharactersMax = 1_048_576

/** What submissions need of their connection. */
export interface Outlet {
  /** Runs an effect in the connection's scope. */
  fork<A, E>(effect: Effect.Effect<A, E>): Fiber.Fiber<A, E>
  send(frame: string): void
  /** Would the client be told? */
  isOpen(): boolean
  /** Called after each answer, as there may be room for others then. */
  settled(): void
}

/** An EVENT or AUTH without an answer. */
interface Submission {
  readonly eventId: string
  readonly characters: number
  /** Monotonic milliseconds. */
  readonly since: number
}

export class Submissions {
  readonly #shared: Shared
  readonly #outlet: Outlet
  readonly #sender: AdmissionSender
  readonly #authentication: Authentication
  readonly #address: string
  /** Whose hand events of others come from, as long as the client has not said who it is: one value, not one for each. */
  readonly #stranger: Source
  readonly #unanswered = new Set<Submission>()
  #characters = 0

  /** `address`: of the client, or what it is counted under (`ClientAddress`). */
  constructor(
    shared: Shared,
    outlet: Outlet,
    sender: AdmissionSender,
    authentication: Authentication,
    address: string
  ) {
    this.#shared = shared
    this.#address = address
    this.#stranger = { by: "client", address, isKnown: false }
    this.#outlet = outlet
    this.#sender = sender
    this.#authentication = authentication
  }

  /** Has the client as many without an answer as it may? */
  get isFull(): boolean {
    return this.#unanswered.size >= unansweredMax || this.#characters >= unansweredCharactersMax
  }

  /** Has it few enough for others to be taken? Half, so that a socket is not paused and resumed for every event. */
  get hasRoom(): boolean {
    return this.#unanswered.size <= unansweredMax / 2
  }

  /** EVENT (NIP-01); `characters` of its message. */
  publish(event: Event, characters: number): void {
    const source = this.#sourceOf(event)
    const submission = this.#begin(event.id, characters)
    const isOffered = this.#sender.offer(
      event,
      source,
      (exit) =>
        this.#settle(
          submission,
          Exit.isSuccess(exit) ? this.#answerOf(event, exit.value) : publish.answerOfCause(exit.cause)
        )
    )
    if (isOffered) return
    this.#await(submission, Effect.map(this.#sender.submit(event, source), (outcome) => this.#answerOf(event, outcome)))
  }

  /** AUTH (NIP-42); `characters` of its message. */
  authenticate(event: Event, characters: number): void {
    this.#await(this.#begin(event.id, characters), this.#authentication.authenticate(event))
  }

  /** OK (NIP-01), and counted. */
  answer(eventId: string, answer: publish.Answer): void {
    if (!this.#outlet.isOpen()) return
    const { counters } = this.#shared
    this.#shared.count(Metrics.websocketOks[`${answer.accepted}`], 1)
    if (answer.accepted) {
      counters.answeredTrue++
      this.#outlet.send(RelayMessage.ok(eventId, true, answer.reply))
    } else {
      counters.answeredFalse++
      this.#outlet.send(RelayMessage.ok(eventId, false, answer.reply))
    }
  }

  /** Answers all that are undecided: nobody waits for what becomes of them. */
  refuseAll(): void {
    for (const submission of this.#unanswered) this.#settle(submission, publish.shuttingDown)
  }

  /** Whose hand the event comes from. */
  #sourceOf({ pubkey }: Event): Source {
    const { readers } = this.#authentication
    if (readers.size === 0) return this.#stranger
    const address = this.#address
    return readers.has(pubkey) ? { by: "author", address } : { by: "client", address, isKnown: true }
  }

  #answerOf(event: Event, outcome: AdmissionOutcome): publish.Answer {
    const isUnheard = outcome._tag === "Ephemeral" && !this.#shared.subscriptions.isAwaited(event)
    return isUnheard ? publish.unheard : publish.answerOf(outcome)
  }

  #begin(eventId: string, characters: number): Submission {
    const submission: Submission = { eventId, characters, since: this.#shared.journal.now() }
    this.#unanswered.add(submission)
    this.#characters += characters
    this.#shared.inFlight.add()
    return submission
  }

  /** Answers when it has been decided. */
  #await(submission: Submission, decision: Effect.Effect<publish.Answer, MailboxClosed>): void {
    this.#outlet.fork(decision).addObserver((exit) => {
      if (Exit.isSuccess(exit)) return this.#settle(submission, exit.value)
      const answer = publish.answerOfCause(exit.cause)
      if (answer === publish.failed) this.#outlet.fork(Effect.logError("submission failed", exit.cause))
      this.#settle(submission, answer)
    })
  }

  #settle(submission: Submission, answer: publish.Answer): void {
    if (!this.#unanswered.delete(submission)) return
    this.#characters -= submission.characters
    if (publish.asksWho(answer)) this.#authentication.challenge()
    this.answer(submission.eventId, answer)
    const { count, inFlight, journal } = this.#shared
    count(Metrics.websocketEventOkSeconds, (journal.now() - submission.since) / 1000)
    inFlight.done()
    this.#outlet.settled()
  }
}
