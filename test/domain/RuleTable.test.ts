import { assert, describe, it } from "@effect/vitest"
import { Settings } from "../../src/config/Settings.ts"
import { type Facts, factsOf, judge } from "../../src/domain/Quality.ts"
import { ruleTable, timeOf } from "../../src/domain/RuleTable.ts"
import { epoch, goodProfile, profileEvent } from "../support/events.ts"

const pictures: ReadonlyArray<Facts["picture"]> = [
  undefined,
  { _tag: "Image", size: { width: 800, height: 800 } },
  { _tag: "Image", size: { width: 20, height: 20 } },
  { _tag: "NoImage", reason: "picture is gone" },
  { _tag: "Unanswered", reason: "picture host did not answer", retryAfter: 1 }
]
const posts: ReadonlyArray<Facts["textNotes"]> = [
  undefined,
  { _tag: "Found", count: 1 },
  { _tag: "Found", count: 0 },
  { _tag: "Unanswered", reason: "outbox relays did not answer", retryAfter: 1 }
]
const names: ReadonlyArray<Facts["nip05"]> = [
  undefined,
  { _tag: "Verified" },
  { _tag: "NotVerified", reason: "NIP-05 name is not listed" },
  { _tag: "Unanswered", reason: "NIP-05 domain did not answer", retryAfter: 1 }
]
const contents = [
  goodProfile,
  "not json",
  { ...goodProfile, about: "" },
  { ...goodProfile, name: "", display_name: " " },
  { ...goodProfile, picture: undefined },
  { ...goodProfile, picture: "ftp://images.example/a" },
  { ...goodProfile, deleted: true, about: "" },
  { ...goodProfile, nip05: "mira@mostr.pub", picture: undefined },
  { ...goodProfile, nip05: "mira@boats.example" },
  { ...goodProfile, nip05: "mira" }
]

/** Every combination of these. */
const all = contents.flatMap((content) =>
  [0, epoch, epoch + 10_000_000].flatMap((created_at) =>
    pictures.flatMap((picture) =>
      posts.flatMap((textNotes) =>
        names.map((nip05): Facts => ({
          ...factsOf(
            profileEvent(typeof content === "string" ? content : { ...content }, "author", { created_at }),
            epoch + 60,
            Settings.defaults
          ),
          nip05,
          picture,
          textNotes
        }))
      )
    )
  )
)

describe("ruleTable", () => {
  it("says no exactly where the judge does, and names the judge's reason", () => {
    const strict = { ...Settings.defaults, nip05: "require" } as const
    for (const [facts, policy] of all.flatMap((facts) => [[facts, Settings.defaults], [facts, strict]] as const)) {
      const verdict = judge(facts, policy)
      const rows = ruleTable(facts, policy)
      const refused = rows.filter(({ status }) => status === "rejected").map(({ reason }) => reason)
      const unanswered = rows.filter(({ status }) => status === "unanswered").map(({ reason }) => reason)
      if (verdict._tag === "Rejected") assert.strictEqual(refused[0], verdict.reason)
      else assert.deepStrictEqual(refused, [])
      if (verdict._tag === "Undetermined") assert.include(unanswered, verdict.reason)
      if (verdict._tag === "Accepted") assert.deepStrictEqual(unanswered, [])
    }
  })

  it("lists every flaw, not only the first", () => {
    const facts = factsOf(
      profileEvent({ name: "", display_name: "", about: "", nip05: "x@mostr.pub" }),
      epoch,
      Settings.defaults
    )
    const flaws = ruleTable(facts, Settings.defaults).filter(({ status }) => status === "rejected").map(({ rule }) =>
      rule
    )
    assert.deepStrictEqual(flaws, ["no bridge", "name", "about"])
  })

  it("writes times that are no dates as numbers", () => {
    assert.strictEqual(timeOf(0), "1970-01-01T00:00:00.000Z")
    assert.strictEqual(timeOf(8.64e12 - 1), "+275760-09-12T23:59:59.000Z")
    assert.strictEqual(timeOf(Number.MAX_SAFE_INTEGER), "9007199254740991")
  })
})
