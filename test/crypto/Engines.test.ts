import { assert, describe, it } from "@effect/vitest"
import { schnorr } from "@noble/curves/secp256k1.js"
import { type Engine, type EngineName, engineNames, selfTested } from "../../src/crypto/engines/Engine.ts"
import { type Loaders, loaders, selectEngine } from "../../src/crypto/engines/EngineSelection.ts"
import { vectors } from "./bip340Vectors.ts"
import { cases, compare } from "./signatures.ts"

const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex, "hex"))
const flipped = (input: Uint8Array, at: number) => input.map((byte, i) => i === at ? byte ^ 1 : byte)

const oracle = await loaders.noble()

/** The engine, or why this machine has none; the package's own engines must be there. */
const loaded = async (name: EngineName): Promise<Engine | undefined> => {
  try {
    return await loaders[name]()
  } catch (error) {
    if (name !== "libsecp256k1") throw error
    console.log(`skipped: ${String(error)}`)
    return undefined
  }
}

const suite = (name: EngineName, engine: Engine | undefined) => {
  describe.skipIf(engine === undefined)(`engine ${name}`, () => {
    const { verify } = engine ?? oracle
    const id = bytes("243f6a8885a308d313198a2e03707344a4093822299f31d0082efa98ec4e6c89")
    const secret = bytes("b7e151628aed2a6abf7158809cf4f3c762e7160f38b4da56a784d9045190cfef")
    const pubkey = schnorr.getPublicKey(secret)
    const sig = schnorr.sign(id, secret, new Uint8Array(32))

    it("goes by its own name and passes its self-test", () => {
      assert.strictEqual(engine?.name, name)
      if (engine !== undefined) selfTested(engine)
    })

    it.each(vectors)("agrees with BIP-340 on vector $index: $comment", (vector) => {
      assert.strictEqual(
        verify(bytes(vector.message), bytes(vector.publicKey), bytes(vector.signature)),
        vector.valid
      )
    })

    it("refuses a valid signature once any byte of id, key or signature has changed", () => {
      assert.isTrue(verify(id, pubkey, sig))
      for (let at = 0; at < 32; at++) {
        assert.isFalse(verify(flipped(id, at), pubkey, sig), `id, byte ${at}`)
        assert.isFalse(verify(id, flipped(pubkey, at), sig), `key, byte ${at}`)
        assert.isFalse(verify(id, pubkey, flipped(sig, at)), `r, byte ${at}`)
        assert.isFalse(verify(id, pubkey, flipped(sig, at + 32)), `s, byte ${at}`)
      }
    })

    it.each([0, 1, 31, 33, 64])("refuses an id or key of %i bytes", (length) => {
      const wrong = new Uint8Array(length)
      wrong.set(id.subarray(0, Math.min(32, length)))
      assert.isFalse(verify(wrong, pubkey, sig))
      wrong.set(pubkey.subarray(0, Math.min(32, length)))
      assert.isFalse(verify(id, wrong, sig))
    })

    it.each([0, 1, 32, 63, 65, 128])("refuses a signature of %i bytes", (length) => {
      const wrong = new Uint8Array(length)
      wrong.set(sig.subarray(0, Math.min(64, length)))
      assert.isFalse(verify(id, pubkey, wrong))
    })

    it("leaves its input as it was", () => {
      const before = [id.slice(), pubkey.slice(), sig.slice()]
      verify(id, pubkey, sig)
      assert.deepStrictEqual([id, pubkey, sig], before)
    })

    it("answers the same after any number of malformed calls", () => {
      for (const { id, pubkey, sig } of cases(112, 3)) verify(id, pubkey, sig)
      assert.isTrue(verify(id, pubkey, sig))
    })

    it("answers like noble on valid and mutated signatures", () => {
      const { differences, invalid, valid } = compare([engine ?? oracle], oracle, cases(400, 2))
      assert.deepStrictEqual(differences, [])
      assert.isAtLeast(valid, 200)
      assert.isAtLeast(invalid, 180)
    })
  })
}

for (const name of engineNames) suite(name, await loaded(name))

describe("BIP-340 vectors", () => {
  it.each(vectors.filter(({ secretKey }) => secretKey !== undefined))("are what noble signs: $index", (vector) => {
    const { auxRand = "", message, publicKey, secretKey = "", signature } = vector
    assert.strictEqual(Buffer.from(schnorr.getPublicKey(bytes(secretKey))).toString("hex"), publicKey)
    assert.strictEqual(
      Buffer.from(schnorr.sign(bytes(message), bytes(secretKey), bytes(auxRand))).toString("hex"),
      signature
    )
  })
})

describe("recovery identity", () => {
  it("leaves to the fallback what recovery cannot express: a key of at least n", async () => {
    const asked: Array<string> = []
    const { load } = await import("../../src/crypto/engines/Secp256k1Native.ts")
    const engine = load({
      ...oracle,
      verify: (_id, pubkey) => asked.push(Buffer.from(pubkey).toString("hex")) === 0
    })
    const order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"
    const below = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140"
    const sig = new Uint8Array(64).fill(1)
    engine.verify(new Uint8Array(32), bytes(below), sig)
    assert.deepStrictEqual(asked, [])
    engine.verify(new Uint8Array(32), bytes(order), sig)
    assert.deepStrictEqual(asked, [order])
  })
})

const fake = (name: EngineName, verify: Engine["verify"] = oracle.verify) => async (): Promise<Engine> => ({
  name,
  inline: false,
  verify
})
const absent = () => Promise.reject(new Error("is not installed"))

describe("selectEngine", () => {
  const all: Loaders = {
    libsecp256k1: fake("libsecp256k1"),
    "secp256k1-native": fake("secp256k1-native"),
    wasm: fake("wasm"),
    noble: fake("noble")
  }

  it("takes the best one that is there", async () => {
    assert.strictEqual((await selectEngine("auto", all)).engine.name, "libsecp256k1")
    const { engine, refused } = await selectEngine("auto", { ...all, libsecp256k1: absent })
    assert.strictEqual(engine.name, "secp256k1-native")
    assert.deepStrictEqual(refused, [{ name: "libsecp256k1", reason: "is not installed" }])
  })

  it.each(engineNames)("takes the one that is asked for: %s", async (name) => {
    assert.strictEqual((await selectEngine(name, all)).engine.name, name)
  })

  it("falls back from an engine that accepts everything, or nothing, and says why", async () => {
    const { engine, refused } = await selectEngine("auto", {
      ...all,
      libsecp256k1: fake("libsecp256k1", () => true),
      "secp256k1-native": fake("secp256k1-native", () => false)
    })
    assert.strictEqual(engine.name, "wasm")
    assert.deepStrictEqual(refused, [
      { name: "libsecp256k1", reason: "accepted an invalid signature in its self-test" },
      { name: "secp256k1-native", reason: "refused a valid signature in its self-test" }
    ])
  })

  it("falls back from the one that is asked for to the best of the others", async () => {
    const { engine, refused } = await selectEngine("wasm", { ...all, wasm: absent })
    assert.strictEqual(engine.name, "libsecp256k1")
    assert.deepStrictEqual(refused.map(({ name }) => name), ["wasm"])
  })

  it("fails when no engine works, and names each", async () => {
    const none: Loaders = { libsecp256k1: absent, "secp256k1-native": absent, wasm: absent, noble: absent }
    const failure = await selectEngine("auto", none).then(() => "", String)
    for (const name of engineNames) assert.include(failure, name)
  })
})
