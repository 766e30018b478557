/**
 * Profiles that have to be asked about, or asked about again: durable, bounded, ordered by when they are due.
 *
 * Each one is a record that is written in the transaction that hands it over and forgotten in the one that settles it, so
 * that nothing is lost by a stop or a crash and nothing has to be saved at a stop. This is the bookkeeping; `Retries` does
 * the work.
 */
import { Clock, Context, Effect, Latch, Layer, Random, Schema } from "effect"
import { Settings } from "../../config/Settings.ts"
import { Database, type DatabaseError, type Operation, type RecordWrite } from "../../database/Database.ts"
import { doubled, spread } from "../../domain/Backoff.ts"
import type { Event } from "../../domain/Event.ts"
import { isBelievedPause, type UndeterminedReason, type Verdict } from "../../domain/Quality.ts"
import * as Space from "../Space.ts"

/** Why, and how often, a check has come to nothing. */
export type Undetermined = Extract<Verdict, { readonly _tag: "Undetermined" }>

/** One profile that waits. Its signature has been checked. */
export interface Waiting {
  readonly event: Event
  /** Checks so far that were not answered; our own pace does not count. */
  readonly attempts: number
  /** Unix milliseconds of its arrival. */
  readonly since: number
}

/** Milliseconds before the next check, by how many were not answered: 30, 60, 120 s, … then hours. */
const firstDelay = 30_000
/** Milliseconds before the next check at most. */
export const delayMax = 12 * 3_600_000

/** Checks that were not answered before a profile is given up: the last of them some three days after it came. */
export const attemptsMax = 16

/** Milliseconds of one turn, of those that profiles of one author have when they cannot all wait beside the one in check. */
const turnMillis = 100

/** Profiles that were never checked before whoever brings more has to wait. */
export const uncheckedMax = 2000

/** Profiles beyond `MAX_RETRIES` that are still taken: those of pages that were asked for while there was room. */
export const overflowMax = 5000

/** By event id; due when they are to be checked. */
export const space = Space.versioned("retry", {
  attempts: Schema.Int,
  since: Schema.Int,
  reason: Schema.String,
  event: Schema.Unknown
})

/** What is known without asking the disk. */
interface Entry {
  readonly reason: UndeterminedReason
  readonly attempts: number
  readonly due: number
  readonly pubkey: string
}

export interface RetryView {
  /** All that wait, those in check included. */
  readonly waiting: number
  /** Of those, how many were never checked. */
  readonly unchecked: number
}

export class RetryQueue extends Context.Service<RetryQueue, {
  /** The answer for an event that waits already. */
  readonly find: (id: string) => Effect.Effect<Undetermined | undefined, DatabaseError>
  /** Does any profile of this author wait? */
  readonly hasAuthor: (pubkey: string) => boolean
  /**
   * What to write for an event that is to be checked later; undefined when it is given up, or there is no room. `why`
   * is what its check came to; undefined for one that is handed over unchecked, which is due at once. While the queue is
   * full, whoever was not answered again is given up.
   */
  readonly later: (waiting: Waiting, why: Undetermined | undefined) => Effect.Effect<RecordWrite | undefined>
  /**
   * What to write for one that gives its turn up to others: due in `atLeast` milliseconds or more, spread by chance over as
   * many turns as profiles of its author wait. All else stays as it is.
   */
  readonly postpone: (waiting: Waiting, atLeast: number) => Effect.Effect<RecordWrite>
  readonly forget: (event: Event) => RecordWrite
  /** Tells the queue what has been committed. */
  readonly observe: (operations: ReadonlyArray<Operation>) => void
  /** Profiles that are due, soonest first, without those that `isBusy`. */
  readonly due: (
    max: number,
    busy: ReadonlyMap<string, unknown>
  ) => Effect.Effect<ReadonlyArray<Waiting>, DatabaseError>
  /** Unix milliseconds at which the next one is due that is not `busy`; undefined when there is none. */
  readonly next: (busy: ReadonlyMap<string, unknown>) => Effect.Effect<number | undefined, DatabaseError>
  /** Waits for a change since the last time it was waited for. */
  readonly changed: Effect.Effect<void>
  /** Waits while the queue is full, or too many were never checked. */
  readonly room: Effect.Effect<void>
  readonly view: () => RetryView
}>()("profile-aggregator/aggregation/admission/RetryQueue") {}

/** Before the spread of a fifth either way. */
export const delayOf = (attempts: number): number => doubled(firstDelay, attempts, delayMax)

const entryOf = ({ due, value: stored }: Space.Kept<Space.Value<typeof space>>): Entry | undefined => {
  if (stored === undefined) return undefined
  const { pubkey } = stored.event as Event
  return { reason: stored.reason as UndeterminedReason, attempts: stored.attempts, due: due ?? 0, pubkey }
}

