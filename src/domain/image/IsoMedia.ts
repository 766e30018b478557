/**
 * AVIF and HEIC: boxes within boxes, of which one lists the properties of every item and another which of them belong to
 * the item that is shown.
 *
 * ISO/IEC 14496-12, 4.2 (boxes) and 8.11 (meta); ISO/IEC 23008-12, 6.5.3 (ispe), 6.5.9 (clap), 6.5.10 (irot), 9.3
 * (ipma). Pure.
 */
import { broken, fourcc, image, type ImageType, needMore, NotImage, type Reading } from "./Reading.ts"

interface Box {
  readonly type: string
  /** Offset of its contents, and of what follows it. */
  readonly body: number
  readonly end: number
}

/** The box at `at`, within a parent that ends at `end`; its contents may lie beyond the bytes at hand. */
const boxAt = (view: DataView, at: number, end: number): Box | Reading => {
  if (at + 8 > end) return broken("malformed")
  if (view.byteLength < at + 8) return needMore(at + 8)
  const type = fourcc(view, at + 4)
  let size = view.getUint32(at)
  let body = at + 8
  if (size === 1) {
    if (view.byteLength < at + 16) return needMore(at + 16)
    size = view.getUint32(at + 8) * 2 ** 32 + view.getUint32(at + 12)
    body = at + 16
  }
  // Zero: to the end of what it stands in.
  const boxEnd = size === 0 ? end : at + size
  return boxEnd < body || boxEnd > end ? broken("malformed") : { type, body, end: boxEnd }
}

const isReading = (value: Box | Reading): value is Reading => "_tag" in value

/** Boxes from `from` to `end`, all of whose bytes are at hand; what is malformed ends the list. */
const boxesIn = (view: DataView, from: number, end: number): ReadonlyArray<Box> => {
  const boxes: Array<Box> = []
  for (let at = from; at + 8 <= end;) {
    const box = boxAt(view, at, end)
    if (isReading(box)) break
    boxes.push(box)
    at = box.end
  }
  return boxes
}

const heicBrands = new Set(["heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs", "mif1", "msf1"])
const sequenceBrands = new Set(["avis", "hevc", "hevx", "hevm", "hevs", "msf1"])

/** Far more brands than anybody lists. */
const fileTypeBytesMax = 4096

/** `bytes[4..8]` are `ftyp`. */
export const readIsoMedia = (view: DataView): Reading => {
  const fileType = boxAt(view, 0, Infinity)
  if (isReading(fileType)) return fileType
  if (fileType.end > fileTypeBytesMax || fileType.end < fileType.body + 8) return NotImage
  if (view.byteLength < fileType.end) return needMore(fileType.end)
  const brands = [fourcc(view, fileType.body)]
  for (let at = fileType.body + 8; at + 4 <= fileType.end; at += 4) brands.push(fourcc(view, at))
  const type: ImageType | undefined = brands.some((brand) => brand === "avif" || brand === "avis")
    ? "avif"
    : brands.some((brand) => heicBrands.has(brand))
    ? "heic"
    : undefined
  if (type === undefined) return NotImage
  const animated = brands.some((brand) => sequenceBrands.has(brand))

  for (let at = fileType.end;;) {
    const box = boxAt(view, at, Infinity)
    if (isReading(box)) return box
    if (box.type === "meta") return readMeta(view, box, type, animated)
    // A box that runs to the end of the file leaves no room for another.
    if (box.end === Infinity) return broken("malformed")
    at = box.end
  }
}

const readMeta = (view: DataView, meta: Box, type: ImageType, animated: boolean): Reading => {
  let primary: number | undefined
  let properties: Box | undefined
  for (let at = meta.body + 4; at < meta.end && (primary === undefined || properties === undefined);) {
    const box = boxAt(view, at, meta.end)
    if (isReading(box)) return box
    if (box.type === "pitm" || box.type === "iprp") {
      if (box.end === Infinity) return broken("malformed")
      if (view.byteLength < box.end) return needMore(box.end)
      if (box.type === "iprp") properties = box
      else primary = primaryItemOf(view, box)
    }
    at = box.end
  }
  const size = properties === undefined ? undefined : sizeOf(view, properties, primary)
  return size === undefined ? broken("malformed") : image(type, size.width, size.height, animated)
}

