/**
 * One turn of a reconciliation: a message of the other side in, our answer out (NIP-77, "Negentropy Protocol V1").
 *
 * Where fingerprints of a range differ, the answer splits it in 16, or lists its ids where they are few. A list is
 * answered by a list, and ends a range for the one who started: they know both sides then.
 *
 * A turn is a generator, as a message of a stranger can ask for much: each `next()` does a bounded piece of work, of
 * which `sliceWork` says how large, and whoever drives it lets others have the thread in between.
 */
import { idBytes, type Sha256 } from "./Fingerprint.ts"
import { type Bound, firstBound, lastBound, type MessageProblem, MessageReader, type Range } from "./Message.ts"
import { MessageWriter } from "./MessageWriter.ts"
import type { SortedItems } from "./SortedItems.ts"

export interface Limits {
  /** Bytes of a message that we send, at least `frameBytesMin`. As hex in JSON it takes twice as many, and its envelope. */
  readonly frameBytesMax: number
  readonly sha256: Sha256
}

/** Below that, a turn could end without progress; also the least that other implementations allow. */
export const frameBytesMin = 4096

/** What may follow when a message is full: the end of a list, a skip, and the fingerprint of all that was not said. */
const frameReserve = 200

/** Ranges that a range is split into. */
const buckets = 16

/** Fewer items than that are listed. */
const splitMin = buckets * 2

/** Work of a range, in ids read or written: a search, a fingerprint, 16 of them. */
const workOf = { range: 8, fingerprint: 16, split: 256 }

/** Work between two breaths, in the same unit: well under a millisecond. */
const sliceWork = 2048

/** Ids as they are found out, lower-case hex: what we have and the other side has not, and the other way round. */
export interface Differences {
  readonly have: Array<string>
  readonly need: Array<string>
}

/** Says what we hold of the items from `lower` to `upper`, which end at `bound`. */
const split = (
  writer: MessageWriter,
  items: SortedItems,
  [lower, upper]: readonly [number, number],
  bound: Bound,
  sha256: Sha256
): void => {
  const count = upper - lower
  if (count < splitMin) {
    const ids = writer.idList(bound, count)
    for (let i = 0; i < count; i++) ids.set(items.idAt(lower + i), i * idBytes)
    return
  }
  const each = Math.floor(count / buckets)
  let from = lower
  for (let i = 0; i < buckets; i++) {
    const to = from + each + (i < count % buckets ? 1 : 0)
    const end = i === buckets - 1 ? bound : items.boundAt(to)
    writer.fingerprint(end, items.fingerprint(from, to, sha256))
    from = to
  }
}

/** The message that starts a reconciliation. */
export const opening = (items: SortedItems, { sha256 }: Limits): Uint8Array => {
  const writer = new MessageWriter()
  split(writer, items, [0, items.size], lastBound, sha256)
  return writer.bytes()
}

const isSame = (a: Uint8Array, b: Uint8Array): boolean => a.every((byte, i) => byte === b[i])

/** What of a turn has been answered so far. */
class Answer {
  readonly writer = new MessageWriter()
  /** All that remains was answered with one fingerprint: nothing more may be added. */
  isFull = false
  /** Where the next range starts: the first of our items in it. */
  lower = 0
  /** The same place, as the other side named it. */
  #bound = firstBound
  /** Is there nothing to say of the ranges since the last one that was written? */
  #skipping = false
  #work = 0
  readonly #items: SortedItems
  readonly #sha256: Sha256
  readonly #lengthMax: number

  constructor(items: SortedItems, { frameBytesMax, sha256 }: Limits) {
    this.#items = items
    this.#sha256 = sha256
    this.#lengthMax = Math.max(frameBytesMax, frameBytesMin) - frameReserve
  }

