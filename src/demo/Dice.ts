/** Chance that repeats itself: the same seed throws the same numbers, on every machine. */

export interface Dice {
  /** At least 0, below 1. */
  readonly fraction: () => number
  /** A whole number, both ends inclusive. */
  readonly between: (minimum: number, maximum: number) => number
  /** True so often, out of 1. */
  readonly chance: (probability: number) => boolean
  readonly pick: <A>(list: readonly [A, ...ReadonlyArray<A>]) => A
  /** The list in another order. */
  readonly shuffle: <A>(list: ReadonlyArray<A>) => ReadonlyArray<A>
}

export const make = (seed: number): Dice => {
  let state = seed | 0
  // "mulberry32": 32 bits of state, which is plenty for a few thousand made-up people.
  const fraction = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const between = (minimum: number, maximum: number) => minimum + Math.floor(fraction() * (maximum - minimum + 1))
  return {
    fraction,
    between,
    chance: (probability) => fraction() < probability,
    pick: (list) => list[between(0, list.length - 1)] ?? list[0],
    shuffle: <A>(list: ReadonlyArray<A>) => {
      // Fisher and Yates: each place, from the last one down, gets one of those that are left.
      const shuffled = [...list]
      for (let last = shuffled.length - 1; last > 0; last--) {
        const chosen = between(0, last)
        const moved = shuffled[last] as A
        shuffled[last] = shuffled[chosen] as A
        shuffled[chosen] = moved
      }
      return shuffled
    }
  }
}
