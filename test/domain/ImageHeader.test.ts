import { describe, expect, it } from "vitest"
import { readImageHeader, type Reading } from "../../src/domain/ImageHeader.ts"
import { bmp, gif, heic, isoMedia, jpeg, png, svg, webp } from "../support/images.ts"

const whole = (bytes: Uint8Array): Reading => readImageHeader(bytes, true)
const shown = (bytes: Uint8Array): string => {
  const reading = whole(bytes)
  return reading._tag === "Image"
    ? `${reading.type} ${reading.width}x${reading.height}${reading.animated === true ? " animated" : ""}`
    : reading._tag === "Broken"
    ? reading.reason
    : reading._tag
}

/** Bytes after which the size is known. */
const bytesNeeded = (bytes: Uint8Array): number => {
  let length = 0
  for (let i = 0; i < 1000; i++) {
    const reading = readImageHeader(bytes.subarray(0, length), false)
    if (reading._tag !== "NeedMore") return length
    length = reading.bytes
  }
  throw new Error("never known")
}

const samples: Readonly<Record<string, Buffer>> = {
  "png": png(300, 600),
  "apng": png(300, 600, { frames: 3 }),
  "jpeg": jpeg(300, 600),
  "progressive jpeg": jpeg(300, 600, { frame: 0xc2, segments: [200, 20] }),
  "turned jpeg": jpeg(600, 300, { orientation: 6, segments: [300] }),
  "filled jpeg": jpeg(300, 600, { fill: 7 }),
  "gif": gif(300, 600),
  "animated gif": gif(300, 600, 3),
  "webp": webp(300, 600),
  "lossless webp": webp(300, 600, "VP8L"),
  "extended webp": webp(300, 600, "VP8X"),
  "animated webp": webp(300, 600, "animated"),
  "avif": isoMedia(300, 600),
  "turned avif": isoMedia(600, 300, { turns: 1, gap: 40 }),
  "cropped avif": isoMedia(640, 640, { crop: [300, 600] }),
  "cropped and turned heic": heic(640, 640, { crop: [600, 300], turns: 1 }),
  "avif cropped to more than there is": isoMedia(300, 600, { crop: [301, 600] }),
  "heic": heic(300, 600),
  "turned heic": heic(600, 300, { turns: 3 }),
  "bmp": bmp(300, 600),
  "bmp from top to bottom": bmp(300, -600),
  "svg": svg("width=\"300\" height='600px' viewBox=\"0 0 1 2\""),
  "svg after a prolog": Buffer.concat([
    Buffer.from(
      "\u{feff}<?xml version=\"1.0\"?>\n<!-- > -->\n<!DOCTYPE svg PUBLIC \"-//W3C//DTD SVG 1.1//EN\" \"x>\" ["
    ),
    Buffer.from("<!-- don't --><!ENTITY a \"b]>\">]>\n"),
    svg("viewBox='0 0 300 600'")
  ])
}