  /** Is it time to let others have the thread? */
  isOutOfBreath(work: number): boolean {
    this.#work += work
    if (this.#work < sliceWork) return false
    this.#work = 0
    return true
  }

  /** Nothing is to be said of the range up to `bound`, where our item `upper` is. */
  settle(bound: Bound, upper: number): void {
    this.#skipping = true
    this.#bound = bound
    this.lower = upper
  }

  /** Answers a fingerprint that is not ours. */
  split(bound: Bound, upper: number): void {
    this.#flushSkip()
    const mark = this.writer.mark()
    split(this.writer, this.#items, [this.lower, upper], bound, this.#sha256)
    if (this.writer.length > this.#lengthMax) {
      this.writer.reset(mark)
      this.#leaveRest()
    } else this.#written(bound, upper)
  }

  /** Answers a list with all ids of ours in the range, or with as many as the message holds. */
  *list(bound: Bound, upper: number): Generator<undefined, void> {
    this.#flushSkip()
    const room = Math.max(0, Math.floor((this.#lengthMax - this.writer.length) / idBytes))
    const count = Math.min(upper - this.lower, room)
    const isWhole = this.lower + count === upper
    if (isWhole || count > 0) {
      const start = this.lower
      const end = isWhole ? bound : this.#items.boundAt(start + count)
      const ids = this.writer.idList(end, count)
      for (let i = 0; i < count; i++) {
        ids.set(this.#items.idAt(start + i), i * idBytes)
        if (this.isOutOfBreath(1)) yield
      }
      this.#written(end, start + count)
    }
    if (!isWhole) this.#leaveRest()
  }

  /** Compares a list with our ids in the range. */
  *compare(ids: Uint8Array, upper: number, { have, need }: Differences): Generator<undefined, void> {
    // Strings, as the runtime hashes them with a secret: no choice of ids makes this slow.
    const theirs = new Set<string>()
    for (let at = 0; at < ids.length; at += idBytes) {
      theirs.add(ids.subarray(at, at + idBytes).toHex())
      if (this.isOutOfBreath(1)) yield
    }
    for (let i = this.lower; i < upper; i++) {
      const id = this.#items.idAt(i).toHex()
      if (!theirs.delete(id)) have.push(id)
      if (this.isOutOfBreath(1)) yield
    }
    for (const id of theirs) {
      need.push(id)
      if (this.isOutOfBreath(1)) yield
    }
  }

  #written(bound: Bound, upper: number): void {
    this.#skipping = false
    this.#bound = bound
    this.lower = upper
  }

  #flushSkip(): void {
    if (this.#skipping) this.writer.skip(this.#bound)
    this.#skipping = false
  }

  /** The message is full: one fingerprint stands for all that has no answer yet. */
  #leaveRest(): void {
    const { size } = this.#items
    this.writer.fingerprint(lastBound, this.#items.fingerprint(this.lower, size, this.#sha256))
    this.isFull = true
  }
}

/**
 * Our answer to `message`, or what is wrong with it. `differences` is where the side that started collects what it
 * learns; without it, we are the other side. An answer of one byte says that there is nothing more to be said.
 *
 * What follows the range that filled the answer is not read.
 */
export function* reconcile(
  message: Uint8Array,
  items: SortedItems,
  limits: Limits,
  differences?: Differences
): Generator<undefined, Uint8Array | MessageProblem> {
  const reader = new MessageReader(message)
  const answer = new Answer(items, limits)
  let range: Range | undefined
  while (!answer.isFull && (range = reader.next()) !== undefined) {
    const bound = range.upper
    const upper = items.lowerBound(bound, answer.lower)
    let work = workOf.range
    if (range._tag === "Fingerprint") {
      work += workOf.fingerprint
      if (isSame(range.fingerprint, items.fingerprint(answer.lower, upper, limits.sha256))) answer.settle(bound, upper)
      else {
        work += workOf.split
        answer.split(bound, upper)
      }
    } else if (range._tag === "Skip") answer.settle(bound, upper)
    else if (differences === undefined) yield* answer.list(bound, upper)
    else {
      yield* answer.compare(range.ids, upper, differences)
      answer.settle(bound, upper)
    }
    if (answer.isOutOfBreath(work)) yield
  }
  return reader.problem ?? answer.writer.bytes()
}
