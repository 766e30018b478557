/** A count of things that are under way, which can be waited for to come to nothing. */
import { Effect } from "effect"

export class Tally {
  #count = 0
  readonly #waiting = new Set<() => void>()

  get count(): number {
    return this.#count
  }

  add(): void {
    this.#count++
  }

  done(): void {
    if (--this.#count > 0) return
    for (const resume of this.#waiting) resume()
  }

  /** Waits until the count is zero. */
  readonly zero: Effect.Effect<void> = Effect.callback<void>((resume) => {
    if (this.#count === 0) return resume(Effect.void)
    const done = () => {
      this.#waiting.delete(done)
      resume(Effect.void)
    }
    this.#waiting.add(done)
    return Effect.sync(() => this.#waiting.delete(done))
  })
}
