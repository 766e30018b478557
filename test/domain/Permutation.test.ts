import { assert, describe, it } from "@effect/vitest"
import { permutation } from "../../src/domain/Permutation.ts"

const all = (n: number, seed: number): ReadonlyArray<number> =>
  Array.from({ length: n }, (_, i) => permutation(n, seed)(i))

describe("a permutation", () => {
  it("has everybody exactly once, at every size", () => {
    for (const n of [1, 2, 3, 4, 5, 15, 16, 17, 63, 64, 65, 255, 256, 257, 1000, 4096, 4097]) {
      for (const seed of [0, 1, 0xffffffff]) {
        const order = all(n, seed)
        assert.strictEqual(new Set(order).size, n, `${n} by ${seed}`)
        assert.isTrue(order.every((value) => Number.isInteger(value) && value >= 0 && value < n), `${n} by ${seed}`)
      }
    }
  })

  it("is the same for the same seed, and another for another", () => {
    assert.deepStrictEqual(all(1000, 7), all(1000, 7))
    const others = all(1000, 7)
    const same = all(1000, 8).filter((value, i) => value === others[i])
    assert.isBelow(same.length, 10)
  })

  it("stays within its size where that is large", () => {
    const n = 2 ** 40 + 1
    const at = permutation(n, 5)
    for (let i = 0; i < 1000; i++) {
      const value = at(n - 1 - i)
      assert.isTrue(Number.isInteger(value) && value >= 0 && value < n)
    }
  })

  it("puts everybody first about as often as anybody else", () => {
    // Chi-squared over 100 seats and 40,000 seeds: 99 degrees of freedom, so 149 is passed by chance once in a thousand.
    const seats = Array.from({ length: 100 }, () => 0)
    for (let seed = 0; seed < 40_000; seed++) seats[permutation(100, seed)(0)]!++
    const chiSquared = seats.reduce((sum, seen) => sum + (seen - 400) ** 2 / 400, 0)
    assert.isBelow(chiSquared, 149)
  })

  it("gives neighbours no order of their own", () => {
    const order = all(10_000, 42)
    const rising = order.filter((value, i) => i > 0 && value > order[i - 1]!).length
    // Of 9,999 pairs half rise: six deviations of 29.
    assert.isBelow(Math.abs(rising - 5000), 175)
  })
})
