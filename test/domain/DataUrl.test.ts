import { describe, expect, it } from "vitest"
import { decodeDataUrl } from "../../src/domain/DataUrl.ts"

const decode = (url: string, textMax = 1000) => {
  const bytes = decodeDataUrl(url, textMax)
  return bytes === undefined ? undefined : Buffer.from(bytes).toString("latin1")
}

describe("decodeDataUrl (RFC 2397)", () => {
  it("decodes base64, with or without padding, blanks and percent signs", () => {
    expect(decode("data:image/png;base64,aGVsbG8h")).toBe("hello!")
    expect(decode("DATA:image/png;name=a;BASE64 ,aGVsbG8")).toBe("hello")
    expect(decode("data:;base64,aGVs%0AbG8%3D \n")).toBe("hello")
    expect(decode("data:;base64,////")).toBe("\u00ff\u00ff\u00ff")
  })

  it("decodes text with percent signs, and leaves those that mean nothing", () => {
    expect(decode("data:image/svg+xml,%3Csvg/%3e")).toBe("<svg/>")
    expect(decode("data:,100%, %zz %4 %00%FF")).toBe("100%, %zz %4 \u0000\u00ff")
    expect(decode("data:,a,b")).toBe("a,b")
    expect(decode("data:,")).toBe("")
  })

  it("is undefined for what is none, malformed, or too long", () => {
    expect(decode("https://a.example/,")).toBeUndefined()
    expect(decode("data:image/png;base64")).toBeUndefined()
    expect(decode("data:;base64,a")).toBeUndefined()
    expect(decode("data:;base64,\u00e9\u00e9\u00e9\u00e9")).toBeUndefined()
    expect(decode("data:,12345", 11)).toBe("12345")
    expect(decode("data:,123456", 11)).toBeUndefined()
  })
})
