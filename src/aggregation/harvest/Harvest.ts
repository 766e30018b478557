/**
 * Keeps every configured upstream harvested: one fiber each, which dials again for as long as the service runs.
 *
 * Between dials it waits, longer each time and never exactly as long, until a connection has lasted. Whatever ends a
 * connection, a bug of ours included, costs that upstream a pause and nothing else.
 */
import { Cause, Clock, Duration, Effect, Exit, Fiber, Layer, Metric, Random } from "effect"
import { Settings } from "../../config/Settings.ts"
import { doubled, spreadBelow } from "../../domain/Backoff.ts"
import { byAlias } from "../../domain/RelayUrl.ts"
import { secondsOf } from "../../domain/Time.ts"
import { Supervisor } from "../../lifecycle/Supervisor.ts"
import { aggregationDialsFailed, aggregationUpstreamsConnected } from "../../observability/Metrics.ts"
import { Retries, type RetryStatus } from "../admission/Retries.ts"
import { UpstreamError } from "../upstream/UpstreamError.ts"
import { refreshPeriod, session } from "./HarvestSession.ts"
import { coveredShare, HarvestStatus, Progress, type UpstreamStatus } from "./HarvestStatus.ts"
import { floor, overlap } from "./HarvestWalk.ts"

/** After a connection that lasted so long, the next dial comes at once. */
export const stablePeriod = Duration.minutes(1)

/** Before an upstream that forbids us to read is dialled again, and up to a fifth less. */
export const forbiddenPause = Duration.hours(1)

/** Between two lines of the log about the harvest. */
export const logPeriod = Duration.seconds(20)

/** Why a session ended; it never ends by itself. */
const errorOf = (exit: Exit.Exit<unknown, UpstreamError>): UpstreamError => {
  const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
  return error instanceof UpstreamError ? error : new UpstreamError({ reason: "ours", detail: "internal error" })
}

const keepHarvesting = Effect.fnUntraced(function*(progress: Progress) {
  const settings = yield* Settings
  let failures = 0
  let connectedAt: number | undefined

  const onConnected = Effect.gen(function*() {
    connectedAt = yield* Clock.currentTimeMillis
    progress.state = "connected"
    yield* Effect.logInfo("upstream connected")
    yield* Metric.modify(aggregationUpstreamsConnected, 1)
  })
  const onEnded = Effect.suspend(() => Metric.modify(aggregationUpstreamsConnected, connectedAt === undefined ? 0 : -1))

  const attempt = Effect.gen(function*() {
    connectedAt = undefined
    progress.state = "connecting"
    progress.nextAttempt = undefined
    const exit = yield* Effect.exit(Effect.ensuring(session(progress, onConnected), onEnded))
    if (Exit.isFailure(exit) && Exit.hasDies(exit)) yield* Effect.logError("harvest died", exit.cause)
    const error = errorOf(exit)
    if (error.reason === "unreachable") yield* Metric.update(aggregationDialsFailed, 1)

    const now = yield* Clock.currentTimeMillis
    const isStable = connectedAt !== undefined && now - connectedAt >= Duration.toMillis(stablePeriod)
    failures = isStable && error.reason !== "misbehaved" ? 1 : failures + 1
    const chance = yield* Random.next
    const { initialBackoff, maxBackoff } = settings.now
    const own = doubled(Duration.toMillis(initialBackoff), failures, Duration.toMillis(maxBackoff))
    // An upstream that does not let us read will not do so in a minute either.
    const least = error.reason === "forbidden" ? Duration.toMillis(forbiddenPause) : 0
    const millis = Math.round(spreadBelow(Math.max(own, least), chance))
    progress.state = "waiting"
    progress.lastError = error.message
    progress.nextAttempt = now + millis
    yield* Effect.logWarning(connectedAt === undefined ? "upstream cannot be reached" : "upstream connection ended")
      .pipe(
        Effect.annotateLogs({
          reason: error.message,
          attempt: failures,
          retryInSeconds: Math.round(millis / 100) / 10,
          retryAt: new Date(now + millis).toISOString()
        })
      )
    yield* Effect.sleep(millis)
  })
  return yield* Effect.forever(attempt)
}, (effect, progress) => Effect.annotateLogs(effect, { upstream: progress.url }))

