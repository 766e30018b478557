/** Who a connection is counted under: an IPv4 address, or the /64 of an IPv6 address, which one host can have whole. */
import { Result } from "effect"
import { NetAddress } from "effect/net"

/** An address as Node gives it. An IPv4 address mapped into IPv6 is the same client; a zone says nothing about it. */
export const clientOf = (remoteAddress: string | undefined): string => {
  const parsed = NetAddress.ipFromString((remoteAddress ?? "").replace(/%.*$/, ""))
  if (Result.isFailure(parsed)) return "unknown"
  const address = NetAddress.toCanonical(parsed.success)
  if (NetAddress.isIpv4Address(address)) return NetAddress.ipv4ToOctets(address).join(".")
  return `${NetAddress.ipv6ToSegments(address).slice(0, 4).map((segment) => segment.toString(16)).join(":")}::/64`
}

/** Open connections by client. */
export class ClientCount {
  readonly #counts = new Map<string, number>()
  #total = 0

  get total(): number {
    return this.#total
  }

  of(client: string): number {
    return this.#counts.get(client) ?? 0
  }

  add(client: string): void {
    this.#total++
    this.#counts.set(client, this.of(client) + 1)
  }

  remove(client: string): void {
    this.#total--
    const left = this.of(client) - 1
    if (left > 0) this.#counts.set(client, left)
    else this.#counts.delete(client)
  }
}
