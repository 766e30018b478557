import { assert, describe, it } from "@effect/vitest"
import { schnorr } from "@noble/curves/secp256k1.js"
import { eventId, keyOf, sign } from "../../src/demo/Signer.ts"

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex")
const template = (i: number) => ({ kind: 1, created_at: i, tags: [["t", String(i)]], content: `note ${i}` })

describe("Signer", () => {
  it("signs as BIP-340 says without auxiliary randomness, bit for bit", () => {
    for (let i = 0; i < 40; i++) {
      const key = keyOf(i)
      const event = sign(template(i), key)
      assert.strictEqual(hex(schnorr.getPublicKey(key.secret)), key.pubkey)
      assert.strictEqual(event.sig, hex(schnorr.sign(Buffer.from(event.id, "hex"), key.secret, new Uint8Array(32))))
    }
  })

  it("leaves the key as it was", () => {
    const key = keyOf("kept")
    const before = hex(key.secret)
    assert.deepStrictEqual(sign(template(1), key), sign(template(1), key))
    assert.strictEqual(hex(key.secret), before)
  })

  it("hashes the canonical array without spaces, and text as UTF-8", () => {
    // printf '[0,"00",1,1,[["p","é"]],"a\\nb"]' | sha256sum
    assert.strictEqual(
      eventId("00", { created_at: 1, kind: 1, tags: [["p", "é"]], content: "a\nb" }),
      "91ad2f07982e26b2e43044353383774f0dda9bf18f7d0c1200494f96fd4568bf"
    )
  })
})
