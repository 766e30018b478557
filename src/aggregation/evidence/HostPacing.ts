/** Turns of those who wait for a host that is asked as often as it may be: one after the other, not all at once. */

/** Hosts that are remembered; the one that was asked for longest ago is forgotten first. */
const hostsMax = 10_000

export class HostPacing {
  readonly #perMinuteOf: (host: string) => number
  readonly #next = new Map<string, number>()

  /** `perMinuteOf`: how often a host may be asked. */
  constructor(perMinuteOf: (host: string) => number) {
    this.#perMinuteOf = perMinuteOf
  }

  /** Milliseconds from `now` (Unix milliseconds) to a turn that nobody else has, at least `atLeast`. */
  turn(host: string, now: number, atLeast: number): number {
    const at = Math.max(now + atLeast, this.#next.get(host) ?? 0)
    this.#next.delete(host)
    this.#next.set(host, at + 60_000 / this.#perMinuteOf(host))
    for (const oldest of this.#next.keys()) {
      if (this.#next.size <= hostsMax) break
      this.#next.delete(oldest)
    }
    return Math.ceil(at - now)
  }
}