describe("readImageHeader", () => {
  it("knows type, size and animation of every format", () => {
    const types = Object.entries(samples).map(([name, bytes]) => `${name}: ${shown(bytes)}`)
    expect(types).toEqual([
      "png: png 300x600",
      "apng: png 300x600 animated",
      "jpeg: jpeg 300x600",
      "progressive jpeg: jpeg 300x600",
      "turned jpeg: jpeg 300x600",
      "filled jpeg: jpeg 300x600",
      "gif: gif 300x600",
      "animated gif: gif 300x600 animated",
      "webp: webp 300x600",
      "lossless webp: webp 300x600",
      "extended webp: webp 300x600",
      "animated webp: webp 300x600 animated",
      "avif: avif 300x600",
      "turned avif: avif 300x600",
      "cropped avif: avif 300x600",
      "cropped and turned heic: heic 300x600",
      "avif cropped to more than there is: avif 300x600",
      "heic: heic 300x600",
      "turned heic: heic 300x600",
      "bmp: bmp 300x600",
      "bmp from top to bottom: bmp 300x600",
      "svg: svg 300x600",
      "svg after a prolog: svg 300x600"
    ])
  })

  it.each(Object.entries(samples))("says nothing wrong of a %s cut at any byte", (_, bytes) => {
    const full = whole(bytes)
    const agrees = (reading: Reading) =>
      reading._tag === "Image" && reading.animated === undefined
        ? expect(reading).toEqual({ ...full, animated: undefined })
        : expect(reading).toEqual(full)
    for (let length = 0; length <= bytes.length; length++) {
      const prefix = bytes.subarray(0, length)
      const reading = readImageHeader(prefix, false)
      if (reading._tag === "NeedMore") expect(reading.bytes).toBeGreaterThan(length)
      else agrees(reading)
      // A file that ends here is no image, a broken one, or long enough.
      const ended = whole(prefix)
      if (ended._tag === "Image") agrees(ended)
      else expect(ended._tag).toMatch(/^(?:NotImage|Broken)$/)
    }
  })

  it.each(Object.entries(samples))("asks of a %s for no more bytes than it takes", (_, bytes) => {
    const needed = bytesNeeded(bytes)
    expect(needed).toBeLessThanOrEqual(bytes.length)
    // What it asked for was really needed.
    expect(readImageHeader(bytes.subarray(0, needed - 1), false)._tag).toBe("NeedMore")
  })

  it("needs a few dozen bytes where the size stands at a fixed place", () => {
    expect(["png", "gif", "webp", "lossless webp", "bmp"].map((name) => bytesNeeded(samples[name] ?? Buffer.alloc(0))))
      .toEqual([24, 12, 30, 25, 26])
  })

  it("finds the size behind 120 kB of metadata in a handful of steps", () => {
    const bytes = jpeg(300, 600, { segments: [60_000, 60_000], orientation: 1 })
    expect(bytesNeeded(bytes)).toBeLessThan(121_000)
    expect(shown(bytes)).toBe("jpeg 300x600")
  })

  it("never throws, whatever the bytes", () => {
    let seed = 1
    const random = () => (seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0) >>> 16
    const all = Object.values(samples)
    for (let round = 0; round < 20_000; round++) {
      const bytes = Buffer.from(all[round % all.length] ?? [])
      for (let i = 0; i <= round % 5; i++) bytes[random() % bytes.length] = random() & 0xff
      const length = random() % (bytes.length + 1)
      const reading = readImageHeader(bytes.subarray(0, length), false)
      if (reading._tag === "NeedMore") expect(reading.bytes).toBeGreaterThan(length)
      if (reading._tag === "Image") expect(reading.width * reading.height).toBeGreaterThan(0)
      whole(bytes.subarray(0, length))
    }
  })

  it("needs time in proportion to the bytes, however they are arranged", () => {
    const crafted: ReadonlyArray<Buffer> = [
      jpeg(300, 600, { segments: Array.from({ length: 60_000 }, () => 0) }),
      jpeg(300, 600, { fill: 250_000 }),
      gif(300, 600, 1).subarray(0, -1).fill(0x21, 19),
      Buffer.concat([png(300, 600).subarray(0, 33), Buffer.alloc(260_000)]),
      Buffer.concat([heic(300, 600).subarray(0, 24), Buffer.from("00000008667265650", "hex")]),
      Buffer.from(`<svg ${" ".repeat(60_000)}`),
      Buffer.from(`<svg ${"a".repeat(60_000)}`),
      Buffer.from(`<svg ${"a='' ".repeat(12_000)}`),
      Buffer.from(`<!DOCTYPE svg ${"[<!--".repeat(12_000)}`),
      Buffer.from("<!-- -->".repeat(8000))
    ]
    const start = performance.now()
    for (const bytes of crafted) whole(bytes)
    expect(performance.now() - start).toBeLessThan(500)
  })
})

describe("a file that only looks like an image", () => {
  it("is no image when it is a page, whatever it is called (fault 55)", () => {
    expect(shown(Buffer.from("<!DOCTYPE html><html><svg width='300' height='600'></svg></html>"))).toBe("NotImage")
    expect(shown(Buffer.from("<html><body>Not found</body></html>"))).toBe("NotImage")
    expect(shown(Buffer.from("{\"error\":\"not found\"}"))).toBe("NotImage")
    expect(shown(Buffer.from("BMW is a car maker"))).toBe("NotImage")
    expect(shown(Buffer.from("RIFF\0\0\0\0WAVEfmt "))).toBe("NotImage")
    expect(shown(isoMedia(300, 600, { major: "mp42", compatible: ["isom"] }))).toBe("NotImage")
    expect(shown(Buffer.alloc(0))).toBe("NotImage")
    expect(shown(Buffer.from("\0\0\0\0"))).toBe("NotImage")
  })

  it("is what its first bytes say when it is several things at once (fault 55)", () => {
    expect(shown(Buffer.concat([gif(300, 600), Buffer.from("<script>alert(1)</script>")]))).toBe("gif 300x600")
    expect(shown(Buffer.concat([Buffer.from("<script>"), png(300, 600)]))).toBe("NotImage")
  })

  it("is broken when its size is zero (fault 56)", () => {
    expect(shown(png(0, 600))).toBe("zero size")
    expect(shown(jpeg(300, 0))).toBe("zero size")
    expect(shown(gif(0, 0))).toBe("zero size")
    expect(shown(bmp(0, 600))).toBe("zero size")
    expect(shown(isoMedia(300, 0))).toBe("zero size")
    expect(shown(svg("width='0' height='600'"))).toBe("zero size")
  })

  it("is broken when nobody could decode so many pixels (fault 56)", () => {
    expect(shown(png(30_000, 30_000))).toBe("too many pixels")
    expect(shown(png(0x7fff_ffff, 0x7fff_ffff))).toBe("too many pixels")
    expect(shown(isoMedia(0xffff_ffff, 0xffff_ffff))).toBe("too many pixels")
    expect(shown(jpeg(16_383, 16_383))).toBe("jpeg 16383x16383")
    expect(shown(jpeg(16_383, 16_384))).toBe("too many pixels")
    expect(shown(svg("viewBox='0 0 30000 30000'"))).toBe("svg 30000x30000")
    expect(shown(svg("viewBox='0 0 1000001 1'"))).toBe("too many pixels")
  })

  it("is broken when its header contradicts itself", () => {
    expect(shown(png(0x8000_0000, 600))).toBe("malformed")
    expect(shown(Buffer.from([0xff, 0xd8, 0xff, 0xd9, 0, 0, 0, 0, 0, 0, 0, 0]))).toBe("malformed")
    expect(shown(Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 1, 0, 0, 0, 0, 0, 0]))).toBe("malformed")
    expect(shown(webp(300, 600).fill(0, 23, 26))).toBe("malformed")
  })

  it("costs two frames to see that ten thousand are animated (fault 56)", () => {
    const bytes = gif(300, 600, 10_000)
    const reading = readImageHeader(bytes.subarray(0, 100), false)
    expect(reading).toMatchObject({ _tag: "Image", animated: true })
  })
})

