/**
 * One connection to one relay that is asked short questions: several at a time, each with its own deadline.
 *
 * A question ends with EOSE, and what has come by then is the answer. A relay that wants to know who asks may be told
 * (`Introduction`); one that does not like the answer is not asked again. Whatever it sends, the worst that
 * follows is that this connection ends.
 */
import { Deferred, Effect, Exit, Semaphore } from "effect"
import { Socket } from "effect/socket"
import type { Event } from "../../domain/Event.ts"
import { type Filter, wireOf } from "../../domain/Filter.ts"
import * as Refusal from "./Refusal.ts"
import * as RelayLink from "./RelayLink.ts"
import { UpstreamError } from "./UpstreamError.ts"
import type { UpstreamMessage } from "./UpstreamMessage.ts"

/** Milliseconds from a question to its EOSE, authentication included. */
export const askTimeout = 5000

/** Questions at a time; many relays allow no more than 20, and some count those that were just closed. */
const questionsMax = 8

/** Events of one answer before the relay is taken for one that ignores limits. */
const eventsMax = 100

export interface Options extends RelayLink.Options {
  readonly construct: Socket.WebSocketConstructor["Service"]
}

export interface AskingConnection {
  /** Everything stored that matches any of the filters, up to EOSE, as the relay says: nothing is verified. */
  readonly ask: (filters: ReadonlyArray<Filter>) => Effect.Effect<ReadonlyArray<Event>, UpstreamError>
  /** Fails when the connection is over; never succeeds. */
  readonly ended: Effect.Effect<never, UpstreamError>
}

interface Question {
  readonly events: Array<Event>
  readonly answer: Deferred.Deferred<ReadonlyArray<Event>, UpstreamError>
}

const misbehaved = (detail: string) => new UpstreamError({ reason: "misbehaved", detail })

/** Dials; the connection ends with the scope. */
export const connect = Effect.fn("AskingConnection.connect")(function*(options: Options) {
  const questions = new Map<string, Question>()
  const link = yield* Effect.provideService(RelayLink.connect(options), Socket.WebSocketConstructor, options.construct)
  const { introduction, offend, send, subscriptions: open } = link

  const over = Deferred.makeUnsafe<never, UpstreamError>()
  const places = yield* Semaphore.make(questionsMax)
  let asked = 0

  const collect = (message: Extract<UpstreamMessage, { readonly _tag: "Event" }>): UpstreamError | undefined => {
    const question = questions.get(message.subscription)
    // What was asked before may still be on its way.
    if (question === undefined) return offend()
    if (message.event !== undefined) question.events.push(message.event)
    return question.events.length > eventsMax ? misbehaved("an answer without end") : undefined
  }

  const settle = (id: string, exit: Exit.Exit<ReadonlyArray<Event>, UpstreamError>): UpstreamError | undefined => {
    const question = questions.get(id)
    if (question === undefined) return offend()
    questions.delete(id)
    Deferred.doneUnsafe(question.answer, exit)
    return undefined
  }

  /** The error, if any, ends the connection. */
  const take = (message: UpstreamMessage): UpstreamError | undefined => {
    switch (message._tag) {
      case "Event":
        return collect(message)
      case "Eose":
        return settle(message.subscription, Exit.succeed(questions.get(message.subscription)?.events ?? []))
      case "Closed":
        open.delete(message.subscription)
        return settle(message.subscription, Exit.fail(Refusal.errorOf(message.reason)))
      case "Auth":
        introduction.onChallenge(message.challenge)
        return undefined
      case "Ok":
        return introduction.onOk(message) ? undefined : offend()
      case "Notice":
        return undefined
      default:
        return offend()
    }
  }

  const end = (error: UpstreamError) =>
    Effect.sync(() => {
      Deferred.doneUnsafe(over, Exit.fail(error))
      for (const id of questions.keys()) settle(id, Exit.fail(error))
      introduction.end(error)
    })

  yield* link.receive.pipe(
    Effect.flatMap((received) => {
      for (const { message } of received) {
        const error = take(message)
        if (error !== undefined) return Effect.fail(error)
      }
      return Effect.void
    }),
    Effect.forever({ disableYield: true }),
    Effect.catch(end),
    Effect.onInterrupt(() => end(new UpstreamError({ reason: "lost", detail: "closed by us" }))),
    Effect.forkScoped({ startImmediately: true })
  )

  const once = Effect.fnUntraced(function*(filters: ReadonlyArray<Filter>) {
    const id = `ask ${++asked}`
    const answer = Deferred.makeUnsafe<ReadonlyArray<Event>, UpstreamError>()
    questions.set(id, { events: [], answer })
    open.add(id)
    return yield* send(["REQ", id, ...filters.map(wireOf)]).pipe(
      Effect.andThen(Effect.raceFirst(Deferred.await(answer), Deferred.await(over))),
      Effect.onExit(() => {
        questions.delete(id)
        // The relay has closed it already, or there is nobody to tell.
        return open.delete(id) ? Effect.ignore(send(["CLOSE", id])) : Effect.void
      })
    )
  })

  /** One that does not want us may fall silent for good, so it is not asked again. */
  const unlessRefused = Effect.suspend(() => {
    const refusal = introduction.refusal()
    return refusal === undefined ? Effect.void : Effect.fail(refusal)
  })

  const ask = (filters: ReadonlyArray<Filter>) =>
    Effect.andThen(unlessRefused, once(filters)).pipe(
      Effect.catchIf(({ detail }) => Refusal.wantsIntroduction(detail), (error) =>
        Effect.andThen(introduction.introduce(error), Effect.mapError(once(filters), Refusal.inVain))),
      Effect.timeoutOrElse({
        duration: askTimeout,
        orElse: () =>
          Effect.fail(new UpstreamError({ reason: "silent", detail: "no EOSE in time" }))
      }),
      places.withPermits(1)
    )

  const connection: AskingConnection = { ask, ended: Deferred.await(over) }
  return connection
})
