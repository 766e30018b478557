/**
 * Type and size of a picture, from as few of its first bytes as possible.
 *
 * Only the bytes decide: what a server calls them does not count, so a page that is sent as `image/png` is no image. The
 * pixels are never decoded, hence a picture bomb costs no more than its header. Pure.
 */
import { readIsoMedia } from "./image/IsoMedia.ts"
import { readJpeg } from "./image/Jpeg.ts"
import { readBmp, readGif, readPng, readWebp } from "./image/Raster.ts"
import { broken, fourcc, needMore, NotImage, type Reading } from "./image/Reading.ts"
import { readSvg } from "./image/Svg.ts"

export type { BrokenReason, ImageType, Reading } from "./image/Reading.ts"

export interface Limits {
  /** Width times height of anything but a drawing. */
  readonly pixelsMax: number
}

/** A square of 16,383 pixels: what decoders in wide use accept by default. */
const limits: Limits = { pixelsMax: 16_383 * 16_383 }

/** Bytes that are enough to tell every format from every other. */
const magicBytes = 12

/**
 * Reads the header of the file that starts with `bytes`. `whole`: there are no more bytes, so `NeedMore` is no answer.
 *
 * The answer for a longer prefix of the same file is the same, or says more: `NeedMore` becomes anything, and an undefined
 * `animated` becomes true or false. Never throws.
 */
export const readImageHeader = (bytes: Uint8Array, whole: boolean, { pixelsMax }: Limits = limits): Reading => {
  if (bytes.length < magicBytes && !whole) return needMore(magicBytes)
  const reading = dispatch(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength))
  if (reading._tag === "NeedMore" && whole) return broken("truncated")
  if (reading._tag !== "Image") return reading
  if (reading.width === 0 || reading.height === 0) return broken("zero size")
  if (reading.type !== "svg" && reading.width * reading.height > pixelsMax) return broken("too many pixels")
  return reading
}

const begins = (bytes: Uint8Array, magic: ReadonlyArray<number>): boolean =>
  magic.every((byte, index) => bytes[index] === byte)

const png = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]
const jpeg = [0xff, 0xd8, 0xff]

const dispatch = (bytes: Uint8Array, view: DataView): Reading => {
  if (begins(bytes, png)) return readPng(view)
  if (begins(bytes, jpeg)) return readJpeg(view)
  const first = bytes.length < 8 ? "" : fourcc(view, 0)
  if (first === "GIF8" && (bytes[4] === 0x37 || bytes[4] === 0x39) && bytes[5] === 0x61) return readGif(view)
  if (first === "RIFF" && bytes.length >= magicBytes) return fourcc(view, 8) === "WEBP" ? readWebp(view) : NotImage
  if (first !== "" && fourcc(view, 4) === "ftyp") return readIsoMedia(view)
  if (bytes[0] === 0x42 && bytes[1] === 0x4d) return readBmp(view)
  return bytes.length === 0 ? NotImage : readSvg(bytes)
}
