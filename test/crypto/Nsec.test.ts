import { assert, describe, it } from "@effect/vitest"
import { decodeSecretKey } from "../../src/crypto/Nsec.ts"

/** The pair that NIP-19 gives as its example. */
const nsec = "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5"
const hex = "67dea2ed018072d675f5415ecfaed7d2597555e202d85b3d65ea4e58d2d92ffa"

const decoded = (text: string): string | undefined => {
  const bytes = decodeSecretKey(text)
  return bytes === undefined ? undefined : Buffer.from(bytes).toString("hex")
}

describe("NIP-19 bare keys", () => {
  it("decodes the example, in either case but not in both", () => {
    assert.strictEqual(decoded(nsec), hex)
    assert.strictEqual(decoded(nsec.toUpperCase()), hex)
    assert.isUndefined(decoded(`N${nsec.slice(1)}`))
    assert.isUndefined(decoded(nsec.slice(0, -1) + nsec.slice(-1).toUpperCase().replace("5", "Q")))
  })

  it("decodes hex in any case", () => {
    assert.strictEqual(decoded(hex), hex)
    assert.strictEqual(decoded(hex.toUpperCase()), hex)
  })

  it("refuses any one letter changed, and any two neighbours swapped", () => {
    for (let at = 5; at < nsec.length; at++) {
      const other = nsec[at] === "q" ? "p" : "q"
      assert.isUndefined(decoded(nsec.slice(0, at) + other + nsec.slice(at + 1)), `letter ${at}`)
      const [first, second] = [nsec[at] ?? "", nsec[at + 1] ?? ""]
      if (first === second || second === "") continue
      assert.isUndefined(decoded(nsec.slice(0, at) + second + first + nsec.slice(at + 2)), `letters ${at}`)
    }
  })

  it("refuses a key that is a letter short or long, of another kind, or with another word in front", () => {
    for (const text of [nsec.slice(0, -1), `${nsec}q`, nsec.replace("nsec", "npub"), nsec.slice(5), "nsec1", ""]) {
      assert.isUndefined(decoded(text), text)
    }
    assert.isUndefined(decoded(hex.slice(1)))
    assert.isUndefined(decoded(`${hex}0`))
  })
})
