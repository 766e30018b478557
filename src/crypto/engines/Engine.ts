/**
 * One way to check a BIP-340 signature, and the test each way has to pass before it may judge an event.
 *
 * Engines run on verifier threads, so nothing here imports Effect: a thread that did would start fifteen times slower.
 */

export interface Engine {
  /** As in `VERIFIER_ENGINE`, logs and metrics. */
  readonly name: EngineName
  /**
   * Whether `sig` is a BIP-340 signature of the 32-byte message `id` under the x-only `pubkey`. Synchronous and total:
   * malformed input, wrong lengths included, is `false`. The arrays are read during the call only.
   */
  readonly verify: (id: Uint8Array, pubkey: Uint8Array, sig: Uint8Array) => boolean
  /** Fast enough (tens of microseconds) to check a few signatures on the thread that owns the sockets. */
  readonly inline: boolean
}

/** Best first. */
export const engineNames = ["libsecp256k1", "secp256k1-native", "wasm", "noble"] as const
export type EngineName = typeof engineNames[number]

/** Lengths that BIP-340 fixes; the check that keeps a wrong argument away from native code. */
export const wellSized = (id: Uint8Array, pubkey: Uint8Array, sig: Uint8Array): boolean =>
  id.length === 32 && pubkey.length === 32 && sig.length === 64

/** Order of the group, `n` in BIP-340. */
export const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n

const hex = (text: string) => Uint8Array.from(Buffer.from(text, "hex"))

/** BIP-340, "Test Vectors and Reference Code", index 1: an ordinary valid signature. */
const good = {
  id: hex("243f6a8885a308d313198a2e03707344a4093822299f31d0082efa98ec4e6c89"),
  pubkey: hex("dff1d77f2a671c5f36183726db2341be58feae1da2deced843240f7b502ba659"),
  sig: hex(
    "6896bd60eeae296db48a229ff71dfe071bde413e6d43f917dc8dcf8c78de3341" +
      "8906d11ac976abccb20b091292bff4ea897efcb639ea871cfa95f6de339e4b0a"
  )
}

/** Index 8 of the same table: everything fits but the sign of `s`. */
const bad = {
  ...good,
  sig: hex(
    "6cff5c3ba86c69ea4b7376f31a9bcb4f74c1976089b2d9963da2e5543e177769" +
      "961764b3aa9b2ffcb6ef947b6887a226e8d7c93e00c5ed0c1834ff0d0c2e6da6"
  )
}

/** The engine itself, once it has accepted a good vector and refused a bad one; throws otherwise. */
export const selfTested = (engine: Engine): Engine => {
  if (!engine.verify(good.id, good.pubkey, good.sig)) throw new Error("refused a valid signature in its self-test")
  if (engine.verify(bad.id, bad.pubkey, bad.sig)) throw new Error("accepted an invalid signature in its self-test")
  return engine
}
