/**
 * Signatures good and bad, as many as wanted, the same for the same seed: input for comparing engines.
 *
 * The bad ones are those a verifier gets wrong when a step of BIP-340 is missing: a point with odd y, one at infinity, a
 * number at or over its bound, a neighbour's signature. Random noise alone would only ever test the first comparison.
 */
import { schnorr } from "@noble/curves/secp256k1.js"
import type { Engine } from "../../src/crypto/engines/Engine.ts"

export interface Case {
  readonly mutation: Mutation
  readonly id: Uint8Array
  readonly pubkey: Uint8Array
  readonly sig: Uint8Array
}

/** Order of the group and size of the field. */
const n = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
const p = 0xfffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2fn

const bytesOf = (value: bigint): Uint8Array => Uint8Array.from(Buffer.from(value.toString(16).padStart(64, "0"), "hex"))
const bigintOf = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString("hex")}`)
const joined = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => Uint8Array.from(Buffer.concat(parts))

/** A generator of 32-bit numbers (xorshift), for reproducible cases. */
const randomFrom = (seed: number) => {
  let state = (seed * 2_654_435_761 + 1) >>> 0 || 1
  const below = (bound: number): number => {
    state ^= state << 13
    state >>>= 0
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return state % bound
  }
  return { below, bytes: (length: number) => Uint8Array.from({ length }, () => below(256)) }
}
type Random = ReturnType<typeof randomFrom>

const flipped = (bytes: Uint8Array, random: Random): Uint8Array => {
  const copy = bytes.slice()
  const bit = random.below(bytes.length * 8)
  copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7))
  return copy
}

/** What a signer knows while it signs. */
interface Signing {
  readonly random: Random
  readonly id: Uint8Array
  readonly pubkey: Uint8Array
  readonly sig: Uint8Array
  readonly r: Uint8Array
  readonly s: Uint8Array
  /** Of the secret key, the one of ±d whose point has even y. */
  readonly d: bigint
}

const challenge = (r: Uint8Array, pubkey: Uint8Array, id: Uint8Array): bigint =>
  bigintOf(schnorr.utils.taggedHash("BIP0340/challenge", r, pubkey, id)) % n

/** Signs with a nonce whose point has odd y: all equations hold, and BIP-340 refuses it. */
const oddSignature = ({ d, id, pubkey, random }: Signing): Uint8Array => {
  const nonce = bigintOf(random.bytes(32)) % (n - 1n) + 1n
  const point = schnorr.Point.BASE.multiply(nonce).toAffine()
  const k = point.y % 2n === 1n ? nonce : n - nonce
  const r = bytesOf(point.x)
  return joined(r, bytesOf((k + challenge(r, pubkey, id) * d) % n))
}

/** s = e·d makes s·G − e·P the point at infinity. */
const infiniteSignature = (r: Uint8Array, { d, id, pubkey }: Signing): Uint8Array =>
  joined(r, bytesOf(challenge(r, pubkey, id) * d % n))

const mutations = {
  none: () => ({}),
  "another id": ({ random }) => ({ id: random.bytes(32) }),
  "a bit of the id": ({ id, random }) => ({ id: flipped(id, random) }),
  "a bit of the key": ({ pubkey, random }) => ({ pubkey: flipped(pubkey, random) }),
  "a bit of the signature": ({ random, sig }) => ({ sig: flipped(sig, random) }),
  "another key": ({ random }) => ({
    pubkey: schnorr.getPublicKey(bytesOf(bigintOf(random.bytes(32)) % (n - 1n) + 1n))
  }),
  "a random key": ({ random }) => ({ pubkey: random.bytes(32) }),
  "a random signature": ({ random }) => ({ sig: random.bytes(64) }),
  "halves swapped": ({ r, s }) => ({ sig: joined(s, r) }),
  "s negated": ({ r, s }) => ({ sig: joined(r, bytesOf(n - bigintOf(s))) }),
  "R with odd y": (signing) => ({ sig: oddSignature(signing) }),
  "R at infinity": (signing) => ({ sig: infiniteSignature(signing.r, signing) }),
  "R at infinity, r zero": (signing) => ({ sig: infiniteSignature(new Uint8Array(32), signing) }),
  "r zero": ({ s }) => ({ sig: joined(new Uint8Array(32), s) }),
  "r = p or above": ({ random, s }) => ({ sig: joined(bytesOf(p + BigInt(random.below(900))), s) }),
  "r from n to p": ({ random, s }) => ({ sig: joined(bytesOf(n + BigInt(random.below(900))), s) }),
  "s zero": ({ r }) => ({ sig: joined(r, new Uint8Array(32)) }),
  "s one below n": ({ r }) => ({ sig: joined(r, bytesOf(n - 1n)) }),
  "s = n or above": ({ r, random }) => ({ sig: joined(r, bytesOf(n + BigInt(random.below(900)))) }),
  "all zero": () => ({ id: new Uint8Array(32), pubkey: new Uint8Array(32), sig: new Uint8Array(64) }),
  "all ones": () => ({ pubkey: new Uint8Array(32).fill(255), sig: new Uint8Array(64).fill(255) }),
  "key from n to p": ({ random }) => ({ pubkey: bytesOf(n + BigInt(random.below(900))) }),
  "key = p or above": ({ random }) => ({ pubkey: bytesOf(p + BigInt(random.below(900))) }),
  "small key": ({ random }) => ({ pubkey: bytesOf(BigInt(random.below(900))) }),
  "id missing a byte": ({ id }) => ({ id: id.subarray(1) }),
  "key with a parity byte": ({ pubkey }) => ({ pubkey: joined(Uint8Array.of(2), pubkey) }),
  "signature with a byte more": ({ sig }) => ({ sig: joined(sig, Uint8Array.of(0)) }),
  "no signature": () => ({ sig: new Uint8Array(0) })
} satisfies Record<string, (signing: Signing) => Partial<Omit<Case, "mutation">>>
export type Mutation = keyof typeof mutations

/** `count` cases: every other one is valid, the rest are each mutation in turn. */
export const cases = function*(count: number, seed = 1): Generator<Case> {
  const random = randomFrom(seed)
  const names = Object.keys(mutations) as ReadonlyArray<Mutation>
  const secrets = Array.from({ length: 16 }, () => bigintOf(random.bytes(32)) % (n - 1n) + 1n)
  for (let i = 0; i < count; i++) {
    const mutation = i % 2 === 0 ? "none" : names[(i >> 1) % names.length] ?? "none"
    const secret = secrets[random.below(secrets.length)] ?? 1n
    const { x, y } = schnorr.Point.BASE.multiply(secret).toAffine()
    const id = random.bytes(32)
    const pubkey = bytesOf(x)
    const sig = schnorr.sign(id, bytesOf(secret), random.bytes(32))
    const d = y % 2n === 0n ? secret : n - secret
    const signing: Signing = { random, id, pubkey, sig, r: sig.subarray(0, 32), s: sig.subarray(32), d }
    // Views into a larger buffer, as the records of a job are.
    const fields = { id, pubkey, sig, ...mutations[mutation](signing) }
    const view = (bytes: Uint8Array) => joined(Uint8Array.of(7), bytes, Uint8Array.of(7)).subarray(1, bytes.length + 1)
    yield { mutation, id: view(fields.id), pubkey: view(fields.pubkey), sig: view(fields.sig) }
  }
}

export interface Difference {
  readonly engine: string
  readonly mutation: Mutation
  readonly expected: boolean
}

/** Where engines and the oracle disagree, and how many cases the oracle accepted. */
export const compare = (engines: ReadonlyArray<Engine>, oracle: Engine, input: Iterable<Case>) => {
  const differences: Array<Difference> = []
  let valid = 0
  let invalid = 0
  for (const { id, mutation, pubkey, sig } of input) {
    const expected = oracle.verify(id, pubkey, sig)
    if (expected) valid++
    else invalid++
    for (const engine of engines) {
      if (engine.verify(id, pubkey, sig) !== expected) differences.push({ engine: engine.name, mutation, expected })
    }
  }
  return { differences, valid, invalid }
}
