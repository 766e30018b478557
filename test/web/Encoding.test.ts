import { assert, describe, it } from "@effect/vitest"
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from "node:zlib"
import { acceptedOf, encode, encodingOf, kept, prefersHtml } from "../../src/web/Encoding.ts"

const body = Buffer.from("profiles worth having ".repeat(200))

describe("content negotiation (RFC 9110 §12.5)", () => {
  it("takes the encoding that the client likes best, and ours among equals", () => {
    assert.strictEqual(encodingOf("gzip, deflate, br, zstd"), "br")
    assert.strictEqual(encodingOf("gzip;q=1, br;q=0.5"), "gzip")
    assert.strictEqual(encodingOf("br;q=0, zstd;q=0.1"), "zstd")
    assert.strictEqual(encodingOf("*"), "br")
    assert.strictEqual(encodingOf("*;q=0.5, br;q=0"), "zstd")
    for (const header of [undefined, "", "identity", "deflate", "gzip;q=0", "br;q=x"]) {
      assert.isUndefined(encodingOf(header), header)
    }
  })

  it("encodes what can be decoded again, and leaves what is short as it is", () => {
    for (
      const [accept, decode] of [["br", brotliDecompressSync], ["gzip", gunzipSync], [
        "zstd",
        zstdDecompressSync
      ]] as const
    ) {
      const made = encode(body, accept)
      assert.strictEqual(made.encoding, accept)
      assert.isBelow(made.body.length, body.length / 4)
      assert.deepStrictEqual(decode(made.body), body)
      const once = kept(body)
      assert.deepStrictEqual(decode(once(accept).body), body)
      assert.strictEqual(once(accept), once(accept))
    }
    assert.isUndefined(encode(Buffer.from("short"), "br").encoding)
  })

  it("tells a browser from a program by its preferences", () => {
    const firefox = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    assert.isTrue(prefersHtml(firefox, false))
    assert.isFalse(prefersHtml("application/json", true))
    assert.isFalse(prefersHtml("text/html;q=0.5, application/json", true))
    assert.isTrue(prefersHtml("text/*, application/json;q=0.9", false))
    for (const usual of [true, false]) {
      assert.strictEqual(prefersHtml("*/*", usual), usual)
      assert.strictEqual(prefersHtml(undefined, usual), usual)
    }
  })

  it("reads a header of any length in bounded time", () => {
    assert.isAtMost(acceptedOf("a,".repeat(100_000)).length, 32)
  })
})
