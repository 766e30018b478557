/** Turns of those who wait for a host that is asked as often as it may be: one after the other, not all at once. */

/** Milliseconds between two turns: half a minute's worth of questions a minute is what a host is asked at most. */
const between = 2000

/** Hosts that are remembered; the one that was asked for longest ago is forgotten first. */
const hostsMax = 10_000

export class HostPacing {
  readonly #next = new Map<string, number>()

  /** Milliseconds from `now` (Unix milliseconds) to a turn that nobody else has, at least `atLeast`. */
  turn(host: string, now: number, atLeast: number): number {
    const at = Math.max(now + atLeast, this.#next.get(host) ?? 0)
    this.#next.delete(host)
    this.#next.set(host, at + between)
    for (const oldest of this.#next.keys()) {
      if (this.#next.size <= hostsMax) break
      this.#next.delete(oldest)
    }
    return at - now
  }
}
