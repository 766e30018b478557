/**
 * What a connection needs of its transport: text messages in, text frames out, and an end.
 *
 * A connection never waits for its socket. What it sends is kept until the end of the event-loop turn and then written
 * at once, so that a batch of answers costs one system call; how much a client has not read yet can be asked for at any
 * time, and it is the connection that decides what to do about it.
 */
import type * as NodeWS from "@effect/platform-node/NodeWS"
import type { Duplex } from "node:stream"
import { frameBytes, writeHeader } from "../domain/TextFrame.ts"

/** What a socket tells its connection. Nothing is called from within one of the socket's own methods. */
export interface ClientSocketListener {
  /** The text messages of one turn, in order, at least one. */
  messages(texts: ReadonlyArray<string>): void
  /** A binary message came, which Nostr does not have. */
  binary(): void
  pinged(): void
  /** The client broke RFC 6455, or a limit on messages; it is told by a Close frame, and `closed` follows. */
  violated(isOversize: boolean): void
  /** All that had been written is with the kernel; called after `waiting` was at least `drainMin`. */
  drained(): void
  /** The socket is gone, and nothing else will be called. 1006 when the peer never sent a Close frame (RFC 6455 §7.4.1). */
  closed(code: number): void
}

export interface ClientSocket {
  /** Messages come from now on. */
  readonly listen: (listener: ClientSocketListener) => void
  /** Sends a text frame, at the end of the turn at the latest. Silent once the socket is closing. */
  readonly send: (frame: Frame) => void
  /** Bytes that the kernel has not taken. */
  readonly waiting: () => number
  /** Bytes received so far, of whatever kind. */
  readonly received: () => number
  /** Stops reading; what was read already may still come as one call of `messages`. */
  readonly pause: () => void
  readonly resume: () => void
  readonly ping: () => void
  /** Sends what is kept and a Close frame; the socket is destroyed when the peer does not answer it in time. */
  readonly close: (code: number, reason: string) => void
  /** Destroys the socket. */
  readonly terminate: () => void
}

/** A message that is copied into the buffer of its turn. */
export type CopiedFrame = string | SharedFrame

/** What is sent, as whoever sends it has it at hand. */
export type Frame = CopiedFrame | FrameRun

/** From so many waiting bytes on, `drained` will be called. */
export const drainMin = 65_536

/** Exact, as `drained` depends on it. */
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
  readonly written: (() => void) | undefined

  constructor(wire: Uint8Array, written?: () => void) {
    this.wire = wire
    this.written = written
  }
}

const bytesOf = (frame: Frame): number => typeof frame === "string" ? wireBytes(frame) : frame.wire.length

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

/**
 * A socket of the `ws` package, whose text frames are written to the TCP stream directly: one buffer for all frames of a
 * turn. That is sound as long as `ws` itself compresses and fragments nothing, so its deflate stays off.
 */
export class WsClientSocket implements ClientSocket {
  readonly #ws: NodeWS.WebSocket
  readonly #stream: Duplex & { readonly bytesRead?: number }
  readonly #flusher: Flusher
  #listener: ClientSocketListener | undefined
  #inbox: Array<string> = []
  #outbox: Array<Frame> = []
  #outboxBytes = 0

  constructor(ws: NodeWS.WebSocket, stream: Duplex, flusher: Flusher) {
    this.#ws = ws
    this.#stream = stream
    this.#flusher = flusher
    ws.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code?.startsWith("WS_ERR_") === true) {
        this.#listener?.violated(error.code === "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH")
      }
    })
    // Nothing may come before somebody listens.
    ws.pause()
  }

  listen(listener: ClientSocketListener): void {
    this.#listener = listener
    this.#ws.on("message", this.#received)
    this.#ws.on("ping", () => listener.pinged())
    this.#ws.on("close", (code) => {
      this.#inbox = []
      this.#outbox = []
      this.#outboxBytes = 0
      listener.closed(code)
    })
    this.#stream.on("drain", this.#drained)
    if (this.#ws.readyState === 3) queueMicrotask(() => listener.closed(1006))
    this.#ws.resume()
  }

  readonly #received = (data: NodeWS.RawData, isBinary: boolean): void => {
    if (isBinary) return this.#listener?.binary()
    // One chunk of the stream is parsed synchronously, so the microtask sees all of its messages.
    if (this.#inbox.push((data as Buffer).toString()) === 1) queueMicrotask(this.#deliver)
  }

  readonly #deliver = (): void => {
    const texts = this.#inbox
    if (texts.length === 0) return
    this.#inbox = []
    this.#listener?.messages(texts)
  }

  send(frame: Frame): void {
    if (this.#ws.readyState !== 1) return
    this.#outboxBytes += bytesOf(frame)
    if (this.#outbox.push(frame) === 1) this.#flusher.add(this)
  }

  flush(): void {
    const frames = this.#outbox
    if (frames.length === 0) return
    const total = this.#outboxBytes
    this.#outbox = []
    this.#outboxBytes = 0
    // All that is written until then is one system call.
    this.#stream.cork()
    let copied: Array<CopiedFrame> = []
    let bytes = 0
    for (const frame of frames) {
      if (frame instanceof FrameRun) {
        this.#copy(copied, bytes)
        copied = []
        bytes = 0
        this.#stream.write(frame.wire, frame.written)
      } else {
        copied.push(frame)
        bytes += bytesOf(frame)
      }
    }
    this.#copy(copied, bytes)
    this.#stream.uncork()
    // What the kernel takes at once is not followed by a "drain".
    if (total >= drainMin && !this.#stream.writableNeedDrain) setImmediate(this.#drained)
  }

  #copy(frames: ReadonlyArray<CopiedFrame>, total: number): void {
    if (frames.length > 0) this.#stream.write(this.#flusher.wireOf(frames, total))
  }

  readonly #drained = (): void => {
    if (this.#ws.readyState === 1) this.#listener?.drained()
  }

  waiting(): number {
    return this.#outboxBytes + this.#stream.writableLength
  }

  received(): number {
    return this.#stream.bytesRead ?? 0
  }

  pause(): void {
    this.#ws.pause()
  }

  resume(): void {
    this.#ws.resume()
  }

  ping(): void {
    if (this.#ws.readyState === 1) this.#ws.ping()
  }

  close(code: number, reason: string): void {
    this.flush()
    // A paused socket would never see the answer.
    this.#ws.resume()
    this.#ws.close(code, reason)
  }

  terminate(): void {
    this.#ws.terminate()
  }
}
