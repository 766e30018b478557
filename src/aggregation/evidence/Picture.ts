/**
 * Facts about a profile's picture: is there one, of what type and size?
 *
 * Whoever asks gets an answer, never a failure: known facts, evidence that there is no picture, or that nobody answered
 * and when to ask again. A silent host is never evidence. One URL is asked for once, however many profiles name it at the
 * same time, and not again while what is known about it is fresh.
 */
import { Cause, Clock, Context, Effect, Exit, Fiber, Layer, Metric, Random, RcMap, Result } from "effect"
import { doubled, spread } from "../../domain/Backoff.ts"
import { decodeDataUrl } from "../../domain/DataUrl.ts"
import type { Facts, PictureProblem } from "../../domain/Quality.ts"
import { FetchError, type FetchReason } from "../../fetch/FetchError.ts"
import { GuardedFetch } from "../../fetch/GuardedFetch.ts"
import { aggregationPictureLooks } from "../../observability/Metrics.ts"
import { type Look, lookAt, readPicture } from "./PictureReader.ts"
import { type PictureFacts, type PictureRecord, PictureStore } from "./PictureStore.ts"

type Outcome = PictureRecord["outcome"]

/** What is known after a look, new or remembered. */
export type PictureOutcome =
  | {
    readonly _tag: "Known"
    readonly facts: PictureFacts
    /** HTTP status; missing for a `data:` URL. */
    readonly status?: number
    /** Unix milliseconds, here and below. */
    readonly checkedAt: number
  }
  /** The host's answer, or the URL, is evidence that there is no picture to be had. */
  | {
    readonly _tag: "NoImage"
    readonly reason: Exclude<PictureProblem, "picture is too small">
    /** A fixed phrase or a code, for logs; never text of the host. */
    readonly detail: string
    readonly status?: number
    readonly checkedAt: number
  }
  /** Nobody answered; `retryAfter` in milliseconds. */
  | {
    readonly _tag: "Unanswered"
    readonly reason: Extract<Outcome, { readonly _tag: "Unanswered" }>["reason"]
    readonly detail: string
    readonly retryAfter: number
  }

export interface Options {
  /** Milliseconds for which an answer is believed; spread by a fifth either way, so that not all end together. */
  readonly knownFresh: number
  readonly noImageFresh: number
  /** Milliseconds for one look, all its requests and waits for the host's budget together. */
  readonly lookMillisMax: number
  /** Longest time until an unanswered picture is tried again, in milliseconds. */
  readonly retryMax: number
  /** UTF-16 units of a `data:` URL. */
  readonly inlineMax: number
}

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

const defaults: Options = {
  knownFresh: 7 * day,
  noImageFresh: day,
  lookMillisMax: 20_000,
  retryMax: day,
  inlineMax: 524_288
}

export class Picture extends Context.Service<Picture, {
  /** `http:`, `https:` or `data:`. Interrupting it ends the look at once, unless others wait for the same URL. */
  readonly look: (url: string) => Effect.Effect<PictureOutcome>
}>()("profile-aggregator/aggregation/evidence/Picture") {}

/** The same, as the rules take it. */
export const factOf = (outcome: PictureOutcome): NonNullable<Facts["picture"]> => {
  if (outcome._tag === "Unanswered") {
    return { _tag: "Unanswered", reason: outcome.reason, retryAfter: outcome.retryAfter }
  }
  return outcome._tag === "NoImage"
    ? { _tag: "NoImage", reason: outcome.reason }
    : { _tag: "Image", size: { width: outcome.facts.width, height: outcome.facts.height } }
}

const noImage = (reason: Extract<Outcome, { readonly _tag: "NoImage" }>["reason"], detail: string): Outcome => ({
  _tag: "NoImage",
  reason,
  detail
})

const outcomeOfLook = ({ bytes, head, reading, sha256 }: Look): Outcome => {
  if (reading._tag === "NotImage") return noImage("picture is not an image", "unknown type")
  if (reading._tag === "Broken") return noImage("picture is not an image", reading.reason)
  const { animated, height, type, width } = reading
  return {
    _tag: "Known",
    facts: {
      type,
      width,
      height,
      ...(animated === undefined ? {} : { animated }),
      ...(bytes === undefined ? {} : { bytes }),
      ...(sha256 === undefined ? {} : { sha256 }),
      ...(head === undefined ? {} : { head })
    }
  }
}

const outcomeOfError = ({ detail, reason }: FetchError): Outcome => {
  switch (reason) {
    case "Gone":
      return noImage("picture is gone", detail)
    case "Refused":
      return noImage("picture target is not public", detail)
    case "TooLarge":
    case "Encoding":
      return noImage("picture is not an image", detail)
    case "Paused":
      return { _tag: "Unanswered", reason: "picture host asked for a pause", detail }
    case "Budget":
      return {
        _tag: "Unanswered",
        reason: detail === "paused" ? "picture host asked for a pause" : "not checked in time",
        detail
      }
    default:
      return { _tag: "Unanswered", reason: "picture host did not answer", detail: `${reason}: ${detail}` }
  }
}

/** First pause after each kind of silence, in milliseconds; every further one in a row doubles it. */
const firstRetry = (reason: FetchReason): number => {
  switch (reason) {
    case "Name":
      return 15 * minute
    case "Tls":
      return hour
    case "Denied":
    case "TooManyRedirects":
      return 6 * hour
    default:
      return 5 * minute
  }
}

