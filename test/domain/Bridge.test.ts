import { assert, describe, it } from "@effect/vitest"
import { Settings } from "../../src/config/Settings.ts"
import { bridgeEvidenceOf, nip05Domain } from "../../src/domain/Bridge.ts"

const byDefault = Settings.defaults.rules

const native = { nip05: "mira@example.com", name: "mira", displayName: "Mira" }

const evidence = (tags: ReadonlyArray<ReadonlyArray<string>>, profile: Partial<typeof native> = {}) =>
  bridgeEvidenceOf({ tags }, { ...native, ...profile }, byDefault)

describe("bridgeEvidenceOf", () => {
  it("finds nothing on a native profile", () => {
    assert.strictEqual(evidence([]), undefined)
    assert.strictEqual(evidence([], { nip05: "" }), undefined)
    assert.strictEqual(bridgeEvidenceOf({ tags: [] }, undefined, byDefault), undefined)
  })

  it("believes a proxy tag of any protocol (NIP-48), and the tag Mostr wrote before there was one", () => {
    assert.strictEqual(evidence([["t", "x"], ["proxy", "https://social.example/1", "activitypub"]]), "proxy tag")
    assert.strictEqual(evidence([["proxy"]]), "proxy tag")
    assert.strictEqual(evidence([["mostr", "https://social.example/1"]]), "proxy tag")
    assert.strictEqual(evidence([["Mostr", "x"]]), "proxy tag")
    assert.strictEqual(bridgeEvidenceOf({ tags: [["proxy"]] }, undefined, byDefault), "proxy tag")
  })

  it("does not take a value for a tag", () => {
    assert.strictEqual(evidence([["t", "proxy"], ["client", "Mostr"], []]), undefined)
  })

  it("believes the labels of Momostr, which marks its relay lists so and not otherwise", () => {
    assert.strictEqual(evidence([["L", "pink.momostr"]]), "bridge label")
    assert.strictEqual(evidence([["l", "pink.momostr.activitypub:x", "pink.momostr"]]), "bridge label")
    assert.strictEqual(evidence([["l", "pink.momostr.activitypub:x"]]), "bridge label")
    assert.strictEqual(evidence([["L", "pink.momostrs"], ["l", "x", "pink"]]), undefined)
  })

  it("knows a bridge by the domain of its names, in any case and at any depth", () => {
    for (
      const nip05 of [
        "alice@mostr.pub",
        "ALICE@MOSTR.PUB",
        "alice@social-example.mostr.pub",
        "alice@momostr.pink",
        "alice.bsky.social@bsky.brid.gy",
        "brid.gy",
        "@alice@mostr.pub",
        "alice@mostr-pub.example",
        "x＠mostr.pub",
        "x@mostr。pub",
        "x@mostr\u00ad.pub",
        "https://brid.gy/x",
        "HTTPS://x@mostr.pub:443/y?z@example.com",
        "brid.gy/x@example.com"
      ]
    ) assert.strictEqual(evidence([], { nip05 }), "bridge domain", nip05)
  })

  it("does not take a substring for a domain", () => {
    for (
      const nip05 of [
        "https://example.com/mostr.pub",
        "https://example.com/@x@mostr.pub",
        "alice@notmostr.pub",
        "mostr.pub@example.com",
        "a@mostr.pub.example",
        "a@mybrid.gy"
      ]
    ) {
      assert.strictEqual(evidence([], { nip05 }), undefined, nip05)
    }
  })

  it("knows an address of the fediverse spelled as a name at somebody's own bridge", () => {
    assert.strictEqual(evidence([], { nip05: "alice_at_social.example@klistr.example" }), "bridged address")
    assert.strictEqual(evidence([], { nip05: "Alice_at_social.example＠klistr.example" }), "bridged address")
    for (
      const nip05 of [
        "look_at_me.now@example.com",
        "stay_at_home.mom@x.example",
        "a_at_b.c",
        "look_at_me@example.com",
        "alice_at_home@example.com",
        "_at_social.example@x.example"
      ]
    ) {
      assert.strictEqual(evidence([], { nip05 }), undefined, nip05)
    }
  })

  it("knows a feed by its name", () => {
    assert.strictEqual(evidence([], { name: "Daily News (RSS Feed)" }), "feed name")
    assert.strictEqual(evidence([], { displayName: "Daily News (RSS feed)" }), "feed name")
    assert.strictEqual(evidence([], { name: "Daily News (RSS\u00a0Feed)\u200b" }), "feed name")
    assert.strictEqual(evidence([], { name: `${"long ".repeat(100)}(RSS  Feed)` }), "feed name")
    assert.strictEqual(evidence([], { name: "(RSS Feed) is what I read" }), undefined)
  })

  it("follows other rules when given them", () => {
    const rules = { ...byDefault, bridgeTags: [], bridgeDomains: ["example.com"], bridgeAddresses: false }
    assert.strictEqual(bridgeEvidenceOf({ tags: [["proxy"]] }, { ...native, nip05: "a@b.c" }, rules), undefined)
    assert.strictEqual(bridgeEvidenceOf({ tags: [] }, native, rules), "bridge domain")
    assert.strictEqual(
      bridgeEvidenceOf({ tags: [] }, { ...native, nip05: "a_at_b.c@d.e" }, rules),
      undefined
    )
  })
})

describe("nip05Domain", () => {
  it("finds the domain in what people write", () => {
    const domains = {
      "mira@Example.com": "example.com",
      "example.com": "example.com",
      "_@example.com.": "example.com",
      "mira@example.com/path": "example.com",
      "https://example.com/mira@path": "example.com",
      "wss://mira@example.com": "example.com",
      "mira@example.com:8080": "example.com",
      "a@b@example.com": "example.com",
      "": ""
    }
    for (const [nip05, domain] of Object.entries(domains)) assert.strictEqual(nip05Domain(nip05), domain, nip05)
  })
})
