/**
 * One connection to one upstream: a scope that dials when it opens and says goodbye when it closes.
 *
 * Pages are asked for one at a time and end with EOSE or not at all; what arrives live is handed on as it comes. All of it
 * is read by one fiber that waits for whoever consumes it, so a busy admission pauses the socket. Whatever an upstream
 * sends, the worst that follows is that this connection ends.
 */
import { Deferred, Duration, Effect, Option } from "effect"
import type { Event } from "../../domain/Event.ts"
import { type Filter, wireOf } from "../../domain/Filter.ts"
import { escape } from "../../observability/Escape.ts"
import * as Refusal from "./Refusal.ts"
import * as RelayLink from "./RelayLink.ts"
import { UpstreamError } from "./UpstreamError.ts"
import type { UpstreamMessage } from "./UpstreamMessage.ts"

/** From asking for a page to its EOSE, by the wall clock: a drip of events does not extend it. */
export const pageDeadline = Duration.seconds(30)

/** From a message of a reconciliation to its answer: the first may have a relay walk over all it has. */
export const negotiationDeadline = Duration.seconds(30)

/** Events and UTF-16 units of one page before it is given up: some relays ignore `limit`, none needs this much. */
const pageEventsMax = 10_000
const pageUnitsMax = 32 * 1024 * 1024

/** What came of one REQ. */
export interface PageAnswer {
  readonly events: ReadonlyArray<Extract<UpstreamMessage, { readonly _tag: "Event" }>>
  readonly finished: boolean
}

/** What a relay makes of one message of a reconciliation (NIP-77). */
export type Negotiated =
  | { readonly _tag: "Message"; readonly bytes: Uint8Array }
  /** NEG-ERR; or, from a relay that does not know what was asked, a CLOSED or a NOTICE. */
  | { readonly _tag: "Refused"; readonly reason: string }
  | { readonly _tag: "Silent" }

export interface PagedConnection {
  /** Asks for stored events that match any of the filters, and collects them until EOSE. One page at a time. */
  readonly page: (...filters: ReadonlyArray<Filter>) => Effect.Effect<PageAnswer, UpstreamError>
  /**
   * Opens the live subscription unless it is open; its events go to `onLive`: stored ones where they match `recent`, those
   * that arrive later wherever they match `arriving`, however long ago they were signed.
   */
  readonly listen: (recent: Filter, arriving: Filter) => Effect.Effect<void, UpstreamError>
  /** Begins a reconciliation of what matches the filter (NIP-77), in place of the one before. */
  readonly negotiate: (filter: Filter, message: Uint8Array) => Effect.Effect<Negotiated, UpstreamError>
  /** Its next message. */
  readonly negotiateOn: (message: Uint8Array) => Effect.Effect<Negotiated, UpstreamError>
  readonly endNegotiation: Effect.Effect<void, UpstreamError>
  /** Reads until the connection ends. Nothing arrives unless this runs. */
  readonly read: Effect.Effect<never, UpstreamError>
}

export interface Options extends RelayLink.Options {
  /** Takes what the live subscription brings; nothing more is read until it is done. */
  readonly onLive: (events: ReadonlyArray<Event>) => Effect.Effect<void, UpstreamError>
  /** Events and frames that were dropped here. */
  readonly onDropped: (count: number) => void
}

const live = "live"

/** A subscription that is over may be answered for a while: that is nobody's fault. */
const isOurs = (subscription: string) => subscription === live || /^(?:page|reconcile) \d+$/.test(subscription)

/** A page that is being read. */
interface Reading {
  readonly id: string
  readonly events: Array<PageAnswer["events"][number]>
  units: number
  readonly answer: Deferred.Deferred<PageAnswer, UpstreamError>
}

/** A message of a reconciliation that has not been answered. */
interface Negotiation {
  readonly id: string
  readonly isOpening: boolean
  readonly answer: Deferred.Deferred<Negotiated>
}

