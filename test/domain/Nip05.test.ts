import { assert, describe, it } from "@effect/vitest"
import { nip05DocumentOf, nip05NameOf, nip05TextOf, nip05UrlOf } from "../../src/domain/Nip05.ts"
import { keyOf } from "../support/events.ts"

/** In short: as it is kept. */
const kept = (text: string): string | undefined => {
  const name = nip05NameOf(text)
  return name === undefined ? undefined : nip05TextOf(name)
}

const { pubkey } = keyOf("mira")
const other = keyOf("other").pubkey

describe("a NIP-05 name", () => {
  it("is compared in lower case, and a bare domain is the name of the domain", () => {
    assert.strictEqual(kept("Mira@Boats.Example"), "mira@boats.example")
    assert.strictEqual(kept(" _@boats.example\n"), "_@boats.example")
    assert.strictEqual(kept("boats.example"), "_@boats.example")
    assert.strictEqual(kept("a-b_c.9@sub.boats.example"), "a-b_c.9@sub.boats.example")
  })

  it("has its domain as it is looked up", () => {
    assert.strictEqual(kept("mira@bücher.example"), "mira@xn--bcher-kva.example")
    assert.strictEqual(kept("mira@boats.example."), "mira@boats.example")
    assert.strictEqual(kept("boats.example."), "_@boats.example")
  })

  it("is compared as it looks", () => {
    for (
      const text of [
        "mira＠boats.example",
        "mira@boats。example",
        "mi\u200bra@boats\u00ad.example",
        "ｍira@boats．example"
      ]
    ) {
      assert.strictEqual(kept(text), "mira@boats.example", text)
    }
  })

  it("is nothing that people write there besides", () => {
    const wrong = [
      "",
      " ",
      "mira",
      "@mira",
      "mira@",
      "@boats.example",
      "mira@boats.example@tide.example",
      "https://boats.example/mira",
      "mira@boats.example/path",
      "mira@boats.example:8443",
      "mira@boats.example?name=x",
      "mira@boats.example#x",
      "mira@127.0.0.1",
      "mira@[::1]",
      "mira@0x7f.1",
      "mira@localhost",
      "mira+sail@boats.example",
      "mïra@boats.example",
      "mi ra@boats.example",
      "mira@bo ats.example",
      "mira@-boats.example",
      "mira@boats.example..",
      "mira@bo%61ts.example",
      "npub1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqzqujme",
      `${"a".repeat(65)}@boats.example`,
      `mira@${"a.".repeat(126)}example`
    ]
    assert.deepStrictEqual(wrong.filter((text) => kept(text) !== undefined), [])
    assert.isDefined(kept(`${"a".repeat(64)}@boats.example`))
  })

  it("is asked for at its domain's well-known address", () => {
    const name = nip05NameOf("Mira@Boats.Example")
    assert.strictEqual(name && nip05UrlOf(name), "https://boats.example/.well-known/nostr.json?name=mira")
  })
})

const keys = (names: unknown) => Object.fromEntries(nip05DocumentOf(JSON.stringify({ names })))

describe("a NIP-05 document", () => {
  it("has keys by name, whatever their case", () => {
    assert.deepStrictEqual(keys({ Mira: pubkey.toUpperCase(), bob: other }), { mira: pubkey, bob: other })
    assert.deepStrictEqual(keys({ MIRA: other, mira: pubkey }), { mira: pubkey })
    assert.deepStrictEqual(keys({ mira: pubkey, MIRA: other }), { mira: pubkey })
  })

  it("leaves out what is no key", () =>
    assert.deepStrictEqual(keys({ a: "npub1x", b: 1, c: null, d: pubkey.slice(1), e: pubkey }), { e: pubkey }))

  it("is empty where it is none", () => {
    for (
      const text of ["", "<html>", "null", "[]", "1", "{}", "{\"names\":null}", "{\"names\":[1]}", "{\"names\":\"x\"}"]
    ) {
      assert.strictEqual(nip05DocumentOf(text).size, 0, text)
    }
  })
})
