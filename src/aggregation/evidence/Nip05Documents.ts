/**
 * What domains say about NIP-05 names, asked through the guarded fetcher.
 *
 * One document often answers many names, so what it says is kept for a while, by domain; who asks for a name of a domain
 * that is being asked waits for that answer first. A domain that did not answer is left alone for a while, for all of its
 * names. Redirects are not followed (NIP-05, "Security Constraints"), and say nothing about the name.
 */
import { Clock, Context, Effect, Layer, Metric, Random, type Result, Semaphore, Stream } from "effect"
import { doubled, spread } from "../../domain/Backoff.ts"
import { nip05DocumentOf, type Nip05Name, nip05UrlOf } from "../../domain/Nip05.ts"
import { isBelievedPause, type UndeterminedReason } from "../../domain/Quality.ts"
import type { FetchError } from "../../fetch/FetchError.ts"
import { GuardedFetch } from "../../fetch/GuardedFetch.ts"
import { aggregationNip05Looks } from "../../observability/Metrics.ts"

/** What a domain says about one name. */
export type Nip05Listing =
  /** `pubkey` in lower-case hex. */
  | { readonly _tag: "Listed"; readonly pubkey: string }
  /** It answered, and does not know the name, or has no document. */
  | { readonly _tag: "Unlisted" }
  /** It may not be asked: its address is not public. */
  | { readonly _tag: "Refused" }
  /** `retryAfter` in milliseconds. */
  | { readonly _tag: "Unanswered"; readonly reason: UndeterminedReason; readonly retryAfter: number }

export interface Options {
  /** Milliseconds for which a document is believed, and the first pause after a silence; each in a row doubles that. */
  readonly fresh: number
  readonly pause: number
  readonly pauseMax: number
  /** Milliseconds for one name, all waits together. */
  readonly lookMillisMax: number
  /** Bytes of a document; real ones of some domains list all of their names, whatever they are asked for. */
  readonly bytesMax: number
  /** Domains that are remembered, and names of all of them; whose turn was longest ago is forgotten first. */
  readonly domainsMax: number
  readonly namesMax: number
  /** Where a name is asked for; its domain says it over TLS. */
  readonly urlOf: (name: Nip05Name) => string
}

const minute = 60_000

export const defaults: Options = {
  fresh: 10 * minute,
  pause: 5 * minute,
  pauseMax: 6 * 60 * minute,
  lookMillisMax: 15_000,
  bytesMax: 1_048_576,
  domainsMax: 10_000,
  namesMax: 100_000,
  urlOf: nip05UrlOf
}

export class Nip05Documents extends Context.Service<Nip05Documents, {
  /** Bounded in time; may be interrupted at any moment. */
  readonly lookUp: (name: Nip05Name) => Effect.Effect<Nip05Listing>
}>()("profile-aggregator/aggregation/evidence/Nip05Documents") {}

type Unanswered = Extract<Nip05Listing, { readonly _tag: "Unanswered" }>

/** What is known of one domain. Times in Unix milliseconds. */
interface Domain {
  /** Keys by name, undefined for one that was asked for and is not listed. Holds until `freshUntil`. */
  readonly keys: Map<string, string | undefined>
  freshUntil: number
  /** Why, and until when, it is left alone. */
  silence: { readonly listing: Exclude<Nip05Listing, { readonly _tag: "Listed" }>; readonly until: number } | undefined
  silences: number
  /** One request at a time: the next one may find its answer in this one's document. */
  readonly place: Semaphore.Semaphore
  /** Who asks or waits. A domain with any is not forgotten. */
  users: number
}

const unlisted: Nip05Listing = { _tag: "Unlisted" }
const refused = { _tag: "Refused" } as const

const listed = (key: string | undefined): Nip05Listing => key === undefined ? unlisted : { _tag: "Listed", pubkey: key }

/** Our own pace, which says nothing about the domain. */
const notInTime: Unanswered = { _tag: "Unanswered", reason: "not checked in time", retryAfter: 30_000 }

