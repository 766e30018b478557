/** Base-128 numbers, the most significant digit first, the high bit on all digits but the last (NIP-77, "Varint"). */

/** Bytes of the largest number, 2^53 - 1. */
export const varintBytesMax = 8

/** Writes `value`, an integer from 0 to 2^53 - 1, at `at`; answers where it ends. */
export const writeVarint = (value: number, bytes: Uint8Array, at: number): number => {
  let scale = 1
  while (value >= scale * 128) scale *= 128
  for (; scale > 1; scale /= 128) bytes[at++] = Math.floor(value / scale) % 128 | 128
  bytes[at++] = value % 128
  return at
}
