/**
 * What belongs to the profiles that are kept, asked for by author: lists (such as kind 10002), requests to vanish (62), and
 * deletions (5) that name the profile or a list.
 *
 * Walking through all lists and deletions of the network for the few authors we keep would cost a hundred times more. The
 * profiles are gone through in the order in which they were stored, so that whoever is accepted is asked about within
 * minutes, and once a day everybody is asked about again, for what has changed since. How far it has got is kept; a restart
 * asks about nobody twice. It takes turns with the pages of profiles, and never ends a connection.
 */
import { Clock, Duration, Effect, Schema } from "effect"
import { Settings } from "../../config/Settings.ts"
import { type Committed, Database, type DatabaseError, type RecordWrite, textOf } from "../../database/Database.ts"
import type { Event } from "../../domain/Event.ts"
import { type Filter, matchesAny } from "../../domain/Filter.ts"
import { cutMin } from "../../domain/HarvestWindow.ts"
import { deletionKind, keptAddressesOf, type KeptKinds, kindsWith, listKinds, profileKind } from "../../domain/Kinds.ts"
import { secondsOf } from "../../domain/Time.ts"
import * as Space from "../Space.ts"
import type { PageAnswer, PagedConnection } from "../upstream/PagedConnection.ts"
import * as Refusal from "../upstream/Refusal.ts"
import { UpstreamError } from "../upstream/UpstreamError.ts"
import type { Progress } from "./HarvestStatus.ts"
import { floor, strangePage } from "./HarvestWalk.ts"
import type { Admit } from "./PageAdmission.ts"
import { isDeaf, pauseAfter } from "./RemovalHarvest.ts"

/** From the beginning of one pass over all authors to that of the next. */
export const period = Duration.days(1)

/** Authors asked about at a time: some 25 kB of a frame, and seldom more events than a relay hands out. */
export const authorsMax = 50

/** Rows of the store looked at for them. */
const rowsMax = 200

/** Events per filter: as many as relays answer with that do not say. */
const limit = 250

/** Seconds by which a repeated question reaches back before the last one: relays hand events on late. */
export const reachBack = 7 * 86_400

/** How far it has got, by upstream. */
export const space = Space.versioned("authors", {
  /** Up to which place in the commit log this pass has asked about everybody. */
  at: Schema.Int,
  /** Up to which everybody was asked about by an earlier pass, whatever the date of the answer. */
  askedTo: Schema.Int,
  /** Unix seconds from which they are asked about again. */
  since: Schema.Int,
  /** Unix milliseconds of the pass's beginning, and before which nothing is to be asked. */
  begunAt: Schema.Int,
  retryAt: Schema.Int,
  /** It has answered before. */
  isAble: Schema.Boolean,
  /** Which lists were asked for, where not the usual ones. */
  kinds: Schema.optionalKey(Schema.Array(Schema.Int)),
  /** Authors and filters that it takes at a time, where it has refused more. */
  authorsMax: Schema.optionalKey(Schema.Int),
  filtersMax: Schema.optionalKey(Schema.Int)
})
type Stored = Space.Value<typeof space>

export interface Options {
  readonly connection: PagedConnection
  readonly admit: Admit
  readonly progress: Progress
}

export interface Authors {
  /** Asks one question, where there is anybody to ask about; answers whether there was. */
  readonly step: Effect.Effect<boolean, UpstreamError>
}

/** What is asked about the authors of these profiles. `since`: Unix seconds. */
const filtersOf = (
  profiles: ReadonlyArray<Event>,
  since: number,
  { companions, kept }: KeptKinds
): ReadonlyArray<Filter> => {
  const authors = profiles.map(({ pubkey }) => pubkey)
  const addresses = authors.flatMap((pubkey) => keptAddressesOf(pubkey, kept))
  const common = { authors, since, limit }
  return [
    { ...common, kinds: companions },
    { ...common, kinds: [deletionKind], tags: new Map([["a", addresses]]) },
    { ...common, kinds: [deletionKind], tags: new Map([["e", profiles.map(({ id }) => id)]]) }
  ]
}

const reading = <A>(read: Effect.Effect<A, DatabaseError>) =>
  Effect.mapError(read, () => new UpstreamError({ reason: "ours", detail: "storage is unavailable" }))

/** The profiles among the next rows, as many as are asked about at a time, and where the row is that comes last. */
const batchOf = (rows: ReadonlyArray<Committed>, at: number) => {
  const profiles: Array<Event> = []
  let end = at
  for (const { event, seq } of rows) {
    end = seq
    const stored = JSON.parse(textOf(event)) as Event
    if (stored.kind === profileKind && profiles.push(stored) === authorsMax) break
  }
  return { profiles, end }
}