const primaryItemOf = (view: DataView, box: Box): number | undefined => {
  if (box.body + 6 > box.end) return undefined
  if (view.getUint8(box.body) === 0) return view.getUint16(box.body + 4)
  return box.body + 8 > box.end ? undefined : view.getUint32(box.body + 4)
}

interface Size {
  readonly width: number
  readonly height: number
}

/** Of the primary item as shown; where a file does not say which that is, of its largest one. */
const sizeOf = (view: DataView, properties: Box, primary: number | undefined): Size | undefined => {
  const boxes = boxesIn(view, properties.body, properties.end)
  const container = boxes.find((box) => box.type === "ipco")
  if (container === undefined) return undefined
  const all = boxesIn(view, container.body, container.end)
  const associations = boxes.filter((box) => box.type === "ipma")
  const own = primary === undefined
    ? []
    : associations.flatMap((box) => associatedWith(view, box, primary)).flatMap((index) => all[index - 1] ?? [])
  const ownSizes = own.flatMap((box) => box.type === "ispe" ? spatialExtent(view, box) : [])
  if (ownSizes[0] === undefined) {
    const sizes = all.flatMap((box) => box.type === "ispe" ? spatialExtent(view, box) : [])
    return sizes.toSorted((a, b) => b.width * b.height - a.width * a.height)[0]
  }
  // Cuts and turns are made in the order in which the item has them.
  return own.reduce((size, box) => {
    if (box.type === "clap") return cropped(view, box, size)
    const isTurned = box.type === "irot" && box.body < box.end && (view.getUint8(box.body) & 1) === 1
    return isTurned ? { width: size.height, height: size.width } : size
  }, ownSizes[0])
}

/** What a clean aperture leaves of a picture; one that leaves nothing, or more than there is, is none. */
const cropped = (view: DataView, box: Box, size: Size): Size => {
  if (box.body + 16 > box.end) return size
  const width = Math.round(view.getUint32(box.body) / view.getUint32(box.body + 4))
  const height = Math.round(view.getUint32(box.body + 8) / view.getUint32(box.body + 12))
  return width >= 1 && height >= 1 && width <= size.width && height <= size.height ? { width, height } : size
}

const spatialExtent = (view: DataView, box: Box): ReadonlyArray<Size> =>
  box.body + 12 > box.end ? [] : [{ width: view.getUint32(box.body + 4), height: view.getUint32(box.body + 8) }]

/** Places, from 1, of the properties of one item. */
const associatedWith = (view: DataView, box: Box, item: number): ReadonlyArray<number> => {
  if (box.body + 8 > box.end) return []
  const wideIds = view.getUint8(box.body) > 0
  const wideIndexes = (view.getUint8(box.body + 3) & 1) === 1
  const entries = view.getUint32(box.body + 4)
  let at = box.body + 8
  for (let entry = 0; entry < entries; entry++) {
    const idBytes = wideIds ? 4 : 2
    if (at + idBytes + 1 > box.end) return []
    const id = wideIds ? view.getUint32(at) : view.getUint16(at)
    const count = view.getUint8(at + idBytes)
    at += idBytes + 1
    const next = at + count * (wideIndexes ? 2 : 1)
    if (next > box.end) return []
    if (id === item) {
      const step = wideIndexes ? 2 : 1
      return Array.from({ length: count }, (_, i) =>
        // The top bit says that a reader must understand the property.
        wideIndexes ? view.getUint16(at + i * step) & 0x7fff : view.getUint8(at + i) & 0x7f)
    }
    at = next
  }
  return []
}
