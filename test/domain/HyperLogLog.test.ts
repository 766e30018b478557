import { assert, describe, it } from "@effect/vitest"
import { hash } from "node:crypto"
import { computeOffset, estimateCount, feedPubkey, hllDecode, hllEncode } from "nostr-tools/nip45"
import type { Filter } from "../../src/domain/Filter.ts"
import { HyperLogLog, offsetOf } from "../../src/domain/HyperLogLog.ts"

const sha256 = (text: string) => hash("sha256", text)
const keys = Array.from({ length: 3000 }, (_, i) => sha256(`key ${i}`))
const tagged = (letter: string, ...values: ReadonlyArray<string>): Filter => ({ tags: new Map([[letter, values]]) })

/** Of a value whose 33rd digit is this one. */
const at = (digit: string) => offsetOf([tagged("p", "0".repeat(32) + digit + "0".repeat(31))], sha256)

describe("NIP-45 HyperLogLog", () => {
  it("looks where nostr-tools looks, for a pubkey, an address and any text", () => {
    for (const value of [keys[0]!, `30023:${keys[1]}:a`, "nostr", "", "https://a.example/"]) {
      assert.strictEqual(offsetOf([tagged("p", value)], sha256), computeOffset(value), value)
    }
  })

  it("looks from byte 8 to byte 23, by the 33rd digit", () => {
    assert.deepStrictEqual([at("0"), at("f")], [8, 23])
  })

  it("is defined for one filter with one tag condition only", () => {
    const two: Filter = { tags: new Map([["p", [keys[0]!]], ["t", ["x"]]]) }
    for (const filters of [[], [{}], [{ kinds: [3] }], [two], [tagged("p")], [tagged("t", "a"), tagged("t", "b")]]) {
      assert.isUndefined(offsetOf(filters, sha256))
    }
  })

  it("has the same registers as nostr-tools, and estimates within 10 %", () => {
    for (const offset of [8, 15, 23]) {
      const ours = new HyperLogLog(offset)
      let theirs = new Uint8Array(256)
      for (const key of keys) {
        ours.add(key)
        ours.add(key)
        theirs = new Uint8Array(feedPubkey(theirs, key, offset))
      }
      assert.strictEqual(ours.toHex(), hllEncode(theirs))
      const estimate = estimateCount(hllDecode(ours.toHex()) ?? theirs)
      assert.isAtLeast(estimate, 0.9 * keys.length)
      assert.isAtMost(estimate, 1.1 * keys.length)
    }
  })

  it("is 512 zeroes while nobody was counted", () => {
    assert.strictEqual(new HyperLogLog(8).toHex(), "0".repeat(512))
  })
})