/** What a look at a host came to, as it is counted. */
const countedAs = (outcome: Outcome): keyof typeof aggregationPictureLooks => {
  if (outcome._tag === "Known") return "Image"
  switch (outcome.reason) {
    case "picture is gone":
      return "gone"
    case "picture is not an image":
      return "not an image"
    case "picture target is not public":
      return "not public"
    case "picture host asked for a pause":
      return "paused"
    case "not checked in time":
    case "stopping":
      return "not in time"
    default:
      return "no answer"
  }
}

const outcomeOf = ({ checkedAt, freshUntil, outcome, status }: PictureRecord, now: number): PictureOutcome =>
  outcome._tag === "Unanswered"
    ? { ...outcome, retryAfter: freshUntil - now }
    : { ...outcome, ...(status === undefined ? {} : { status }), checkedAt }

/** A wall clock that was set back must not make a record fresh for years. */
const isFresh = ({ checkedAt, freshUntil }: PictureRecord, now: number): boolean =>
  freshUntil > now && checkedAt <= now + minute

/** Said to whoever waits when we stop. */
const stopping: PictureOutcome = { _tag: "Unanswered", reason: "stopping", detail: "stopping", retryAfter: minute }

const make = Effect.fnUntraced(function*(options: Options) {
  const fetch = yield* GuardedFetch
  const store = yield* PictureStore

  /** What the host says now, or the failure to say anything. */
  const ask = (url: string): Effect.Effect<Look, FetchError> =>
    Effect.timeoutOrElse(readPicture(fetch, url), {
      duration: options.lookMillisMax,
      orElse: () => Effect.fail(new FetchError({ reason: "Timeout", detail: "took too long in all" }))
    })

  const lookAgain = Effect.fnUntraced(function*(url: string, before: PictureRecord | undefined) {
    const answer = yield* Effect.result(ask(url))
    const checkedAt = yield* Clock.currentTimeMillis
    const chance = yield* Random.next
    const around = (millis: number) => Math.round(spread(millis, chance))
    const record = (outcome: Outcome, status: number | undefined, fresh: number, attempts: number): PictureRecord => ({
      outcome,
      ...(status === undefined ? {} : { status }),
      checkedAt,
      freshUntil: checkedAt + fresh,
      attempts
    })
    if (Result.isSuccess(answer)) {
      const outcome = outcomeOfLook(answer.success)
      const fresh = outcome._tag === "Known" ? options.knownFresh : options.noImageFresh
      return record(outcome, answer.success.status, around(fresh), 0)
    }
    const { reason, retryAfter, status } = answer.failure
    const outcome = outcomeOfError(answer.failure)
    if (outcome._tag !== "Unanswered") return record(outcome, status, around(options.noImageFresh), 0)
    const attempts = before?.outcome._tag === "Unanswered" ? before.attempts + 1 : 1
    // Never before the host's own time, and spread out after it.
    const fresh = retryAfter === undefined
      ? Math.min(options.retryMax, around(doubled(firstRetry(reason), attempts, options.retryMax)))
      : Math.round(retryAfter * (1 + 0.2 * chance))
    // Our own budget says nothing about the picture, so nothing is remembered.
    return record(outcome, status, fresh, reason === "Budget" ? 0 : attempts)
  })

  const lookOnce = Effect.fn("Picture.look")(function*(url: string) {
    const before = yield* store.get(url)
    const now = yield* Clock.currentTimeMillis
    if (before !== undefined && isFresh(before, now)) return outcomeOf(before, now)
    const record = yield* lookAgain(url, before)
    yield* Metric.update(aggregationPictureLooks[countedAs(record.outcome)], 1)
    if (record.outcome._tag !== "Unanswered" || record.attempts > 0) yield* store.set(url, record)
    return outcomeOf(record, record.checkedAt)
  })

  /** A look belongs to all who wait for it: the last one to leave ends it. */
  const looks = yield* RcMap.make({
    lookup: (url: string) => Effect.forkScoped(lookOnce(url), { startImmediately: true })
  })

  const lookInside = Effect.fnUntraced(function*(url: string) {
    const checkedAt = yield* Clock.currentTimeMillis
    const bytes = decodeDataUrl(url, options.inlineMax)
    const outcome = bytes === undefined
      ? noImage("picture is not an image", "malformed data URL")
      : outcomeOfLook(lookAt(bytes))
    return outcomeOf({ outcome, checkedAt, freshUntil: checkedAt, attempts: 0 }, checkedAt)
  })

  const look = (url: string): Effect.Effect<PictureOutcome> =>
    /^data:/i.test(url)
      ? lookInside(url)
      : RcMap.get(looks, url).pipe(
        Effect.flatMap(Fiber.await),
        Effect.flatMap((exit) =>
          Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause) ? Effect.succeed(stopping) : exit
        ),
        Effect.scoped
      )

  return Picture.of({ look })
})

export const layerWith = (options: Partial<Options>): Layer.Layer<Picture, never, GuardedFetch | PictureStore> =>
  Layer.effect(Picture, make({ ...defaults, ...options }))

export const layer: Layer.Layer<Picture, never, GuardedFetch | PictureStore> = layerWith({})
