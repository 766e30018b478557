/**
 * How kind 0 is read where clients differ: the table of `docs/admission.md`, row by row. It stands on the source of three of
 * them, which is named there; a field is read when any of the three shows it.
 */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import { type Profile, profileOf, type ProfileProblem } from "../../src/domain/Profile.ts"
import { limits } from "./arbitraries.ts"

interface Row {
  /** As the table calls it. */
  readonly what: string
  readonly content: string
  readonly read: Partial<Profile> | ProfileProblem
}

const rows: ReadonlyArray<Row> = [
  { what: "byte order mark", content: "\ufeff{\"name\":\"mira\"}", read: "content is not JSON" },
  {
    what: "raw line breaks",
    content: "{\r\n\"name\":\"mira\",\"about\":\"one\ntwo\tthree \\\"four\n\\\"\"}\n",
    read: { name: "mira", about: "one\ntwo\tthree \"four\n\"" }
  },
  {
    what: "numeric names",
    content: "{\"name\":21,\"display_name\":2.5}",
    read: { name: "21", displayName: "2.5", ignored: [] }
  },
  {
    what: "numeric names",
    content: "{\"name\":true,\"about\":21}",
    read: { name: "", about: "", ignored: ["name", "about"] }
  },
  { what: "`image`", content: "{\"image\":\"https://a.example/a.png\"}", read: { picture: "https://a.example/a.png" } },
  { what: "`image`", content: "{\"image\":\"i\",\"picture\":\"p\"}", read: { picture: "p" } },
  { what: "`displayName`", content: "{\"displayName\":\"Mira\",\"display_name\":\"\"}", read: { displayName: "Mira" } },
  {
    what: "`displayName`",
    content: "{\"displayName\":\"camel\",\"display_name\":\"snake\"}",
    read: { displayName: "snake" }
  },
  { what: "`username`", content: "{\"username\":\"mira\"}", read: { name: "", displayName: "" } }
]

describe("kind 0 as clients read it", () => {
  for (const { content, read, what } of rows) {
    it(`${what}: ${JSON.stringify(content)}`, () => {
      const profile = profileOf(content, limits.contentMax)
      if (typeof read === "string" || typeof profile === "string") return assert.strictEqual(profile, read)
      const keys = Object.keys(read) as ReadonlyArray<keyof Profile>
      assert.deepStrictEqual(Object.fromEntries(keys.map((key) => [key, profile[key]])), read)
    })
  }

  it("is told in the documentation, a row each", () => {
    const doc = fs.readFileSync(new URL("../../docs/admission.md", import.meta.url), "utf8")
    for (const { what } of rows) assert.include(doc, `\n| ${what} |`)
  })

  it("costs one more look at a content that is no JSON, however many quotes it has", () => {
    const content = `\n${"\"\\\"".repeat(20_000)}`
    const begun = performance.now()
    assert.strictEqual(profileOf(content, limits.contentMax), "content is not JSON")
    assert.isBelow(performance.now() - begun, 200)
  })
})
