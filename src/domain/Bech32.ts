/** Keys as people write them: `npub1…` and `nsec1…` (NIP-19, "Bare keys and ids"), in BIP-173's bech32. */

const alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
const generator = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3]

/** BIP-173, "Checksum": 1 for a valid string. */
const polymod = (values: ReadonlyArray<number>): number => {
  let sum = 1
  for (const value of values) {
    const top = sum >>> 25
    sum = ((sum & 0x1ffffff) << 5) ^ value
    generator.forEach((term, i) => {
      if ((top >>> i) & 1) sum ^= term
    })
  }
  return sum
}

/** The prefix as the checksum wants it: the high bits of its letters, a zero, the low bits. */
const expanded = (prefix: string): ReadonlyArray<number> => {
  const codes = Array.from(prefix, (letter) => letter.charCodeAt(0))
  return [...codes.map((code) => code >>> 5), 0, ...codes.map((code) => code & 31)]
}

/** Cuts a row of bits into groups of another size; the rest is filled up with zeros where `isPadded`, and left out otherwise. */
const regroup = (groups: Iterable<number>, from: number, to: number, isPadded: boolean): ReadonlyArray<number> => {
  const out: Array<number> = []
  let bits = 0
  let buffer = 0
  for (const group of groups) {
    buffer = ((buffer << from) | group) & 0xfff
    bits += from
    while (bits >= to) {
      bits -= to
      out.push((buffer >>> bits) & ((1 << to) - 1))
    }
  }
  if (isPadded && bits > 0) out.push((buffer << (to - bits)) & ((1 << to) - 1))
  return out
}

/** What a bare key's string begins with. */
export type Prefix = "npub" | "nsec"

/** 32 bytes as `<prefix>1…`. */
export const encode = (prefix: Prefix, key: Uint8Array): string => {
  const data = regroup(key, 8, 5, true)
  const sum = polymod([...expanded(prefix), ...data, 0, 0, 0, 0, 0, 0]) ^ 1
  const checksum = [25, 20, 15, 10, 5, 0].map((shift) => (sum >>> shift) & 31)
  return `${prefix}1${[...data, ...checksum].map((group) => alphabet[group]).join("")}`
}

/** The 32 bytes of a key written so; undefined when prefix, length, letters, checksum or padding are wrong. */
export const decode = (prefix: Prefix, text: string): Uint8Array | undefined => {
  // bech32 is all upper or all lower case, never mixed.
  const lower = text.toLowerCase()
  if (text !== lower && text !== text.toUpperCase()) return undefined
  if (!lower.startsWith(`${prefix}1`) || !/^[02-9ac-hj-np-z]{58}$/.test(lower.slice(5))) return undefined
  const groups = Array.from(lower.slice(5, -6), (letter) => alphabet.indexOf(letter))
  const key = Uint8Array.from(regroup(groups, 5, 8, false))
  // One key has one spelling: checksum and padding are right exactly when this is it.
  return encode(prefix, key) === lower ? key : undefined
}
