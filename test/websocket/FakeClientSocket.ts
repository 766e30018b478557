/** A socket in memory: what a client says and reads is up to the test. */
import { type ClientSocket, type ClientSocketListener } from "../../src/websocket/client/ClientSocket.ts"
import { type Frame, FrameRun } from "../../src/websocket/client/Frames.ts"

/** The payloads of frames of less than 64 KiB (RFC 6455 §5.2). */
export const payloadsOf = (wire: Uint8Array): ReadonlyArray<string> => {
  const bytes = Buffer.from(wire.buffer, wire.byteOffset, wire.byteLength)
  const payloads: Array<string> = []
  for (let at = 0; at < bytes.length;) {
    if (bytes[at] !== 0x81 || bytes[at + 1]! > 126) {
      throw new Error(`no such frame is sent: ${bytes.toString("hex", at, at + 2)}`)
    }
    const [start, size] = bytes[at + 1] === 126 ? [at + 4, bytes.readUInt16BE(at + 2)] : [at + 2, bytes[at + 1]!]
    at = start + size
    if (at > bytes.length) throw new Error("a run ends with half a frame")
    payloads.push(bytes.toString("utf8", start, at))
  }
  return payloads
}

export class FakeClientSocket implements ClientSocket {
  readonly sent: Array<ReadonlyArray<unknown>> = []
  isPaused = true
  pings = 0
  closedWith: { readonly code: number; readonly reason: string } | undefined
  isTerminated = false
  /** Whether the kernel takes what is sent. */
  isReading = true
  bytesReceived = 0
  #waiting = 0
  #taken = 0
  /** Runs whose memory the kernel still reads. */
  #unwritten: Array<FrameRun> = []
  #listener: ClientSocketListener | undefined

  listen(listener: ClientSocketListener): void {
    this.#listener = listener
    this.isPaused = false
  }

  send(frame: Frame): void {
    const texts = frame instanceof FrameRun ? payloadsOf(frame.wire) : [typeof frame === "string" ? frame : frame.text]
    for (const text of texts) {
      this.sent.push(JSON.parse(text) as ReadonlyArray<unknown>)
      if (!this.isReading) this.#waiting += text.length
    }
    if (!(frame instanceof FrameRun)) return
    if (this.isReading) frame.written()
    else this.#unwritten.push(frame)
  }

  waiting(): number {
    return this.#waiting
  }

  taken(): number {
    return this.#taken
  }

  received(): number {
    return this.bytesReceived
  }

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
  }

  ping(): void {
    this.pings++
  }

  close(code: number, reason: string): void {
    this.closedWith ??= { code, reason }
  }

  terminate(): void {
    this.isTerminated = true
    this.end(1006)
  }

  get isClosed(): boolean {
    return this.closedWith !== undefined || this.isTerminated
  }

  // The client's side

  /** Messages that arrive in one turn. */
  say(...messages: ReadonlyArray<unknown>): void {
    const texts = messages.map((message) => JSON.stringify(message))
    this.bytesReceived += texts.join("").length
    this.#listener?.messages(texts)
  }

  /** The client takes all that waits. */
  drain(): void {
    this.#taken += this.#waiting
    this.#waiting = 0
    this.#letGo()
    this.#listener?.drained()
  }

  pingUs(): void {
    this.#listener?.pinged()
  }

  /** The socket ends. */
  end(code: number): void {
    const listener = this.#listener
    this.#listener = undefined
    this.#letGo()
    listener?.closed(code)
  }

  #letGo(): void {
    for (const run of this.#unwritten.splice(0)) run.written()
  }

  /** What was sent, by type, such as `OK`. */
  of(type: string): ReadonlyArray<ReadonlyArray<unknown>> {
    return this.sent.filter(([first]) => first === type)
  }
}
