/**
 * Formats that state their size at a fixed place: PNG (with APNG), GIF, WebP and BMP.
 *
 * The caller has seen the magic bytes. Each function needs a few dozen bytes for the size; whether there is a second frame
 * may stand further on, and is undefined until then. Pure.
 */
import { broken, fourcc, image, needMore, NotImage, type Reading } from "./Reading.ts"

/** PNG specification, "Chunk layout" and "IHDR": the header chunk comes first. */
export const readPng = (view: DataView): Reading => {
  if (view.byteLength < 24) return needMore(24)
  if (view.getUint32(8) !== 13 || fourcc(view, 12) !== "IHDR") return broken("malformed")
  const width = view.getUint32(16)
  const height = view.getUint32(20)
  return width > 0x7fff_ffff || height > 0x7fff_ffff
    ? broken("malformed")
    : image("png", width, height, isAnimatedPng(view))
}

/** APNG: a chunk `acTL` ahead of the pixels, which says how many frames there are. */
const isAnimatedPng = (view: DataView): boolean | undefined => {
  let at = 33
  while (at + 12 <= view.byteLength) {
    const type = fourcc(view, at + 4)
    if (type === "acTL") return view.getUint32(at + 8) > 1
    if (type === "IDAT" || type === "IEND") return false
    at += 12 + view.getUint32(at)
  }
  return undefined
}

/** GIF89a, sections 18 (logical screen) and 20 (image descriptor). */
export const readGif = (view: DataView): Reading =>
  view.byteLength < 10
    ? needMore(10)
    : image("gif", view.getUint16(6, true), view.getUint16(8, true), isAnimatedGif(view))

/** Bytes of a colour table, from the flags that announce it. */
const colourTable = (flags: number): number => (flags & 0x80) === 0 ? 0 : 3 << ((flags & 7) + 1)

/** A second frame is all it takes, so a file of ten thousand costs no more than one of two. */
const isAnimatedGif = (view: DataView): boolean | undefined => {
  const { byteLength } = view
  if (byteLength < 13) return undefined
  const skipBlocks = (from: number): number => {
    let at = from
    while (at < byteLength && view.getUint8(at) !== 0) at += 1 + view.getUint8(at)
    return at + 1
  }
  let at = 13 + colourTable(view.getUint8(10))
  let frames = 0
  while (at < byteLength) {
    const block = view.getUint8(at)
    if (block === 0x3b) return false
    if (block === 0x21) at = skipBlocks(at + 2)
    else if (block === 0x2c) {
      frames += 1
      if (frames > 1) return true
      if (at + 10 > byteLength) return undefined
      at = skipBlocks(at + 11 + colourTable(view.getUint8(at + 9)))
    } else return undefined
  }
  return undefined
}

const uint24 = (view: DataView, at: number): number => view.getUint16(at, true) | (view.getUint8(at + 2) << 16)

/** RFC 9649, section 2: lossy, lossless, or extended with the canvas and its flags up front. */
export const readWebp = (view: DataView): Reading => {
  if (view.byteLength < 16) return needMore(16)
  switch (fourcc(view, 12)) {
    case "VP8 ": {
      if (view.byteLength < 30) return needMore(30)
      const isKeyFrame = (view.getUint8(20) & 1) === 0
      if (!isKeyFrame || uint24(view, 23) !== 0x2a_019d) return broken("malformed")
      return image("webp", view.getUint16(26, true) & 0x3fff, view.getUint16(28, true) & 0x3fff, false)
    }
    case "VP8L": {
      if (view.byteLength < 25) return needMore(25)
      if (view.getUint8(20) !== 0x2f) return broken("malformed")
      const sizes = view.getUint32(21, true)
      return image("webp", 1 + (sizes & 0x3fff), 1 + ((sizes >>> 14) & 0x3fff), false)
    }
    case "VP8X": {
      if (view.byteLength < 30) return needMore(30)
      const animated = (view.getUint8(20) & 0x02) !== 0
      return image("webp", 1 + uint24(view, 24), 1 + uint24(view, 27), animated)
    }
    default:
      return broken("malformed")
  }
}

/** Lengths of the header that follows the file header, by which its version is known. */
const bmpHeaders = new Set([12, 16, 40, 52, 56, 64, 108, 124])

/** Two letters are little evidence, so the length of the second header has to be right as well. */
export const readBmp = (view: DataView): Reading => {
  if (view.byteLength < 18) return needMore(18)
  const header = view.getUint32(14, true)
  if (!bmpHeaders.has(header)) return NotImage
  if (view.byteLength < 26) return needMore(26)
  if (header === 12) return image("bmp", view.getUint16(18, true), view.getUint16(20, true), false)
  const width = view.getInt32(18, true)
  // Rows that run from top to bottom have a negative height.
  const height = Math.abs(view.getInt32(22, true))
  return width < 0 ? broken("malformed") : image("bmp", width, height, false)
}
