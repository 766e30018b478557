/**
 * How much of one turn of the event loop the clients of an address may have together, so that others get theirs in between.
 *
 * What an address may spend at once (`RateLimit`) is half a second of work: done in one go, everybody else would wait for it.
 */
import { Effect, type Fiber } from "effect"
import type { Work } from "../../domain/MessageWork.ts"

/** Units for one address in a turn: about 20 ms, and what the last of its messages takes. */
const workPerTurn: Work = 200

interface Waiting {
  readonly client: string
  readonly goOn: () => void
}

export class Turns {
  readonly #run: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  /** In this turn, by address. */
  readonly #spent = new Map<string, Work>()
  #waiting: Array<Waiting> = []
  #isScheduled = false

  /** `run` runs an effect beside all others. */
  constructor(run: (effect: Effect.Effect<void>) => Fiber.Fiber<void>) {
    this.#run = run
  }

  spend(client: string, work: Work): void {
    this.#spent.set(client, (this.#spent.get(client) ?? 0) + work)
    this.#schedule()
  }

  /** Has the address had its part of this turn? */
  isOver(client: string): boolean {
    return (this.#spent.get(client) ?? 0) >= workPerTurn
  }

  /** Calls `goOn` in a later turn, those first who have waited for longest. */
  wait(client: string, goOn: () => void): void {
    this.#waiting.push({ client, goOn })
    this.#schedule()
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#run(Effect.yieldNow).addObserver(() => this.#next())
  }

  #next(): void {
    this.#isScheduled = false
    this.#spent.clear()
    const waiting = this.#waiting
    this.#waiting = []
    const still: Array<Waiting> = []
    for (const one of waiting) {
      if (this.isOver(one.client)) still.push(one)
      else one.goOn()
    }
    this.#waiting = [...still, ...this.#waiting]
    if (this.#waiting.length > 0) this.#schedule()
  }
}
