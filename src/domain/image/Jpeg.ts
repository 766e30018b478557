/**
 * JPEG: a row of segments, of which one states the size and an earlier one may turn the picture.
 *
 * ITU T.81, B.1.1 (markers) and B.2.2 (frame header); Exif 2.3, 4.6.4 A (Orientation). Pure.
 */
import { broken, fourcc, image, needMore, type Reading } from "./Reading.ts"

/** C4, C8 and CC lie in the same range and are no frame headers. */
const isFrameHeader = (marker: number): boolean =>
  marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc

const isAlone = (marker: number): boolean => marker === 0x01 || (marker >= 0xd0 && marker <= 0xd7)

/** Bytes from a segment's marker to the end of the size in a frame header. */
const frameHeaderBytes = 9

export const readJpeg = (view: DataView): Reading => {
  let orientation: number | undefined
  let at = 2
  for (;;) {
    if (view.byteLength < at + 4) return needMore(at + frameHeaderBytes)
    if (view.getUint8(at) !== 0xff) return broken("malformed")
    const marker = view.getUint8(at + 1)
    // A marker may be filled up with any number of FF in front.
    if (marker === 0xff) {
      at += 1
      continue
    }
    if (isAlone(marker)) {
      at += 2
      continue
    }
    const length = view.getUint16(at + 2)
    const end = at + 2 + length
    // Pixels (DA) or the end (D9) before any frame header, or a segment shorter than its own length field.
    if (marker < 0xc0 || marker === 0xd8 || marker === 0xd9 || marker === 0xda || length < 2) return broken("malformed")
    if (isFrameHeader(marker)) {
      if (view.byteLength < at + frameHeaderBytes) return needMore(at + frameHeaderBytes)
      const height = view.getUint16(at + 5)
      const width = view.getUint16(at + 7)
      return orientation !== undefined && orientation >= 5
        ? image("jpeg", height, width, false)
        : image("jpeg", width, height, false)
    }
    if (marker === 0xe1 && orientation === undefined) {
      if (view.byteLength < end) return needMore(end + frameHeaderBytes)
      orientation = orientationOf(view, at + 4, end)
    }
    at = end
  }
}

/** 1 to 8, of which 5 to 8 exchange width and height; undefined where the segment `from` to `end` does not say. */
const orientationOf = (view: DataView, from: number, end: number): number | undefined => {
  const tiff = from + 6
  if (tiff + 8 > end || fourcc(view, from) !== "Exif" || view.getUint16(from + 4) !== 0) return undefined
  const order = view.getUint16(tiff)
  if (order !== 0x4949 && order !== 0x4d4d) return undefined
  const little = order === 0x4949
  const directory = tiff + view.getUint32(tiff + 4, little)
  if (view.getUint16(tiff + 2, little) !== 42 || directory + 2 > end) return undefined
  const entries = view.getUint16(directory, little)
  for (let i = 0; i < entries; i++) {
    const entry = directory + 2 + 12 * i
    if (entry + 12 > end) return undefined
    if (view.getUint16(entry, little) !== 0x0112) continue
    const value = view.getUint16(entry + 8, little)
    const isShort = view.getUint16(entry + 2, little) === 3
    return isShort && value >= 1 && value <= 8 ? value : undefined
  }
  return undefined
}
