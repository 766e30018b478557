/**
 * Keys and signatures that are the same on every run: whoever knows the seed knows the secret.
 *
 * For the demo's made-up people and for fixtures only. The relay's own key, and the checking of everybody else's, live
 * in `crypto/`.
 */
import { createHash } from "node:crypto"
import { signSchnorr, xOnlyPointFromScalar } from "tiny-secp256k1"
import type { Event, EventTemplate } from "../domain/Event.ts"

export interface Key {
  /** 32 bytes. */
  readonly secret: Uint8Array
  /** Lower-case hex x-only public key, 64 characters. */
  readonly pubkey: string
}

/** One key per seed, for ever. */
export const keyOf = (seed: string | number): Key => {
  // A sha256 outside 1..n-1 is no scalar; its chance is 2^-128.
  const secret = createHash("sha256").update(`profile-aggregator/${seed}`).digest()
  return { secret, pubkey: Buffer.from(xOnlyPointFromScalar(secret)).toString("hex") }
}

/** sha256 of the canonical array, lower-case hex (NIP-01, "Events and signatures"). */
export const eventId = (pubkey: string, { created_at, kind, tags, content }: EventTemplate): string =>
  createHash("sha256").update(JSON.stringify([0, pubkey, created_at, kind, tags, content])).digest("hex")

/** BIP-340 without fresh randomness: the same id and key give the same signature. */
const noAuxiliary = new Uint8Array(32)

/** Signs a template; the same template and key give the same event, byte for byte. About 0.2 ms. */
export const sign = (template: EventTemplate, key: Key): Event => {
  const { created_at, kind, tags, content } = template
  const id = eventId(key.pubkey, template)
  const sig = Buffer.from(signSchnorr(Buffer.from(id, "hex"), key.secret, noAuxiliary)).toString("hex")
  return { id, pubkey: key.pubkey, created_at, kind, tags, content, sig }
}

/** Changes one hex digit, so that the result is another value of the same length. */
const otherDigit = (hex: string, index: number): string =>
  hex.slice(0, index) + (hex[index] === "0" ? "1" : "0") + hex.slice(index + 1)

/** The same event under an id that is not its hash. The signature belongs to the true id. */
export const withWrongId = (event: Event): Event => ({ ...event, id: otherDigit(event.id, 63) })

/** The right id, under a signature that its author never made. */
export const withForgedSignature = (event: Event): Event => ({ ...event, sig: otherDigit(event.sig, 127) })
