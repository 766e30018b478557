/**
 * Answers in the encoding that the client prefers of those that are worth it (RFC 9110 §12.5.3).
 *
 * Pages are small and made for one request, so they are compressed at once on this thread, at the level that costs about
 * as much as rendering them; what is the same for everybody is compressed once, well, and kept.
 */
import { brotliCompressSync, constants, gzipSync, zstdCompressSync } from "node:zlib"

export type Encoding = "br" | "zstd" | "gzip"

/** The best first, where a client likes several as well. */
const encodings: ReadonlyArray<Encoding> = ["br", "zstd", "gzip"]

/** Bytes below which a header would cost more than is saved. */
const sizeMin = 512

interface Accepted {
  readonly name: string
  readonly quality: number
}

/** Values of a header such as `Accept`, each with its quality. At most 32 of them count. */
export const acceptedOf = (header: string | undefined): ReadonlyArray<Accepted> =>
  (header ?? "").slice(0, 2048).split(",").slice(0, 32).flatMap((item) => {
    const [name = "", ...parameters] = item.split(";").map((part) => part.trim().toLowerCase())
    if (name === "") return []
    const given = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2)
    const quality = given === undefined ? 1 : Number(given)
    return [{ name, quality: Number.isFinite(quality) ? Math.min(1, Math.max(0, quality)) : 0 }]
  })

/** What to encode in; undefined: as it is. */
export const encodingOf = (header: string | undefined): Encoding | undefined => {
  const accepted = acceptedOf(header)
  const qualityOf = (encoding: string) =>
    (accepted.find(({ name }) => name === encoding) ?? accepted.find(({ name }) => name === "*"))?.quality ?? 0
  const [best] = encodings.toSorted((a, b) => qualityOf(b) - qualityOf(a))
  return best !== undefined && qualityOf(best) > 0 ? best : undefined
}

/** `isKept`: whether the result serves many requests, so that it may cost more. */
const compressed = (body: Uint8Array, encoding: Encoding, isKept: boolean): Buffer => {
  switch (encoding) {
    case "br":
      return brotliCompressSync(body, { params: { [constants.BROTLI_PARAM_QUALITY]: isKept ? 11 : 4 } })
    case "zstd":
      return zstdCompressSync(body, { params: { [constants.ZSTD_c_compressionLevel]: isKept ? 19 : 3 } })
    default:
      return gzipSync(body, { level: isKept ? 9 : 5 })
  }
}

export interface Encoded {
  readonly body: Uint8Array
  readonly encoding: Encoding | undefined
}

export const encode = (body: Uint8Array, accept: string | undefined): Encoded => {
  const encoding = body.length < sizeMin ? undefined : encodingOf(accept)
  return encoding === undefined ? { body, encoding } : { body: compressed(body, encoding, false), encoding }
}

/** The same for what does not change: each encoding is made when it is first asked for. */
export const kept = (body: Uint8Array): (accept: string | undefined) => Encoded => {
  const made = new Map<Encoding, Encoded>()
  return (accept) => {
    const encoding = body.length < sizeMin ? undefined : encodingOf(accept)
    if (encoding === undefined) return { body, encoding }
    const found = made.get(encoding) ?? { body: compressed(body, encoding, true), encoding }
    made.set(encoding, found)
    return found
  }
}

/** Whether a browser is asking, or a program: by the preferences in `Accept`, and `usual` where they are equal. */
export const prefersHtml = (header: string | undefined, usual: boolean): boolean => {
  const accepted = acceptedOf(header)
  const qualityOf = (type: string) => {
    const [group] = type.split("/")
    const range = accepted.find(({ name }) => name === type) ?? accepted.find(({ name }) => name === `${group}/*`) ??
      accepted.find(({ name }) => name === "*/*")
    return range?.quality ?? 0
  }
  const html = qualityOf("text/html")
  const json = qualityOf("application/json")
  return html === json ? usual : html > json
}
