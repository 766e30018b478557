/** A count of things that are under way, which can be waited for to come to nothing. */
import { type Effect, Latch } from "effect"

export class Tally {
  #count = 0
  readonly #none = Latch.makeUnsafe(true)

  get count(): number {
    return this.#count
  }

  add(): void {
    this.#count++
    this.#none.closeUnsafe()
  }

  done(): void {
    if (--this.#count === 0) this.#none.openUnsafe()
  }

  /** Waits until the count is zero. */
  readonly zero: Effect.Effect<void> = this.#none.await
}
