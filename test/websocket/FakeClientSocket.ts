/** A socket in memory: what a client says and reads is up to the test. */
import type { ClientSocket, ClientSocketListener, Frame } from "../../src/websocket/ClientSocket.ts"

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
  #listener: ClientSocketListener | undefined

  listen(listener: ClientSocketListener): void {
    this.#listener = listener
    this.isPaused = false
  }

  send(frame: Frame): void {
    const text = typeof frame === "string" ? frame : frame.text
    this.sent.push(JSON.parse(text) as ReadonlyArray<unknown>)
    if (!this.isReading) this.#waiting += text.length
  }

  waiting(): number {
    return this.#waiting
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
    this.#waiting = 0
    this.#listener?.drained()
  }

  pingUs(): void {
    this.#listener?.pinged()
  }

  /** The socket ends. */
  end(code: number): void {
    const listener = this.#listener
    this.#listener = undefined
    listener?.closed(code)
  }

  /** What was sent, by type, such as `OK`. */
  of(type: string): ReadonlyArray<ReadonlyArray<unknown>> {
    return this.sent.filter(([first]) => first === type)
  }
}
