/**
 * A few hundred items, in order, in one piece of memory, with the sum of their ids.
 *
 * An item is 40 bytes: its timestamp as a double, then its id. Order is by timestamp, then id (NIP-77).
 */
import { addIds, idBytes, type Sum, zeroSum } from "./Fingerprint.ts"
import type { Bound } from "./Message.ts"

/** Items that a block has room for: sums within a block are made on demand, so this bounds their cost. */
export const blockItemsMax = 256

const itemBytes = 8 + idBytes

export class ItemBlock {
  count = 0
  readonly sum: Sum = zeroSum()
  /** Which edition of the set may change the block; others only read it. */
  readonly edition: number
  readonly #bytes = new Uint8Array(blockItemsMax * itemBytes)
  readonly #view = new DataView(this.#bytes.buffer)

  constructor(edition: number) {
    this.edition = edition
  }

  /** Unix seconds. */
  timestampAt(index: number): number {
    return this.#view.getFloat64(index * itemBytes, true)
  }

  /** 32 bytes, a view that is true until the block changes. */
  idAt(index: number): Uint8Array {
    return this.#bytes.subarray(index * itemBytes + 8, (index + 1) * itemBytes)
  }

  /** Is the item before the bound? */
  isBefore(index: number, { id, timestamp }: Bound): boolean {
    const own = this.timestampAt(index)
    if (own !== timestamp) return own < timestamp
    const start = index * itemBytes + 8
    for (let i = 0; i < id.length; i++) {
      const difference = (this.#bytes[start + i] ?? 0) - (id[i] ?? 0)
      if (difference !== 0) return difference < 0
    }
    // All that follows the prefix is at least zero.
    return false
  }

  /** Items before the bound. */
  lowerBound(bound: Bound): number {
    let low = 0
    let high = this.count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.isBefore(middle, bound)) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Is there an item at `index`, and is it this one? */
  holds(index: number, timestamp: number, id: Uint8Array): boolean {
    if (index >= this.count || this.timestampAt(index) !== timestamp) return false
    const start = index * itemBytes + 8
    for (let i = 0; i < idBytes; i++) if (this.#bytes[start + i] !== id[i]) return false
    return true
  }

  /** `sum +=` the ids from `from` to `to`, exclusive. */
  addTo(sum: Sum, from: number, to: number): void {
    addIds(sum, this.#view, from * itemBytes + 8, itemBytes, to - from)
  }

  /** The block must not be full. */
  insert(index: number, timestamp: number, id: Uint8Array): void {
    const at = index * itemBytes
    this.#bytes.copyWithin(at + itemBytes, at, this.count * itemBytes)
    this.#view.setFloat64(at, timestamp, true)
    this.#bytes.set(id, at + 8)
    this.count += 1
    this.addTo(this.sum, index, index + 1)
  }

  remove(index: number): void {
    const at = index * itemBytes
    this.#bytes.copyWithin(at, at + itemBytes, this.count * itemBytes)
    this.count -= 1
    this.#resum()
  }

  /** Appends items of `other`, from `from` to `to`, exclusive; all of them are behind the own ones. */
  append(other: ItemBlock, from: number, to: number): void {
    this.#bytes.set(other.#bytes.subarray(from * itemBytes, to * itemBytes), this.count * itemBytes)
    other.addTo(this.sum, from, to)
    this.count += to - from
  }

  /** Forgets all items from `count` on. */
  truncate(count: number): void {
    this.count = count
    this.#resum()
  }

  #resum(): void {
    this.sum.fill(0)
    this.addTo(this.sum, 0, this.count)
  }
}
