/**
 * One budget for all that waits to be sent, of which each connection has a share that shrinks as the whole fills.
 *
 * The share is a part of what is left of the whole (the dynamic threshold of shared-memory switches): a few slow readers may
 * have much waiting, many of them little each, and something is always left for others. When the whole is over its bound
 * all the same, as live events go to everybody, those are cut first who have taken nothing for longest.
 */

/** What may wait for one connection, as a part of what is left of the whole. */
const shareOfRest = 1 / 4

/** What is freed at once when the whole is over its bound, as a part of it: less would have the next message cut somebody again. */
const relief = 1 / 8

/** One connection's part of what waits. */
export interface Account {
  /** Bytes that wait for it, as of the last report. */
  waiting: number
  /** Bytes that it had taken by then. */
  taken: number
  /** Monotonic milliseconds of the last report at which it had taken some. */
  readAt: number
  readonly cut: () => void
}

export class OutboundBudget {
  readonly #bytesMax: () => number
  /** Those for whom something waits. */
  readonly #accounts = new Set<Account>()
  #waiting = 0
  #isRelieving = false

  /** `bytesMax` for all together. */
  constructor(bytesMax: () => number) {
    this.#bytesMax = bytesMax
  }

  /** Bytes that wait for all connections together. */
  get waiting(): number {
    return this.#waiting
  }

  /** Bytes that may wait for one connection now, besides a bound of its own. */
  get share(): number {
    return Math.max(0, this.#bytesMax() - this.#waiting) * shareOfRest
  }

  /** So much waits for the connection, which has taken so much in its life. `now` in monotonic milliseconds. */
  report(account: Account, waiting: number, taken: number, now: number): void {
    if (taken !== account.taken || account.waiting === 0) {
      account.taken = taken
      account.readAt = now
    }
    this.#waiting += waiting - account.waiting
    account.waiting = waiting
    if (waiting > 0) this.#accounts.add(account)
    else this.#accounts.delete(account)
    if (this.#waiting > this.#bytesMax()) this.#relieve()
  }

  /** Nothing waits for the connection any more. */
  forget(account: Account): void {
    this.#waiting -= account.waiting
    account.waiting = 0
    this.#accounts.delete(account)
  }

  /** Cuts those who read least, of whom as many as it takes. */
  #relieve(): void {
    // Who is cut reports that nothing waits any more.
    if (this.#isRelieving) return
    this.#isRelieving = true
    const enough = this.#bytesMax() * (1 - relief)
    for (const account of [...this.#accounts].toSorted((a, b) => a.readAt - b.readAt || b.waiting - a.waiting)) {
      if (this.#waiting <= enough) break
      this.forget(account)
      account.cut()
    }
    this.#isRelieving = false
  }
}
