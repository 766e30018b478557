/** Secret keys as people paste them: hex, or `nsec1…` (NIP-19, "Bare keys and ids"; the encoding is BIP-173's bech32). */

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

/** 52 groups of five bits, of which the last four bits are padding and have to be zero. */
const regroup = (groups: ReadonlyArray<number>): Uint8Array | undefined => {
  const bytes: Array<number> = []
  let bits = 0
  let buffer = 0
  for (const group of groups) {
    buffer = ((buffer << 5) | group) & 0xfff
    bits += 5
    if (bits < 8) continue
    bits -= 8
    bytes.push((buffer >>> bits) & 0xff)
  }
  return (buffer & ((1 << bits) - 1)) === 0 ? Uint8Array.from(bytes) : undefined
}

const decodeNsec = (text: string): Uint8Array | undefined => {
  // bech32 is all upper or all lower case, never mixed.
  const lower = text.toLowerCase()
  if (text !== lower && text !== text.toUpperCase()) return undefined
  if (!/^nsec1[02-9ac-hj-np-z]{58}$/.test(lower)) return undefined
  const data = Array.from(lower.slice(5), (letter) => alphabet.indexOf(letter))
  const prefix = Array.from("nsec", (letter) => letter.charCodeAt(0))
  const expanded = [...prefix.map((code) => code >>> 5), 0, ...prefix.map((code) => code & 31)]
  if (polymod([...expanded, ...data]) !== 1) return undefined
  return regroup(data.slice(0, -6))
}

/** The 32 bytes of a key written as 64 hex characters or as `nsec1…`; undefined when it is neither. */
export const decodeSecretKey = (text: string): Uint8Array | undefined =>
  /^[0-9a-fA-F]{64}$/.test(text) ? Uint8Array.from(Buffer.from(text, "hex")) : decodeNsec(text)
