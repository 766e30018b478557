/** Turns of those who wait for a host that is asked as often as it may be: one after the other, not all at once. */

/** Hosts that are remembered; the one that was asked for longest ago is forgotten first. */
const hostsMax = 10_000

export class HostPacing {
  /** Milliseconds between two turns. */
  readonly #between: number
  readonly #next = new Map<string, number>()

  /** At the pace at which a host may be asked. */
  constructor(perMinute: number) {
    this.#between = 60_000 / perMinute
  }

  /** Milliseconds from `now` (Unix milliseconds) to a turn that nobody else has, at least `atLeast`. */
  turn(host: string, now: number, atLeast: number): number {
    const at = Math.max(now + atLeast, this.#next.get(host) ?? 0)
    this.#next.delete(host)
    this.#next.set(host, at + this.#between)
    for (const oldest of this.#next.keys()) {
      if (this.#next.size <= hostsMax) break
      this.#next.delete(oldest)
    }
    return Math.ceil(at - now)
  }
}
