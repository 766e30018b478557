/**
 * What two sets of ids compare instead of their ids (NIP-77, "Fingerprint Algorithm").
 *
 * The sum of all ids as 256-bit little-endian numbers, modulo 2^256, and their count, hashed. The sum of a range is
 * the difference of two sums, which is why a range of a million items costs no more than one of ten.
 */
import { varintBytesMax, writeVarint } from "./Varint.ts"

/** Bytes of a hash, or of an id. */
export const idBytes = 32

/** Bytes of a fingerprint on the wire. */
export const fingerprintBytes = 16

/** The 32-byte hash of `bytes`. */
export type Sha256 = (bytes: Uint8Array) => Uint8Array

/** A number modulo 2^256: eight 32-bit words, the least significant first. */
export type Sum = Uint32Array

export const zeroSum = (): Sum => new Uint32Array(8)

const word = 4_294_967_296

/** `sum += other` */
export const addSum = (sum: Sum, other: Sum): void => {
  let carry = 0
  for (let k = 0; k < 8; k++) {
    const total = (sum[k] ?? 0) + (other[k] ?? 0) + carry
    // Storing keeps the low 32 bits.
    sum[k] = total
    carry = total >= word ? 1 : 0
  }
}

/** `sum -= other` */
export const subtractSum = (sum: Sum, other: Sum): void => {
  let borrow = 0
  for (let k = 0; k < 8; k++) {
    const rest = (sum[k] ?? 0) - (other[k] ?? 0) - borrow
    sum[k] = rest
    borrow = rest < 0 ? 1 : 0
  }
}

/** `sum +=` the ids that start every `stride` bytes in `view`, `count` of them (at most 2^20), the first at `offset`. */
export const addIds = (sum: Sum, view: DataView, offset: number, stride: number, count: number): void => {
  // One lane per word, carried only at the end: a double holds 2^20 words without loss.
  let [a, b, c, d, e, f, g, h] = [0, 0, 0, 0, 0, 0, 0, 0]
  const end = offset + count * stride
  for (let at = offset; at < end; at += stride) {
    a += view.getUint32(at, true)
    b += view.getUint32(at + 4, true)
    c += view.getUint32(at + 8, true)
    d += view.getUint32(at + 12, true)
    e += view.getUint32(at + 16, true)
    f += view.getUint32(at + 20, true)
    g += view.getUint32(at + 24, true)
    h += view.getUint32(at + 28, true)
  }
  let carry = 0
  carry = addWord(sum, 0, a, carry)
  carry = addWord(sum, 1, b, carry)
  carry = addWord(sum, 2, c, carry)
  carry = addWord(sum, 3, d, carry)
  carry = addWord(sum, 4, e, carry)
  carry = addWord(sum, 5, f, carry)
  carry = addWord(sum, 6, g, carry)
  addWord(sum, 7, h, carry)
}

const addWord = (sum: Sum, k: number, lane: number, carry: number): number => {
  const total = (sum[k] ?? 0) + lane + carry
  sum[k] = total
  return Math.floor(total / word)
}

/** The fingerprint of `count` ids that add up to `sum`; 16 bytes. */
export const fingerprintOf = (sum: Sum, count: number, sha256: Sha256): Uint8Array => {
  const bytes = new Uint8Array(idBytes + varintBytesMax)
  const view = new DataView(bytes.buffer)
  for (let k = 0; k < 8; k++) view.setUint32(k * 4, sum[k] ?? 0, true)
  const end = writeVarint(count, bytes, idBytes)
  return sha256(bytes.subarray(0, end)).subarray(0, fingerprintBytes)
}
