/** Writes a message range by range, within a frame (NIP-77, "Negentropy Protocol V1"). */
import { fingerprintBytes, idBytes } from "./Fingerprint.ts"
import { type Bound, modes, protocolVersion } from "./Message.ts"
import { varintBytesMax, writeVarint } from "./Varint.ts"

/** Where a message can be taken back to. */
export interface Mark {
  readonly length: number
  readonly timestamp: number
}

export class MessageWriter {
  /** Bytes so far. */
  length = 1
  #bytes = new Uint8Array(1024)
  /** Of the last bound: the next one is written as the distance from it. */
  #timestamp = 0

  constructor() {
    this.#bytes[0] = protocolVersion
  }

  mark(): Mark {
    return { length: this.length, timestamp: this.#timestamp }
  }

  /** Forgets what was written since. */
  reset({ length, timestamp }: Mark): void {
    this.length = length
    this.#timestamp = timestamp
  }

  skip(upper: Bound): void {
    this.#range(upper, modes.Skip, 0)
  }

  fingerprint(upper: Bound, fingerprint: Uint8Array): void {
    this.#range(upper, modes.Fingerprint, fingerprintBytes)
    this.#bytes.set(fingerprint, this.length)
    this.length += fingerprintBytes
  }

  /** The place for `count` ids of 32 bytes, to be filled before anything else is written. */
  idList(upper: Bound, count: number): Uint8Array {
    this.#range(upper, modes.IdList, varintBytesMax + count * idBytes)
    this.length = writeVarint(count, this.#bytes, this.length)
    this.length += count * idBytes
    return this.#bytes.subarray(this.length - count * idBytes, this.length)
  }

  /** A copy of the message. */
  bytes(): Uint8Array {
    return this.#bytes.slice(0, this.length)
  }

  /** `room`: bytes that will follow. */
  #range({ id, timestamp }: Bound, mode: number, room: number): void {
    this.#reserve(varintBytesMax + 1 + idBytes + 1 + room)
    const encoded = timestamp === Infinity ? 0 : timestamp - this.#timestamp + 1
    this.#timestamp = timestamp
    this.length = writeVarint(encoded, this.#bytes, this.length)
    this.#bytes[this.length++] = id.length
    this.#bytes.set(id, this.length)
    this.length += id.length
    this.#bytes[this.length++] = mode
  }

  #reserve(room: number): void {
    const needed = this.length + room
    if (needed <= this.#bytes.length) return
    const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2))
    larger.set(this.#bytes.subarray(0, this.length))
    this.#bytes = larger
  }
}
