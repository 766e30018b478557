/**
 * What is done with one connection to one upstream: listen, read what is not covered yet backwards, look again now and then.
 *
 * A page's events and the coverage it proves are one write, so coverage never runs ahead of the events it stands for: after
 * a crash at most one page is read again. Coverage stops short of the present by `overlap`, as relays hand events on late;
 * so the newest stretch is always a gap, and closing it again every `refreshPeriod` finds the stragglers, bridges whatever
 * the live subscription has missed, and notices a connection that died in silence.
 */
import { Clock, Duration, Effect, Metric } from "effect"
import { Settings } from "../../config/Settings.ts"
import { Verifier } from "../../crypto/Verifier.ts"
import { Database, type RecordWrite } from "../../database/Database.ts"
import type { Event } from "../../domain/Event.ts"
import type { Filter } from "../../domain/Filter.ts"
import * as HarvestWindow from "../../domain/HarvestWindow.ts"
import { kindsWith, profileKind } from "../../domain/Kinds.ts"
import { nowSeconds } from "../../lifecycle/Now.ts"
import { aggregationPagesHarvested } from "../../observability/Metrics.ts"
import * as Space from "../Space.ts"
import * as Upstream from "../upstream/PagedConnection.ts"
import { Limits } from "../upstream/RelayLimits.ts"
import { UpstreamError } from "../upstream/UpstreamError.ts"
import * as AuthorHarvest from "./AuthorHarvest.ts"
import type { Progress } from "./HarvestStatus.ts"
import { ask, floor, overlap, readPage } from "./HarvestWalk.ts"
import * as Manners from "./Manners.ts"
import * as NegentropyHarvest from "./NegentropyHarvest.ts"
import * as PageAdmission from "./PageAdmission.ts"
import * as RemovalHarvest from "./RemovalHarvest.ts"

/** Read backwards in full; what belongs to the profiles that are kept has its own ways (`RemovalHarvest`, `AuthorHarvest`). */
const historyKinds = [profileKind]
const historyFilter: Filter = { kinds: historyKinds }

export const refreshPeriod = Duration.minutes(5)

/** Coverage by upstream. */
export const space = Space.text("coverage", HarvestWindow.decodeCoverage, HarvestWindow.encodeCoverage)

/** Pages of profiles between two of anything else, while there are many of them. */
const pagesBetween = 20

const ours = (detail: string) => new UpstreamError({ reason: "ours", detail })

/** Runs until the connection ends or is not worth keeping. */
export const session = Effect.fn("Harvest.session")(function*(progress: Progress, onConnected: Effect.Effect<void>) {
  const { url } = progress
  const database = yield* Database
  const settings = yield* Settings
  const sender = yield* Effect.mapError(database.sender(`aggregation/upstream ${url}`), () => ours("shutting down"))
  const verifier = yield* Effect.mapError(
    (yield* Verifier).sender(`aggregation/upstream ${url}`),
    () => ours("shutting down")
  )
  const admit = yield* PageAdmission.make(sender, progress)

  const onLive = Effect.fnUntraced(function*(events: ReadonlyArray<Event>) {
    const now = yield* nowSeconds
    const wanted = events.filter(({ created_at, kind }) =>
      kindsWith(settings.listKinds).harvested.includes(kind) && created_at >= floor &&
      created_at <= now + settings.limits.createdAtFutureMax
    )
    progress.dropped += events.length - wanted.length
    yield* admit(wanted, [])
  })

  const connection = yield* Upstream.connect({
    url,
    limits: settings.limits,
    onLive,
    sign: verifier.sign,
    onDropped: (dropped) => void (progress.dropped += dropped)
  })
  yield* onConnected

  const kept = yield* Effect.mapError(space.get(database, url), () => ours("storage is unavailable"))
  if (kept !== undefined && kept.value === undefined) {
    yield* Effect.logWarning("harvest coverage is unreadable, reading everything again").pipe(
      Effect.annotateLogs({ upstream: url })
    )
  }
  progress.covered = kept?.value ?? []
  const known = yield* Effect.mapError(Manners.space.get(database, url), () => ours("storage is unavailable"))
  Manners.recall(progress, known?.value)
  if (!progress.isInformed) Manners.heed(progress, yield* (yield* Limits)(url))

  /** A page has shown that the upstream keeps no order: what the order of earlier ones claimed may not have been seen. */
  const disown: Effect.Effect<ReadonlyArray<RecordWrite>, UpstreamError> = Effect.gen(function*() {
    yield* Effect.logWarning("upstream keeps no order, so its pages prove less: reading them again in smaller pieces")
      .pipe(Effect.annotateLogs({ upstream: url }))
    progress.covered = []
    return [Manners.remember(progress), space.put(url, []), ...yield* removals.disown]
  })

  const turnPage = Effect.fnUntraced(function*(from: HarvestWindow.Walk) {
    const answered = yield* ask(connection, historyFilter, from)
    const { at } = answered
    const wantsFewer = at.limit < from.limit && at.limit < progress.pageSizeMax
    if (wantsFewer) progress.pageSizeMax = at.limit
    const { fresh, page, strange } = yield* readPage(historyFilter, answered)
    progress.dropped += strange
    progress.longestPage = Math.max(progress.longestPage, page.events.length)
    const disowned = Manners.showsDisorder(progress, page.events) ? yield* disown : []
    const step = HarvestWindow.advance({ ...at, isUnordered: progress.isUnordered }, page, progress.pageSize)
    const [oldest, newest] = step.covered
    const settled = (yield* nowSeconds) - overlap
    const covered = HarvestWindow.cover(progress.covered, [oldest, Math.min(newest, settled)])
    const manners = wantsFewer ? [Manners.remember(progress)] : []
    yield* admit(fresh, [...disowned, ...manners, space.put(url, covered)])
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

  const removals = yield* RemovalHarvest.make({ connection, admit, progress, disown })
  const authors = yield* AuthorHarvest.make({ connection, admit, progress })
  /** One question about what belongs to profiles; answers whether there was any to ask. */
  const beside = Effect.flatMap(removals.step, (wasBusy) => wasBusy ? Effect.succeed(true) : authors.step)

  const closeGaps = Effect.gen(function*() {
    const now = yield* nowSeconds
    const kinds = kindsWith(settings.listKinds).harvested
    yield* connection.listen({ kinds, since: now - overlap }, { kinds, since: floor })
    for (const gap of HarvestWindow.gaps(progress.covered, [floor, now])) {
      const walks = [HarvestWindow.walk(gap, progress.pageSize, progress.isUnordered)]
      for (let at = walks.pop(); at !== undefined; at = walks.pop()) {
        walks.push(...(yield* turnPage(at)).toReversed())
        if (progress.pages % pagesBetween === 0) yield* beside
      }
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
    while ((yield* Clock.currentTimeMillis) < due && ((yield* beside) || (yield* reconciliation.step)));
    yield* Effect.sleep(Math.max(0, due - (yield* Clock.currentTimeMillis)))
  })

  progress.phase = "history"
  return yield* Effect.raceFirst(connection.read, Effect.forever(look))
}, Effect.scoped)
