/**
 * What paging by `created_at` misses: the ids that an upstream holds and we do not, found by comparing both sides (NIP-77).
 *
 * Once a day, after the pages, from the newest to the oldest: one window of time after the other, each with no more items
 * than a message or ten can tell apart. The ids that are missing here are asked for by id and go the way of every page.
 * Whether an upstream can do this shows in its answer; one that cannot is left alone for a week. Nothing here ends a
 * connection that still brings pages. Where a pass has got to is written with the events that it found.
 */
import { Clock, Duration, Effect, Option, Schema } from "effect"
import { hash } from "node:crypto"
import { Database, type DatabaseError, type RecordWrite } from "../../database/Database.ts"
import { canonical, type Event } from "../../domain/Event.ts"
import type { Interval } from "../../domain/HarvestWindow.ts"
import { ItemSet } from "../../domain/negentropy/ItemSet.ts"
import { Initiator, type InitiatorProblem } from "../../domain/negentropy/Session.ts"
import type { SortedItems } from "../../domain/negentropy/SortedItems.ts"
import type { AdmissionOutcome } from "../admission/Admission.ts"
import { RetryQueue } from "../admission/RetryQueue.ts"
import * as Space from "../Space.ts"
import type { PagedConnection } from "../upstream/PagedConnection.ts"
import * as Refusal from "../upstream/Refusal.ts"
import { UpstreamError } from "../upstream/UpstreamError.ts"
import type { Progress } from "./HarvestStatus.ts"
import type { Admit } from "./PageAdmission.ts"
import * as UnwantedIds from "./UnwantedIds.ts"

/** From the beginning of one pass to that of the next. */
export const period = Duration.hours(24)

/** For how long an upstream is left alone that cannot reconcile. */
export const pauseUnable = Duration.days(7)
/** The same for one that could before. */
export const pauseFailed = Duration.hours(1)

/** Items of ours that one window is to hold, about. */
export const windowItemsMax = 20_000

/** Seconds below which no window is cut, however many differences it has. */
const windowSecondsMin = 3600

/** Differences of one window, and messages of the upstream about it, before it is cut in two. */
const [foundMax, roundsMax] = [20_000, 100]

/** From the first message about a window to the last. */
const windowDeadline = Duration.minutes(2)

/** Bytes of a message: as hex in a frame it stays below the 131,072 that many relays take at most. */
const frameBytesMax = 48_000

/** Ids asked for at a time: some 17 kB of a frame, and no more events than relays answer with. */
export const idsMax = 250

/** Items put in order between two breaths. */
const itemsPerSlice = 1000

/** Where a pass has got to, by upstream. */
export const space = Space.versioned("negentropy", {
  /** Unix seconds up to which the pass has yet to go; null when it is over. */
  until: Schema.NullOr(Schema.Int),
  /** Unix milliseconds of its beginning, and before which nothing is to be asked. */
  begunAt: Schema.Int,
  retryAt: Schema.Int,
  /** It has answered in the language of NIP-77 before. */
  isAble: Schema.Boolean
})
type Stored = Space.Value<typeof space>

const blank: Stored = { until: null, begunAt: 0, retryAt: 0, isAble: false }

/** How a comparison ended. */
type End =
  | { readonly _tag: "Done" }
  | { readonly _tag: "Problem"; readonly problem: InitiatorProblem }
  | { readonly _tag: "Refused"; readonly reason: string }
  | { readonly _tag: "Silent" }

/** The window is too large, rather than the upstream unable. */
const isTooMuch = (end: End): boolean =>
  end._tag === "Problem"
    ? end.problem === "too many rounds" || end.problem === "too many differences"
    : end._tag === "Refused" && Refusal.isTooMuch(end.reason)

const reasonOf = (end: End): string =>
  end._tag === "Problem" ? end.problem : end._tag === "Refused" ? end.reason : "no answer"

const sha256 = (bytes: Uint8Array): Uint8Array => hash("sha256", bytes, "buffer")

const reading = <A>(read: Effect.Effect<A, DatabaseError>) =>
  Effect.mapError(read, () => new UpstreamError({ reason: "ours", detail: "storage is unavailable" }))