const recordOf = ({ attempts, event, since }: Waiting, reason: UndeterminedReason, due: number): RecordWrite =>
  space.put(event.id, { attempts, since, reason, event }, due)

const isUnchecked = ({ reason }: Entry) => reason === "not checked yet"

const make = Effect.fnUntraced(function*() {
  const database = yield* Database
  const settings = yield* Settings
  const entries = new Map<string, Entry>()
  /** Profiles of each author that wait. */
  const authors = new Map<string, number>()
  let unchecked = 0
  const change = Latch.makeUnsafe(false)
  const roomy = Latch.makeUnsafe(true)

  const tally = (entry: Entry, by: 1 | -1) => {
    const count = (authors.get(entry.pubkey) ?? 0) + by
    if (count > 0) authors.set(entry.pubkey, count)
    else authors.delete(entry.pubkey)
    if (isUnchecked(entry)) unchecked += by
  }

  const put = (id: string, entry: Entry | undefined) => {
    const before = entries.get(id)
    if (before !== undefined) tally(before, -1)
    if (entry === undefined) entries.delete(id)
    else {
      entries.set(id, entry)
      tally(entry, 1)
    }
    if (unchecked < uncheckedMax && entries.size < settings.retriesMax) roomy.openUnsafe()
    else roomy.closeUnsafe()
  }
  for (const kept of yield* space.all(database)) put(kept.key, entryOf(kept))

  /** Is there no place for one that has been asked about so often? */
  const isFull = (id: string, attempts: number) =>
    entries.has(id)
      ? attempts > 0 && entries.size > settings.retriesMax
      : entries.size >= settings.retriesMax + overflowMax

  const dueAt = Effect.fnUntraced(function*(attempts: number, why: Undetermined | undefined) {
    const now = yield* Clock.currentTimeMillis
    if (why === undefined) return now
    const chance = yield* Random.next
    const own = isBelievedPause(why.reason, attempts) ? 0 : spread(delayOf(attempts), chance)
    // Never before the time that was asked for.
    return now + Math.round(Math.max(own, why.retryAfter * (1 + 0.1 * chance)))
  })

  return RetryQueue.of({
    find: Effect.fnUntraced(function*(id) {
      const entry = entries.get(id)
      if (entry === undefined) return undefined
      // A write whose caller was interrupted may not have happened.
      if ((yield* space.get(database, id)) === undefined) {
        put(id, undefined)
        return undefined
      }
      const now = yield* Clock.currentTimeMillis
      return { _tag: "Undetermined", reason: entry.reason, retryAfter: Math.max(0, entry.due - now) }
    }),

    hasAuthor: (pubkey) => authors.has(pubkey),

    later: Effect.fnUntraced(function*({ attempts, event, since }, why) {
      if (attempts >= attemptsMax || isFull(event.id, attempts)) return undefined
      return recordOf({ attempts, event, since }, why?.reason ?? "not checked yet", yield* dueAt(attempts, why))
    }),

    postpone: Effect.fnUntraced(function*(waiting, atLeast) {
      const { id, pubkey } = waiting.event
      const turns = Math.floor((authors.get(pubkey) ?? 0) * (yield* Random.next))
      const due = (yield* Clock.currentTimeMillis) + atLeast + turns * turnMillis
      return recordOf(waiting, entries.get(id)?.reason ?? "not checked yet", due)
    }),

    forget: ({ id }) => space.drop(id),

    observe: (operations) => {
      for (const operation of operations) {
        const written = space.written(operation)
        if (written === undefined) continue
        put(written.key, entryOf(written))
        change.openUnsafe()
      }
    },

    due: Effect.fnUntraced(function*(max, busy) {
      const now = yield* Clock.currentTimeMillis
      const due = yield* space.due(database, now, max + busy.size)
      return due.flatMap(({ key, value: stored }): ReadonlyArray<Waiting> => {
        if (stored === undefined || busy.has(key)) return []
        return [{ event: stored.event as Event, attempts: stored.attempts, since: stored.since }]
      }).slice(0, max)
    }),

    next: Effect.fnUntraced(function*(busy) {
      const records = yield* space.due(database, Number.MAX_SAFE_INTEGER, 1 + busy.size)
      return records.find(({ key }) => !busy.has(key))?.due ?? undefined
    }),

    changed: Effect.andThen(change.await, Effect.sync(() => change.closeUnsafe())),
    room: roomy.await,
    view: () => ({ waiting: entries.size, unchecked })
  })
})

export const layer: Layer.Layer<RetryQueue, DatabaseError, Database | Settings> = Layer.effect(
  RetryQueue,
  make()
)
