/**
 * Pictures out of nothing: valid files of any size, in one flat colour or, as PNG, with a head and shoulders. Pure.
 *
 * They exist so that somebody can measure them. All but the PNG are as short as their format allows.
 */
import { crc32, deflateSync } from "node:zlib"

export interface Drawing {
  readonly contentType: string
  readonly bytes: Uint8Array
}

/** 0 to 255 each. */
type Color = readonly [red: number, green: number, blue: number]

export const formats = ["png", "jpg", "gif", "webp"] as const
export type Format = (typeof formats)[number]

/** Degrees on the colour wheel; `light` from 0 to 1. */
const colorOf = (hue: number, light: number): Color => {
  const channel = (offset: number) => {
    const at = (offset + hue / 30) % 12
    return Math.round(255 * (light - 0.5 * Math.min(light, 1 - light) * Math.max(-1, Math.min(at - 3, 9 - at, 1))))
  }
  return [channel(0), channel(8), channel(4)]
}

/** A picture of that many pixels; the hue is what sets one apart from another. */
export const make = (format: Format, width: number, height: number, hue: number): Drawing => {
  const { contentType, draw } = encoders[format]
  return { contentType, bytes: draw(width, height, hue) }
}

const encoders: {
  readonly [format in Format]: {
    readonly contentType: string
    readonly draw: (width: number, height: number, hue: number) => Uint8Array
  }
} = {
  png: { contentType: "image/png", draw: (width, height, hue) => png(width, height, hue) },
  jpg: { contentType: "image/jpeg", draw: (width, height, hue) => jpeg(width, height, hue) },
  gif: { contentType: "image/gif", draw: (width, height, hue) => gif(width, height, colorOf(hue, 0.7)) },
  webp: { contentType: "image/webp", draw: (width, height, hue) => webp(width, height, colorOf(hue, 0.7)) }
}

const bytes = (...values: ReadonlyArray<number>) => Buffer.from(values)
const be16 = (value: number) => bytes((value >>> 8) & 255, value & 255)
const be32 = (value: number) => bytes(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255)
const le16 = (value: number) => bytes(value & 255, (value >>> 8) & 255)
const le32 = (value: number) => bytes(value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24)

// PNG (W3C "Portable Network Graphics"): palette of 4 colours, 2 bits per pixel.

/** The compressed pixels of a size are the same whatever the palette; few sizes are in use. */
const pixels = new Map<string, Buffer>()
const pixelsMax = 64

const pixelsOf = (width: number, height: number): Buffer => {
  const name = `${width}x${height}`
  const known = pixels.get(name)
  if (known !== undefined) return known
  const rowBytes = Math.ceil(width / 4)
  const raw = Buffer.alloc((rowBytes + 1) * height)
  // A head of a third of the width, and shoulders below it.
  const [centerX, headY, head] = [width / 2, height * 0.4, width / 5]
  const inside = (x: number, y: number) =>
    ((x - centerX) ** 2 + (y - headY) ** 2 < head ** 2) ||
    (((x - centerX) / (width * 0.36)) ** 2 + ((y - height) / (height * 0.38)) ** 2 < 1)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (inside(x, y)) raw[y * (rowBytes + 1) + 1 + (x >> 2)]! |= 1 << (6 - 2 * (x & 3))
    }
  }
  const deflated = deflateSync(raw)
  if (pixels.size >= pixelsMax) pixels.clear()
  pixels.set(name, deflated)
  return deflated
}

const pngChunk = (type: string, data: Uint8Array) => {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data])
  return Buffer.concat([be32(data.length), body, be32(crc32(body))])
}

