/**
 * What a connection needs of its transport: text messages in, text frames out, and an end.
 *
 * A connection never waits for its socket. What it sends is kept until the end of the event-loop turn and then written
 * at once, so that a batch of answers costs one system call; how much a client has not read yet can be asked for at any
 * time, and it is the connection that decides what to do about it.
 */
import type * as NodeWS from "@effect/platform-node/NodeWS"
import type { Duplex } from "node:stream"
import { bytesOf, type CopiedFrame, type Flusher, type Frame, FrameRun } from "./Frames.ts"

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
  /** The socket is gone, and nothing else will be called. 1006 when the client never sent a Close frame (RFC 6455 §7.4.1). */
  closed(code: number): void
}

export interface ClientSocket {
  /** Messages come from now on. */
  readonly listen: (listener: ClientSocketListener) => void
  /** Sends a text frame, at the end of the turn at the latest. Silent once the socket is closing. */
  readonly send: (frame: Frame) => void
  /** Bytes that the kernel has not taken. */
  readonly waiting: () => number
  /** Bytes that the kernel has taken so far. */
  readonly taken: () => number
  /** Bytes received so far, of whatever kind. */
  readonly received: () => number
  /** Stops reading; what was read already may still come as one call of `messages`. */
  readonly pause: () => void
  readonly resume: () => void
  readonly ping: () => void
  /** Sends what is kept and a Close frame; the socket is destroyed when the client does not answer it in time. */
  readonly close: (code: number, reason: string) => void
  /** Destroys the socket. */
  readonly terminate: () => void
}

/** The frame will not be written: whoever waits for that is told. */
const letGo = (frame: Frame): void => {
  if (frame instanceof FrameRun) frame.written()
}

/** From so many waiting bytes on, `drained` will be called. */
export const drainMin = 65_536

/**
 * A socket of the `ws` package, whose text frames are written to the TCP stream directly: one buffer for all frames of a
 * turn. That is sound as long as `ws` itself compresses and fragments nothing, so its deflate stays off.
 */
export class WsClientSocket implements ClientSocket {
  readonly #ws: NodeWS.WebSocket
  readonly #stream: Duplex & { readonly bytesRead?: number; readonly bytesWritten?: number }
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
      for (const frame of this.#outbox) letGo(frame)
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
    if (this.#ws.readyState !== 1) return letGo(frame)
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

  taken(): number {
    return (this.#stream.bytesWritten ?? 0) - this.#stream.writableLength
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
