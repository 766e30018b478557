import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Settings } from "../../src/config/Settings.ts"
import { pictureUrlOf, type PictureUrlProblem } from "../../src/domain/PictureUrl.ts"
import { hostileTexts } from "./arbitraries.ts"

const byDefault = Settings.defaults.rules

const web = (text: string) => {
  const url = pictureUrlOf(text, byDefault)
  return url._tag === "Web" ? url : assert.fail(`${text}: ${JSON.stringify(url)}`)
}

const refuses = (reason: PictureUrlProblem, ...texts: ReadonlyArray<string>) => {
  for (const text of texts) assert.deepStrictEqual(pictureUrlOf(text, byDefault), { _tag: "Refused", reason }, text)
}

describe("pictureUrlOf", () => {
  it("normalises a web address", () => {
    assert.deepStrictEqual(pictureUrlOf(" HTTPS://Images.Example:443/a b.png?w=1 ", byDefault), {
      _tag: "Web",
      url: "https://images.example/a%20b.png?w=1",
      host: "images.example",
      isAddress: false,
      isInsecure: false,
      port: undefined,
      sha256: undefined
    })
    assert.isTrue(web("http://images.example/a.png").isInsecure)
    assert.strictEqual(web("https://images.example:8443/a.png").port, 8443)
    assert.strictEqual(web("https://images.example./a.png").host, "images.example")
  })

  it("recognises an address in every notation", () => {
    const addresses = ["127.0.0.1", "127.1", "0x7f.1", "2130706433", "017700000001", "[::1]", "[::ffff:7f00:1]"]
    for (const host of addresses) assert.isTrue(web(`http://${host}/a.png`).isAddress, host)
    assert.isFalse(web("https://127.0.0.1.example/a.png").isAddress)
  })

  it("refuses addresses where the rules say so", () => {
    const rules = { ...byDefault, pictureAddressHosts: false }
    assert.deepStrictEqual(pictureUrlOf("http://2130706433/a.png", rules), {
      _tag: "Refused",
      reason: "picture host is an address"
    })
    assert.strictEqual(pictureUrlOf("http://images.example/a.png", rules)._tag, "Web")
  })

  it("reads the hash that a Blossom path ends in", () => {
    const sha256 = "0123456789abcdef".repeat(4)
    assert.strictEqual(web(`https://cdn.example/${sha256}`).sha256, sha256)
    assert.strictEqual(web(`https://cdn.example/x/${sha256}.webp?x`).sha256, sha256)
    assert.strictEqual(web(`https://cdn.example/x${sha256}`).sha256, undefined)
    assert.strictEqual(web(`https://cdn.example/${sha256}0`).sha256, undefined)
  })

  it("keeps data: URLs of images", () => {
    assert.deepStrictEqual(pictureUrlOf("data:image/PNG;base64,AAAA", byDefault), {
      _tag: "Inline",
      mediaType: "image/png"
    })
    assert.deepStrictEqual(pictureUrlOf("data:image/svg+xml,<svg/>", byDefault), {
      _tag: "Inline",
      mediaType: "image/svg+xml"
    })
    refuses("picture is not a URL", "data:,x", "data:text/html,<p>", "data:image/png")
  })

  it("refuses schemes that need a gateway, a browser, or a victim (fault 58)", () => {
    refuses(
      "picture scheme is not supported",
      "ipfs://bafy",
      "blob:https://images.example/1",
      "javascript:alert(1)",
      "nostr:npub1",
      "file:///etc/passwd",
      "ftp://images.example/a.png",
      "blossom:x"
    )
  })

  it("refuses what is no address of a picture", () => {
    refuses(
      "picture is not a URL",
      "",
      " ",
      "a.png",
      "/a.png",
      "//images.example/a.png",
      "images.example/a.png",
      "https://",
      "https://nodots/a.png",
      "https://a b/c.png",
      "https://[::1/a.png",
      "https://images.example:99999/a.png"
    )
  })

  it("refuses credentials", () => {
    refuses("picture URL holds credentials", "https://user@images.example/a.png", "https://:pass@images.example/a.png")
  })

  it("refuses pages about a picture, but not the picture beside them", () => {
    refuses("picture is a page", "https://imgur.com/gallery/x", "https://IMGUR.com/a.png")
    assert.strictEqual(web("https://i.imgur.com/a.png").host, "i.imgur.com")
  })

  it("refuses placeholders by path and by host", () => {
    refuses(
      "picture is a placeholder",
      "https://images.example/favicon.ico",
      "https://images.example/Default-Avatar.png",
      "https://images.example/rss-to-nostr/a.png",
      "https://via.placeholder.com/300x600",
      "https://randomuser.me/api/portraits/1.jpg"
    )
    web("https://images.example/a.png?fallback=placeholder")
  })

  it("takes a placeholder's host for a host, its path for a path, and its word for a whole word", () => {
    refuses(
      "picture is a placeholder",
      "https://img.randomuser.me/p.png",
      "https://images.example/placeholder.png",
      "https://images.example/x_placeholder2.png",
      "https://placeholder.example/a.png",
      "https://images.example/icons/favicon.ico"
    )
    for (
      const url of [
        "https://randomuser.media.example/p.png",
        "https://notrandomuser.me/p.png",
        "https://images.example/randomuser.mexico.png",
        "https://images.example/randomuser.me/p.png",
        "https://images.example/favicon.icons/p.png",
        "https://favicon.ico.example/p.png",
        "https://images.example/no-placeholders-here/p.png"
      ]
    ) web(url)
  })

  it("takes a URL of the allowed length and not one character more", () => {
    const text = "https://images.example/"
    web(text + "a".repeat(byDefault.pictureUrlMax - text.length))
    refuses("picture URL is too long", text + "a".repeat(byDefault.pictureUrlMax + 1 - text.length))
  })

  it("survives hostile texts", () => {
    for (const text of hostileTexts) {
      assert.strictEqual(pictureUrlOf(text, byDefault)._tag, "Refused")
      assert.isString(pictureUrlOf(`https://${text}`, byDefault)._tag)
    }
  })

  it.effect.prop("never throws", { text: Schema.String }, ({ text }) =>
    Effect.sync(() => {
      for (const prefix of ["", "https://", "http://images.example/", "data:image/"]) {
        pictureUrlOf(prefix + text, byDefault)
      }
    }), { arbitrary: { runs: 300 } })
})