const png = (width: number, height: number, hue: number): Uint8Array =>
  Buffer.concat([
    bytes(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    pngChunk("IHDR", Buffer.concat([be32(width), be32(height), bytes(2, 3, 0, 0, 0)])),
    pngChunk("PLTE", bytes(...colorOf(hue, 0.85), ...colorOf((hue + 150) % 360, 0.4))),
    pngChunk("IDAT", pixelsOf(width, height)),
    pngChunk("IEND", bytes())
  ])

// JPEG (ITU T.81), baseline: each block is its difference to the one before, so a flat picture is one block and zeros.

const jpegSegment = (marker: number, data: Uint8Array) =>
  Buffer.concat([bytes(0xff, marker), be16(data.length + 2), data])

/** So many codes of each length from 1 to 16 bits, then their symbols. The all-ones code stays unused. */
const huffmanTable = (id: number, ones: number, twos: number, symbols: ReadonlyArray<number>) =>
  bytes(id, ones, twos, ...Array.from({ length: 14 }, () => 0), ...symbols)

const jpeg = (width: number, height: number, hue: number): Uint8Array => {
  // Differences of 64 to 127 have category 7. With steps of 4, one of them moves a flat block by half its value.
  const differences = [40, Math.sin(hue * Math.PI / 180) * 60, Math.cos(hue * Math.PI / 180) * 60].map((shift) => {
    const size = Math.max(64, Math.min(127, Math.round(Math.abs(shift) * 2)))
    return shift < 0 ? 127 - size : size
  })
  // Codes: 00 no difference, 01 a difference of 7 bits, then 0 for "nothing else in this block".
  const first = differences.map((code) => `01${code.toString(2).padStart(7, "0")}0`).join("")
  const bitCount = first.length + 3 * 3 * (Math.ceil(width / 8) * Math.ceil(height / 8) - 1)
  const scan = Buffer.alloc(Math.ceil(bitCount / 8))
  for (let i = 0; i < first.length; i++) scan[i >> 3]! |= Number(first[i]) << (7 - (i & 7))
  // What is left of the last byte is filled with ones.
  scan[scan.length - 1]! |= 0xff >>> (8 - (scan.length * 8 - bitCount))
  return Buffer.concat([
    bytes(0xff, 0xd8),
    jpegSegment(0xe0, Buffer.concat([Buffer.from("JFIF\0", "latin1"), bytes(1, 1, 0, 0, 1, 0, 1, 0, 0)])),
    jpegSegment(0xdb, bytes(0, ...Array.from({ length: 64 }, () => 4))),
    jpegSegment(0xc0, Buffer.concat([bytes(8), be16(height), be16(width), bytes(3, 1, 17, 0, 2, 17, 0, 3, 17, 0)])),
    jpegSegment(0xc4, huffmanTable(0x00, 0, 2, [0, 7])),
    jpegSegment(0xc4, huffmanTable(0x10, 1, 0, [0])),
    jpegSegment(0xda, bytes(3, 1, 0, 2, 0, 3, 0, 0, 63, 0)),
    // A byte of ones would pass for a marker, so it is followed by a zero.
    Buffer.from([...scan].flatMap((byte) => byte === 0xff ? [0xff, 0] : [byte])),
    bytes(0xff, 0xd9)
  ])
}

// GIF (89a): a screen of the stated size in its background colour, with a frame of one pixel in the corner.

const gif = (width: number, height: number, color: Color): Uint8Array =>
  Buffer.concat([
    Buffer.from("GIF89a", "latin1"),
    le16(width),
    le16(height),
    bytes(0x80, 0, 0, ...color, ...color),
    bytes(0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x44, 1, 0, 0x3b)
  ])

// WebP (lossless): every channel has a single value, and a code of a single value needs no bits per pixel.

const webp = (width: number, height: number, [red, green, blue]: Color): Uint8Array => {
  /** Least significant bit first. */
  const bits: Array<number> = []
  const put = (value: number, count: number) => {
    for (let i = 0; i < count; i++) bits.push((value >>> i) & 1)
  }
  put(0x2f, 8)
  put(width - 1, 14)
  put(height - 1, 14)
  put(0, 1 + 3 + 1 + 1 + 1) // no alpha, version 0, no transform, no colour cache, one group of codes
  for (const value of [green, red, blue, 255]) {
    put(0b101, 3) // a simple code, of one symbol, which has 8 bits
    put(value, 8)
  }
  put(0b001, 3) // the code of distances: one symbol of one bit
  put(0, 1)
  const data = Array.from(
    { length: Math.ceil(bits.length / 8) },
    (_, i) => bits.slice(i * 8, i * 8 + 8).reduce((byte, bit, place) => byte | bit << place, 0)
  )
  const chunk = Buffer.concat([Buffer.from("VP8L", "latin1"), le32(data.length), bytes(...data)])
  const padded = chunk.length % 2 === 0 ? chunk : Buffer.concat([chunk, bytes(0)])
  return Buffer.concat([
    Buffer.from("RIFF", "latin1"),
    le32(4 + padded.length),
    Buffer.from("WEBP", "latin1"),
    padded
  ])
}
