/**
 * The prebuilt native library inside the npm package `secp256k1`, which offers ECDSA only, used for BIP-340.
 *
 * ECDSA public-key recovery answers Q = r⁻¹(s'·P' − z·G), where P' is the point with x = r and even y. Asked with
 * r = x(P), s' = −e·x(P), z = −s·x(P) (mod n) it therefore answers s·G − e·P, the very R that BIP-340 verification
 * computes. The signature is valid if that point has even y and its x is the first half of the signature.
 */
import { hash } from "node:crypto"
import { createRequire } from "node:module"
import { type Engine, order, wellSized } from "./Engine.ts"

/** The part of the package's interface that is used. */
interface Native {
  /** Throws when there is no such point. Recovery id 0: even y, and x below the group order. */
  readonly ecdsaRecover: (
    signature: Uint8Array,
    recoveryId: number,
    message: Uint8Array,
    compressed: boolean,
    output: Uint8Array
  ) => Uint8Array
}

const readInteger = (view: DataView, at: number): bigint =>
  (view.getBigUint64(at) << 192n) | (view.getBigUint64(at + 8) << 128n) |
  (view.getBigUint64(at + 16) << 64n) | view.getBigUint64(at + 24)

const writeInteger = (view: DataView, at: number, value: bigint): void => {
  view.setBigUint64(at, value >> 192n)
  view.setBigUint64(at + 8, (value >> 128n) & 0xffffffffffffffffn)
  view.setBigUint64(at + 16, (value >> 64n) & 0xffffffffffffffffn)
  view.setBigUint64(at + 24, value & 0xffffffffffffffffn)
}

const negated = (value: bigint): bigint => value === 0n ? 0n : order - value

/**
 * `fallback` decides what recovery cannot express: an x(P) of at least n, and a challenge of 0. Nobody can produce
 * either on purpose, but "nobody can" is no reason to be wrong. Throws where no prebuilt binary fits the machine.
 */
export const load = (fallback: Engine): Engine => {
  // The package's main module falls back to JavaScript in silence; its bindings do not.
  const native = createRequire(import.meta.url)("secp256k1/bindings.js") as Native

  /** tag ‖ tag ‖ R ‖ P ‖ m, as BIP-340 hashes it. */
  const challenge = new Uint8Array(160)
  const tag = hash("sha256", "BIP0340/challenge", "buffer")
  challenge.set(tag, 0)
  challenge.set(tag, 32)
  const challengeView = new DataView(challenge.buffer)
  const signature = new Uint8Array(64)
  const signatureView = new DataView(signature.buffer)
  const message = new Uint8Array(32)
  const messageView = new DataView(message.buffer)
  const digest = new Uint8Array(32)
  const digestView = new DataView(digest.buffer)
  const output = new Uint8Array(33)

  return {
    name: "secp256k1-native",
    inline: true,
    verify: (id, pubkey, sig) => {
      if (!wellSized(id, pubkey, sig)) return false
      challenge.set(sig, 64) // its second half is overwritten by the key
      const s = readInteger(challengeView, 96)
      if (s >= order) return false
      challenge.set(pubkey, 96)
      challenge.set(id, 128)
      const x = readInteger(challengeView, 96)
      digest.set(hash("sha256", challenge, "buffer"))
      const e = readInteger(digestView, 0) % order
      if (x >= order || e === 0n) return fallback.verify(id, pubkey, sig)

      signature.set(pubkey, 0)
      writeInteger(signatureView, 32, negated(e * x % order))
      writeInteger(messageView, 0, negated(s * x % order))
      try {
        native.ecdsaRecover(signature, 0, message, true, output)
      } catch {
        return false // the key is not on the curve, or R is the point at infinity
      }
      if (output[0] !== 2) return false
      for (let i = 0; i < 32; i++) if (output[i + 1] !== sig[i]) return false
      return true
    }
  }
}
