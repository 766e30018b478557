import { assert, describe, it } from "@effect/vitest"
import { crc32, inflateSync } from "node:zlib"
import { type Format, formats, make } from "../../src/demo/Drawing.ts"

/** Width and height as the header of each format states them, at the offsets of its specification. */
const sizeIn: { readonly [format in Format]: (bytes: Buffer) => readonly [number, number] } = {
  png: (bytes) => [bytes.readUInt32BE(16), bytes.readUInt32BE(20)],
  gif: (bytes) => [bytes.readUInt16LE(6), bytes.readUInt16LE(8)],
  jpg: (bytes) => {
    // A segment after the other, up to the start of the frame.
    let at = 2
    while (bytes[at + 1] !== 0xc0) at += 2 + bytes.readUInt16BE(at + 2)
    return [bytes.readUInt16BE(at + 7), bytes.readUInt16BE(at + 5)]
  },
  webp: (bytes) => {
    const bits = bytes.readUInt32LE(21)
    return [(bits & 0x3fff) + 1, ((bits >>> 14) & 0x3fff) + 1]
  }
}
/** First bytes in hex. */
const magic: { readonly [format in Format]: RegExp } = {
  png: /^89504e470d0a1a0a0000000d49484452/,
  gif: /^474946383961/,
  jpg: /^ffd8ffe000104a46494600/,
  webp: /^52494646.{8}574542505650384c.{8}2f/
}

describe("Drawing", () => {
  for (const format of formats) {
    it(`states its size as ${format}`, () => {
      for (const [width, height] of [[1, 1], [7, 5], [299, 601], [300, 600], [1080, 1350], [4096, 4096]] as const) {
        const bytes = Buffer.from(make(format, width, height, 200).bytes)
        assert.match(bytes.toString("hex", 0, 32), magic[format])
        assert.deepStrictEqual(sizeIn[format](bytes), [width, height])
      }
    })

    it(`looks different by hue, and the same for the same, as ${format}`, () => {
      assert.deepStrictEqual(make(format, 30, 60, 10), make(format, 30, 60, 10))
      assert.notDeepEqual(make(format, 30, 60, 10), make(format, 30, 60, 200))
    })
  }

  it("is a PNG whose chunks and pixels hold together", () => {
    const bytes = Buffer.from(make("png", 33, 20, 0).bytes)
    const chunks: Array<string> = []
    for (let at = 8; at < bytes.length;) {
      const length = bytes.readUInt32BE(at)
      const body = bytes.subarray(at + 4, at + 8 + length)
      assert.strictEqual(bytes.readUInt32BE(at + 8 + length), crc32(body))
      const type = body.toString("latin1", 0, 4)
      // A filter byte and 9 bytes of four pixels each per row.
      if (type === "IDAT") assert.lengthOf(inflateSync(body.subarray(4)), 20 * (1 + 9))
      chunks.push(type)
      at += 12 + length
    }
    assert.deepStrictEqual(chunks, ["IHDR", "PLTE", "IDAT", "IEND"])
  })

  it("is a JPEG with no marker inside its scan, and an end", () => {
    for (let hue = 0; hue < 360; hue += 7) {
      const bytes = Buffer.from(make("jpg", 17, 9, hue).bytes)
      const scan = bytes.subarray(bytes.indexOf(Buffer.from([0xff, 0xda])) + 14, -2)
      for (const [i, byte] of scan.entries()) if (byte === 0xff) assert.strictEqual(scan[i + 1], 0, `hue ${hue}`)
      assert.strictEqual(bytes.readUInt16BE(bytes.length - 2), 0xffd9)
    }
  })
})
