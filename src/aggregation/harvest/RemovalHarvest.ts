/**
 * What authors have removed before we were there: requests to vanish (kind 62, NIP-62), and deletions (kind 5, NIP-09) that
 * say in their `k` tags that they are about profiles or lists. Read backwards like profiles, with a coverage of their own.
 *
 * These are few, where all deletions together would be many times what is kept; deletions without a `k` tag are asked for by
 * author (`AuthorHarvest`). An upstream is asked for one page between two pages of profiles, and is left alone when it does
 * not answer: nothing here ends a connection that still brings profiles.
 */
import { Clock, Duration, Effect, Schema } from "effect"
import { Settings } from "../../config/Settings.ts"
import { Database, type RecordWrite } from "../../database/Database.ts"
import type { Filter } from "../../domain/Filter.ts"
import * as HarvestWindow from "../../domain/HarvestWindow.ts"
import { deletionKind, kindsWith, vanishKind } from "../../domain/Kinds.ts"
import { nowSeconds } from "../../lifecycle/Now.ts"
import * as Space from "../Space.ts"
import type { PagedConnection } from "../upstream/PagedConnection.ts"
import { UpstreamError } from "../upstream/UpstreamError.ts"
import type { Progress } from "./HarvestStatus.ts"
import { ask, floor, overlap, readPage } from "./HarvestWalk.ts"
import * as Manners from "./Manners.ts"
import type { Admit } from "./PageAdmission.ts"

/** Seconds that may be missing at the top before it is looked at again: what arrives meanwhile arrives live. */
export const staleAfter = 3600

/** For how long an upstream is left alone that does not answer. */
export const pauseUnable = Duration.days(7)
/** The same for one that has answered before. */
export const pauseFailed = Duration.hours(1)

/** For how long; an upstream that has too much to do answers another time. */
export const pauseAfter = ({ isAble }: { readonly isAble: boolean }, { detail }: UpstreamError): Duration.Duration =>
  isAble || detail.startsWith("rate-limited:") ? pauseFailed : pauseUnable

/** Whether an error says that a question is not welcome, or not understood, where others may be. */
export const isDeaf = (reason: UpstreamError["reason"]): boolean =>
  reason === "refused" || reason === "forbidden" || reason === "silent" || reason === "misbehaved"

const filtersOf = (kept: ReadonlyArray<number>): Readonly<{ [name: string]: Filter }> => ({
  vanish: { kinds: [vanishKind] },
  deletions: { kinds: [deletionKind], tags: new Map([["k", kept.map(String)]]) }
})

const Interval = Schema.Tuple([Schema.Int, Schema.Int])
/** How far each of them was read, by upstream. */
export const space = Space.versioned("removals", {
  intervals: Schema.Array(Interval),
  /** Unix milliseconds before which nothing is to be asked. */
  retryAt: Schema.Int,
  /** It has answered before. */
  isAble: Schema.Boolean
})
type Stored = Space.Value<typeof space>

const blank: Stored = { intervals: [], retryAt: 0, isAble: false }

/** One of `filtersOf`, and where reading it has got to. */
interface Reading {
  readonly filter: Filter
  readonly key: string
  stored: Stored | undefined
  /** Gaps that are being closed, the next one first. */
  gaps: Array<HarvestWindow.Walk>
}

const remember = (reading: Reading, next: Stored): RecordWrite => {
  reading.stored = next
  const intervals = next.intervals.slice(0, HarvestWindow.intervalsMax)
  return space.put(reading.key, { ...next, intervals })
}

export interface Options {
  readonly connection: PagedConnection
  readonly admit: Admit
  readonly progress: Progress
  /** What to write once a page has shown that the upstream keeps no order; `Removals.disown` is part of it. */
  readonly disown: Effect.Effect<ReadonlyArray<RecordWrite>, UpstreamError>
}

