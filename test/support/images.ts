/**
 * Pictures made by code: real headers, and as little else as makes a decoder take them for what they are.
 */
import { crc32, deflateSync } from "node:zlib"

const ascii = (text: string): Buffer => Buffer.from(text, "latin1")

const be16 = (value: number): Buffer => {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(value)
  return bytes
}
const be32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
const le16 = (value: number): Buffer => be16(value).swap16()
const le32 = (value: number): Buffer => be32(value).swap32()
const le24 = (value: number): Buffer => le32(value).subarray(0, 3)

const pngChunk = (type: string, data: Buffer): Buffer => {
  const named = Buffer.concat([ascii(type), data])
  return Buffer.concat([be32(data.length), named, be32(crc32(named))])
}

export interface PngOptions {
  /** More than one makes it an APNG. */
  readonly frames?: number
  /** Bytes of text ahead of the pixels. */
  readonly textBytes?: number
}

/** Grey, one bit per pixel. Its pixels are there when they are few; otherwise the header is all that is right. */
export const png = (width: number, height: number, { frames, textBytes }: PngOptions = {}): Buffer => {
  const stride = 1 + Math.ceil(width / 8)
  const pixels = width * height > 1_000_000 ? Buffer.alloc(0) : Buffer.alloc(stride * height)
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    pngChunk("IHDR", Buffer.concat([be32(width), be32(height), Buffer.from([1, 0, 0, 0, 0])])),
    ...(textBytes === undefined ? [] : [pngChunk("tEXt", Buffer.alloc(textBytes, 0x20))]),
    ...(frames === undefined ? [] : [pngChunk("acTL", Buffer.concat([be32(frames), be32(0)]))]),
    pngChunk("IDAT", deflateSync(pixels)),
    pngChunk("IEND", Buffer.alloc(0))
  ])
}

export interface JpegOptions {
  /** 1 to 8, in an Exif segment (Exif 2.3, 4.6.4 A). */
  readonly orientation?: number
  readonly order?: "II" | "MM"
  /** Marker of the frame header: C0 baseline, C2 progressive. */
  readonly frame?: number
  /** Lengths of APP2 segments ahead of the frame header. */
  readonly segments?: ReadonlyArray<number>
  /** FF bytes in front of the frame header's marker. */
  readonly fill?: number
}

const exif = (orientation: number, order: "II" | "MM"): Buffer => {
  const [two, four] = order === "II" ? [le16, le32] : [be16, be32]
  const entry = (tag: number, value: number) => Buffer.concat([two(tag), two(3), four(1), two(value), two(0)])
  return Buffer.concat([
    ascii(`Exif\0\0${order}`),
    two(42),
    four(8),
    two(2),
    entry(0x0100, 1),
    entry(0x0112, orientation),
    four(0)
  ])
}

const segment = (marker: number, data: Buffer): Buffer =>
  Buffer.concat([Buffer.from([0xff, marker]), be16(data.length + 2), data])

/** Headers up to the scan, and a scan that says nothing. */
export const jpeg = (width: number, height: number, options: JpegOptions = {}): Buffer => {
  const { fill = 0, frame = 0xc0, orientation, order = "MM", segments = [] } = options
  return Buffer.concat([
    Buffer.from([0xff, 0xd8]),
    segment(0xe0, ascii("JFIF\0\u0001\u0001\0\0\u0001\0\u0001\0\0")),
    ...(orientation === undefined ? [] : [segment(0xe1, exif(orientation, order))]),
    ...segments.map((length) => segment(0xe2, Buffer.alloc(length, 0xff))),
    segment(0xdb, Buffer.alloc(65, 1)),
    Buffer.alloc(fill, 0xff),
    segment(frame, Buffer.concat([Buffer.from([8]), be16(height), be16(width), Buffer.from([1, 1, 0x11, 0])])),
    segment(0xc4, Buffer.alloc(29, 0)),
    segment(0xda, Buffer.from([1, 1, 0, 0, 63, 0])),
    Buffer.from([0x00, 0xff, 0xd9])
  ])
}

/** Two colours; every frame is one pixel. `loops` adds the extension that asks for repetition. */
export const gif = (width: number, height: number, frames = 1, loops = frames > 1): Buffer => {
  const frame = Buffer.concat([
    Buffer.from([0x21, 0xf9, 4, 0, 10, 0, 0, 0]),
    Buffer.from([0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0]),
    Buffer.from([2, 2, 0x4c, 0x01, 0])
  ])
  return Buffer.concat([
    ascii("GIF89a"),
    le16(width),
    le16(height),
    Buffer.from([0x80, 0, 0]),
    Buffer.from([0, 0, 0, 255, 255, 255]),
    ...(loops ? [Buffer.from([0x21, 0xff, 11]), ascii("NETSCAPE2.0"), Buffer.from([3, 1, 0, 0, 0])] : []),
    ...Array.from({ length: frames }, () => frame),
    Buffer.from([0x3b])
  ])
}

