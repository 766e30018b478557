/**
 * The only way in which this service asks a host that a stranger named: pictures and NIP-05 documents.
 *
 * One GET, redirects followed by hand. Each hop passes the address guard and takes its place in its host's budget, and what
 * comes back is bounded in bytes, encodings and time. No cookies, no referrer, no credentials, no proxy.
 */
import { Clock, Context, Effect, Exit, Layer, Result, Scope, type Stream } from "effect"
import { isUtf8 } from "node:buffer"
import type { Settings } from "../config/Settings.ts"
import { AddressGuard, layer as addressGuardLayer, type TargetRefused } from "./AddressGuard.ts"
import { type Answer, type Caps, Deadline, type Deadlines, exchange } from "./Exchange.ts"
import { FetchError } from "./FetchError.ts"
import { type BudgetExhausted, HostBudgets, layer as hostBudgetsLayer, type Reservation } from "./HostBudgets.ts"
import { type ResolveError, Resolver } from "./Resolver.ts"
import { retryAfterMillis } from "./RetryAfter.ts"

export interface Request {
  readonly url: string
  /** The `Accept` header. */
  readonly accept: string
  /** First and last byte, both inclusive. The host may send everything nevertheless (status 200). */
  readonly range?: { readonly first: number; readonly last: number } | undefined
  readonly caps: Caps
  /** The body is of use only as a whole: a declared length above the cap fails at once. */
  readonly whole: boolean
  /** Hops after the first request. */
  readonly redirectsMax?: number
}

export interface Response {
  /** After redirects. */
  readonly url: URL
  /** 200 to 299; 206 only where a range was asked for. */
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** Without its encodings. Fails with `TooLarge`, `Timeout`, `Reset` or `Protocol`; may be left unread, or half read. */
  readonly body: Stream.Stream<Uint8Array, FetchError>
}

export interface Options {
  readonly userAgent: string
  readonly deadlines: Deadlines
}

export const defaults: Options = {
  userAgent: "profile-aggregator/1",
  deadlines: { connect: 3000, idle: 3000, total: 10_000 }
}

const redirectsMax = 3

export class GuardedFetch extends Context.Service<GuardedFetch, {
  /** Succeeds once the headers are there. The scope holds the connection and the host's budget: close it soon. */
  readonly get: (request: Request) => Effect.Effect<Response, FetchError, Scope.Scope>
}>()("profile-aggregator/fetch/GuardedFetch") {}

const refused = (error: TargetRefused) => new FetchError({ reason: "Refused", detail: error.reason })

const overBudget = ({ reason, retryAfter }: BudgetExhausted) =>
  new FetchError({ reason: "Budget", detail: reason, retryAfter })

const unresolved = ({ reason }: ResolveError) => new FetchError({ reason: "Name", detail: reason })

const isRedirect = (status: number): boolean =>
  status === 301 || status === 302 || status === 303 || status === 307 || status === 308

/**
 * Headers come as bytes, of which each has become a character. Browsers take those of a `Location` for UTF-8 where they are, though
 * a URL has none but ASCII.
 */
const locationText = (location: string): string => {
  if (!/[\u0080-\u00ff]/.test(location)) return location
  const bytes = Buffer.from(location, "latin1")
  return isUtf8(bytes) ? bytes.toString() : location
}

/** Where `location` points to from `url`. Anything that is not a URL by then is for the guard to refuse. */
export const redirectTarget = (url: URL, location: string | undefined): Result.Result<string, FetchError> => {
  if (location === undefined || location.trim() === "") {
    return Result.fail(new FetchError({ reason: "Protocol", detail: "redirect without a target" }))
  }
  const target = URL.parse(locationText(location), url)
  if (target === null) return Result.fail(new FetchError({ reason: "Refused", detail: "malformed URL" }))
  return url.protocol === "https:" && target.protocol === "http:"
    ? Result.fail(new FetchError({ reason: "Refused", detail: "redirect from https to http" }))
    : Result.succeed(target.href)
}

const declaredTooLarge = ({ headers }: Answer, { caps, whole }: Request): boolean =>
  whole && Number(headers["content-length"] ?? 0) > caps.encoded

