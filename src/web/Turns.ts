/**
 * The share of the main thread that pages may have: after each, as much time goes to everything else as it took, so that any
 * number of crawlers leaves half of the thread to clients of the relay.
 */
import { Clock, Effect, Semaphore } from "effect"

/** Pages that are made at a time: one may wait for the store while another is drawn. */
const atOnce = 4

/** Requests that may wait for their turn; further ones are told to come back. */
const waitingMax = 256

export interface Turns {
  /** Runs what makes an answer on this thread; undefined when too many wait already. */
  readonly take: <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<A | undefined, E, R>
}

export const make = Effect.gen(function*() {
  const turn = yield* Semaphore.make(atOnce)
  const scope = yield* Effect.scope
  let waiting = 0

  const rest = (millis: number) =>
    Effect.andThen(Effect.sleep(millis), turn.release(1)).pipe(Effect.onInterrupt(() => turn.release(1)))

  const take: Turns["take"] = (work) =>
    Effect.suspend(() => {
      if (waiting >= waitingMax) return Effect.undefined
      waiting++
      return Effect.uninterruptibleMask((restore) =>
        Effect.gen(function*() {
          yield* Effect.ensuring(restore(turn.take(1)), Effect.sync(() => waiting--))
          const clock = yield* Clock.Clock
          const began = clock.currentTimeNanosUnsafe()
          const exit = yield* Effect.exit(restore(work))
          const millis = Number(clock.currentTimeNanosUnsafe() - began) / 1e6
          // What took longer than any rendering waited for the store, which costs this thread nothing.
          const pause = Math.min(millis, 20)
          if (pause < 1) yield* turn.release(1)
          else yield* Effect.forkIn(rest(pause), scope)
          return yield* exit
        })
      )
    })
  return { take } satisfies Turns
})
