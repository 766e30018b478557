/**
 * Reads just enough of a picture to know its size: a small range first, larger ones only where the header asks for them.
 *
 * A host that ignores ranges and sends everything is cut as soon as the header is known. Nothing beyond `bytesMax` is
 * ever kept, and one picture costs at most `requestsMax` requests.
 */
import { Effect, Stream } from "effect"
import { createHash } from "node:crypto"
import { readImageHeader, type Reading } from "../../domain/ImageHeader.ts"
import { FetchError } from "../../fetch/FetchError.ts"
import type { GuardedFetch, Response } from "../../fetch/GuardedFetch.ts"

/** Ends of the ranges, in bytes: most headers fit the first, colour profiles and previews the others. */
const steps = [4096, 32_768, 262_144] as const
const bytesMax = 262_144

/** One per step, and one for a host whose ranges make no sense. */
const requestsMax = 4

export interface Look {
  /** Never `NeedMore`: a header longer than `bytesMax` is `Broken`. */
  readonly reading: Exclude<Reading, { readonly _tag: "NeedMore" }>
  readonly status: number
  /** Length of the file, where the host says so or it was read to its end. */
  readonly bytes: number | undefined
  /** Lower-case hex, where it was read to its end. */
  readonly sha256: string | undefined
  /** The same of its first `headBytes`, or of all where it has no more; undefined where fewer were read. */
  readonly head: string | undefined
}

/** With the length, enough to tell that two files are one: it is the first range. */
const headBytes = 4096

const sha256Of = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")

const hashesOf = (bytes: Uint8Array, whole: boolean): Pick<Look, "head" | "sha256"> => ({
  sha256: whole ? sha256Of(bytes) : undefined,
  head: whole || bytes.length >= headBytes ? sha256Of(bytes.subarray(0, headBytes)) : undefined
})