export const make = Effect.fnUntraced(function*({ admit, connection, progress }: Options) {
  const { url } = progress
  const database = yield* Database
  const settings = yield* Settings
  let state: Stored | undefined
  /** What the upstream takes at a time, as far as it has shown. */
  let bounds = { authorsMax, filtersMax: 3 }

  const load = Effect.gen(function*() {
    const kept = yield* reading(space.get(database, url))
    const begunAt = yield* Clock.currentTimeMillis
    const blank: Stored = { at: 0, askedTo: 0, since: 0, begunAt, retryAt: 0, isAble: false }
    const found = kept?.value ?? blank
    const isSame = String(found.kinds ?? listKinds) === String(settings.listKinds)
    // Everybody is asked about once more, as a list that is new here may be as old as any.
    return isSame ? found : { ...found, at: 0, askedTo: 0, since: 0, begunAt, kinds: settings.listKinds }
  })

  const remember = (next: Stored): RecordWrite => {
    state = next
    return space.put(url, next)
  }

  /** One question, of as many filters at a time as the upstream takes. */
  const pagesOf = Effect.fnUntraced(function*(filters: ReadonlyArray<Filter>) {
    const events: Array<PageAnswer["events"][number]> = []
    let finished = true
    let longest = 0
    for (let from = 0; from < filters.length; from += bounds.filtersMax) {
      const answer = yield* connection.page(...filters.slice(from, from + bounds.filtersMax))
      for (const event of answer.events) events.push(event)
      finished &&= answer.finished
      longest = Math.max(longest, answer.events.length)
    }
    return { events, finished, longest }
  })

  /** Half of the authors at a time. */
  const halved = (profiles: ReadonlyArray<Event>, since: number) => {
    const middle = profiles.length >> 1
    return Effect.andThen(askAbout(profiles.slice(0, middle), since), askAbout(profiles.slice(middle), since))
  }

  /** A refusal may be about how much was asked: first for fewer filters, then for fewer authors, until there is one. */
  const askForFewer = (profiles: ReadonlyArray<Event>, since: number, error: UpstreamError) => {
    if (error.reason !== "refused" || !Refusal.mayWantFewer(error.detail)) return Effect.fail(error)
    if (bounds.filtersMax > 1) {
      bounds = { ...bounds, filtersMax: 1 }
      return askAbout(profiles, since)
    }
    if (profiles.length === 1) return Effect.fail(error)
    bounds = { ...bounds, authorsMax: Math.min(bounds.authorsMax, profiles.length >> 1) }
    return halved(profiles, since)
  }

  /** An answer as long as any that the upstream gives, or a filter allows, may have been cut: half of the authors have room. */
  const askAbout = Effect.fnUntraced(
    function*(profiles: ReadonlyArray<Event>, since: number): Effect.fn.Return<void, UpstreamError> {
      if (profiles.length > bounds.authorsMax) return yield* halved(profiles, since)
      const filters = filtersOf(profiles, since, kindsWith(settings.listKinds))
      const asked = yield* Effect.result(pagesOf(filters))
      if (asked._tag === "Failure") return yield* askForFewer(profiles, since, asked.failure)
      const answer = asked.success
      const found = new Map<string, Event>()
      for (const { event } of answer.events) {
        if (event !== undefined && matchesAny(filters, event)) found.set(event.id, event)
      }
      progress.dropped += answer.events.length - found.size
      // What is too large for us may well have been asked for.
      const isStrange = answer.events.length > 0 && found.size === 0 &&
        answer.events.every(({ event }) => event !== undefined)
      yield* isStrange ? Effect.fail(strangePage()) : Effect.void
      yield* admit([...found.values()], [])
      const longest = Math.min(limit, Math.max(cutMin, progress.longestPage))
      const isCut = !answer.finished && answer.longest >= longest
      return isCut && profiles.length > 1 ? yield* halved(profiles, since) : undefined
    }
  )

  /** A pass that has come to the end goes on with whoever is accepted, until it is time to ask about everybody again. */
  const renew = (before: Stored, now: number): Stored | undefined =>
    now < before.begunAt + Duration.toMillis(period) ? undefined : {
      ...before,
      at: 0,
      askedTo: before.at,
      since: Math.max(floor, secondsOf(before.begunAt) - reachBack),
      begunAt: now
    }

  const pause = Effect.fnUntraced(function*(from: Stored, error: UpstreamError) {
    const retryAt = (yield* Clock.currentTimeMillis) + Duration.toMillis(pauseAfter(from, error))
    yield* Effect.logInfo("upstream does not answer by author").pipe(
      Effect.annotateLogs({ upstream: url, reason: error.message })
    )
    yield* admit([], [remember({ ...from, retryAt })])
  })

  const step = Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    let current = state ?? (yield* load)
    state = current
    bounds = {
      authorsMax: current.authorsMax ?? authorsMax,
      filtersMax: Math.min(progress.filtersMax, current.filtersMax ?? 3)
    }
    if (now < current.retryAt) return false
    let rows = yield* reading(database.committedAfter(current.at, rowsMax))
    if (rows.length === 0) {
      const renewed = renew(current, now)
      if (renewed === undefined) return false
      current = renewed
      rows = yield* reading(database.committedAfter(current.at, rowsMax))
    }
    const { askedTo, at, since } = current
    const isRepeated = at < askedTo
    const { end, profiles } = batchOf(isRepeated ? rows.filter(({ seq }) => seq <= askedTo) : rows, at)
    const next: Stored = {
      ...current,
      at: end === at ? Math.max(at, askedTo) : end,
      begunAt: at === 0 ? now : current.begunAt,
      retryAt: 0
    }
    if (profiles.length === 0) {
      yield* admit([], [remember(next)])
      return true
    }
    yield* Effect.matchEffect(askAbout(profiles, isRepeated ? since : floor), {
      onSuccess: () => {
        const { authorsMax: most, filtersMax } = bounds
        const found = { ...most < authorsMax && { authorsMax: most }, ...filtersMax < 3 && { filtersMax } }
        return admit([], [remember({ ...next, ...found, isAble: true })])
      },
      onFailure: (error) => isDeaf(error.reason) ? pause(current, error) : Effect.fail(error)
    })
    progress.authorsAsked += profiles.length
    return true
  })
  const authors: Authors = { step }
  return authors
})
