/** Tells a client that is gone, or takes nothing, from one that has nothing to say. Pure. */

/** A socket at the moment of a look. */
export interface Seen {
  /** Bytes received so far. */
  readonly received: number
  /** Bytes that the client has not taken yet. */
  readonly waiting: number
  /** Stored events are on their way to it. */
  readonly isSending: boolean
  /** We do not read it, so that it cannot show that its client is alive. */
  readonly isPaused: boolean
}

/** `stuck`: it takes nothing of what it asked for; `ask`: it should show that it is there; `gone`: it did not. */
export type Finding = "fine" | "stuck" | "ask" | "gone"

export class Keepalive {
  #received = 0
  #waiting = 0
  /** Milliseconds, as in `look`. */
  #seenAt: number
  /** When it was asked, and has not shown itself since. */
  #askedAt: number | undefined

  constructor(now: number) {
    this.#seenAt = now
  }

  /**
   * To be called a few times in each half of `idleMillis`. A client that has been silent for the first half is asked, and
   * found gone only when it says nothing in the other half: never unasked, not even when this process was held up for
   * longer than that.
   */
  look(now: number, idleMillis: number, { isPaused, isSending, received, waiting }: Seen): Finding {
    const isStuck = isSending && waiting > 0 && waiting === this.#waiting
    this.#waiting = waiting
    if (isStuck) return "stuck"
    if (received !== this.#received || isPaused) {
      this.#seenAt = now
      this.#askedAt = undefined
    }
    this.#received = received
    if (this.#askedAt !== undefined) return now - this.#askedAt >= idleMillis / 2 ? "gone" : "fine"
    if (now - this.#seenAt < idleMillis / 2) return "fine"
    this.#askedAt = now
    return "ask"
  }
}
