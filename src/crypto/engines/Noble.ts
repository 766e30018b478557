/** Plain JavaScript (`@noble/curves`): the slowest engine, the last resort, and the oracle the others are held to. */
import { schnorr } from "@noble/curves/secp256k1.js"
import { type Engine, wellSized } from "./Engine.ts"

export const load = (): Engine => ({
  name: "noble",
  inline: false,
  verify: (id, pubkey, sig) => {
    if (!wellSized(id, pubkey, sig)) return false
    try {
      return schnorr.verify(sig, id, pubkey)
    } catch {
      return false
    }
  }
})
