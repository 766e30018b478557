/**
 * How much of the relay's work one client may have, by what its messages cost (`domain/MessageWork`).
 *
 * A bucket holds two seconds' worth and fills up again evenly, so that a burst is fine and a flood is not. There is one for
 * each connection, one for all connections of an address, and one for each key that a client has proved to have, wherever it
 * connects from; the latter two outlive connections. A client of which one is empty is not read until all have something
 * again: nothing is refused, nothing is parsed for it, and what it goes on to send waits on its own side of the network.
 */
import type { Work } from "../../domain/MessageWork.ts"

/** Seconds of its rate that a bucket holds. */
const burstSeconds = 2

/** Seconds of its rate that must be there before a client is read again; with less it would be stopped at every message. */
const reserveSeconds = 0.05

/** Spent by work, filled by time. One message may take more than there is, and the next ones wait for it. */
export class TokenBucket {
  /** Units a second; 0: no limit. */
  readonly #rate: () => number
  #tokens: number
  #at: number
  /** Of those who spend from it. */
  holders = 0

  /** `rate` as it is set at the moment. `now` in monotonic milliseconds, here and below. */
  constructor(rate: () => number, now: number) {
    this.#rate = rate
    this.#tokens = rate() * burstSeconds
    this.#at = now
  }

  /** Is there anything left? */
  isEmpty(now: number): boolean {
    const rate = this.#rate()
    if (rate === 0) return false
    this.#tokens = Math.min(rate * burstSeconds, this.#tokens + ((now - this.#at) * rate) / 1000)
    this.#at = now
    return this.#tokens <= 0
  }

  spend(work: Work): void {
    this.#tokens -= work
  }

  /** Milliseconds until it is worth reading on; 0 where it is now. */
  wait(now: number): number {
    if (!this.isEmpty(now)) return 0
    const rate = this.#rate()
    return Math.ceil(((rate * reserveSeconds - this.#tokens) * 1000) / rate)
  }

  /** Nothing has to be remembered of a full one. */
  isFull(now: number): boolean {
    return !this.isEmpty(now) && this.#tokens >= this.#rate() * burstSeconds
  }
}

/** The buckets of all addresses and keys, which outlive their connections while they are not full. */
export class Rates {
  readonly #rate: () => number
  readonly #buckets = new Map<string, TokenBucket>()

  constructor(rate: () => number) {
    this.#rate = rate
  }

  /** How many are remembered. */
  get size(): number {
    return this.#buckets.size
  }

  /** The bucket of an address or a pubkey, to be given back. */
  hold(name: string, now: number): TokenBucket {
    let bucket = this.#buckets.get(name)
    if (bucket === undefined) {
      bucket = new TokenBucket(this.#rate, now)
      this.#buckets.set(name, bucket)
    }
    bucket.holders++
    return bucket
  }

  /** Forgets those who have done nothing of late and are not connected. */
  sweep(now: number): void {
    for (const [name, bucket] of this.#buckets) {
      if (bucket.holders === 0 && bucket.isFull(now)) this.#buckets.delete(name)
    }
  }
}

/** What one connection has left: as much as the poorest of its buckets. */
export class Allowance {
  readonly #rates: Rates
  readonly #buckets: Array<TokenBucket>
  /** Those of them that others spend from, too. */
  readonly #held = new Map<string, TokenBucket>()

  constructor(options: {
    readonly rates: Rates
    /** Units a second for this connection alone. */
    readonly rate: () => number
    /** Whom it is counted under. */
    readonly client: string
    readonly now: number
  }) {
    this.#rates = options.rates
    this.#buckets = [new TokenBucket(options.rate, options.now)]
    this.include(options.client, options.now)
  }

  /** From now on it spends from the bucket of that name, too. */
  include(name: string, now: number): void {
    if (this.#held.has(name)) return
    const bucket = this.#rates.hold(name, now)
    this.#held.set(name, bucket)
    this.#buckets.push(bucket)
  }

  spend(work: Work): void {
    for (const bucket of this.#buckets) bucket.spend(work)
  }

  /** Is there anything left? */
  isEmpty(now: number): boolean {
    for (const bucket of this.#buckets) if (bucket.isEmpty(now)) return true
    return false
  }

  /** Milliseconds until the client may be read on. */
  wait(now: number): number {
    return Math.max(...this.#buckets.map((bucket) => bucket.wait(now)))
  }

  release(): void {
    for (const bucket of this.#held.values()) bucket.holders--
    this.#held.clear()
  }
}
