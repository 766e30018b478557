/** Public keys as people paste them: hex, or `npub1…` (NIP-19, "Bare keys and ids"; the encoding is BIP-173's bech32). */
import { isHex } from "../domain/Event.ts"

const alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
const generator = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3]

/** The prefix as the checksum wants it: the high bits of its letters, a zero, the low bits. */
const letters = Array.from("npub", (letter) => letter.charCodeAt(0))
const expanded = [...letters.map((code) => code >>> 5), 0, ...letters.map((code) => code & 31)]

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

/** Cuts a row of bits into groups of another size; the rest is filled up with zeros where `isPadded`, and left out otherwise. */
const regroup = (groups: Iterable<number>, from: number, to: number, isPadded: boolean): Array<number> => {
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

/** A hex public key as `npub1…`. */
export const npubOf = (pubkey: string): string => {
  const data = regroup(Buffer.from(pubkey, "hex"), 8, 5, true)
  const sum = polymod([...expanded, ...data, 0, 0, 0, 0, 0, 0]) ^ 1
  const checksum = [25, 20, 15, 10, 5, 0].map((shift) => (sum >>> shift) & 31)
  return `npub1${[...data, ...checksum].map((group) => alphabet[group]).join("")}`
}

const decodeNpub = (text: string): string | undefined => {
  // bech32 is all upper or all lower case, never mixed.
  const lower = text.toLowerCase()
  if (text !== lower && text !== text.toUpperCase()) return undefined
  if (!/^npub1[02-9ac-hj-np-z]{58}$/.test(lower)) return undefined
  const pubkey = Buffer.from(regroup(Array.from(lower.slice(5, -6), (letter) => alphabet.indexOf(letter)), 5, 8, false))
    .toString("hex")
  // One key has one spelling: checksum and padding are right exactly when this is it.
  return npubOf(pubkey) === lower ? pubkey : undefined
}

/** The key in lower-case hex; undefined when the text is neither 64 hex characters nor `npub1…` with its checksum. */
export const pubkeyOf = (text: string): string | undefined =>
  isHex(text.toLowerCase(), 64) ? text.toLowerCase() : decodeNpub(text)