const make = Effect.fnUntraced(function*({ deadlines, userAgent }: Options) {
  const guard = yield* AddressGuard
  const budgets = yield* HostBudgets

  const headersFor = ({ accept, range }: Request): Readonly<Record<string, string>> => ({
    "user-agent": userAgent,
    accept,
    // Pictures are compressed by themselves, and documents are small; what is encoded nevertheless gets decoded.
    "accept-encoding": "identity",
    ...(range === undefined ? {} : { range: `bytes=${range.first}-${range.last}` }),
    connection: "close"
  })

  /** One request, with everything that must be true before it is sent. */
  const hop = Effect.fnUntraced(function*(request: Request, url: URL, deadline: Deadline | undefined) {
    const reservation = yield* Effect.mapError(budgets.reserve(url.hostname, deadline?.left), overBudget)
    const clock = yield* Clock.Clock
    // Waiting for our own budget is not the host's fault; from here on its time runs, over all hops.
    const running = deadline ?? new Deadline(clock, deadlines.total)
    const addresses = yield* running.within(
      "name not resolved in time",
      deadlines.connect,
      guard.vet(url).pipe(
        Effect.catchTags({
          TargetRefused: (error) => Effect.fail(refused(error)),
          ResolveError: (error) => Effect.fail(unresolved(error))
        })
      )
    )
    const answer = yield* exchange(url, addresses, headersFor(request), deadlines, running)
    return { answer, reservation, deadline: running }
  })

  const busy = Effect.fnUntraced(function*({ headers, status }: Answer, reservation: Reservation) {
    const pause = retryAfterMillis(headers["retry-after"], yield* Clock.currentTimeMillis)
    if (status === 503 && pause === undefined) return new FetchError({ reason: "ServerError", detail: "503", status })
    const retryAfter = yield* reservation.refused(pause)
    return new FetchError({ reason: "Paused", detail: String(status), status, retryAfter })
  })

  const failureOf = (answer: Answer, reservation: Reservation): Effect.Effect<FetchError> => {
    const { status } = answer
    if (status === 429 || status === 503) return busy(answer, reservation)
    const detail = String(status)
    if (status === 404 || status === 410) return Effect.succeed(new FetchError({ reason: "Gone", detail, status }))
    if (status === 416) return Effect.succeed(new FetchError({ reason: "Range", detail, status }))
    if (status >= 500) return Effect.succeed(new FetchError({ reason: "ServerError", detail, status }))
    if (status >= 400) return Effect.succeed(new FetchError({ reason: "Denied", detail, status }))
    return Effect.succeed(new FetchError({ reason: "Protocol", detail, status }))
  }

  const responseOf = Effect.fnUntraced(
    function*(request: Request, url: URL, answer: Answer, reservation: Reservation) {
      const { headers, status } = answer
      const isSuccess = status >= 200 && status < 300 && (status !== 206 || request.range !== undefined)
      if (!isSuccess) return yield* yield* failureOf(answer, reservation)
      yield* reservation.succeeded
      if (declaredTooLarge(answer, request)) {
        return yield* new FetchError({ reason: "TooLarge", detail: "declared length" })
      }
      const response: Response = { url, status, headers, body: yield* answer.body(request.caps) }
      return response
    }
  )

  const get = Effect.fn("GuardedFetch.get")(function*(request: Request) {
    const outer = yield* Effect.scope
    let text = request.url
    let deadline: Deadline | undefined
    for (let left = request.redirectsMax ?? redirectsMax;; left--) {
      const checked = guard.check(text, "web")
      if (Result.isFailure(checked)) return yield* refused(checked.failure)
      const url = checked.success
      // A scope per hop: the connection and the place of one are given back before the next one asks for its own.
      const scope = yield* Scope.fork(outer)
      const next = yield* Effect.gen(function*() {
        const made = yield* hop(request, url, deadline)
        deadline = made.deadline
        if (!isRedirect(made.answer.status)) return yield* responseOf(request, url, made.answer, made.reservation)
        yield* made.reservation.succeeded
        // Where one that is not followed would lead says nothing about the host.
        if (left === 0) return yield* new FetchError({ reason: "TooManyRedirects", detail: "too many redirects" })
        return yield* Effect.fromResult(redirectTarget(url, made.answer.headers["location"]))
      }).pipe(
        Scope.provide(scope),
        Effect.onExit((exit) =>
          Exit.isSuccess(exit) && typeof exit.value !== "string" ? Effect.void : Scope.close(scope, exit)
        )
      )
      if (typeof next !== "string") return next
      text = next
    }
  })

  return GuardedFetch.of({ get })
})

export const layerWith = (
  options: Partial<Options>
): Layer.Layer<GuardedFetch, never, AddressGuard | HostBudgets> =>
  Layer.effect(GuardedFetch, make({ ...defaults, ...options }))

/** With everything beneath it. The guard and the budgets are there for sockets and pages as well. */
export const layer: Layer.Layer<GuardedFetch | HostBudgets | AddressGuard, never, Settings> = layerWith({}).pipe(
  Layer.provideMerge(hostBudgetsLayer),
  Layer.provideMerge(addressGuardLayer),
  Layer.provide(Resolver.layer)
)
