/**
 * What is done with one connection to one upstream: listen, read what is not covered yet backwards, look again now and then.
 *
 * A page's events and the coverage it proves are one write, so coverage never runs ahead of the events it stands for: after
 * a crash at most one page is read again. Coverage stops short of the present by `overlap`, as relays hand events on late;
 * so the newest stretch is always a gap, and closing it again every `refreshPeriod` finds the stragglers, bridges whatever
 * the live subscription has missed, and notices a connection that died in silence.
 */
import { Clock, Duration, Effect, Metric } from "effect"
import { Settings } from "../Config.ts"
import { Database } from "../database/Database.ts"
import type { Event } from "../domain/Event.ts"
import * as HarvestWindow from "../domain/HarvestWindow.ts"
import { thresholds } from "../domain/Quality.ts"
import { aggregationPagesHarvested } from "../observability/Metrics.ts"
import type { Progress } from "./HarvestStatus.ts"
import * as NegentropyHarvest from "./NegentropyHarvest.ts"
import * as PageAdmission from "./PageAdmission.ts"
import * as Upstream from "./Upstream.ts"

/** Read backwards. Lists and removals arrive live only; those of older profiles are asked for by author (`Outbox`). */
const historyKinds = [0]
const liveKinds = [0, 5, 62, 10_002, 10_050]

/** Where reading backwards ends. Sent as `since`: some relays take a small `until` for none and start again at the top. */
export const floor = thresholds.createdAtMin

/** Seconds before the present that are never taken for covered. */
export const overlap = 300

export const refreshPeriod = Duration.minutes(5)

/** Name of the space where coverage is kept, by upstream. */
export const space = "coverage"

/** An upstream that refuses so small a page does not mind its size. */
const pageSizeMin = 50

/** Reasons that another page cannot mend (NIP-01, NIP-42): asking again at once would only make it worse. */
const isFinal = (reason: string) => /^(?:auth-required|restricted|rate-limited):/.test(reason)

const nowSeconds = Effect.map(Clock.currentTimeMillis, (millis) => Math.floor(millis / 1000))

const ours = (detail: string) => new Upstream.UpstreamError({ reason: "ours", detail })
const misbehaved = (detail: string) => new Upstream.UpstreamError({ reason: "misbehaved", detail })

/** Reads what a page brought; fails when it cannot be an answer to `at`. */
const readPage = (at: HarvestWindow.Walk, answer: Upstream.PageAnswer) => {
  // What is too large for us, or not quite an event, still marks how far the page reaches.
  const marks = answer.events.filter(({ created_at, event }) =>
    created_at >= at.since && created_at <= at.until && (event === undefined || historyKinds.includes(event.kind))
  )
  const isBelow = answer.events.every(({ created_at }) => created_at < at.since)
  const fresh = new Map<string, Event>()
  for (const { event } of marks) if (event !== undefined && !at.seen.has(event.id)) fresh.set(event.id, event)
  const page: HarvestWindow.Page = { events: marks, finished: answer.finished }
  return {
    page,
    fresh: [...fresh.values()],
    /** Nothing that was asked for, and something else: no proof that there is nothing. */
    isEvasive: marks.length === 0 && !isBelow
  }
}

