import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import { addSum, fingerprintOf, subtractSum, type Sum, zeroSum } from "../../../src/domain/negentropy/Fingerprint.ts"
import { ItemSet } from "../../../src/domain/negentropy/ItemSet.ts"
import type { Bound } from "../../../src/domain/negentropy/Message.ts"
import type { SortedItems } from "../../../src/domain/negentropy/SortedItems.ts"
import { dice, idOf, type Item, itemsOf, setOf, sha256 } from "./sets.ts"

/** The slow, obvious oracle: hex text orders as bytes do. */
interface Entry {
  readonly timestamp: number
  readonly id: string
}
const entryOf = ({ id, timestamp }: Item): Entry => ({ timestamp, id: id.toHex() })
const isLess = (a: Entry, b: Entry) => a.timestamp < b.timestamp || (a.timestamp === b.timestamp && a.id < b.id)
const inOrder = (entries: Iterable<Entry>) => [...entries].toSorted((a, b) => isLess(a, b) ? -1 : 1)

const listed = (items: SortedItems): ReadonlyArray<Entry> =>
  Array.from({ length: items.size }, (_, i) => ({ timestamp: items.timestampAt(i), id: items.idAt(i).toHex() }))

const modulus = 2n ** 256n
const littleEndian = (id: string): bigint => BigInt(`0x${Uint8Array.fromHex(id).toReversed().toHex()}`)

const slowFingerprint = (entries: ReadonlyArray<Entry>): string => {
  const sum = entries.reduce((sum, { id }) => (sum + littleEndian(id)) % modulus, 0n)
  const digits: Array<number> = []
  for (let n = entries.length; n > 0 || digits.length === 0; n >>>= 7) {
    digits.unshift((n & 127) | (digits.length && 128))
  }
  const bytes = Uint8Array.fromHex(sum.toString(16).padStart(64, "0")).toReversed()
  return sha256(Uint8Array.of(...bytes, ...digits)).subarray(0, 16).toHex()
}

const slowLowerBound = (entries: ReadonlyArray<Entry>, { id, timestamp }: Bound): number =>
  entries.filter((entry) => isLess(entry, { timestamp, id: id.toHex() })).length

const seedArbitrary = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000_000 })))

/** Few timestamps, and ids that share their first bytes, so that order is decided in every place. */
const itemOf = (roll: (below: number) => number): Item => {
  const id = idOf(1, roll(4000))
  id.fill(0, 0, [0, 0, 1, 31][roll(4)])
  return { timestamp: [3, 40, 10_000][roll(3)] === 3 ? roll(3) : roll(10_000), id }
}

/** Compares everything that can be asked, in a hundred places. */
const assertSame = (items: SortedItems, entries: ReadonlyArray<Entry>, roll: (below: number) => number) => {
  assert.deepStrictEqual(listed(items), entries)
  assert.strictEqual(items.fingerprint(0, items.size, sha256).toHex(), slowFingerprint(entries))
  for (let n = 0; n < 30; n++) {
    const from = roll(entries.length + 1)
    const to = from + roll(entries.length + 1 - from)
    assert.strictEqual(items.fingerprint(from, to, sha256).toHex(), slowFingerprint(entries.slice(from, to)))
    const { id, timestamp } = itemOf(roll)
    const bound = { timestamp, id: id.subarray(0, roll(33)) }
    assert.strictEqual(items.lowerBound(bound, 0), slowLowerBound(entries, bound))
    assert.strictEqual(items.lowerBound(bound, from), Math.max(from, slowLowerBound(entries, bound)))
    if (from > 0 && from < entries.length) {
      const between = items.boundAt(from)
      assert.strictEqual(slowLowerBound(entries, between), from)
      const shorter = { timestamp: between.timestamp, id: between.id.subarray(0, -1) }
      if (between.id.length > 0) assert.isBelow(slowLowerBound(entries, shorter), from)
    }
  }
}

const sumOf = (n: bigint): Sum => {
  const words = zeroSum()
  for (let k = 0; k < 8; k++) words[k] = Number((n >> BigInt(32 * k)) & 0xffff_ffffn)
  return words
}

describe("Fingerprint", () => {
  it("carries from the first word into the last, and out of it", () => {
    const sum = sumOf(modulus - 1n)
    addSum(sum, sumOf(1n))
    assert.deepStrictEqual(sum, zeroSum())
    subtractSum(sum, sumOf(1n))
    assert.deepStrictEqual(sum, sumOf(modulus - 1n))
  })

  it("of nothing is the hash of a zero sum and a zero count", () => {
    const hash = sha256(new Uint8Array(33)).subarray(0, 16)
    assert.deepStrictEqual(fingerprintOf(zeroSum(), 0, sha256), hash)
    assert.deepStrictEqual(new ItemSet().snapshot().fingerprint(0, 0, sha256), hash)
  })

  it("sums ids that are all ones", () => {
    const set = new ItemSet()
    const id = new Uint8Array(32).fill(255)
    for (let timestamp = 0; timestamp < 1000; timestamp++) set.insert(timestamp, id)
    const entries = Array.from({ length: 1000 }, (_, timestamp) => ({ timestamp, id: id.toHex() }))
    assert.strictEqual(set.snapshot().fingerprint(1, 1000, sha256).toHex(), slowFingerprint(entries.slice(1)))
  })
})

