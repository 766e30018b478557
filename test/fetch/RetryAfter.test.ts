import { describe, expect, it } from "vitest"
import { retryAfterMillis } from "../../src/fetch/RetryAfter.ts"

const now = Date.UTC(2026, 10, 24, 12, 0, 0)
const parse = (header: string | undefined) => retryAfterMillis(header, now)

describe("retryAfterMillis (RFC 9110, 10.2.3)", () => {
  it("takes seconds", () => {
    expect(parse("0")).toBe(0)
    expect(parse(" 120 ")).toBe(120_000)
    expect(parse("315360000")).toBe(10 * 365 * 86_400_000)
  })

  it("takes the three notations of an HTTP date as times in UTC", () => {
    expect(parse("Tue, 24 Nov 2026 12:01:00 GMT")).toBe(60_000)
    expect(parse("Tuesday, 24-Nov-26 12:01:00 GMT")).toBe(60_000)
    expect(parse("Tue Nov 24 12:01:00 2026")).toBe(60_000)
  })

  it("takes a date that has passed for no time at all", () => {
    expect(parse("Mon, 23 Nov 2026 12:00:00 GMT")).toBe(0)
  })

  it("says nothing where the header does not", () => {
    const garbage = [
      "",
      "soon",
      "-1",
      "1.5",
      "1e3",
      "0x10",
      "9".repeat(400),
      "2026-11-24",
      "Tue, 99 Nov 2026 12:01:00 GMT"
    ]
    for (const header of [undefined, ...garbage]) expect(parse(header)).toBeUndefined()
  })
})
