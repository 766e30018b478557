/**
 * Work that may take long on a thread that others need: a generator that yields after each small piece of it is driven for some
 * milliseconds at a time, and whoever else is there has the thread in between.
 */
import { Effect } from "effect"

/** Drives the work until it ends or so many milliseconds are over, by at least one piece. Throws what the work throws. */
export const slice = <A>(work: Iterator<unknown, A, undefined>, millis: number): IteratorResult<unknown, A> => {
  const until = performance.now() + millis
  let step = work.next()
  while (step.done !== true && performance.now() < until) step = work.next()
  return step
}

/** Drives the work to its end. What it throws is a defect. */
export const inSlices = Effect.fnUntraced(function*<A>(work: Iterator<unknown, A, undefined>, millis: number) {
  for (;;) {
    const step = slice(work, millis)
    if (step.done === true) return step.value
    yield* Effect.yieldNow
  }
})