const turned = (order: "II" | "MM") =>
  [1, 2, 3, 4, 5, 6, 7, 8].map((orientation) => shown(jpeg(300, 600, { orientation, order })).slice(5))

describe("orientation", () => {
  it("exchanges width and height for 5 to 8 in either byte order", () => {
    const expected = ["300x600", "300x600", "300x600", "300x600", "600x300", "600x300", "600x300", "600x300"]
    expect(turned("II")).toEqual(expected)
    expect(turned("MM")).toEqual(expected)
  })

  it("is upright where the number is none", () => {
    expect(shown(jpeg(300, 600, { orientation: 0 }))).toBe("jpeg 300x600")
    expect(shown(jpeg(300, 600, { orientation: 9 }))).toBe("jpeg 300x600")
  })

  it("turns the primary item of a HEIC, and not its tiles", () => {
    expect([0, 1, 2, 3].map((turns) => shown(heic(300, 600, { turns })))).toEqual([
      "heic 300x600",
      "heic 600x300",
      "heic 300x600",
      "heic 600x300"
    ])
    expect(shown(heic(300, 600, { withoutPrimary: true }))).toBe("heic 300x600")
  })
})

const size = (attributes: string) => shown(svg(attributes))

describe("SVG", () => {
  it("takes lengths in every absolute unit", () => {
    expect(size("width='1in' height='2.54cm'")).toBe("svg 96x96")
    expect(size("width='72pt' height='25.4mm'")).toBe("svg 96x96")
    expect(size("width='6pc' height='9.6e1PX'")).toBe("svg 96x96")
  })

  it("takes what is missing, or depends on a page, from the view box", () => {
    expect(size("width='100%' height='100%' viewBox='0 0 300 600'")).toBe("svg 300x600")
    expect(size("width='100' viewBox='0,0,300,600'")).toBe("svg 100x200")
    expect(size("height='100' viewBox='0 0 300 600'")).toBe("svg 50x100")
    expect(size("viewBox='0 0 0.2 0.1'")).toBe("svg 1x1")
  })

  it("is as large as a browser shows it where it does not say", () => {
    expect(size("")).toBe("svg 300x150")
    expect(size("viewBox='0 0 -1 600'")).toBe("svg 300x150")
    expect(size("viewBox='0 0 &big; 600'")).toBe("svg 300x150")
  })

  it("does not take other attributes for its size", () => {
    expect(size("stroke-width='9' data-viewBox='0 0 300 600' width='20' height='30'")).toBe("svg 20x30")
    expect(shown(svg("width='20' height='30'", "<rect width='300' height='600'/>"))).toBe("svg 20x30")
  })

  it("reads nothing but the opening tag of a hostile one (fault 57)", () => {
    const content = "<script>alert(1)</script><foreignObject><iframe src='file:///etc/passwd'/></foreignObject>" +
      "<use href='#a' id='a'/>"
    expect(shown(svg("width='300' height='600' onload='alert(1)'", content))).toBe("svg 300x600")
    const entities = "<!DOCTYPE svg [<!ENTITY a \"aa\"><!ENTITY b \"&a;&a;\"><!ENTITY x SYSTEM 'file:///etc/passwd'>]>"
    expect(shown(Buffer.concat([Buffer.from(entities), svg("width='300' height='600'", "&b;&x;")]))).toBe("svg 300x600")
  })

  it("may use a prefix for its namespace", () => {
    expect(shown(Buffer.from("<s:svg xmlns:s='x' width='300' height='600'/>"))).toBe("svg 300x600")
    expect(shown(Buffer.from("<s:svgx xmlns:s='x' width='300' height='600'/>"))).toBe("NotImage")
  })

  it("gives up on an opening tag that does not end within 64 KiB", () => {
    expect(readImageHeader(Buffer.from(`<svg a='${"x".repeat(70_000)}`), false)._tag).toBe("Broken")
    expect(readImageHeader(Buffer.from(`<!--${"x".repeat(70_000)}`), false)._tag).toBe("NotImage")
  })
})