export interface Removals {
  /** Reads one page, where there is any to read; answers whether there was. */
  readonly step: Effect.Effect<boolean, UpstreamError>
  /** Forgets what was read, as the order of its pages proved nothing; answers what to write. */
  readonly disown: Effect.Effect<ReadonlyArray<RecordWrite>, UpstreamError>
}

export const make = Effect.fnUntraced(function*({ admit, connection, disown, progress }: Options) {
  const { url } = progress
  const database = yield* Database
  const { listKinds } = yield* Settings
  const readings = Object.entries(filtersOf(kindsWith(listKinds).kept)).map(([name, filter]): Reading => ({
    filter,
    key: `${name} ${url}`,
    stored: undefined,
    gaps: []
  }))

  const load = Effect.fnUntraced(function*(reading: Reading) {
    const kept = yield* Effect.mapError(
      space.get(database, reading.key),
      () => new UpstreamError({ reason: "ours", detail: "storage is unavailable" })
    )
    return reading.stored ??= kept?.value ?? blank
  })

  /** The gap to go on with; undefined while there is nothing to do. */
  const gapOf = Effect.fnUntraced(function*(reading: Reading) {
    const { intervals, retryAt } = yield* load(reading)
    if ((yield* Clock.currentTimeMillis) < retryAt) return undefined
    const now = yield* nowSeconds
    const isDue = HarvestWindow.gaps(intervals, [floor, now - overlap - staleAfter]).length > 0
    if (reading.gaps.length === 0 && isDue) {
      reading.gaps = HarvestWindow.gaps(intervals, [floor, now]).map((gap) =>
        HarvestWindow.walk(gap, progress.pageSize, progress.isUnordered)
      )
    }
    return reading.gaps[0]
  })

  const read = Effect.fnUntraced(function*({ filter }: Reading, from: HarvestWindow.Walk) {
    const answered = yield* ask(connection, filter, from)
    return { at: answered.at, ...(yield* readPage(filter, answered)) }
  })

  const keep = Effect.fnUntraced(
    function*(reading: Reading, { at, fresh, page, strange }: Effect.Success<ReturnType<typeof read>>) {
      progress.dropped += strange
      const disowned = Manners.showsDisorder(progress, page.events) ? yield* disown : []
      const step = HarvestWindow.advance({ ...at, isUnordered: progress.isUnordered }, page, progress.pageSize)
      const [oldest, newest] = step.covered
      const settled = (yield* nowSeconds) - overlap
      const { intervals = [] } = reading.stored ?? {}
      const covered = HarvestWindow.cover(intervals, [oldest, Math.min(newest, settled)])
      yield* admit(fresh, [...disowned, remember(reading, { intervals: covered, retryAt: 0, isAble: true })])
      reading.gaps = [...step.next, ...reading.gaps.slice(1)]
    }
  )

  /** Whoever does not answer, or something else, is not asked again for a while. */
  const pause = Effect.fnUntraced(function*(reading: Reading, error: UpstreamError) {
    const stored = yield* load(reading)
    const retryAt = (yield* Clock.currentTimeMillis) + Duration.toMillis(pauseAfter(stored, error))
    reading.gaps = []
    yield* Effect.logInfo("upstream does not tell of removals").pipe(
      Effect.annotateLogs({ upstream: url, kinds: reading.filter.kinds, reason: error.message })
    )
    yield* admit([], [remember(reading, { ...stored, retryAt })])
  })

  const step = Effect.gen(function*() {
    for (const reading of readings) {
      const gap = yield* gapOf(reading)
      if (gap === undefined) continue
      yield* Effect.matchEffect(read(reading, gap), {
        onSuccess: (found) => keep(reading, found),
        onFailure: (error) => isDeaf(error.reason) ? pause(reading, error) : Effect.fail(error)
      })
      return true
    }
    return false
  })
  const removals: Removals = {
    step,
    disown: Effect.forEach(readings, (reading) =>
      Effect.map(load(reading), (stored) => {
        reading.gaps = []
        return remember(reading, { ...stored, intervals: [] })
      }))
  }
  return removals
})
