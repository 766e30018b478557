/** Secret keys as people paste them: hex, or `nsec1…` (NIP-19, "Bare keys and ids"). */
import * as Bech32 from "../domain/Bech32.ts"

/** The 32 bytes of a key written as 64 hex characters or as `nsec1…`; undefined when it is neither. */
export const decodeSecretKey = (text: string): Uint8Array | undefined =>
  /^[0-9a-fA-F]{64}$/.test(text) ? Uint8Array.from(Buffer.from(text, "hex")) : Bech32.decode("nsec", text)