const total = (counts: ReadonlyArray<number | undefined>): number => counts.reduce<number>((a, b) => a + (b ?? 0), 0)

/** `part` of `whole` as a percentage; nothing is all of nothing. */
const percent = (part: number, whole: number): string => `${whole === 0 ? 0 : Math.round((100 * part) / whole)}%`

/** Upstreams that the line tells about one by one. */
const toldMax = 8

/** The last seconds before the present, which may be missing though the upstream is listened to. */
const unread = overlap + Duration.toSeconds(refreshPeriod)

/** `wss://a live 100% 12/s`, or why not. `now`: Unix seconds. */
const tell = ({ covered, lastError, perSecond, phase, state, url }: UpstreamStatus, now: number): string => {
  const share = `${Math.floor(100 * coveredShare(covered, floor, now - unread))}%`
  if (state === "connected") return `${url} ${phase} ${share} ${Math.round(perSecond)}/s`
  return `${url} ${state} ${share}${lastError === undefined ? "" : ` (${lastError})`}`
}

/** Where the harvest stands, in one line. */
const logProgress = Effect.fnUntraced(function*(all: ReadonlyArray<Progress>, retries: RetryStatus) {
  const now = yield* Clock.currentTimeMillis
  for (const progress of all) progress.sample(now)
  const views = all.map((progress) => progress.view())
  const outcomes = [...views.map((view) => view.outcomes), retries.outcomes]
  const judged = total(views.flatMap((view) => Object.values(view.outcomes)))
  const told = views.slice(0, toldMax).map((view) => tell(view, secondsOf(now)))
  yield* Effect.logInfo("harvest").pipe(Effect.annotateLogs({
    connected: `${views.filter((view) => view.state === "connected").length}/${views.length}`,
    live: views.filter((view) => view.state === "connected" && view.phase === "live").length,
    pages: total(views.map((view) => view.pages)),
    saved: total(outcomes.map((counts) => counts.Saved)),
    known: total(outcomes.flatMap((counts) => [counts.Duplicate, counts.Superseded, counts.Deleted, counts.Expired])),
    rejected: total(outcomes.map((counts) => counts.Rejected)),
    forged: total(outcomes.map((counts) => counts.Invalid)),
    spared: percent(total(views.map((view) => view.spared)), judged),
    waiting: retries.waiting,
    checking: retries.checking,
    dropped: total(views.map((view) => view.dropped)),
    perSecond: Math.round(total(views.map((view) => view.perSecond))),
    upstreams: views.length > toldMax ? [...told, `and ${views.length - toldMax} more`] : told
  }))
})

const make = Effect.fnUntraced(function*() {
  const settings = yield* Settings
  const supervisor = yield* Supervisor
  const retries = yield* Retries
  const all = Array.from(byAlias(settings.upstreams).values(), (url) => new Progress(url, () => settings.pageSize))
  const begin = yield* Clock.currentTimeMillis
  for (const progress of all) progress.sample(begin)

  // Where nothing is harvested there is nothing to tell.
  if (all.length > 0) {
    yield* supervisor.fork(
      "aggregation/progress",
      Effect.forever(
        Effect.andThen(Effect.sleep(logPeriod), Effect.flatMap(retries.status, (status) => logProgress(all, status)))
      )
    )
  }
  const fibers = yield* Effect.forEach(
    all,
    (progress) => supervisor.fork(`aggregation/upstream ${progress.url}`, keepHarvesting(progress))
  )
  // The scope would end them one after the other, each waiting for its upstream's goodbye.
  yield* Effect.addFinalizer(() => Fiber.interruptAll(fibers))
  return HarvestStatus.of({
    upstreams: Effect.sync(() => all.map((progress) => progress.view())),
    retries: retries.status
  })
})

export const layer = Layer.effect(HarvestStatus, make())
