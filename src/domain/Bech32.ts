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

/** What is between prefix and checksum; undefined when prefix, letters, checksum or padding are wrong. */
const payloadOf = (prefix: string, text: string): Uint8Array | undefined => {
  // bech32 is all upper or all lower case, never mixed.
  const lower = text.toLowerCase()
  if (text !== lower && text !== text.toUpperCase()) return undefined
  if (!lower.startsWith(`${prefix}1`)) return undefined
  const groups = Array.from(lower.slice(prefix.length + 1), (letter) => alphabet.indexOf(letter))
  if (groups.length < 6 || groups.includes(-1) || polymod([...expanded(prefix), ...groups]) !== 1) return undefined
  const data = groups.slice(0, -6)
  const bytes = regroup(data, 5, 8, false)
  // One payload has one spelling: nothing but the zeros that fill the last group.
  const isPadded = regroup(bytes, 8, 5, true).every((group, i) => group === data[i])
  return isPadded && data.length === Math.ceil((bytes.length * 8) / 5) ? Uint8Array.from(bytes) : undefined
}

/** The 32 bytes of a key written so; undefined when prefix, length, letters, checksum or padding are wrong. */
export const decode = (prefix: Prefix, text: string): Uint8Array | undefined => {
  const key = payloadOf(prefix, text)
  return key?.length === 32 ? key : undefined
}

/** UTF-16 units of an `nprofile1…` that is looked at. */
const profileMax = 1024

/** The key of an `nprofile1…` (NIP-19, "Shareable identifiers"): the first value of type 0. Undefined where there is none. */
export const decodeProfile = (text: string): Uint8Array | undefined => {
  const bytes = text.length > profileMax ? undefined : payloadOf("nprofile", text)
  if (bytes === undefined) return undefined
  for (let at = 0; at + 2 <= bytes.length;) {
    const [type, length = 0] = bytes.subarray(at, at + 2)
    const value = bytes.subarray(at + 2, at + 2 + length)
    if (type === 0) return value.length === 32 ? value : undefined
    at += 2 + length
  }
  return undefined
}
