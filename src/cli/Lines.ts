/**
 * Lines of stdin with their numbers, in bounded memory whatever comes in.
 */
import * as NodeStream from "@effect/platform-node/NodeStream"
import { Runtime, Schema, Stream } from "effect"
import { isUtf8 } from "node:buffer"
import type { Readable } from "node:stream"
import { ExitCode } from "../lifecycle/Certificate.ts"
import { messageOf } from "../observability/messageOf.ts"

export interface Line {
  /** The first one is 1. */
  readonly number: number
  /** Undefined for a line that was too long to be kept, or is not UTF-8. */
  readonly text: string | undefined
  readonly problem: "line is too long" | "line is not UTF-8" | undefined
}

/** Stdin cannot be read: it is a directory, or its disk failed. */
export class StdinFailed extends Schema.TaggedError<StdinFailed>()("StdinFailed", { detail: Schema.String }) {
  override get message() {
    return `stdin: ${this.detail}`
  }
  override get [Runtime.errorExitCode](): number {
    return ExitCode.Storage
  }
}

const newline = 10
const replacement = "\ufffd"

/** Cuts chunks of bytes into lines of at most so many bytes. Blank lines count and are left out. */
export class LineSplitter {
  #number = 0
  /** The beginning of a line that has not ended yet. */
  #parts: Array<Buffer> = []
  #bytes = 0
  readonly #bytesMax: number

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  push(chunk: Uint8Array): ReadonlyArray<Line> {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    const lines: Array<Line> = []
    let from = 0
    for (let to = bytes.indexOf(newline); to >= 0; to = bytes.indexOf(newline, from)) {
      this.#end(bytes.subarray(from, to), lines)
      from = to + 1
    }
    this.#keep(bytes.subarray(from))
    return lines
  }

  /** The last line may lack its newline. */
  end(): ReadonlyArray<Line> {
    const lines: Array<Line> = []
    if (this.#bytes > 0) this.#end(Buffer.alloc(0), lines)
    return lines
  }

  #keep(bytes: Buffer): void {
    this.#bytes += bytes.length
    // What is too long already need not be remembered, only counted.
    if (this.#bytes > this.#bytesMax) this.#parts = []
    else if (bytes.length > 0) this.#parts.push(bytes)
  }

  #end(rest: Buffer, lines: Array<Line>): void {
    this.#keep(rest)
    const line = this.#lineOf(++this.#number)
    this.#parts = []
    this.#bytes = 0
    if (line.problem !== undefined || line.text?.trim() !== "") lines.push(line)
  }

  #lineOf(number: number): Line {
    if (this.#bytes > this.#bytesMax) return { number, text: undefined, problem: "line is too long" }
    const bytes = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts)
    const text = bytes.toString()
    if (text.includes(replacement) && !isUtf8(bytes)) return { number, text: undefined, problem: "line is not UTF-8" }
    return { number, text, problem: undefined }
  }
}

/** Stdin to its end; closed with the stream, so that an open pipe does not keep the process alive. */
export const stdin = (
  bytesMax: number,
  open = (input: Readable): Readable => input
): Stream.Stream<Line, StdinFailed> =>
  Stream.suspend(() => {
    const splitter = new LineSplitter(bytesMax)
    const chunks = NodeStream.fromReadable({
      evaluate: () => open(process.stdin),
      // One read at a time: what was read and is not wanted yet stays in the pipe.
      chunkSize: 1,
      onError: (error) => new StdinFailed({ detail: messageOf(error) })
    })
    return Stream.concat(
      Stream.flatMap(chunks, (chunk) => Stream.fromIterable(splitter.push(chunk))),
      Stream.suspend(() => Stream.fromIterable(splitter.end()))
    )
  })
