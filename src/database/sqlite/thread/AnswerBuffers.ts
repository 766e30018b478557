/**
 * Memory for large answers, used again and again: it goes from the reader's thread to the main one with an answer, and back
 * with a later request, always owned by one of them.
 *
 * A new buffer for each would be pages that the kernel has to clear, and garbage outside of V8's heap, which V8 collects by
 * collecting all of the heap: at 300 answers of 500 kB a second, half of the process's CPU.
 */

/** Bytes from which on a buffer is worth keeping. */
const keptMin = 65_536
/** Sizes are multiples of it, so that answers of about the same size fit each other's buffers. */
const step = 131_072
/** Bytes that are kept at most; what does not fit is freed. */
export const keptMax = 8_388_608

/**
 * Pages of its own, as V8 gives them to a buffer that could be resized: what comes from `malloc` goes back to the kernel only
 * where all of its neighbours do, and most of a flood of answers stays with the process.
 */
const allocate = (bytes: number): ArrayBuffer => new ArrayBuffer(bytes, { maxByteLength: bytes })

/** At once: a collection that is made for other reasons comes late, and after a flood has ended it never comes. */
const free = (buffer: ArrayBuffer): void => void buffer.transferToFixedLength(0)

export class AnswerBuffers {
  #kept: Array<ArrayBuffer> = []
  #bytes = 0

  /** A buffer of at least so many bytes, with anything in it. */
  take(bytes: number): ArrayBuffer {
    if (bytes < keptMin) return new ArrayBuffer(bytes)
    let best = -1
    for (let i = 0; i < this.#kept.length; i++) {
      const size = this.#kept[i]!.byteLength
      if (size >= bytes && (best < 0 || size < this.#kept[best]!.byteLength)) best = i
    }
    const [buffer] = best < 0 ? [] : this.#kept.splice(best, 1)
    if (buffer === undefined) return allocate(Math.ceil(bytes / step) * step)
    this.#bytes -= buffer.byteLength
    return buffer
  }

  /** Nobody reads it any more: it is kept for another answer, or detached. */
  give(buffer: ArrayBuffer): void {
    if (buffer.byteLength < keptMin) return free(buffer)
    this.#kept.push(buffer)
    this.#bytes += buffer.byteLength
    // The oldest go, so that what stays has the sizes that are asked for now.
    while (this.#bytes > keptMax) {
      const oldest = this.#kept.shift()!
      this.#bytes -= oldest.byteLength
      free(oldest)
    }
  }

  /** All that is kept, for the other thread. */
  takeAll(): Array<ArrayBuffer> {
    const all = this.#kept
    this.#kept = []
    this.#bytes = 0
    return all
  }
}
