/**
 * What filters find, ready to be reconciled (NIP-77): sets that several clients share, and that follow the store.
 *
 * A set is filled by a read on another thread and entered in slices; from then on every commit that matches is added as it
 * comes. What leaves the store is not announced one by one, so a set that may have lost something is filled again when it
 * is next asked for: at once where that is quick, otherwise after ten times as long as it took.
 */
import { Clock, Deferred, Effect, Exit, PubSub, Semaphore } from "effect"
import { type Commit, Database, type DatabaseError, type Items } from "../../database/Database.ts"
import { expirationOf, isAddressable, isEphemeral, isReplaceable } from "../../domain/Event.ts"
import { type Filter, matches } from "../../domain/Filter.ts"
import { isRemoval, keptKinds } from "../../domain/Kinds.ts"
import { ItemSet } from "../../domain/negentropy/ItemSet.ts"
import type { SortedItems } from "../../domain/negentropy/SortedItems.ts"
import { isPrivate, mayRead, type Readers } from "../../domain/PrivateMessage.ts"
import { inSlices } from "../../lifecycle/Slice.ts"
import { Supervisor } from "../../lifecycle/Supervisor.ts"

/** Sets that are kept. */
const setsMax = 8

/** Sets that are filled at once; the others wait. */
const fillsMax = 2

/** Milliseconds of work before others get their turn. */
const sliceMillis = 2

/** A set that was filled as fast as that is filled again rather than trusted; milliseconds. */
const quickMillis = 50

/** No set is older; milliseconds. */
const ageMax = 300_000

/** Above so many items, a snapshot is given out again for so many milliseconds. */
const snapshotItems = 50_000
const snapshotMillis = 1000

/** Kinds that most clients reconcile, whatever window of time they ask for: one set each serves all of them. */
const commonKinds: ReadonlySet<number> = new Set(keptKinds)

/** One filter's set. Times in Unix milliseconds. */
interface Kept {
  readonly filter: Filter
  readonly readers: Readers
  readonly set: ItemSet
  /** When the set is all there; commits are added before that, too. */
  readonly filled: Deferred.Deferred<void, DatabaseError>
  /** There is more in the store than a set may hold. */
  isTooBig: boolean
  /** When the store was read. */
  readAt: number
  /** How long filling took. */
  fillMillis: number
  /** Something may have left the store since. */
  isDirty: boolean
  /** Unix seconds from which one of the items must not be served any more. */
  expiresAt: number
  snapshot: { readonly items: SortedItems; readonly at: number } | undefined
}

/** What a filter finds, or that it is more than the relay reconciles. */
export type Found = SortedItems | "too big"

export interface ItemSets {
  readonly find: (filter: Filter, readers: Readers) => Effect.Effect<Found, DatabaseError>
  /** Forgets all sets: something was removed from the store on an operator's word. */
  readonly clear: () => void
}

/** A filter whose window of time can be cut out of a set that is shared by all windows. */
const isCommon = ({ kinds, since: _since, until: _until, ...rest }: Filter): boolean =>
  kinds?.length === 1 && kinds.every((kind) => commonKinds.has(kind)) && Object.keys(rest).length === 0

/** Whoever reads private messages has sets of their own. */
const isPersonal = ({ kinds }: Filter): boolean => kinds === undefined || kinds.some(isPrivate)

const keyOf = ({ tags, ...rest }: Filter, readers: Readers): string =>
  JSON.stringify([rest, tags === undefined ? null : [...tags], isPersonal(rest) ? [...readers].toSorted() : null])

/** May a commit have pushed something out of the set? */
const removes = ({ event: { kind } }: Commit): boolean => isRemoval(kind) || isReplaceable(kind) || isAddressable(kind)

/** A good set is one that holds what the store does, as far as that can be known without reading it. */
const isGood = ({ expiresAt, fillMillis, isDirty, readAt }: Kept, now: number): boolean => {
  const age = now - readAt
  if (age > ageMax || now >= 1000 * expiresAt) return false
  return !isDirty || (fillMillis > quickMillis && age < 10 * fillMillis)
}

const snapshotOf = (entry: Kept, now: number): SortedItems => {
  const { set, snapshot } = entry
  if (snapshot !== undefined && set.size > snapshotItems && now - snapshot.at < snapshotMillis) return snapshot.items
  const items = set.snapshot()
  entry.snapshot = { items, at: now }
  return items
}

