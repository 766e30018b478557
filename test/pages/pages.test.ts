/** Every page, with text that tries to be something else. */
import { assert, describe, it } from "@effect/vitest"
import { HtmlValidate } from "html-validate"
import { html, jsonIn, problemOf, webLinkOf } from "../../src/pages/Html.ts"
import { linesOf } from "../../src/pages/Person.ts"
import { percentOf, stepOf } from "../../src/pages/Plot.ts"
import { ago, bytes, counted, day, span } from "../../src/pages/Said.ts"
import { placeOf } from "../../src/pages/Site.ts"
import { every } from "./samples.ts"

/** Tags with the names of their attributes: all that text could add to a page. */
const skeletonOf = (page: string): ReadonlyArray<string> =>
  Array.from(page.matchAll(/<[^>]*>/gu), ([tag]) => tag.replace(/="[^"]*"/gu, "=…"))

const attacks: ReadonlyArray<readonly [name: string, text: string]> = [
  ["a script", "<script>alert(1)</script>"],
  ["the end of an attribute", "\" onmouseover=\"alert(1)"],
  ["the end of an attribute in single quotes", "' autofocus onfocus='alert(1)"],
  ["the end of a tag", "\"><img src=x onerror=alert(1)>"],
  ["the end of a script", "</script><script>alert(1)</script>"],
  ["the end of a title", "</title><script>alert(1)</script>"],
  ["a comment", "<!-- --!> <script>"],
  ["an address that is a script", "javascript:alert(1)"],
  ["an entity", "&lt;script&gt; &#x3c;b&#x3e; &quot;"],
  ["letters that turn the line around", "\u202e\u2066txt.exe\u2069"],
  ["null bytes", "a\u0000<b\u0000>"],
  ["half a surrogate", "\ud800<b>\udc00"],
  ["a template", "${alert(1)} {{constructor.constructor('alert(1)')()}}"],
  ["64 kB of brackets", "<\"'>&".repeat(13_000)],
  ["64 kB of one word", "x".repeat(65_536)]
]

describe("pages", () => {
  const harmless = every("harmless text")

  for (const [name, text] of attacks) {
    it(`show ${name} as text`, () => {
      for (const [page, hostile] of Object.entries(every(text))) {
        assert.deepStrictEqual(skeletonOf(hostile), skeletonOf(harmless[page] as string), page)
        const links = Array.from(hostile.matchAll(/\b(?:href|src)="([^"]*)"/gu), ([, to]) => to ?? "")
        for (const to of links) {
          assert.match(to, /^(?:\/|https:\/\/(?:relay\.example|example\.com)\/|nostr:npub1|#)/u, page)
        }
        assert.notMatch(hostile, /[\u202a-\u202e\u2066-\u2069]/u, page)
      }
    })
  }

  it("are valid HTML", async () => {
    const validator = new HtmlValidate({
      extends: ["html-validate:recommended"],
      rules: { "long-title": "off", "no-trailing-whitespace": "off", "no-inline-style": "error" }
    })
    for (const [name, page] of Object.entries(harmless)) {
      const report = await validator.validateString(page)
      const messages = report.results.flatMap(({ messages }) =>
        messages.map(({ line, message }) => `${line}: ${message}`)
      )
      assert.deepStrictEqual(messages, [], name)
    }
  })

  it("have links below the path that a proxy serves them under", () => {
    for (const [name, page] of Object.entries(harmless)) {
      const links = Array.from(page.matchAll(/\b(?:href|src|action)="(\/[^"]*)"/gu), ([, to]) => to ?? "")
      // The links of a draw are made by whoever draws.
      for (const to of links.filter((to) => !to.startsWith("/random?"))) assert.match(to, /^\/profiles\//u, name)
    }
  })
})

describe("html", () => {
  it("escapes what it did not make, in lists too, and leaves out what is not there", () => {
    assert.strictEqual(
      html`<p title="${"\"'&<>"}">${["<", html`<b>${1}</b>`, undefined, false]}</p>`.toString(),
      "<p title=\"&quot;&#39;&amp;&lt;&gt;\">&lt;<b>1</b></p>"
    )
  })

  it("refuses a value outside of quotes in a tag, and within a script or style", () => {
    const value = "x"
    assert.throws(() => html`<p class=${value}>`, /outside of quotes/u)
    assert.throws(() => html`<p ${value}>`, /outside of quotes/u)
    assert.throws(() => html`<${value}>`, /outside of quotes/u)
    assert.throws(() => html`<script>${value}</script>`, /script or style/u)
    assert.throws(() => html`<style nonce="a">${value}</style>`, /script or style/u)
    assert.isUndefined(problemOf(["<script src=\""]))
    assert.isUndefined(problemOf(["<script src=\"a\"></script><p>"]))
    assert.isUndefined(problemOf(["<p title='>' class=\""]))
  })

  it("puts JSON into a page where nothing of it can end its element", () => {
    const json = jsonIn("event", { content: "</script><!--\u2028" }).toString()
    assert.strictEqual(
      json,
      "<script type=\"application/json\" id=\"event\">{\"content\":\"\\u003c/script>\\u003c!--\\u2028\"}</script>"
    )
  })

  it("links to the web only", () => {
    assert.strictEqual(webLinkOf("example.com/a b"), "https://example.com/a%20b")
    assert.strictEqual(webLinkOf("http://example.com"), "http://example.com/")
    for (
      const address of [
        "",
        "javascript:alert(1)",
        "data:text/html,x",
        "ftp://a.example",
        "https://me@a.example",
        "x".repeat(3000)
      ]
    ) {
      assert.isUndefined(webLinkOf(address), address)
    }
  })
})

describe("what is said", () => {
  it("of figures and times", () => {
    assert.strictEqual(counted(1, "profile"), "1 profile")
    assert.strictEqual(counted(61_204, "profile"), "61,204 profiles")
    assert.strictEqual(span(59), "a moment")
    assert.strictEqual(span(60), "1 minute")
    assert.strictEqual(span(7200), "2 hours")
    assert.strictEqual(bytes(214_000), "214 kB")
    assert.include(ago(0, 86_400).toString(), ">1 day ago<")
    assert.include(day(1e15).toString(), "no calendar")
  })

  it("of a bio: its lines, without what cannot be seen", () => {
    assert.strictEqual(linesOf("a\r\nb\n\n\n\nc\u200b "), "a\nb\n\nc")
    assert.strictEqual(linesOf("x".repeat(100), 10), "x".repeat(10))
  })

  it("of a plot: steps of 1, 2 and 5", () => {
    assert.deepStrictEqual([1, 7, 40, 4100, 80_000].map((value) => stepOf(value, 4)), [1, 2, 10, 2000, 20_000])
  })

  it("of coverage: never more than there is", () => {
    assert.strictEqual(percentOf([0, 1000], [[0, 999]]), 99.9)
    assert.strictEqual(percentOf([0, 1_000_000], [[0, 999_999]]), 99.9)
    assert.strictEqual(percentOf([100, 200], [[0, 150]]), 50)
  })

  it("of where pages are: under the path of the relay's own address", () => {
    assert.deepStrictEqual(placeOf("wss://relay.example"), { base: "", address: "https://relay.example" })
    assert.deepStrictEqual(placeOf("ws://localhost:8080/a/"), { base: "/a", address: "http://localhost:8080/a" })
  })
})
