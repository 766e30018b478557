/** Seeded choices for tests that try many cases: the same seed makes the same case. */
export const randomOf = (seed: number) => {
  let state = seed >>> 0
  /** 0 to `below` - 1. */
  const int = (below: number): number => {
    // A linear congruential generator; its high bits are random enough to choose test cases by.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor(state / 2 ** 32 * below)
  }
  return {
    int,
    chance: (percent: number): boolean => int(100) < percent,
    pick: <A>(values: ReadonlyArray<A>): A => values[int(values.length)]!,
    some: <A>(values: ReadonlyArray<A>, countMax: number): Array<A> =>
      Array.from({ length: int(countMax + 1) }, () => values[int(values.length)]!),
    hex: (length: number): string => Array.from({ length }, () => int(16).toString(16)).join("")
  }
}
export type Random = ReturnType<typeof randomOf>
