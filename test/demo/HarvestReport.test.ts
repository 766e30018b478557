import { assert, describe, it } from "@effect/vitest"
import { bar, liveLine, progressLine, summaryLines, totalsOf } from "../../src/demo/HarvestReport.ts"

const upstream = (phase: "history" | "live", outcomes: object, rejections = {}, dropped = 0) => ({
  state: "connected" as const,
  phase,
  outcomes,
  rejections,
  dropped
})

const totals = totalsOf([
  upstream("live", { Saved: 1200, Rejected: 5 }, { "no about": 3, "bridged account": 2 }, 7),
  upstream("history", { Saved: 34, Duplicate: 1, Rejected: 2 }, { "bridged account": 2 })
])

describe("HarvestReport", () => {
  it("adds up what all upstreams did", () => {
    assert.deepStrictEqual(totals, {
      read: 1249,
      outcomes: { Saved: 1234, Rejected: 7, Duplicate: 1 },
      rejections: { "no about": 3, "bridged account": 4 },
      dropped: 7,
      unchecked: 0,
      complete: false
    })
  })

  it("is complete when every upstream is, and not without any", () => {
    assert.isTrue(totalsOf([upstream("live", {}), upstream("live", {})]).complete)
    assert.isFalse(totalsOf([upstream("live", {}), upstream("history", {})]).complete)
    assert.isFalse(totalsOf([]).complete)
  })

  it("counts what is asked about once, wherever it stands, and is not complete before all of it was", () => {
    const retries = { waiting: 5, unchecked: 2, outcomes: { Saved: 3, Rejected: 2 }, rejections: { "no text note": 2 } }
    const asking = totalsOf([upstream("live", { Saved: 1, Undetermined: 10 })], retries)
    assert.deepStrictEqual(asking, {
      read: 11,
      outcomes: { Saved: 4, Rejected: 2, Undetermined: 3 },
      rejections: { "no text note": 2 },
      dropped: 0,
      unchecked: 2,
      complete: false
    })
    assert.isTrue(totalsOf([upstream("live", {})], { ...retries, unchecked: 0 }).complete)
  })

  it("fills the bar at the end and not before", () => {
    assert.strictEqual(bar(0, 0, false), `${"░".repeat(24)}   0 %`)
    assert.strictEqual(bar(50, 100), `${"█".repeat(12)}${"░".repeat(12)}  50 %`)
    assert.include(bar(100, 100, false), " 99 %")
    assert.include(bar(200, 100, false), " 99 %")
    assert.strictEqual(bar(1, 100, true), `${"█".repeat(24)} 100 %`)
  })

  it("says in one line where it stands", () => {
    assert.match(
      progressLine(totals, 5000, 2.9),
      /^harvest █{5}░{19} {2}24 % {2}1 249 of 5 000 events, 2 s · 1 234 kept · 1 known · 7 rejected$/
    )
  })

  it("sums up by outcome, and by reason, the most frequent first", () => {
    assert.deepStrictEqual(summaryLines(totals, 2, 1.25), [
      "Harvested 1 249 events from 2 upstreams in 1.3 s:",
      "    1 234  kept          stored, announced and served",
      "        1  known         the same event, from another upstream or sent twice",
      "        7  rejected      a rule said no",
      "              4  bridged account",
      "              3  no about",
      "        7  dropped       not asked for, or no event at all"
    ])
  })

  it("says what newcomers brought", () => {
    const later = totalsOf([upstream("live", { Saved: 1236, Rejected: 8, Duplicate: 1 })])
    assert.strictEqual(liveLine(1, totals, totals), "live: 1 newcomer")
    assert.strictEqual(liveLine(3, totals, later), "live: 3 newcomers · 2 kept · 1 rejected")
  })
})