export interface Options {
  readonly connection: PagedConnection
  readonly admit: Admit
  readonly progress: Progress
  readonly kinds: ReadonlyArray<number>
  /** All that is to be compared, as of now. */
  readonly window: Effect.Effect<Interval>
}

export interface Reconciliation {
  /** Compares one window, where a pass is due; answers whether there is more to do now. */
  readonly step: Effect.Effect<boolean, UpstreamError>
}

/** What we hold of some time, or have seen and do not want. */
interface Window {
  readonly since: number
  readonly until: number
  readonly items: SortedItems
}

/** Not wanted, whoever offers it. */
const isUnwanted = ({ _tag }: AdmissionOutcome): boolean =>
  _tag === "Rejected" || _tag === "Superseded" || _tag === "Deleted" || _tag === "Expired" ||
  _tag === "TooManyRemovals"

/**
 * Some refusals come before the signature is checked. All of them are about what the event says, so whatever has this id
 * would be refused; but only if it is the id of what it says.
 */
const isItsId = (event: Event): boolean => hash("sha256", canonical(event)) === event.id

export const make = Effect.fnUntraced(function*({ admit, connection, kinds, progress, window }: Options) {
  const { url } = progress
  const database = yield* Database
  const queue = yield* RetryQueue
  const unwanted = yield* UnwantedIds.make()
  let state: Stored | undefined
  /** Seconds of the next window, at most: less once one had too many differences. */
  let span = Number.POSITIVE_INFINITY

  const load = Effect.gen(function*() {
    return (yield* reading(space.get(database, url)))?.value ?? blank
  })

  const remember = (next: Stored): RecordWrite => {
    state = next
    return space.put(url, next)
  }

  /** The time before `until` that holds about `windowItemsMax` items. */
  const gather = Effect.fnUntraced(function*(floor: number, until: number) {
    const lowest = Math.max(floor, until - span + 1)
    const filter = { kinds, since: lowest, until }
    const { complete, ids, timestamps } = yield* database.items(filter, { itemsMax: windowItemsMax })
    const oldest = timestamps.at(-1) ?? until
    // The oldest second may not be whole, unless it is the only one.
    let since = complete ? lowest : oldest < until ? oldest + 1 : oldest
    const items = new ItemSet()
    const insert = Effect.fnUntraced(function*(count: number, put: (n: number) => void) {
      for (let n = 0; n < count; n++) {
        if (n % itemsPerSlice === itemsPerSlice - 1) yield* Effect.yieldNow
        put(n)
      }
    })
    const bytes = Buffer.from(ids.buffer, ids.byteOffset, ids.byteLength)
    yield* insert(timestamps.length, (n) => {
      const timestamp = timestamps[n] ?? 0
      if (timestamp >= since) items.insert(timestamp, bytes.subarray(n * 32, n * 32 + 32))
    })
    for (let day = UnwantedIds.dayOf(until); day >= UnwantedIds.dayOf(since); day--) {
      const begin = day * UnwantedIds.daySeconds
      const seen = (yield* unwanted.of(day)).filter(({ created_at }) => created_at >= since && created_at <= until)
      // What was refused counts as well, so the window may have to end before this day.
      const isFull = items.size + seen.length > 2 * windowItemsMax
      if (isFull && day < UnwantedIds.dayOf(until)) {
        since = begin + UnwantedIds.daySeconds
        break
      }
      yield* insert(seen.length, (n) => {
        const item = seen[n]
        if (item !== undefined) items.insert(item.created_at, Buffer.from(item.id, "hex"))
      })
    }
    const found: Window = { since, until, items: items.snapshot().between(since, until) }
    return found
  })

  /** Compares; `need` is filled with the ids that only the upstream has. */
  const compare = Effect.fnUntraced(function*({ items, since, until }: Window, need: Array<string>) {
    const initiator = new Initiator(items, { frameBytesMax, sha256, roundsMax, foundMax })
    let answer = yield* connection.negotiate({ kinds, since, until }, initiator.open())
    while (answer._tag === "Message") {
      const slices = initiator.receive(answer.bytes)
      let slice = slices.next()
      while (slice.done !== true) {
        for (const id of slice.value.need) need.push(id)
        yield* Effect.yieldNow
        slice = slices.next()
      }
      if (slice.value._tag !== "Message") {
        yield* connection.endNegotiation
        return slice.value satisfies End
      }
      answer = yield* connection.negotiateOn(slice.value.bytes)
    }
    return answer satisfies End
  })

  /** Asks for events by id, and has them judged. Answers what is not worth asking for again. */
  const fetch = Effect.fnUntraced(function*(need: ReadonlyArray<string>) {
    const refused: Array<UnwantedIds.Item> = []
    const wanted = yield* Effect.filter(
      need,
      (id) => Effect.map(reading(queue.find(id)), (waiting) => waiting === undefined)
    )
    for (let from = 0; from < wanted.length; from += idsMax) {
      const ids = wanted.slice(from, from + idsMax)
      const asked = new Set(ids)
      const answer = yield* connection.page({ ids, limit: ids.length })
      const fresh = new Map<string, Event>()
      for (const { event, id } of answer.events) {
        if (event !== undefined && asked.has(id) && kinds.includes(event.kind)) fresh.set(id, event)
      }
      progress.dropped += answer.events.length - fresh.size
      const events = [...fresh.values()]
      const outcomes = yield* admit(events, [])
      for (const [n, outcome] of outcomes.entries()) {
        const event = events[n]
        if (event === undefined) continue
        if (outcome._tag === "Saved") progress.missed++
        if (isUnwanted(outcome) && isItsId(event)) refused.push(event)
      }
    }
    return refused
  })

  const pause = (from: Stored, wait: Duration.Duration) =>
    Effect.map(Clock.currentTimeMillis, (now): Stored => ({ ...from, retryAt: now + Duration.toMillis(wait) }))

  /** Where a pass goes after a window. */
  const after = Effect.fnUntraced(function*(from: Stored, { since, until }: Window, end: End, floor: number) {
    if (end._tag === "Done" || isTooMuch(end)) {
      const isCut = end._tag !== "Done" && until - since >= windowSecondsMin
      span = isCut ? Math.ceil((until - since + 1) / 2) : span * 2
      return { ...from, isAble: true, until: isCut ? until : since > floor ? since - 1 : null } satisfies Stored
    }
    yield* Effect.logInfo("upstream does not reconcile").pipe(
      Effect.annotateLogs({ upstream: url, reason: reasonOf(end), didBefore: from.isAble })
    )
    return yield* pause(from, from.isAble ? pauseFailed : pauseUnable)
  })

  const takeWindow = Effect.fnUntraced(function*(from: Stored, floor: number, until: number) {
    const found = yield* reading(gather(floor, until))
    const need: Array<string> = []
    const compared = yield* Effect.timeoutOption(compare(found, need), windowDeadline)
    const end: End = Option.getOrElse(compared, () => ({ _tag: "Silent" }))
    if (end._tag === "Silent") yield* connection.endNegotiation
    const next = yield* after(from, found, end, floor)
    const refused = yield* fetch(need)
    const records = yield* reading(unwanted.add(refused))
    progress.reconciles = next.isAble ? "yes" : "no"
    yield* admit([], [...records, remember(next)])
    if (need.length > 0) {
      yield* Effect.logInfo("reconciled with upstream").pipe(
        Effect.annotateLogs({ upstream: url, since: found.since, until, missing: need.length, refused: refused.length })
      )
    }
    return next.retryAt === from.retryAt && next.until !== null
  })

  const step = Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    const current = state ?? (yield* load)
    state = current
    progress.reconciles = current.isAble ? "yes" : current.retryAt > 0 ? "no" : "unknown"
    if (now < current.retryAt) return false
    if (progress.isReconciling) {
      // The last connection ended in the middle of it: that must not happen again as soon as there is another.
      yield* admit([], [remember(yield* pause(current, current.isAble ? pauseFailed : pauseUnable))])
      progress.isReconciling = false
      return false
    }
    const isOver = current.until === null
    if (isOver && now < current.begunAt + Duration.toMillis(period)) return false
    const [floor, newest] = yield* window
    const begun: Stored = isOver ? { ...current, begunAt: now, until: newest } : current
    progress.isReconciling = true
    const more = yield* takeWindow(begun, floor, begun.until ?? newest)
    progress.isReconciling = false
    return more
  })
  const reconciliation: Reconciliation = { step }
  return reconciliation
})