/** Runs until the connection ends or is not worth keeping. */
export const session = Effect.fn("Harvest.session")(function*(progress: Progress, onConnected: Effect.Effect<void>) {
  const { url } = progress
  const database = yield* Database
  const settings = yield* Settings
  const sender = yield* Effect.mapError(database.sender(`aggregation/upstream ${url}`), () => ours("shutting down"))
  const admit = yield* PageAdmission.make(sender, progress)

  const onLive = Effect.fnUntraced(function*(events: ReadonlyArray<Event>) {
    const now = yield* nowSeconds
    const wanted = events.filter(({ created_at, kind }) =>
      liveKinds.includes(kind) && created_at >= floor && created_at <= now + settings.limits.createdAtFutureMax
    )
    progress.dropped += events.length - wanted.length
    yield* admit(wanted, [])
  })

  const connection = yield* Upstream.connect({
    url,
    limits: settings.limits,
    onLive,
    onDropped: (dropped) => void (progress.dropped += dropped)
  })
  yield* onConnected

  const stored = yield* Effect.mapError(database.record(space, url), () => ours("storage is unavailable"))
  const decoded = stored === undefined ? [] : HarvestWindow.decodeCoverage(stored.value)
  if (decoded === undefined) {
    yield* Effect.logWarning("harvest coverage is unreadable, reading everything again").pipe(
      Effect.annotateLogs({ upstream: url })
    )
  }
  progress.covered = decoded ?? []

  /** A page may be refused for its size; it is asked for again, smaller. */
  const ask = (
    at: HarvestWindow.Walk
  ): Effect.Effect<readonly [HarvestWindow.Walk, Upstream.PageAnswer], Upstream.UpstreamError> =>
    connection.page({ kinds: historyKinds, since: at.since, until: at.until, limit: at.limit }).pipe(
      Effect.map((answer) => [at, answer] as const),
      Effect.catch((error) => {
        const smaller = Math.floor(at.limit / 2)
        if (error.reason !== "refused" || isFinal(error.detail) || smaller < pageSizeMin) return Effect.fail(error)
        return Effect.tap(ask({ ...at, limit: smaller }), () => {
          progress.pageSize = Math.min(progress.pageSize, smaller)
          return Effect.void
        })
      })
    )

  const turnPage = Effect.fnUntraced(function*(from: HarvestWindow.Walk) {
    const [at, answer] = yield* ask(from)
    const { fresh, isEvasive, page } = readPage(at, answer)
    progress.dropped += answer.events.length - page.events.length
    if (isEvasive) return yield* misbehaved("a page of events that were not asked for")
    const step = HarvestWindow.advance(at, page, progress.pageSize)
    const [oldest, newest] = step.covered
    const settled = (yield* nowSeconds) - overlap
    const covered = HarvestWindow.cover(progress.covered, [oldest, Math.min(newest, settled)])
    const value = HarvestWindow.encodeCoverage(covered)
    yield* admit(fresh, [{ _tag: "Record", space, key: url, value, due: null }])
    progress.covered = covered
    progress.pages++
    yield* Metric.update(aggregationPagesHarvested, 1)
    if (step.saturated !== undefined) {
      progress.saturated++
      yield* Effect.logWarning("upstream may hold more events of one second than it hands out").pipe(
        Effect.annotateLogs({ upstream: url, createdAt: step.saturated })
      )
    }
    return step.next
  })

  const closeGaps = Effect.gen(function*() {
    const now = yield* nowSeconds
    yield* connection.listen({ kinds: liveKinds, since: now - overlap }, { kinds: liveKinds, since: floor })
    for (const gap of HarvestWindow.gaps(progress.covered, [floor, now])) {
      let at: HarvestWindow.Walk | undefined = HarvestWindow.walk(gap, progress.pageSize)
      while (at !== undefined) at = yield* turnPage(at)
    }
    if (progress.phase === "history") {
      progress.phase = "live"
      const { outcomes, pages, rejections, spared } = progress.view()
      yield* Effect.logInfo("upstream is covered").pipe(
        Effect.annotateLogs({ upstream: url, pages, outcomes, rejections, spared })
      )
    }
  })

  const reconciliation = yield* NegentropyHarvest.make({
    connection,
    admit,
    progress,
    kinds: historyKinds,
    window: Effect.map(nowSeconds, (now) => [floor, now - overlap] as const)
  })

  /** Closes what gaps there are, and compares both sides until it is time to look again. */
  const look = Effect.gen(function*() {
    const due = (yield* Clock.currentTimeMillis) + Duration.toMillis(refreshPeriod)
    yield* closeGaps
    while ((yield* Clock.currentTimeMillis) < due && (yield* reconciliation.step));
    yield* Effect.sleep(Math.max(0, due - (yield* Clock.currentTimeMillis)))
  })

  progress.phase = "history"
  return yield* Effect.raceFirst(connection.read, Effect.forever(look))
}, Effect.scoped)
