import { assert, describe, it } from "@effect/vitest"
import { npubOf, pubkeyOf } from "../../src/domain/PublicKey.ts"
import { keyOf } from "../support/events.ts"

/** The example of NIP-19, "Bare keys and ids". */
const hex = "7e7e9c42a91bfef19fa929e5fda1b72e0ebc1a4c1141673e2794234d86addf4e"
const npub = "npub10elfcs4fr0l0r8af98jlmgdh9c8tcxjvz9qkw038js35mp4dma8qzvjptg"

describe("NIP-19 public keys", () => {
  it("writes and reads the NIP's example", () => {
    assert.strictEqual(npubOf(hex), npub)
    assert.strictEqual(pubkeyOf(npub), hex)
  })

  it("reads what it writes, in either case, hex as well", () => {
    for (let seed = 0; seed < 50; seed++) {
      const { pubkey } = keyOf(seed)
      for (const text of [npubOf(pubkey), npubOf(pubkey).toUpperCase(), pubkey, pubkey.toUpperCase()]) {
        assert.strictEqual(pubkeyOf(text), pubkey)
      }
    }
  })

  it("refuses a wrong letter anywhere, mixed case, other prefixes and lengths", () => {
    for (let at = 5; at < npub.length; at++) {
      const letter = npub[at] === "q" ? "p" : "q"
      assert.isUndefined(pubkeyOf(npub.slice(0, at) + letter + npub.slice(at + 1)), `at ${at}`)
    }
    const wrong = [`N${npub.slice(1)}`, npub.replace("npub", "nsec"), npub.slice(0, -1), `${npub}q`, hex.slice(1), ""]
    for (const text of wrong) assert.isUndefined(pubkeyOf(text), text)
  })
})
