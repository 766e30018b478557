/** What is said of where somebody stands. */
import { assert, describe, it } from "@effect/vitest"
import { npubOf } from "../../src/domain/PublicKey.ts"
import { standingSaid } from "../../src/domain/Standing.ts"

const nothing = {
  bucket: undefined,
  nip05Verified: undefined,
  resembles: undefined,
  trustedFollowers: undefined,
  rankedAt: undefined
}
const other = "ab".repeat(32)

describe("why somebody stands where they do", () => {
  it("is one sentence, of what is known", () => {
    assert.strictEqual(standingSaid(nothing), "How well known the account is here has not been looked at yet.")
    assert.strictEqual(
      standingSaid({ ...nothing, bucket: 2 }),
      "The account stands at 2 of 15 among equal answers to a search: no NIP-05 name of it is verified."
    )
    assert.strictEqual(
      standingSaid({
        bucket: 3,
        nip05Verified: true,
        trustedFollowers: 1,
        rankedAt: 1_700_000_000,
        resembles: other
      }),
      "The account stands at 3 of 15 among equal answers to a search: its NIP-05 name is verified, 1 account that this " +
        "relay trusts follows it, counted on 2023-11-14, and it has the name and the picture of a profile that was here " +
        `first or has the name by right, ${npubOf(other)}.`
    )
    assert.strictEqual(
      standingSaid({ ...nothing, bucket: 0, nip05Verified: false, trustedFollowers: 20 }),
      "The account stands at 0 of 15 among equal answers to a search: the domain of its NIP-05 name does not confirm it, " +
        "and 20 accounts that this relay trusts follow it."
    )
  })
})
