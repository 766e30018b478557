/**
 * Which addresses are somebody's public machine, and which are special: our own machine, our network, our cloud's
 * metadata service, or nobody's.
 *
 * IANA's special-purpose registries for IPv4 and IPv6 (RFC 6890 and its updates). A special address is refused whatever
 * its registry entry says about reachability: no picture is kept at an anycast sink.
 */
import { BlockList, isIP } from "node:net"
import type { Network } from "../config/Notation.ts"

const ipv4Special: ReadonlyArray<readonly [string, number]> = [
  ["0.0.0.0", 8], //       this network
  ["10.0.0.0", 8], //      private
  ["100.64.0.0", 10], //   carrier-grade NAT; a cloud's metadata service lives here too
  ["127.0.0.0", 8], //     loopback
  ["168.63.129.16", 32], // a cloud's wire server, public only by its number
  ["169.254.0.0", 16], //  link-local, and most metadata services
  ["172.16.0.0", 12], //   private
  ["192.0.0.0", 24], //    protocol assignments
  ["192.0.2.0", 24], //    documentation
  ["192.88.99.0", 24], //  6to4 relays
  ["192.168.0.0", 16], //  private
  ["198.18.0.0", 15], //   benchmarks
  ["198.51.100.0", 24], // documentation
  ["203.0.113.0", 24], //  documentation
  ["224.0.0.0", 3] //      multicast, reserved, broadcast
]

/**
 * Global unicast is `2000::/3`, so all else is special by not being in it: unspecified, loopback, IPv4-compatible,
 * NAT64 (`64:ff9b::/96`, `64:ff9b:1::/48`), discard, ULA, link-local, site-local, multicast. Within it:
 */
const ipv6Special: ReadonlyArray<readonly [string, number]> = [
  ["::", 3],
  ["4000::", 2],
  ["8000::", 1],
  ["2001::", 23], //     protocol assignments: Teredo, benchmarks, ORCHID
  ["2001:db8::", 32], // documentation
  ["2002::", 16], //     6to4: an IPv4 address in disguise
  ["3fff::", 20] //      documentation
]

const listOf = (networks: ReadonlyArray<readonly [string, number]>, family: "ipv4" | "ipv6"): BlockList => {
  const list = new BlockList()
  for (const [address, prefix] of networks) list.addSubnet(address, prefix, family)
  return list
}

// One list per family: a single one would see IPv4 as `::ffff:0:0/96`, which is special as a whole.
const special = { ipv4: listOf(ipv4Special, "ipv4"), ipv6: listOf(ipv6Special, "ipv6") }

export interface Address {
  readonly address: string
  readonly family: "ipv4" | "ipv6"
}

/**
 * One address in its shortest form; an IPv4-mapped one is the IPv4 address it maps. Undefined for what is no address in
 * the usual notation, or names a zone (`fe80::1%eth0`): such an address means something on one link only.
 */
export const parseAddress = (text: string): Address | undefined => {
  switch (isIP(text)) {
    case 4:
      return { address: text, family: "ipv4" }
    case 6: {
      const host = URL.parse(`http://[${text}]/`)?.hostname
      if (host === undefined) return undefined
      const address = host.slice(1, -1)
      const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(address)
      if (mapped === null) return { address, family: "ipv6" }
      const bits = [mapped[1], mapped[2]].map((part) => Number.parseInt(part ?? "", 16))
      return { address: bits.flatMap((part) => [part >> 8, part & 0xff]).join("."), family: "ipv4" }
    }
    default:
      return undefined
  }
}

export const isSpecial = ({ address, family }: Address): boolean => special[family].check(address, family)

/** Whether an address lies in one of the networks. */
export const matcher = (networks: ReadonlyArray<Network>): (address: Address) => boolean => {
  const lists = { ipv4: new BlockList(), ipv6: new BlockList() }
  for (const { address, family, prefix } of networks) lists[family].addSubnet(address, prefix, family)
  return ({ address, family }) => lists[family].check(address, family)
}
