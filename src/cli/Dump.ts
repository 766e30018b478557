/**
 * A dump as it comes, made into lines of one JSON value each: unpacked where it is gzip (RFC 1952) or zstd (RFC 8878), and
 * with each element of a JSON array on a line of its own. All of it in bounded memory, whatever the length of the array.
 */
import { pipeline, Readable } from "node:stream"
import { createGunzip, createZstdDecompress } from "node:zlib"

const [newline, carriageReturn, space, tab] = [0x0a, 0x0d, 0x20, 0x09]
const [quote, backslash, comma] = [0x22, 0x5c, 0x2c]
const [openBracket, closeBracket, openBrace, closeBrace] = [0x5b, 0x5d, 0x7b, 0x7d]
const byteOrderMark: ReadonlySet<number> = new Set([0xef, 0xbb, 0xbf])

const isSpace = (byte: number): boolean => byte === space || byte === tab || byte === newline || byte === carriageReturn

/**
 * Puts the elements of arrays on lines of their own; leaves lines of anything else as they are.
 *
 * An array that is not one, as its file was cut or put together of others, ends where that shows: at a line break within a text,
 * and at a line that begins with an object where none may stand, as no event holds one. What came before is a line that is no
 * event, and is told of as such; from there on lines are lines again.
 */
export class ArrayLines {
  #state: "line begins" | "line" | "bracket" | "array" = "line begins"
  #depth = 0
  #isString = false
  #isEscaped = false
  /** A line has ended within the array; what that means shows in the next byte. */
  #isLineEnded = false
  /** An element may begin here. */
  #isBetween = true

  push(chunk: Uint8Array): Buffer {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    // An opening bracket that was held back is all that can make it longer.
    const out = Buffer.allocUnsafe(bytes.length + 1)
    let to = 0
    for (let n = 0; n < bytes.length; n++) {
      const byte = bytes[n]!
      if (this.#state === "bracket" && !isSpace(byte)) {
        if (byte === openBrace) this.#beginArray()
        else if (byte === closeBracket) {
          this.#state = "line"
          continue
        } else {
          // A message such as ["EVENT", …], which is a line by itself.
          out[to++] = openBracket
          this.#state = "line"
        }
      }
      if (this.#isLineEnded) {
        this.#isLineEnded = false
        const isBroken = byte === openBrace && (this.#depth > 0 || !this.#isBetween)
        out[to++] = isBroken ? newline : space
        if (isBroken) this.#state = "line"
      }
      switch (this.#state) {
        case "line begins":
          if (byte === openBracket) {
            this.#state = "bracket"
            continue
          }
          if (!isSpace(byte) && !byteOrderMark.has(byte)) this.#state = "line"
          out[to++] = byte
          continue
        case "line": {
          const end = bytes.indexOf(newline, n)
          const last = end < 0 ? bytes.length - 1 : end
          to += bytes.copy(out, to, n, last + 1)
          n = last
          if (end >= 0) this.#state = "line begins"
          continue
        }
        case "bracket":
          continue
        default:
          this.#isLineEnded = byte === newline && !this.#isString
          if (!this.#isLineEnded) out[to++] = this.#inArray(byte)
      }
    }
    return out.subarray(0, to)
  }

  #beginArray(): void {
    this.#state = "array"
    this.#depth = 0
    this.#isString = false
    this.#isEscaped = false
    this.#isBetween = true
  }

  /** What a byte of an array becomes. */
  #inArray(byte: number): number {
    if (this.#isString) {
      if (byte === newline) this.#state = "line begins"
      else if (this.#isEscaped) this.#isEscaped = false
      else if (byte === backslash) this.#isEscaped = true
      else if (byte === quote) this.#isString = false
      return byte
    }
    if (byte === carriageReturn) return space
    if (byte === comma && this.#depth === 0) {
      this.#isBetween = true
      return newline
    }
    if (!isSpace(byte)) this.#isBetween = false
    if (byte === quote) this.#isString = true
    else if (byte === openBrace || byte === openBracket) this.#depth++
    else if (byte === closeBrace) this.#depth--
    else if (byte === closeBracket && this.#depth-- === 0) {
      this.#state = "line begins"
      return newline
    }
    return byte
  }
}

const magics = [
  { magic: Buffer.from([0x1f, 0x8b]), make: createGunzip },
  { magic: Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), make: createZstdDecompress }
] as const

const magicBytes = 4

/** What is packed is known by its first bytes. */
async function* unpacked(input: Readable): AsyncGenerator<Buffer> {
  const chunks = input[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  let head = Buffer.alloc(0)
  while (head.length < magicBytes) {
    const { done, value } = await chunks.next()
    if (done === true) break
    head = Buffer.concat([head, value])
  }
  async function* whole() {
    if (head.length > 0) yield head
    for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) yield next.value
  }
  const found = magics.find(({ magic }) => head.subarray(0, magic.length).equals(magic))
  if (found === undefined) yield* whole()
  else {
    const unpack = found.make()
    // Its error ends the reading of what it unpacks.
    pipeline(Readable.from(whole()), unpack, () => {})
    yield* unpack as AsyncIterable<Buffer>
  }
}

async function* lines(input: Readable): AsyncGenerator<Buffer> {
  const arrays = new ArrayLines()
  for await (const chunk of unpacked(input)) yield arrays.push(chunk)
}

/** Lines of one value each. */
export const open = (input: Readable): Readable =>
  Readable.from(lines(input), { objectMode: false, highWaterMark: 65_536 })
