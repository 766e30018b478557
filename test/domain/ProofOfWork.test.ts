import { assert, describe, it } from "@effect/vitest"
import { committedTarget, leadingZeroBits, proofProblem } from "../../src/domain/ProofOfWork.ts"
import { hex } from "./arbitraries.ts"

describe("NIP-13 proof of work", () => {
  it("counts leading zero bits, not digits", () => {
    assert.deepStrictEqual(["f", "8", "7", "4", "2", "1", "01", "0f", "000006d8", "", "00"].map(leadingZeroBits), [
      0,
      0,
      1,
      1,
      2,
      3,
      7,
      4,
      21,
      0,
      8
    ])
    assert.strictEqual(leadingZeroBits(hex(0)), 256)
  })

  it("reads the target of a nonce tag, and nothing that is no number", () => {
    assert.strictEqual(committedTarget({ tags: [["nonce", "1", "20"]] }), 20)
    for (
      const tags of [[], [["nonce", "1"]], [["nonce", "1", "many"]], [["nonce", "1", "-1"]], [["nonce", "1", "1e3"]]]
    ) {
      assert.isUndefined(committedTarget({ tags }))
    }
  })

  const id = "000f".padEnd(64, "0") // 12 bits

  it("takes exactly the difficulty asked for, and one bit less not", () => {
    assert.isUndefined(proofProblem({ id, tags: [] }, 12))
    assert.strictEqual(proofProblem({ id, tags: [] }, 13), "difficulty 12 is less than 13")
    assert.isUndefined(proofProblem({ id: "f".repeat(64), tags: [] }, 0))
  })

  it("refuses a lower target that was passed by luck", () => {
    assert.strictEqual(proofProblem({ id, tags: [["nonce", "7", "11"]] }, 12), "target 11 is less than 12")
    assert.isUndefined(proofProblem({ id, tags: [["nonce", "7", "12"]] }, 12))
  })
})