/** A commit, added where it matches. */
const follow = (entry: Kept, commit: Commit, itemsMax: number): void => {
  const { event } = commit
  if (isRemoval(event.kind)) entry.isDirty = true
  if (entry.isTooBig || !matches(entry.filter, event) || !mayRead(event, entry.readers)) return
  if (removes(commit)) entry.isDirty = true
  if (entry.filter.limit !== undefined) {
    // Which one leaves the newest few for it, only a read can tell.
    entry.isDirty = true
    return
  }
  entry.set.insert(event.created_at, Buffer.from(event.id, "hex"))
  entry.expiresAt = Math.min(entry.expiresAt, expirationOf(event) ?? Infinity)
  entry.isTooBig = entry.set.size > itemsMax
}

/** Enters what a read has found, in pieces. */
function* entering(entry: Kept, { ids, timestamps }: Items) {
  for (let i = 0; !entry.isTooBig && i < timestamps.length; i++) {
    entry.set.insert(timestamps[i] ?? 0, ids.subarray(32 * i, 32 * i + 32))
    if (i % 128 === 127) yield
  }
}

export const make = Effect.fnUntraced(function*(itemsMax: () => number) {
  const database = yield* Database
  const supervisor = yield* Supervisor
  const scope = yield* Effect.scope
  const permits = yield* Semaphore.make(fillsMax)
  /** In the order of their last use. */
  const kept = new Map<string, Kept>()

  const fill = (entry: Kept) =>
    permits.withPermit(Effect.gen(function*() {
      entry.readAt = yield* Clock.currentTimeMillis
      const found = yield* database.items(entry.filter, {
        itemsMax: itemsMax(),
        readers: [...entry.readers]
      })
      entry.isTooBig ||= !found.complete
      entry.expiresAt = Math.min(entry.expiresAt, found.expiresAt)
      yield* inSlices(entering(entry, found), sliceMillis)
      entry.fillMillis = (yield* Clock.currentTimeMillis) - entry.readAt
    }))

  const start = Effect.fnUntraced(function*(key: string, filter: Filter, readers: Readers) {
    const entry: Kept = {
      filter,
      // Keys that are proved later make another set.
      readers: new Set(readers),
      set: new ItemSet(),
      filled: Deferred.makeUnsafe<void, DatabaseError>(),
      isTooBig: false,
      readAt: yield* Clock.currentTimeMillis,
      fillMillis: 0,
      isDirty: false,
      expiresAt: Infinity,
      snapshot: undefined
    }
    kept.set(key, entry)
    for (const old of kept.keys()) {
      if (kept.size <= setsMax) break
      kept.delete(old)
    }
    // In the component's scope: whoever asked first may leave, and others wait for the same set.
    yield* fill(entry).pipe(
      Effect.onExit((exit) => {
        if (Exit.isFailure(exit) && kept.get(key) === entry) kept.delete(key)
        return Deferred.done(entry.filled, exit)
      }),
      Effect.forkIn(scope, { startImmediately: true })
    )
    return entry
  })

  const take = Effect.fnUntraced(function*(filter: Filter, readers: Readers) {
    const key = keyOf(filter, readers)
    const asked = yield* Clock.currentTimeMillis
    for (;;) {
      const entry = kept.get(key) ?? (yield* start(key, filter, readers))
      if (kept.delete(key)) kept.set(key, entry)
      yield* Deferred.await(entry.filled)
      // What was read after the question is always an answer, or a busy store would be read for ever.
      if (entry.readAt >= asked || isGood(entry, yield* Clock.currentTimeMillis)) return entry
      if (kept.get(key) === entry) kept.delete(key)
    }
  })

  const find = Effect.fnUntraced(function*(filter: Filter, readers: Readers): Effect.fn.Return<Found, DatabaseError> {
    if (isCommon(filter)) {
      const { kinds, since = 0, until = Number.MAX_SAFE_INTEGER - 1 } = filter
      const entry = yield* take(kinds === undefined ? {} : { kinds }, readers)
      const now = yield* Clock.currentTimeMillis
      if (!entry.isTooBig) return snapshotOf(entry, now).between(since, until)
    }
    const entry = yield* take(filter, readers)
    return entry.isTooBig ? "too big" : snapshotOf(entry, yield* Clock.currentTimeMillis)
  })

  const commits = yield* database.commits
  yield* supervisor.fork(
    "websocket/item sets",
    Effect.gen(function*() {
      while (true) {
        for (const batch of yield* PubSub.takeAll(commits)) {
          for (const commit of kept.size === 0 ? [] : batch) {
            if (isEphemeral(commit.event.kind)) continue
            for (const entry of kept.values()) follow(entry, commit, itemsMax())
          }
        }
      }
    })
  )
  return { find, clear: () => kept.clear() } satisfies ItemSets
})
