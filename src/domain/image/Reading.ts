/**
 * What the first bytes of a file say about the picture in it. Every format's reader answers with one of these.
 *
 * Readers are total: any bytes have an answer, and none throws. They look at each byte at most a few times, so the cost is
 * that of the prefix they are given. Pure.
 */

export type ImageType = "png" | "jpeg" | "gif" | "webp" | "avif" | "heic" | "bmp" | "svg"

export type BrokenReason =
  /** The whole file is here, and it ends too early. */
  | "truncated"
  | "malformed"
  | "zero size"
  /** More than a client could be asked to decode. */
  | "too many pixels"

export type Reading =
  | {
    readonly _tag: "Image"
    readonly type: ImageType
    /** Pixels as shown, so after rotation; at least 1. */
    readonly width: number
    readonly height: number
    /** Undefined where the bytes at hand do not tell. */
    readonly animated: boolean | undefined
  }
  /** So far it is an image; the answer may be in a prefix of so many bytes, and not in a shorter one. */
  | { readonly _tag: "NeedMore"; readonly bytes: number }
  | { readonly _tag: "NotImage" }
  /** An image of this type, but no decoder would show it. */
  | { readonly _tag: "Broken"; readonly reason: BrokenReason }

export const image = (type: ImageType, width: number, height: number, animated: boolean | undefined): Reading => ({
  _tag: "Image",
  type,
  width,
  height,
  animated
})

export const needMore = (bytes: number): Reading => ({ _tag: "NeedMore", bytes })

export const broken = (reason: BrokenReason): Reading => ({ _tag: "Broken", reason })

export const NotImage: Reading = { _tag: "NotImage" }

/** Four ASCII characters that name a chunk, a box or a brand; bytes beyond ASCII never equal any. */
export const fourcc = (view: DataView, at: number): string =>
  String.fromCharCode(view.getUint8(at), view.getUint8(at + 1), view.getUint8(at + 2), view.getUint8(at + 3))
