/**
 * How long to leave somebody alone who does not answer: twice as long each time in a row, and not all of them until the same
 * moment. Pure.
 *
 * Effect's `Schedule` drives one effect and counts by itself. Here the count stands in a record or a map, outlives the effect
 * and mostly the process, and is shared by many who ask; so these are functions of it.
 */

/** The `count`-th pause in a row, from 1: `first`, then twice the one before, up to `max`. None for a count of 0. */
export const doubled = (first: number, count: number, max: number): number =>
  count <= 0 ? 0 : Math.min(max, first * 2 ** Math.min(count - 1, 60))

/** A fifth less to a fifth more, by `chance` from 0 to 1: what began together does not end together. */
export const spread = (millis: number, chance: number): number => millis * (0.8 + 0.4 * chance)

/** Up to a fifth less, where the time itself is a bound. */
export const spreadBelow = (millis: number, chance: number): number => millis * (0.8 + 0.2 * chance)