describe("ItemSet", () => {
  it.effect.prop(
    "holds what a sorted list would, through inserts and deletes, and snapshots stay as they were",
    { seed: seedArbitrary },
    ({ seed }) =>
      Effect.sync(() => {
        const roll = dice(seed)
        const set = new ItemSet()
        const model = new Map<string, Entry>()
        const snapshots: Array<readonly [SortedItems, ReadonlyArray<Entry>]> = []
        // Grows, shrinks and grows again, so that blocks split, join and vanish.
        for (const [steps, deletes] of [[1500, 1], [1500, 9], [800, 3], [1500, 10]] as const) {
          for (let n = 0; n < steps; n++) {
            const isDelete = roll(10) < deletes
            const known = isDelete && roll(8) > 0 ? [...model.values()][roll(model.size)] : undefined
            const item = known === undefined ? itemOf(roll) : { ...known, id: Uint8Array.fromHex(known.id) }
            const entry = entryOf(item)
            const key = `${entry.timestamp} ${entry.id}`
            if (isDelete) assert.strictEqual(set.delete(item.timestamp, item.id), model.delete(key))
            else {
              assert.strictEqual(set.insert(item.timestamp, item.id), !model.has(key))
              model.set(key, entry)
            }
            assert.strictEqual(set.size, model.size)
            if (roll(500) === 0) snapshots.push([set.snapshot(), inOrder(model.values())])
          }
          snapshots.push([set.snapshot(), inOrder(model.values())])
        }
        for (const [items, entries] of snapshots) assertSame(items, entries, roll)
      }),
    { arbitrary: { runs: 8 }, timeout: 60_000 }
  )

  const items = itemsOf(5, 3000, 1000)
  const sorted = inOrder(items.map(entryOf)).map(({ id, timestamp }) => ({ timestamp, id: Uint8Array.fromHex(id) }))
  for (const [order, given] of [["ascending", sorted], ["descending", sorted.toReversed()]] as const) {
    it(`takes items in ${order} order`, () => {
      assertSame(setOf(given).snapshot(), sorted.map(entryOf), dice(1))
    })
  }

  it("is empty again when everything was deleted", () => {
    const set = setOf(items)
    for (const { id, timestamp } of items) assert.isTrue(set.delete(timestamp, id))
    assert.strictEqual(set.size, 0)
    assert.deepStrictEqual(listed(set.snapshot()), [])
    assert.isTrue(set.insert(1, idOf(1, 1)))
    assert.strictEqual(set.snapshot().size, 1)
  })

  it("joins a small block with its neighbour only where both fit into one", () => {
    // Three full blocks, of which the middle one shrinks first.
    const set = setOf(sorted.slice(0, 768))
    const left = new Map(sorted.slice(0, 768).map((item) => [item.id.toHex(), item]))
    const roll = dice(2)
    for (const [from, to] of [[260, 512], [10, 250], [600, 768]] as const) {
      for (const item of sorted.slice(from, to)) {
        assert.isTrue(set.delete(item.timestamp, item.id))
        left.delete(item.id.toHex())
      }
      assertSame(set.snapshot(), [...left.values()].map(entryOf), roll)
    }
  })

  const shuffled = itemsOf(6, 20_000, 100_000_000)
  const ascending = shuffled.toSorted((a, b) => a.timestamp - b.timestamp)
  const orders = [["ascending", ascending, 45], ["descending", ascending.toReversed(), 45], [
    "any",
    shuffled,
    85
  ]] as const
  for (const [order, given, bytesMax] of orders) {
    it(`takes at most ${bytesMax} bytes of memory for an item that comes in ${order} order`, () => {
      const before = process.memoryUsage().arrayBuffers
      const set = setOf(given)
      assert.isAtMost((process.memoryUsage().arrayBuffers - before) / set.size, bytesMax)
    })
  }

  it("hands out the same snapshot until it changes", () => {
    const set = setOf(items)
    const before = set.snapshot()
    assert.isFalse(set.insert(sorted[0]?.timestamp ?? 0, sorted[0]?.id ?? new Uint8Array(32)))
    assert.isFalse(set.delete(1, idOf(9, 9)))
    assert.strictEqual(set.snapshot(), before)
    set.insert(1, idOf(9, 9))
    assert.notStrictEqual(set.snapshot(), before)
  })

  it("keeps a copy of the id", () => {
    const set = new ItemSet()
    const id = idOf(1, 1)
    set.insert(1, id)
    id.fill(0)
    assert.deepStrictEqual(set.snapshot().idAt(0), idOf(1, 1))
  })

  it("refuses what is no item", () => {
    const set = new ItemSet()
    for (const timestamp of [-1, 0.5, Infinity, NaN, 2 ** 53]) {
      assert.throws(() => set.insert(timestamp, idOf(1, 1)), "not an item")
    }
    assert.throws(() => set.insert(1, new Uint8Array(31)), "not an item")
    assert.isTrue(set.insert(Number.MAX_SAFE_INTEGER, idOf(1, 1)))
    assert.isTrue(set.insert(0, idOf(1, 1)))
  })
})

describe("SortedItems.between", () => {
  it.effect.prop(
    "is the items of a window, both ends inclusive",
    { seed: seedArbitrary },
    ({ seed }) =>
      Effect.sync(() => {
        const roll = dice(seed)
        const items = itemsOf(seed, roll(1500), 50)
        const since = 1_600_000_000 - 5 + roll(60)
        const until = since - 2 + roll(40)
        const inside = (entry: Entry) => entry.timestamp >= since && entry.timestamp <= until
        const entries = inOrder(items.map(entryOf).filter(inside))
        const window = setOf(items).snapshot().between(since, until)
        assertSame(window, entries, roll)
        const narrower = window.between(since + 1, Infinity)
        assertSame(narrower, entries.filter(({ timestamp }) => timestamp > since), roll)
      }),
    { arbitrary: { runs: 20 } }
  )
})
