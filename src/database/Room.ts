/**
 * Whether there is room to write: a full disk is no failure, it is a state that ends.
 *
 * A write that finds no room is rolled back and refused, and nothing more is written until there is clearly some again, so that
 * a disk at its brim does not take some writes and refuse others. Reads go on. It is told when room runs low, when it has run
 * out, and when there is some again.
 */
import { Clock, Duration, Effect, Metric } from "effect"
import { Shutdown } from "../lifecycle/Shutdown.ts"
import { Supervisor } from "../lifecycle/Supervisor.ts"
import { databaseReadOnly } from "../observability/Metrics.ts"

export interface Room {
  /** Why nothing is written now; undefined where writes are taken. */
  readonly lack: () => string | undefined
  /** A write found none. */
  readonly exhausted: Effect.Effect<void>
}

/** Bytes. */
export interface Space {
  readonly free: number
  readonly total: number
}

/** Between two looks. */
const interval = Duration.seconds(5)
/** Between two tries where there is room by the look and none for a write, as under a quota. */
const patienceMax = Duration.minutes(1)

const mebibyte = 1024 * 1024

/** Below so much free, room is low: a warning. Small disks are asked for less. */
const lowAt = ({ total }: Space): number => Math.min(256 * mebibyte, total / 10)
/** From so much on it is not low any more. */
const enoughAt = (space: Space): number => lowAt(space) * 1.5
/** From so much on, writing goes on after it had stopped. */
const resumeAt = ({ total }: Space): number => Math.min(32 * mebibyte, total / 20)

const lacking = "the disk is full"

/** Where there is no disk to run out of. */
export const endless: Room = { lack: () => undefined, exhausted: Effect.void }

/**
 * `look` says what there is, or nothing where nobody knows; `found` is called after each look, but for a first one that finds
 * hardly any.
 */
export const make = Effect.fnUntraced(function*(
  look: Effect.Effect<Space | undefined>,
  found: () => void = () => {}
) {
  const { journal } = yield* Shutdown
  const supervisor = yield* Supervisor
  // Whoever starts where there is hardly any room does not take the rest of it.
  const atStart = yield* look
  let isFull = atStart !== undefined && atStart.free < resumeAt(atStart)
  let isLow = false
  /** Milliseconds: when writing may be tried again, and how long the try after that will have to wait. */
  let retryAt = 0
  let patience = Duration.toMillis(interval)

  const tell = (space: Space | undefined) =>
    Effect.annotateLogs({ component: "database", freeBytes: space?.free, totalBytes: space?.total })

  const close = Effect.gen(function*() {
    yield* Metric.update(databaseReadOnly, 1)
    yield* Effect.logError("the disk is full: nothing is written until there is room, reads go on").pipe(
      tell(yield* look)
    )
  })
  const exhausted = Effect.gen(function*() {
    if (isFull) return
    isFull = true
    retryAt = (yield* Clock.currentTimeMillis) + patience
    patience = Math.min(patience * 2, Duration.toMillis(patienceMax))
    yield* close
  })

  const turn = Effect.gen(function*() {
    const space = yield* look
    if (space === undefined) return
    found()
    const now = yield* Clock.currentTimeMillis
    if (isFull && space.free >= resumeAt(space) && now >= retryAt) {
      isFull = false
      yield* Metric.update(databaseReadOnly, 0)
      yield* Effect.logInfo("there is room on the disk: writing goes on").pipe(tell(space))
    }
    if (!isFull && space.free >= enoughAt(space)) {
      isLow = false
      patience = Duration.toMillis(interval)
    }
    if (!isLow && !isFull && space.free < lowAt(space)) {
      isLow = true
      yield* Effect.logWarning("the disk is filling up").pipe(tell(space))
    }
  })

  if (isFull) yield* close
  else if (atStart !== undefined) found()
  yield* supervisor.fork("database room", Effect.forever(Effect.delay(turn, interval)))
  const lack = () => isFull ? lacking : undefined
  yield* Effect.acquireRelease(
    Effect.sync(() => journal.impairments.set("database", () => isFull ? `read-only: ${lacking}` : undefined)),
    () => Effect.sync(() => journal.impairments.delete("database"))
  )
  return { lack, exhausted } satisfies Room
})
