/** What events are found by: short keys derived from the values that they stand for. */
import { hash } from "node:crypto"

/** The first 52 bits of an id or pubkey in hex: a safe integer. The full value decides, this only narrows. */
export const prefixKey = (hex: string): number => Number.parseInt(hex.slice(0, 13), 16)

/** Key of one tag in the `tag` table: 52 bits of a hash of its letter and value. The value itself decides. */
export const tagKey = (letter: string, value: string): number => prefixKey(hash("sha256", letter + value, "hex"))

/** Key of an address (`kind:pubkey:d`, see `addressOf`): 128 bits of its hash, which is as good as the address. */
export const addressKey = (address: string): Uint8Array => hash("sha256", address, "buffer").subarray(0, 16)

/** An id or pubkey as the 32 bytes it stands for. */
export const bytesOf = (hex: string): Uint8Array => Buffer.from(hex, "hex")

/** The keys of an event's tags with a single-letter name and a value, each once (NIP-01, "Tags"). */
export const tagKeys = (tags: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<number> => {
  const keys = new Set<number>()
  for (const [name, value] of tags) {
    if (name !== undefined && value !== undefined && /^[a-zA-Z]$/.test(name)) keys.add(tagKey(name, value))
  }
  return [...keys]
}
