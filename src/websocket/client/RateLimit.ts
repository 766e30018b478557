/**
 * How much of the relay's work one client may have, by what its messages cost (`costOf`).
 *
 * A bucket holds ten seconds' worth and fills up again evenly, so that a burst is fine and a flood is not. There is one for
 * each connection, and one for all connections of an address, which outlives them. A message that is too much is refused
 * by name, and costs nothing more.
 */
import type { clientMessageOf } from "../../domain/ClientMessage.ts"
import type { Filter } from "../../domain/Filter.ts"

/** Seconds of its rate that a bucket holds. */
const burstSeconds = 10

/** Units, each worth about a tenth of a millisecond of a thread. */
type Cost = number

type Message = ReturnType<typeof clientMessageOf>

/** Range and rows to read; a limit that is not given is a guess. */
const costOfFilter = ({ authors, ids, kinds, limit, tags }: Filter): Cost => {
  let values = (ids?.length ?? 0) + (authors?.length ?? 0) + (kinds?.length ?? 0)
  for (const list of tags?.values() ?? []) values += list.length
  return values / 20 + Math.min(limit ?? 500, 5000) / 100
}

/** What a message is worth: signatures, rows and bytes, roughly. Nothing for what only gives something back. */
export const costOf = (message: Message, characters: number): Cost => {
  switch (message._tag) {
    case "EVENT":
      return 1 + characters / 4096
    case "AUTH":
      return 2
    case "REQ":
      return message.filters.reduce((cost, filter) => cost + costOfFilter(filter), 1)
    case "COUNT":
      return message.filters.reduce((cost, filter) => cost + 10 + costOfFilter(filter), 10)
    case "NEG-OPEN":
      return 50 + costOfFilter(message.filter)
    case "NEG-MSG":
      return 5 + characters / 1024
    case "Problem":
      return 1 + characters / 4096
    default:
      return 0
  }
}

/** Spent by cost, filled by time. One message may take more than there is, and the next ones wait for it. */
export class TokenBucket {
  /** Units a second; 0: no limit. */
  readonly #rate: () => number
  #tokens: number
  #at: number

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

  spend(cost: Cost): void {
    this.#tokens -= cost
  }

  /** Nothing has to be remembered of a full one. */
  isFull(now: number): boolean {
    return !this.isEmpty(now) && this.#tokens >= this.#rate() * burstSeconds
  }
}

/** The buckets of all addresses. */
export class AddressRates {
  readonly #rate: () => number
  readonly #buckets = new Map<string, TokenBucket>()

  constructor(rate: () => number) {
    this.#rate = rate
  }

  /** How many addresses are remembered. */
  get size(): number {
    return this.#buckets.size
  }

  of(client: string, now: number): TokenBucket {
    let bucket = this.#buckets.get(client)
    if (bucket === undefined) {
      bucket = new TokenBucket(this.#rate, now)
      this.#buckets.set(client, bucket)
    }
    return bucket
  }

  /** Forgets those who have done nothing of late, unless `isConnected`: their connections hold the same bucket. */
  sweep(now: number, isConnected: (client: string) => boolean): void {
    for (const [client, bucket] of this.#buckets) {
      if (bucket.isFull(now) && !isConnected(client)) this.#buckets.delete(client)
    }
  }
}
