/** Public keys as people paste them: hex, `npub1…` or `nprofile1…` (NIP-19). */
import * as Bech32 from "./Bech32.ts"
import { isHex } from "./Event.ts"

/** A hex public key as `npub1…`. */
export const npubOf = (pubkey: string): string => Bech32.encode("npub", Buffer.from(pubkey, "hex"))

/** The key in lower-case hex; undefined when the text is neither 64 hex characters nor one of the others with its checksum. */
export const pubkeyOf = (text: string): string | undefined => {
  if (isHex(text.toLowerCase(), 64)) return text.toLowerCase()
  const key = Bech32.decode("npub", text) ?? Bech32.decodeProfile(text)
  return key === undefined ? undefined : Buffer.from(key).toString("hex")
}
