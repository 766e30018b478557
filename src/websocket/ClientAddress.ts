/** Who a connection is counted under: an IPv4 address, or the /64 of an IPv6 address, which one host can have whole. */
import { Result } from "effect"
import { NetAddress } from "effect/net"
import { BlockList, isIP } from "node:net"
import type { SettingsShape } from "../config/Settings.ts"

/** An address as Node gives it. An IPv4 address mapped into IPv6 is the same client; a zone says nothing about it. */
export const clientOf = (remoteAddress: string | undefined): string => {
  const parsed = NetAddress.ipFromString((remoteAddress ?? "").split("%", 1).join())
  if (Result.isFailure(parsed)) return "unknown"
  const address = NetAddress.toCanonical(parsed.success)
  if (NetAddress.isIpv4Address(address)) return NetAddress.ipv4ToOctets(address).join(".")
  return `${NetAddress.ipv6ToSegments(address).slice(0, 4).map((segment) => segment.toString(16)).join(":")}::/64`
}

/** The addresses of proxies whose `X-Forwarded-For` is believed. */
export const proxiesOf = (networks: SettingsShape["trustedProxies"]): BlockList => {
  const proxies = new BlockList()
  for (const { address, family, prefix } of networks) proxies.addSubnet(address, prefix, family)
  return proxies
}

/** An address as lists have it: without a port and brackets, and an IPv4 address mapped into IPv6 as IPv4. */
const plainOf = (text: string): string => {
  const [, bracketed, bare] = /^\s*(?:\[([^\]]+)\](?::\d+)?|(\d+\.\d+\.\d+\.\d+)(?::\d+)?)\s*$/.exec(text) ?? []
  return (bracketed ?? bare ?? text.trim()).replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, "")
}

const isListed = (address: string, proxies: BlockList): boolean => {
  const version = isIP(address)
  return version !== 0 && proxies.check(address, version === 4 ? "ipv4" : "ipv6")
}

/** Does this connection come from a proxy? Then it says nothing about the client behind it. */
export const isProxy = (remoteAddress: string | undefined, proxies: BlockList): boolean =>
  isListed(plainOf(remoteAddress ?? ""), proxies)

/**
 * Who is behind the proxies: the right-most address that is not one of them. Everything to the left of it is what a
 * stranger wrote. `forwardedFor` is the value of `X-Forwarded-For`, several headers joined by commas.
 */
export const clientBehind = (
  remoteAddress: string | undefined,
  forwardedFor: string | undefined,
  proxies: BlockList
): string => {
  const hops = (forwardedFor ?? "").split(",")
  let address = plainOf(remoteAddress ?? "")
  while (isListed(address, proxies)) {
    const hop = plainOf(hops.pop() ?? "")
    // Where a proxy does not say who is behind it, the proxy is counted as the client.
    if (isIP(hop) === 0) break
    address = hop
  }
  return clientOf(address)
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
