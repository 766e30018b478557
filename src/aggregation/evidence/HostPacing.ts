/** Turns of those who wait for a host that is asked as often as it may be: one after the other, not all at once. */
import type { SettingsShape } from "../../config/Settings.ts"

/** Hosts that are remembered; the one that was asked for longest ago is forgotten first. */
const hostsMax = 10_000

export class HostPacing {
  readonly #perMinute: number
  readonly #quotas: ReadonlyMap<string, number>
  readonly #next = new Map<string, number>()

  /** At the pace at which a host may be asked; `quotas`: of those that have one of their own. */
  constructor(perMinute: number, quotas: SettingsShape["hostQuotas"] = []) {
    this.#perMinute = perMinute
    this.#quotas = new Map(quotas.map(({ host, perMinute }) => [host, perMinute]))
  }

  /** Milliseconds from `now` (Unix milliseconds) to a turn that nobody else has, at least `atLeast`. */
  turn(host: string, now: number, atLeast: number): number {
    const at = Math.max(now + atLeast, this.#next.get(host) ?? 0)
    this.#next.delete(host)
    this.#next.set(host, at + 60_000 / (this.#quotas.get(host) ?? this.#perMinute))
    for (const oldest of this.#next.keys()) {
      if (this.#next.size <= hostsMax) break
      this.#next.delete(oldest)
    }
    return Math.ceil(at - now)
  }
}
