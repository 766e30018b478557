import { assert, describe, it } from "@effect/vitest"
import * as Dice from "../../src/demo/Dice.ts"
import { LruMap } from "../../src/domain/LruMap.ts"

/** The same, with a list. */
class Obvious {
  entries: Array<readonly [number, number]> = []

  take(key: number): number | undefined {
    const found = this.entries.find(([other]) => other === key)
    this.entries = this.entries.filter((entry) => entry !== found)
    return found?.[1]
  }

  set(key: number, value: number, max: number): void {
    this.take(key)
    this.entries = [...this.entries, [key, value] as const].slice(-max)
  }
}

describe("LruMap", () => {
  it("forgets what was used least recently, once it is full", () => {
    const map = new LruMap<string, number>(2)
    map.set("a", 1)
    map.set("b", 2)
    map.get("a")
    map.set("c", 3)
    assert.deepStrictEqual([map.size, map.get("a"), map.get("b"), map.get("c")], [2, 1, undefined, 3])
  })

  it("keeps the latest value, and does not grow by being told twice", () => {
    const map = new LruMap<string, number>(2)
    map.set("a", 1)
    map.set("a", 2)
    assert.deepStrictEqual([map.size, map.get("a")], [1, 2])
  })

  it("does what a list does, whatever is asked of it", () => {
    const dice = Dice.make(1)
    const map = new LruMap<number, number>(7)
    const obvious = new Obvious()
    for (let i = 0; i < 20_000; i++) {
      const key = dice.between(0, 20)
      const what = dice.fraction()
      if (what < 0.1) assert.strictEqual(map.delete(key), obvious.take(key) !== undefined)
      else if (what < 0.5) {
        map.set(key, i)
        obvious.set(key, i, 7)
      } else {
        const value = obvious.take(key)
        if (value !== undefined) obvious.set(key, value, 7)
        assert.strictEqual(map.get(key), value, `step ${i}`)
      }
      assert.strictEqual(map.size, obvious.entries.length)
    }
  })

  it("takes as long when it is full as when it is not", () => {
    const max = 50_000
    const map = new LruMap<number, number>(max)
    const fill = (from: number) => {
      const begun = performance.now()
      for (let key = from; key < from + max; key++) map.set(key, key)
      return performance.now() - begun
    }
    const first = fill(0)
    // By looking for the first key anew each time it took several hundred times as long.
    assert.isBelow(Math.min(fill(max), fill(2 * max)), 40 * first + 40)
  })
})
