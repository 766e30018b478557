/**
 * Events that a rule refused lately, by id: the same profile arrives from every upstream, and again with every pass.
 *
 * Only what was refused after its signature was found valid may be added, or a forgery could keep the true event out.
 * What was accepted needs no memory: the store knows it.
 */
import type { Verdict } from "../../domain/Quality.ts"

export type Rejection = Extract<Verdict, { readonly _tag: "Rejected" }>

/** A rejection, and until when it holds, in Unix milliseconds. */
export interface Remembered {
  readonly rejection: Rejection
  readonly until: number
}

/** Ids kept; the ones asked for least recently go first. About 100 bytes each. */
const idsMax = 50_000

export class RecentRejections {
  // A Map iterates in order of insertion, so re-inserting on use makes its first key the oldest.
  readonly #rejections = new Map<string, Remembered>()
  readonly #max: number

  constructor(max: number = idsMax) {
    this.#max = max
  }

  get(id: string): Remembered | undefined {
    const found = this.#rejections.get(id)
    if (found === undefined) return undefined
    this.#rejections.delete(id)
    this.#rejections.set(id, found)
    return found
  }

  add(id: string, rejection: Remembered): void {
    this.#rejections.delete(id)
    this.#rejections.set(id, rejection)
    if (this.#rejections.size <= this.#max) return
    for (const oldest of this.#rejections.keys()) {
      this.#rejections.delete(oldest)
      return
    }
  }

  get size(): number {
    return this.#rejections.size
  }
}
