/**
 * Stored events of one subscription that are framed already, sent in runs; their memory goes back as soon as nobody needs it.
 *
 * An answer takes up to some megabytes outside of V8's heap. Garbage there does not make V8 collect any sooner, so what a client
 * had waiting when it left would stay for long.
 */
import type { EventMessages } from "../../database/Database.ts"
import { FrameRun } from "./Frames.ts"

export class FramedAnswer {
  readonly #messages: EventMessages
  /** Runs that the socket has not let go of. */
  #runs = 0
  #isOver = false
  /** How many were sent. */
  sent = 0

  constructor(messages: EventMessages) {
    this.#messages = messages
  }

  /** Was the last of them sent? */
  get isSent(): boolean {
    return this.sent === this.#messages.ends.length
  }

  /** The next ones, as many as begin within so many bytes; undefined is none. */
  run(room: number): FrameRun | undefined {
    const { bytes, ends } = this.#messages
    const first = this.sent
    const start = ends[first - 1] ?? 0
    while (!this.isSent && (ends[this.sent - 1] ?? 0) < start + room) this.sent++
    if (this.sent === first) return undefined
    this.#runs++
    return new FrameRun(bytes.subarray(start, ends[this.sent - 1]), () => {
      this.#runs--
      if (this.#isOver && this.#runs === 0) this.#messages.giveBack()
    })
  }

  /** No run is taken any more. The memory goes back once, when the socket has let go of those that were. */
  end(): void {
    if (this.#isOver) return
    this.#isOver = true
    if (this.#runs === 0) this.#messages.giveBack()
  }
}
