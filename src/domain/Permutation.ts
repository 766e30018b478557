/**
 * A permutation of 0 to n-1 that a seed picks and that needs no memory: a Feistel network over the next power of four, where
 * whoever lands at n or beyond goes on until below it (cycle walking). So a page of a random order costs what it shows,
 * no page repeats another, and everybody's turn comes exactly once. Not for secrets.
 */

/** Rounds of the network; six leave nothing that a chi-squared test of neighbours would find. */
const rounds = 6

/** 32 bits that depend on every bit of both (a multiply and xorshift mixer). */
const mixed = (value: number, key: number): number => {
  let bits = (value ^ key) >>> 0
  bits = Math.imul(bits ^ (bits >>> 16), 0x21f0aaad) >>> 0
  bits = Math.imul(bits ^ (bits >>> 15), 0x735a2d97) >>> 0
  return (bits ^ (bits >>> 15)) >>> 0
}

/** `n` from 1 to 2^53, `seed` of 32 bits; takes an index from 0 to n-1, and answers who stands there. */
export const permutation = (n: number, seed: number): (index: number) => number => {
  const halfBits = Math.max(1, Math.ceil(Math.log2(Math.max(2, n)) / 2))
  const half = 2 ** halfBits
  const keys = Array.from({ length: rounds }, (_, round) => mixed(seed, Math.imul(round + 1, 0x9e3779b9)))
  const once = (value: number): number => {
    let left = Math.floor(value / half)
    let right = value % half
    for (const key of keys) [left, right] = [right, ((left ^ mixed(right, key)) >>> 0) % half]
    return left * half + right
  }
  return (index) => {
    let value = once(index)
    while (value >= n) value = once(value)
    return value
  }
}