/** Dials; the connection ends with the scope. */
export const connect = Effect.fn("PagedConnection.connect")(function*(options: Options) {
  const { onDropped, onLive } = options
  const link = yield* RelayLink.connect(options)
  const { introduction, send, subscriptions } = link
  let reading: Reading | undefined
  let negotiation: Negotiation | undefined
  let pagesAsked = 0
  let negotiations = 0
  /** Until the stored events of the live subscription are over, older ones were not asked for. */
  let storedSince = 0
  /** The live subscription, as it was asked for last; and whether it waits for us to say who we are. */
  let liveRequest: ReadonlyArray<unknown> | undefined
  let isLiveRefused = false
  /** Some relays say why they do not answer in a NOTICE, and nowhere else. */
  let notice = ""

  const offend = (): UpstreamError | undefined => {
    onDropped(1)
    return link.offend()
  }

  const collect = (into: Reading, message: PageAnswer["events"][number], units: number): UpstreamError | undefined => {
    into.events.push(message)
    into.units += units
    if (into.events.length <= pageEventsMax && into.units <= pageUnitsMax) return undefined
    return new UpstreamError({ reason: "misbehaved", detail: "a page without end" })
  }

  /** Whoever waits runs at once, and may ask for the next page before this returns. */
  const finish = (page: Reading, answer: Effect.Effect<PageAnswer, UpstreamError>) => {
    reading = undefined
    Deferred.doneUnsafe(page.answer, answer)
  }

  /** Whether the message of that id answers what was said last. */
  const settle = (id: string, answer: Negotiated): boolean => {
    if (negotiation?.id !== id) return false
    Deferred.doneUnsafe(negotiation.answer, Effect.succeed(answer))
    negotiation = undefined
    return true
  }

  /** One frame; live events are collected in `arrived`. The error, if any, ends the connection. */
  const take = ({ message, units }: RelayLink.Received, arrived: Array<Event>): UpstreamError | undefined => {
    const page = "subscription" in message && message.subscription === reading?.id ? reading : undefined
    switch (message._tag) {
      case "Event":
        if (page !== undefined) return collect(page, message, units)
        if (message.subscription !== live || !subscriptions.has(live) || message.event === undefined) return offend()
        if (message.created_at >= storedSince) arrived.push(message.event)
        return undefined
      case "Eose":
        if (message.subscription === live) storedSince = 0
        if (page === undefined) return isOurs(message.subscription) ? undefined : offend()
        finish(page, Effect.succeed({ events: page.events, finished: message.finished }))
        return undefined
      case "Closed":
        isLiveRefused ||= subscriptions.delete(message.subscription) && message.subscription === live &&
          Refusal.wantsIntroduction(message.reason)
        if (settle(message.subscription, { _tag: "Refused", reason: escape(message.reason, 100) })) return undefined
        if (page === undefined) return isOurs(message.subscription) ? undefined : offend()
        finish(page, Effect.fail(Refusal.errorOf(message.reason)))
        return undefined
      case "Notice":
        notice = ` (${escape(message.text, 100)})`
        // Whoever does not know NEG-OPEN has no other way to say so.
        if (negotiation?.isOpening === true) {
          settle(negotiation.id, { _tag: "Refused", reason: escape(message.text, 100) })
        } else if (reading?.events.length === 0 && Refusal.isAboutBounds(message.text)) {
          finish(reading, Effect.fail(Refusal.errorOf(message.text)))
        }
        return undefined
      case "NegMsg":
        if (settle(message.subscription, { _tag: "Message", bytes: message.message })) return undefined
        return isOurs(message.subscription) ? undefined : offend()
      case "NegErr":
        if (settle(message.subscription, { _tag: "Refused", reason: escape(message.reason, 100) })) return undefined
        return isOurs(message.subscription) ? undefined : offend()
      case "Auth":
        introduction.onChallenge(message.challenge)
        return undefined
      // We publish nothing here, so nothing else can have been accepted.
      case "Ok":
        return introduction.onOk(message) ? undefined : offend()
      default:
        return offend()
    }
  }

  const read = Effect.gen(function*() {
    const received = yield* link.receive
    const arrived: Array<Event> = []
    let broken: UpstreamError | undefined
    for (const one of received) if (broken === undefined) broken = take(one, arrived)
    if (arrived.length > 0) yield* onLive(arrived)
    yield* broken === undefined ? Effect.void : Effect.fail(broken)
  }).pipe(Effect.forever({ disableYield: true }))

  /** Says who we are, which opens a live subscription that was refused. */
  const introduce = Effect.fnUntraced(function*(because: UpstreamError) {
    yield* Effect.timeoutOrElse(introduction.introduce(because), {
      duration: pageDeadline,
      orElse: () => {
        const silent = new UpstreamError({ reason: "silent", detail: "no answer to who we are" })
        introduction.end(silent)
        return Effect.fail(silent)
      }
    })
    if (!isLiveRefused || liveRequest === undefined) return
    isLiveRefused = false
    subscriptions.add(live)
    yield* send(liveRequest)
  })

  const once = Effect.fnUntraced(function*(...filters: ReadonlyArray<Filter>) {
    const id = `page ${++pagesAsked}`
    const answer = yield* Deferred.make<PageAnswer, UpstreamError>()
    reading = { id, events: [], units: 0, answer }
    subscriptions.add(id)
    yield* send(["REQ", id, ...filters.map(wireOf)])
    const answered = yield* Effect.timeoutOption(Deferred.await(answer), pageDeadline).pipe(
      // One that refuses by a NOTICE may still take it for open.
      Effect.tapError(() => subscriptions.delete(id) ? send(["CLOSE", id]) : Effect.void)
    )
    if (Option.isNone(answered)) {
      reading = undefined
      subscriptions.delete(id)
      yield* send(["CLOSE", id])
      return yield* new UpstreamError({ reason: "silent", detail: `a page without EOSE${notice}` })
    }
    subscriptions.delete(id)
    yield* send(["CLOSE", id])
    return answered.value
  })

  const page = (...filters: ReadonlyArray<Filter>) => {
    const attempt = Effect.catchIf(
      once(...filters),
      ({ detail }) => Refusal.wantsIntroduction(detail),
      (error) => Effect.andThen(introduce(error), Effect.mapError(once(...filters), Refusal.inVain))
    )
    if (!isLiveRefused) return attempt
    // Where only the live subscription is refused, no page would tell.
    return Effect.andThen(Effect.ignore(introduce(Refusal.refused("live"))), attempt)
  }

  const listen = (recent: Filter, arriving: Filter) =>
    Effect.suspend(() => {
      if (subscriptions.has(live)) return Effect.void
      subscriptions.add(live)
      storedSince = recent.since ?? 0
      // `limit` is about stored events alone; 1, because some relays take 0 for none.
      liveRequest = ["REQ", live, wireOf(recent), wireOf({ ...arriving, limit: 1 })]
      return send(liveRequest)
    })

  const exchange = Effect.fnUntraced(function*(message: ReadonlyArray<unknown>, isOpening: boolean) {
    const answer = yield* Deferred.make<Negotiated>()
    negotiation = { id: `reconcile ${negotiations}`, isOpening, answer }
    yield* send(message)
    const answered = yield* Effect.timeoutOption(Deferred.await(answer), negotiationDeadline)
    negotiation = undefined
    return Option.getOrElse(answered, (): Negotiated => ({ _tag: "Silent" }))
  })

  const open = (filter: Filter, bytes: Uint8Array) =>
    Effect.suspend(() => {
      negotiations++
      return exchange(
        ["NEG-OPEN", `reconcile ${negotiations}`, wireOf(filter), Buffer.from(bytes).toString("hex")],
        true
      )
    })

  const negotiate = Effect.fnUntraced(function*(filter: Filter, bytes: Uint8Array) {
    const answer = yield* open(filter, bytes)
    if (answer._tag !== "Refused" || !Refusal.wantsIntroduction(answer.reason)) return answer
    const introduced = yield* Effect.option(introduce(Refusal.errorOf(answer.reason)))
    return Option.isSome(introduced) ? yield* open(filter, bytes) : answer
  })

  const negotiateOn = (bytes: Uint8Array) =>
    Effect.suspend(() => exchange(["NEG-MSG", `reconcile ${negotiations}`, Buffer.from(bytes).toString("hex")], false))

  const endNegotiation = Effect.suspend(() => send(["NEG-CLOSE", `reconcile ${negotiations}`]))

  const connection: PagedConnection = { page, listen, negotiate, negotiateOn, endNegotiation, read }
  return connection
})
