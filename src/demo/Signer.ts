/**
 * Keys and signatures that are the same on every run: whoever knows the seed knows the secret.
 *
 * For the demo's made-up people and for fixtures only. The relay's own key, and the checking of everybody else's, live
 * in `crypto/`.
 */
import { createHash } from "node:crypto"
import { createRequire } from "node:module"
import type { Event, EventTemplate } from "../domain/Event.ts"

/** What we use of the package, which comes without types. Tweaks and negation change their first argument. */
interface Secp256k1 {
  readonly publicKeyCreate: (secret: Uint8Array, compressed: true) => Uint8Array
  readonly privateKeyNegate: (secret: Uint8Array) => Uint8Array
  readonly privateKeyTweakAdd: (secret: Uint8Array, tweak: Uint8Array) => Uint8Array
  readonly privateKeyTweakMul: (secret: Uint8Array, tweak: Uint8Array) => Uint8Array
}
const secp256k1 = createRequire(import.meta.url)("secp256k1") as Secp256k1

export interface Key {
  /** 32 bytes: of the two secrets of this x-only key, the one whose point has an even y, as BIP-340 signs with. */
  readonly secret: Uint8Array
  /** Lower-case hex x-only public key, 64 characters. */
  readonly pubkey: string
}

const sha256 = (...parts: ReadonlyArray<Uint8Array | string>): Uint8Array => {
  const hash = createHash("sha256")
  for (const part of parts) hash.update(part)
  return new Uint8Array(hash.digest())
}

/** BIP-340 "Design", tagged hashes: one prefix per use, so that no hash of one can pass for another. */
const tagged = (tag: string) => {
  const prefix = sha256(tag)
  return (...parts: ReadonlyArray<Uint8Array>) => sha256(prefix, prefix, ...parts)
}
const nonceHash = tagged("BIP0340/nonce")
const challengeHash = tagged("BIP0340/challenge")
/** The mask for 32 zero bytes of auxiliary randomness: without chance, a signature is the same on every run. */
const auxiliaryMask = tagged("BIP0340/aux")(new Uint8Array(32))

/** The even one of `scalar` and its negation, and the x of its point. Changes `scalar`. */
const lift = (scalar: Uint8Array): { readonly scalar: Uint8Array; readonly x: Uint8Array } => {
  const point = secp256k1.publicKeyCreate(scalar, true)
  return { scalar: point[0] === 2 ? scalar : secp256k1.privateKeyNegate(scalar), x: point.subarray(1) }
}

/** One key per seed, for ever. */
export const keyOf = (seed: string | number): Key => {
  // A sha256 that is no scalar, 0 or at least the order of the curve, has a chance of 2^-128.
  const { scalar, x } = lift(sha256(`profile-aggregator/${seed}`))
  return { secret: scalar, pubkey: Buffer.from(x).toString("hex") }
}

/** BIP-340 "Default Signing", out of ECDSA's primitives: their package is native, and five times faster than WASM. */
const signSchnorr = (message: Uint8Array, key: Key): Uint8Array => {
  const pubkey = Buffer.from(key.pubkey, "hex")
  const masked = key.secret.map((byte, i) => byte ^ (auxiliaryMask[i] ?? 0))
  const nonce = lift(nonceHash(masked, pubkey, message))
  const challenge = challengeHash(nonce.x, pubkey, message)
  const s = secp256k1.privateKeyTweakAdd(secp256k1.privateKeyTweakMul(challenge, key.secret), nonce.scalar)
  return Buffer.concat([nonce.x, s])
}

/** sha256 of the canonical array, lower-case hex (NIP-01, "Events and signatures"). */
export const eventId = (pubkey: string, { created_at, kind, tags, content }: EventTemplate): string =>
  createHash("sha256").update(JSON.stringify([0, pubkey, created_at, kind, tags, content])).digest("hex")

/** Signs a template; the same template and key give the same event, byte for byte. About 0.05 ms. */
export const sign = (template: EventTemplate, key: Key): Event => {
  const { created_at, kind, tags, content } = template
  const id = eventId(key.pubkey, template)
  const sig = Buffer.from(signSchnorr(Buffer.from(id, "hex"), key)).toString("hex")
  return { id, pubkey: key.pubkey, created_at, kind, tags, content, sig }
}

/** Changes one hex digit, so that the result is another value of the same length. */
const otherDigit = (hex: string, index: number): string =>
  hex.slice(0, index) + (hex[index] === "0" ? "1" : "0") + hex.slice(index + 1)

/** The same event under an id that is not its hash. The signature belongs to the true id. */
export const withWrongId = (event: Event): Event => ({ ...event, id: otherDigit(event.id, 63) })

/** The right id, under a signature that its author never made. */
export const withForgedSignature = (event: Event): Event => ({ ...event, sig: otherDigit(event.sig, 127) })