const make = Effect.fnUntraced(function*(options: Options) {
  const fetch = yield* GuardedFetch
  const domains = new Map<string, Domain>()
  let names = 0

  const forget = (name: string, domain: Domain) => {
    domains.delete(name)
    names -= domain.keys.size
  }

  /** Least recently asked first, and never one that is being asked. */
  const makeRoom = () => {
    for (const [name, domain] of domains) {
      if (domains.size <= options.domainsMax && names <= options.namesMax) return
      if (domain.users === 0) forget(name, domain)
    }
  }

  const enter = (name: string): Domain => {
    const domain = domains.get(name) ?? {
      keys: new Map(),
      freshUntil: 0,
      silence: undefined,
      silences: 0,
      place: Semaphore.makeUnsafe(1),
      users: 0
    }
    domains.delete(name)
    domains.set(name, domain)
    domain.users += 1
    makeRoom()
    return domain
  }

  /** What is known without asking. */
  const known = (domain: Domain, local: string, now: number): Nip05Listing | undefined => {
    if (domain.freshUntil > now && domain.keys.has(local)) return listed(domain.keys.get(local))
    const { silence } = domain
    if (silence === undefined || silence.until <= now) return undefined
    const { listing } = silence
    return listing._tag === "Unanswered" ? { ...listing, retryAfter: silence.until - now } : listing
  }

  const read = Effect.fnUntraced(function*(name: Nip05Name) {
    const response = yield* fetch.get({
      url: options.urlOf(name),
      accept: "application/json",
      caps: { encoded: options.bytesMax, decoded: options.bytesMax },
      whole: true,
      redirectsMax: 0
    })
    const text = yield* Stream.mkString(Stream.decodeText(response.body))
    return nip05DocumentOf(text)
  }, Effect.scoped)

  const learn = (domain: Domain, local: string, document: ReadonlyMap<string, string>, now: number, chance: number) => {
    names -= domain.keys.size
    if (domain.freshUntil <= now) {
      domain.keys.clear()
      domain.freshUntil = now + spread(options.fresh, chance)
    }
    for (const [name, key] of document) domain.keys.set(name, key)
    domain.keys.set(local, document.get(local))
    names += domain.keys.size
    domain.silence = undefined
    domain.silences = 0
    makeRoom()
  }

  /** A failure, for all names of the domain. */
  const fall = (domain: Domain, { detail, reason, retryAfter }: FetchError, now: number, chance: number) => {
    if (reason === "Refused") {
      domain.silence = { listing: refused, until: now + spread(options.pauseMax, chance) }
      return refused
    }
    if (reason === "Budget" && detail !== "paused") return { ...notInTime, retryAfter: retryAfter ?? options.pause }
    domain.silences += 1
    const isAsked = reason === "Paused" || reason === "Budget"
    const why = isAsked ? "NIP-05 domain asked for a pause" : "NIP-05 domain did not answer"
    const own = isBelievedPause(why, domain.silences)
      ? 0
      : spread(doubled(options.pause, domain.silences, options.pauseMax), chance)
    // Never before the time that was asked for.
    const pause = Math.round(Math.max(own, retryAfter ?? 0))
    const listing: Unanswered = { _tag: "Unanswered", reason: why, retryAfter: pause }
    domain.silence = { listing, until: now + pause }
    return listing
  }

  /** What follows from what came of a request. */
  const conclude = Effect.fnUntraced(function*(
    domain: Domain,
    name: Nip05Name,
    answer: Result.Result<ReadonlyMap<string, string>, FetchError>
  ) {
    const now = yield* Clock.currentTimeMillis
    const chance = yield* Random.next
    if (answer._tag === "Success") learn(domain, name.local, answer.success, now, chance)
    // That there is no document is an answer about this name; others of the domain may have one of their own.
    else if (answer.failure.reason === "Gone") learn(domain, name.local, new Map(), now, chance)
    else return fall(domain, answer.failure, now, chance)
    return listed(domain.keys.get(name.local))
  })

  const ask = Effect.fnUntraced(function*(domain: Domain, name: Nip05Name) {
    const before = known(domain, name.local, yield* Clock.currentTimeMillis)
    if (before !== undefined) return before
    const answer = yield* Effect.result(read(name))
    const listing = yield* conclude(domain, name, answer)
    yield* Metric.update(aggregationNip05Looks[listing._tag], 1)
    return listing
  })

  const lookUp = Effect.fn("Nip05Documents.lookUp")((name: Nip05Name) =>
    Effect.acquireUseRelease(
      Effect.sync(() => enter(name.domain)),
      (domain) =>
        domain.place.withPermits(1)(ask(domain, name)).pipe(
          Effect.timeoutOrElse({ duration: options.lookMillisMax, orElse: () => Effect.succeed(notInTime) })
        ),
      (domain) => Effect.sync(() => void (domain.users -= 1))
    )
  )

  return Nip05Documents.of({ lookUp })
})

export const layerWith = (options: Partial<Options>): Layer.Layer<Nip05Documents, never, GuardedFetch> =>
  Layer.effect(Nip05Documents, make({ ...defaults, ...options }))

export const layer: Layer.Layer<Nip05Documents, never, GuardedFetch> = layerWith({})
