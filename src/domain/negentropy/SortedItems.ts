/**
 * Items in the order of negentropy, by timestamp, then id, as they were at one moment.
 *
 * Any range's fingerprint costs two searches and the sum of at most one block's ids, however many items lie within.
 */
import { addSum, fingerprintOf, idBytes, type Sha256, subtractSum, type Sum, zeroSum } from "./Fingerprint.ts"
import type { ItemBlock } from "./ItemBlock.ts"
import type { Bound } from "./Message.ts"

/** Blocks in order, and what lies before each of them. */
export interface BlockIndex {
  readonly blocks: ReadonlyArray<ItemBlock>
  /** Items before each block; at the end all of them. */
  readonly starts: Uint32Array
  /** Sums of the ids before each block, eight words each; at the end of all of them. */
  readonly sums: Uint32Array
}

export const indexOf = (blocks: ReadonlyArray<ItemBlock>): BlockIndex => {
  const starts = new Uint32Array(blocks.length + 1)
  const sums = new Uint32Array((blocks.length + 1) * 8)
  const sum = zeroSum()
  let size = 0
  blocks.forEach((block, i) => {
    size += block.count
    addSum(sum, block.sum)
    starts[i + 1] = size
    sums.set(sum, (i + 1) * 8)
  })
  return { blocks, starts, sums }
}

/** Blocks whose first item is before the bound. */
export const blocksBefore = (blocks: ReadonlyArray<ItemBlock>, bound: Bound): number => {
  let low = 0
  let high = blocks.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (blocks[middle]?.isBefore(0, bound) === true) low = middle + 1
    else high = middle
  }
  return low
}

const noId = new Uint8Array(0)

export class SortedItems {
  readonly size: number
  readonly #index: BlockIndex
  /** Where the items start in the index. */
  readonly #offset: number
  /** The block that was asked for last: the next question is mostly about it. */
  #block = 0

  constructor(index: BlockIndex, offset: number, size: number) {
    this.#index = index
    this.#offset = offset
    this.size = size
  }

  /** The items of a time window, both ends inclusive, as in a filter's `since` and `until` (NIP-01). Copies nothing. */
  between(since: number, until: number): SortedItems {
    const from = this.lowerBound({ timestamp: since, id: noId }, 0)
    const to = Math.max(from, this.lowerBound({ timestamp: until + 1, id: noId }, 0))
    return new SortedItems(this.#index, this.#offset + from, to - from)
  }

  /** Items before the bound; `from` where the bound is before that. */
  lowerBound(bound: Bound, from: number): number {
    const { blocks, starts } = this.#index
    const at = Math.max(0, blocksBefore(blocks, bound) - 1)
    const place = (starts[at] ?? 0) + (blocks[at]?.lowerBound(bound) ?? 0) - this.#offset
    return Math.min(Math.max(place, from), this.size)
  }

  /** Of the items from `from` to `to`, exclusive; 16 bytes. */
  fingerprint(from: number, to: number, sha256: Sha256): Uint8Array {
    const sum = this.#sumBefore(to)
    subtractSum(sum, this.#sumBefore(from))
    return fingerprintOf(sum, to - from, sha256)
  }

  /** 32 bytes that stay as they are. */
  idAt(index: number): Uint8Array {
    const at = this.#find(index)
    return this.#index.blocks[at]?.idAt(index + this.#offset - (this.#index.starts[at] ?? 0)) ?? noId
  }

  timestampAt(index: number): number {
    const at = this.#find(index)
    return this.#index.blocks[at]?.timestampAt(index + this.#offset - (this.#index.starts[at] ?? 0)) ?? Infinity
  }

  /** The shortest bound that is behind the item before `index`, and not behind the one at `index`. */
  boundAt(index: number): Bound {
    const timestamp = this.timestampAt(index)
    if (this.timestampAt(index - 1) !== timestamp) return { timestamp, id: noId }
    const id = this.idAt(index)
    const before = this.idAt(index - 1)
    let shared = 0
    while (shared < idBytes - 1 && id[shared] === before[shared]) shared++
    return { timestamp, id: id.subarray(0, shared + 1) }
  }

  /** The block that holds the item. */
  #find(index: number): number {
    const { starts } = this.#index
    const place = index + this.#offset
    const last = this.#block
    if ((starts[last] ?? 0) <= place && place < (starts[last + 1] ?? 0)) return last
    let low = 0
    let high = starts.length - 1
    while (low + 1 < high) {
      const middle = (low + high) >>> 1
      if ((starts[middle] ?? 0) <= place) low = middle
      else high = middle
    }
    this.#block = low
    return low
  }

  #sumBefore(index: number): Sum {
    const { blocks, starts, sums } = this.#index
    const at = this.#find(index)
    const sum = sums.slice(at * 8, at * 8 + 8)
    const block = blocks[at]
    if (block === undefined) return sum
    const within = index + this.#offset - (starts[at] ?? 0)
    if (within <= block.count / 2) {
      block.addTo(sum, 0, within)
      return sum
    }
    // Nearer to the end: the whole block, less what follows.
    addSum(sum, block.sum)
    const rest = zeroSum()
    block.addTo(rest, within, block.count)
    subtractSum(sum, rest)
    return sum
  }
}
