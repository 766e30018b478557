/** What is sent to clients, and when: frames are kept until the turn of the event loop ends, and then written at once. */
import { frameBytes, writeHeader } from "../../domain/TextFrame.ts"

/** A message that is copied into the buffer of its turn. */
export type CopiedFrame = string | SharedFrame

/** What is sent, as whoever sends it has it at hand. */
export type Frame = CopiedFrame | FrameRun

/** Exact, as a socket's `drained` depends on it. */
const wireBytes = (text: string): number => frameBytes(Buffer.byteLength(text))

/** A frame for several clients, encoded when the first of them is written to. */
export class SharedFrame {
  readonly text: string
  #wire: Buffer | undefined

  constructor(text: string) {
    this.text = text
  }

  /** Header and payload as they are on the wire. */
  get wire(): Buffer {
    if (this.#wire === undefined) {
      const payload = Buffer.byteLength(this.text)
      this.#wire = Buffer.allocUnsafe(frameBytes(payload))
      this.#wire.write(this.text, writeHeader(this.#wire, 0, payload))
    }
    return this.#wire
  }
}

/** Frames one after the other, as they are on the wire: written from where they lie, and never copied. */
export class FrameRun {
  readonly wire: Uint8Array
  /** Called once all of it is with the kernel, or never will be. */
  readonly written: () => void

  constructor(wire: Uint8Array, written: () => void) {
    this.wire = wire
    this.written = written
  }
}

/** What it takes on the wire. */
export const bytesOf = (frame: Frame): number => typeof frame === "string" ? wireBytes(frame) : frame.wire.length

/** One buffer for all of them; `total` is what they take on the wire. */
const encoded = (frames: ReadonlyArray<CopiedFrame>, total: number): Buffer => {
  const wire = Buffer.allocUnsafe(total)
  let at = 0
  for (const frame of frames) {
    if (typeof frame === "string") {
      const payload = Buffer.byteLength(frame)
      at = writeHeader(wire, at, payload)
      at += wire.write(frame, at)
    } else at += frame.wire.copy(wire, at)
  }
  return wire
}

/** Milliseconds of writing after which other work of the event loop gets its turn. */
const sliceMillis = 5

/** The very same frames, in the same order. */
const isSame = (some: ReadonlyArray<CopiedFrame>, others: ReadonlyArray<CopiedFrame>): boolean =>
  some.length === others.length && some.every((frame, i) => frame === others[i])

/** Writes to sockets once per turn, in the order in which they had something to say, and never for long. */
export class Flusher {
  #dirty: Array<{ readonly flush: () => void }> = []
  #scheduled = false
  /** What was written before, in this turn. */
  #last: { readonly frames: ReadonlyArray<CopiedFrame>; readonly wire: Buffer } | undefined

  add(socket: { readonly flush: () => void }): void {
    this.#dirty.push(socket)
    if (this.#scheduled) return
    this.#scheduled = true
    queueMicrotask(this.#run)
  }

  /** Frames as they are written; once for all clients in a row that have the same to be told, as new events make them. */
  wireOf(frames: ReadonlyArray<CopiedFrame>, total: number): Buffer {
    const [first] = frames
    if (frames.length === 1 && first instanceof SharedFrame) return first.wire
    if (this.#last !== undefined && isSame(this.#last.frames, frames)) return this.#last.wire
    const wire = encoded(frames, total)
    this.#last = { frames, wire }
    return wire
  }

  readonly #run = (): void => {
    const dirty = this.#dirty
    this.#dirty = []
    const until = performance.now() + sliceMillis
    for (let i = 0; i < dirty.length; i++) {
      dirty[i]?.flush()
      // A write is a system call of about 6 µs; asking for the time after each would be a sizeable part of it.
      if (i % 16 === 15 && performance.now() > until) {
        this.#dirty = [...dirty.slice(i + 1), ...this.#dirty]
        break
      }
    }
    this.#last = undefined
    this.#scheduled = this.#dirty.length > 0
    if (this.#scheduled) setImmediate(this.#run)
  }
}