const webpFile = (...chunks: ReadonlyArray<readonly [string, Buffer]>): Buffer => {
  const body = Buffer.concat([
    ascii("WEBP"),
    ...chunks.flatMap(([type, data]) => [ascii(type), le32(data.length), data, Buffer.alloc(data.length % 2)])
  ])
  return Buffer.concat([ascii("RIFF"), le32(body.length), body])
}

const vp8 = (width: number, height: number): Buffer =>
  Buffer.concat([Buffer.from([0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a]), le16(width), le16(height), Buffer.alloc(10)])

/** Lossy, lossless, or extended with an animation flag (RFC 9649). */
export const webp = (width: number, height: number, kind: "VP8 " | "VP8L" | "VP8X" | "animated" = "VP8 "): Buffer => {
  if (kind === "VP8 ") return webpFile([kind, vp8(width, height)])
  if (kind === "VP8L") {
    const sizes = ((width - 1) | ((height - 1) << 14)) >>> 0
    return webpFile([kind, Buffer.concat([Buffer.from([0x2f]), le32(sizes), Buffer.alloc(8)])])
  }
  const flags = kind === "animated" ? 0x02 : 0x10
  const header = Buffer.concat([Buffer.from([flags, 0, 0, 0]), le24(width - 1), le24(height - 1)])
  return webpFile(["VP8X", header], ["VP8 ", vp8(width, height)])
}

/** Rows run upwards, unless the height is negative. */
export const bmp = (width: number, height: number): Buffer => {
  const size = Buffer.alloc(8)
  size.writeInt32LE(width, 0)
  size.writeInt32LE(height, 4)
  return Buffer.concat([ascii("BM"), le32(54), le32(0), le32(54), le32(40), size, le16(1), le16(24), Buffer.alloc(24)])
}

const box = (type: string, ...data: ReadonlyArray<Buffer>): Buffer => {
  const body = Buffer.concat(data)
  return Buffer.concat([be32(body.length + 8), ascii(type), body])
}

export interface IsoMediaOptions {
  readonly major?: string
  readonly compatible?: ReadonlyArray<string>
  /** Quarter turns, anticlockwise. */
  readonly turns?: number
  /** Pixels that are left of it before it is turned. */
  readonly crop?: readonly [width: number, height: number]
  /** Bytes of a `free` box ahead of `meta`. */
  readonly gap?: number
  /** Leaves out the box that names the primary item. */
  readonly withoutPrimary?: boolean
}

/** A tile of 64 by 64 as item 1, and the picture as item 2, which is the primary one (ISO/IEC 23008-12). */
export const isoMedia = (width: number, height: number, options: IsoMediaOptions = {}): Buffer => {
  const { compatible = ["mif1", "miaf"], crop, gap, major = "avif", turns, withoutPrimary = false } = options
  const full = Buffer.alloc(4)
  const extent = (w: number, h: number) => box("ispe", full, be32(w), be32(h))
  const changes = [
    // As fractions, here of three; in the middle.
    ...crop === undefined ? [] : [box("clap", ...crop.flatMap((n) => [be32(3 * n), be32(3)]), Buffer.alloc(16, 1))],
    ...turns === undefined ? [] : [box("irot", Buffer.from([turns]))]
  ]
  const own = [0x02, ...changes.map((_, i) => 0x83 + i)]
  const properties = box(
    "iprp",
    box("ipco", extent(64, 64), extent(width, height), ...changes),
    box("ipma", full, be32(2), be16(1), Buffer.from([1, 0x01]), be16(2), Buffer.from([own.length, ...own]))
  )
  return Buffer.concat([
    box("ftyp", ascii(major), be32(0), ...compatible.map(ascii)),
    ...(gap === undefined ? [] : [box("free", Buffer.alloc(gap))]),
    box(
      "meta",
      full,
      box("hdlr", full, be32(0), ascii("pict"), Buffer.alloc(13)),
      ...(withoutPrimary ? [] : [box("pitm", full, be16(2))]),
      box("iloc", full, Buffer.alloc(12)),
      properties
    ),
    box("mdat", Buffer.alloc(32, 7))
  ])
}

export const heic = (width: number, height: number, options: IsoMediaOptions = {}): Buffer =>
  isoMedia(width, height, { major: "heic", compatible: ["mif1", "heic"], ...options })

export const svg = (attributes: string, content = ""): Buffer =>
  Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" ${attributes}>${content}</svg>`)
