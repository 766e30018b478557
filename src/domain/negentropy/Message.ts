/**
 * The wire form of negentropy, protocol version 1 (NIP-77, "Negentropy Protocol V1").
 *
 * A message is a version byte and then ranges of the order of items. Each range says where it ends (exclusive), and
 * what is known of it; it starts where the one before it ended, the first one at the very beginning. What follows the
 * last range is as if skipped.
 */
import { fingerprintBytes, idBytes } from "./Fingerprint.ts"

/** Version 1, the only one there is. */
export const protocolVersion = 0x61

/** First bytes that are, or will be, versions of the protocol. */
const versionMin = 0x60
const versionMax = 0x6f

/** A place between items: before the first one whose timestamp and id are not less. */
export interface Bound {
  /** Unix seconds; `Infinity` is behind every item. */
  readonly timestamp: number
  /** First bytes of an id, 0 to 32; the others are as if zero. */
  readonly id: Uint8Array
}

const noId = new Uint8Array(0)

export const firstBound: Bound = { timestamp: 0, id: noId }

/** Behind every item. */
export const lastBound: Bound = { timestamp: Infinity, id: noId }

/** What one side says of a range; the bytes are views of the message. */
export type Range =
  /** Nothing more is to be said. */
  | { readonly _tag: "Skip"; readonly upper: Bound }
  | { readonly _tag: "Fingerprint"; readonly upper: Bound; readonly fingerprint: Uint8Array }
  /** All ids of the sender, 32 bytes each, in any order. */
  | { readonly _tag: "IdList"; readonly upper: Bound; readonly ids: Uint8Array }

/** Why bytes are no message. */
export type MessageProblem =
  | "message is empty"
  | "message is not negentropy"
  | "unsupported protocol version"
  | "message ends early"
  | "varint is too large"
  | "id prefix is too long"
  | "bounds must not decrease"
  | "unknown range mode"

/** How a range is told on the wire. */
export const modes = { Skip: 0, Fingerprint: 1, IdList: 2 } as const

/** Order of two bounds; a prefix is as if filled up with zeros. */
const compareBounds = (a: Bound, b: Bound): number => {
  if (a.timestamp !== b.timestamp) return a.timestamp < b.timestamp ? -1 : 1
  for (let i = 0; i < idBytes; i++) {
    const difference = (a.id[i] ?? 0) - (b.id[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

/** Reads a message range by range, so that a reader can stop for breath. Takes any bytes, and never throws. */
export class MessageReader {
  /** The first thing wrong with the message; once set, there are no more ranges. */
  problem: MessageProblem | undefined
  readonly #bytes: Uint8Array
  #at = 1
  #bound: Bound = firstBound

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    const version = bytes[0]
    if (version === undefined) this.problem = "message is empty"
    else if (version < versionMin || version > versionMax) this.problem = "message is not negentropy"
    else if (version !== protocolVersion) this.problem = "unsupported protocol version"
  }

  /** The next range; undefined at the end of the message, or at its problem. */
  next(): Range | undefined {
    if (this.problem !== undefined || this.#at === this.#bytes.length) return undefined
    const upper = this.#readBound()
    const mode = upper === undefined ? undefined : this.#readVarint()
    if (upper === undefined || mode === undefined) return undefined
    if (compareBounds(upper, this.#bound) < 0) return this.#fail("bounds must not decrease")
    this.#bound = upper
    if (mode === modes.Skip) return { _tag: "Skip", upper }
    if (mode === modes.Fingerprint) {
      const fingerprint = this.#readBytes(fingerprintBytes)
      return fingerprint === undefined ? undefined : { _tag: "Fingerprint", upper, fingerprint }
    }
    if (mode !== modes.IdList) return this.#fail("unknown range mode")
    const count = this.#readVarint()
    // A count that the message cannot hold fails here, before anything is made of it.
    const ids = count === undefined ? undefined : this.#readBytes(count * idBytes)
    return ids === undefined ? undefined : { _tag: "IdList", upper, ids }
  }

  #fail(problem: MessageProblem): undefined {
    this.problem = problem
    return undefined
  }

  #readBytes(length: number): Uint8Array | undefined {
    if (length > this.#bytes.length - this.#at) return this.#fail("message ends early")
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  /** Numbers that a double cannot hold are no count and no time of an event. */
  #readVarint(): number | undefined {
    let value = 0
    for (;;) {
      const byte = this.#bytes[this.#at]
      if (byte === undefined) return this.#fail("message ends early")
      this.#at += 1
      value = value * 128 + (byte & 127)
      if (value > Number.MAX_SAFE_INTEGER) return this.#fail("varint is too large")
      if (byte < 128) return value
    }
  }

  /** Timestamps are one more than the distance from the bound before, 0 being the end (NIP-77, "Bound"). */
  #readBound(): Bound | undefined {
    const encoded = this.#readVarint()
    const idLength = encoded === undefined ? undefined : this.#readVarint()
    if (encoded === undefined || idLength === undefined) return undefined
    if (idLength > idBytes) return this.#fail("id prefix is too long")
    const id = this.#readBytes(idLength)
    if (id === undefined) return undefined
    const timestamp = encoded === 0 ? Infinity : this.#bound.timestamp + encoded - 1
    if (timestamp > Number.MAX_SAFE_INTEGER && timestamp !== Infinity) return this.#fail("varint is too large")
    return timestamp === Infinity ? lastBound : { timestamp, id }
  }
}

/** A whole message; the first problem where there is one. */
export const parseMessage = (bytes: Uint8Array): ReadonlyArray<Range> | MessageProblem => {
  const reader = new MessageReader(bytes)
  const ranges: Array<Range> = []
  for (let range = reader.next(); range !== undefined; range = reader.next()) ranges.push(range)
  return reader.problem ?? ranges
}