/** Bytes from the start of the file, and what they say. */
class Prefix {
  #bytes = new Uint8Array(steps[0])
  #parsed = 0
  length = 0
  reading: Reading = { _tag: "NeedMore", bytes: 1 }

  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.length)
  }

  append(chunk: Uint8Array): void {
    const part = chunk.subarray(0, bytesMax - this.length)
    const length = this.length + part.length
    if (length > this.#bytes.length) {
      const grown = new Uint8Array(Math.min(bytesMax, Math.max(length, this.#bytes.length * 2)))
      grown.set(this.bytes)
      this.#bytes = grown
    }
    this.#bytes.set(part, this.length)
    this.length = length
  }

  /** Reads the header once there is enough of it, and not again for every few bytes that trickle in. */
  parse(whole: boolean, isEnd: boolean): void {
    if (this.reading._tag !== "NeedMore") return
    const isDue = this.length >= this.reading.bytes && this.length - this.#parsed >= this.#parsed / 8
    if (!isDue && !isEnd) return
    this.#parsed = this.length
    this.reading = readImageHeader(this.bytes, whole)
  }
}

/** `bytes 0-4095/123456`, or `*` for an unknown total (RFC 9110, 14.4). */
const contentRange = (header: string | undefined): { readonly first: number; readonly total: number } | undefined => {
  const match = /^bytes (\d{1,15})-\d{1,15}\/(\d{1,15}|\*)$/.exec(header?.trim() ?? "")
  if (match === null) return undefined
  return { first: Number(match[1]), total: match[2] === "*" ? Infinity : Number(match[2]) }
}

const isEncoded = ({ headers }: Response): boolean =>
  !/^(?:identity)?$/i.test(headers["content-encoding"]?.trim() ?? "")

/** Infinity where it is not said, or is said of the encoded bytes. */
const declaredLength = (response: Response): number => {
  const header = response.headers["content-length"] ?? ""
  return !isEncoded(response) && /^\d{1,15}$/.test(header) ? Number(header) : Infinity
}

/** What must stay the same from one range to the next. */
const versionOf = ({ headers, url }: Response): string =>
  [url.href, headers["etag"], headers["last-modified"], contentRange(headers["content-range"])?.total].join(" ")

interface Part {
  readonly prefix: Prefix
  readonly version: string
  readonly status: number
  readonly total: number
  readonly whole: boolean
}

/** Reads one answer, to the end of the header or of the answer. `Range` failure: ask again, without a range. */
const readPart = Effect.fnUntraced(
  function*(fetch: GuardedFetch["Service"], url: string, before: Part | undefined, last: number | undefined) {
    const known = before?.prefix.length ?? 0
    const response = yield* fetch.get({
      url,
      accept: "image/*,*/*;q=0.1",
      range: last === undefined ? undefined : { first: known, last },
      // Room for all that one read can bring beyond what is kept, so that a cap is never what ends an honest look.
      caps: { encoded: 4 * bytesMax, decoded: 2 * bytesMax },
      whole: false
    })
    const range = response.status === 206 ? contentRange(response.headers["content-range"]) : undefined
    const version = versionOf(response)
    if (response.status === 206) {
      const fits = range !== undefined && range.first === known && !isEncoded(response)
      if (!fits || (before !== undefined && before.version !== version)) {
        return yield* new FetchError({ reason: "Range", detail: "ranges do not fit together" })
      }
    }
    const prefix = range === undefined || before === undefined ? new Prefix() : before.prefix
    const end = range === undefined || last === undefined ? bytesMax : last + 1
    let isCut = false
    yield* Stream.runForEachWhile(response.body, (chunk) =>
      Effect.sync(() => {
        prefix.append(chunk.subarray(0, end - prefix.length))
        prefix.parse(false, false)
        isCut = prefix.reading._tag !== "NeedMore" || prefix.length >= end
        return !isCut
      }))
    const total = range?.total ?? (isCut ? declaredLength(response) : prefix.length)
    const whole = prefix.length >= total
    if (range !== undefined && prefix.length === known) {
      return yield* new FetchError({ reason: "Range", detail: "an empty part" })
    }
    prefix.parse(whole, true)
    const part: Part = { prefix, version, status: response.status, total, whole }
    return part
  },
  Effect.scoped
)

const lookOf = ({ prefix, status, total, whole }: Part): Look => ({
  reading: prefix.reading._tag === "NeedMore" ? { _tag: "Broken", reason: "malformed" } : prefix.reading,
  status,
  bytes: Number.isSafeInteger(total) ? total : whole ? prefix.length : undefined,
  ...hashesOf(prefix.bytes, whole)
})

/** Fails where the host did, before the size was known. */
export const readPicture = Effect.fn("PictureReader.readPicture")(
  function*(fetch: GuardedFetch["Service"], url: string) {
    let part: Part | undefined
    let isRanged = true
    for (let requests = 0; requests < requestsMax; requests++) {
      const known: number = part?.prefix.length ?? 0
      const wanted: number = part?.prefix.reading._tag === "NeedMore" ? part.prefix.reading.bytes : 1
      const step = steps.find((end) => end > known && end >= wanted)
      if (step === undefined) break
      const next: Part | "restart" = yield* readPart(fetch, url, part, isRanged ? step - 1 : undefined).pipe(
        Effect.catchIf(
          (error) => error.reason === "Range" && isRanged,
          () => Effect.succeed<"restart">("restart")
        )
      )
      if (next === "restart") {
        isRanged = false
        part = undefined
        continue
      }
      part = next
      if (part.prefix.reading._tag !== "NeedMore" || part.status !== 206) break
    }
    const isUnfinished = part?.prefix.reading._tag === "NeedMore" && part.prefix.reading.bytes <= bytesMax
    return part === undefined || (isUnfinished && part.prefix.length < bytesMax)
      ? yield* new FetchError({ reason: "Protocol", detail: "parts that never make a whole" })
      : lookOf(part)
  }
)

/** The same for a picture whose bytes are all here. */
export const lookAt = (bytes: Uint8Array): Look => {
  const reading = readImageHeader(bytes, true)
  return {
    reading: reading._tag === "NeedMore" ? { _tag: "Broken", reason: "truncated" } : reading,
    status: 200,
    bytes: bytes.length,
    ...hashesOf(bytes, true)
  }
}
