/**
 * What is one relay, and what is this relay, however its address is spelled.
 *
 * An address is read in two ways. To dial it, it is written in one form (`relayUrlOf`). To know a relay again, only what
 * tells relays apart counts (`placeOf`):
 *
 * | Part | To dial | To know it again |
 * |---|---|---|
 * | scheme | `wss:` where none is written; `https:` is `wss:`, `http:` is `ws:` | does not count: one relay answers both |
 * | user and password | no relay's address | no relay's address |
 * | host | lower case, IDN in ASCII, no dot at its end; a name without a dot is a host | as to dial |
 * | port | not the scheme's own | 80 and 443 are none |
 * | path | as written, `/` alone is none | without slashes at its end |
 * | query | as written | counts, but for an address of ours: we answer all alike |
 * | fragment | left out | left out |
 *
 * Pure, and never throws: all but our own address is written by strangers.
 */
import type { Event } from "./Event.ts"

/** The text without the slashes that it ends with, in one walk from its end. */
export const withoutEndSlashes = (text: string): string => {
  let end = text.length
  while (text[end - 1] === "/") end--
  return text.slice(0, end)
}

/** UTF-16 units of one address. */
export const relayUrlMax = 512

/** Host names as `URL` writes them; it has read numbers as IPv4 addresses by then. */
const hostPattern = /^(?:\[[0-9a-f:.]+\]|[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?)$/

const schemePattern = /^[a-z][a-z0-9+.-]*:\/\//i

/** What may stand without a scheme: a bare word is no address, or every word would be. */
const isBareAddress = (text: string): boolean => /^(?:localhost\b|\[|[^/?#]*(?:\.|:\d))/i.test(text)

/** The address by its parts, with `ws:` or `wss:` for a scheme and no fragment. Undefined for what is no relay's. */
const parse = (text: string): URL | undefined => {
  const trimmed = text.trim()
  if (trimmed === "" || trimmed.length > relayUrlMax || /\s/.test(trimmed)) return undefined
  const hasScheme = schemePattern.test(trimmed)
  if (!hasScheme && !isBareAddress(trimmed)) return undefined
  // Web addresses are a common slip for the socket at the same place.
  const url = URL.parse((hasScheme ? trimmed : `wss://${trimmed}`).replace(/^http(s?):/i, "ws$1:"))
  if (url === null || (url.protocol !== "ws:" && url.protocol !== "wss:")) return undefined
  if (url.username !== "" || url.password !== "" || !hostPattern.test(url.hostname)) return undefined
  // Two schemes one after the other look like a host that is called `wss`.
  if (/^wss?$|^https?$/.test(url.hostname) && url.pathname.startsWith("//")) return undefined
  url.hash = ""
  if (url.search === "") url.search = ""
  if (url.hostname.endsWith(".")) url.hostname = url.hostname.slice(0, -1)
  return url
}

/** The form in which a relay is dialled and listed; undefined for what is no relay's address. */
export const relayUrlOf = (text: string): string | undefined => {
  const url = parse(text)
  if (url === undefined) return undefined
  return url.pathname === "/" && url.search === "" ? url.href.slice(0, -1) : url.href
}

/** What tells one relay from another. */
interface Place {
  readonly host: string
  /** Empty for those of the schemes. */
  readonly port: string
  /** Without slashes at its end. */
  readonly path: string
  /** With its question mark, or empty. */
  readonly query: string
}

const placeOf = (text: string): Place | undefined => {
  const url = parse(text)
  if (url === undefined) return undefined
  const port = url.port === "80" || url.port === "443" ? "" : url.port
  return { host: url.hostname, port, path: withoutEndSlashes(url.pathname), query: url.search }
}

/** One name per relay, to tell relays apart by; what is no relay's address stands for itself. */
export const aliasOf = (text: string): string => {
  const place = placeOf(text)
  if (place === undefined) return text
  const { host, path, port, query } = place
  return `${host}${port === "" ? "" : `:${port}`}${path}${query}`
}

/** Each relay once, by its alias, under the first of the addresses that it is given by. */
export const byAlias = (urls: ReadonlyArray<string>): ReadonlyMap<string, string> => {
  const relays = new Map<string, string>()
  for (const url of urls) {
    const alias = aliasOf(url)
    if (!relays.has(alias)) relays.set(alias, url)
  }
  return relays
}

/** A loopback name or address, as `URL` writes it (RFC 6761 §6.3, RFC 1122 §3.2.1.3, RFC 4291 §2.5.3). */
const isLoopback = (host: string): boolean =>
  /^(?:(?:[^.]+\.)*localhost|127(?:\.\d+){3}|\[::1\]|\[::ffff:7f[0-9a-f]{2}:[0-9a-f]{1,4}\])$/.test(host)

/** Is the relay at this address on this machine? */
export const isOnLoopback = (url: string): boolean => {
  const place = placeOf(url)
  return place !== undefined && isLoopback(place.host)
}

/** Does a `Host` (RFC 9110 §7.2) name this machine as it stands, and not in a spelling that has to be parsed to see it? */
export const isLoopbackAuthority = (authority: string): boolean => {
  const host = parse(`ws://${authority}`)?.hostname
  return host !== undefined && isLoopback(host) && authority.toLowerCase().startsWith(host) &&
    /^(?::\d{1,5})?$/.test(authority.slice(host.length))
}

/**
 * Is it the same host and port? While `RELAY_URL` is not set, ours is `localhost`, and then every loopback name and address
 * is ours. Port 0 is a free one that is found later: nobody knows it by number.
 */
const isOurHost = (
  named: Pick<Place, "host" | "port">,
  own: Pick<Place, "host" | "port">
): boolean => {
  if (named.host === own.host && named.port === own.port) return true
  return isLoopback(own.host) && isLoopback(named.host) && (own.port === named.port || own.port === "0")
}

/** Does the address name the relay whose own one is `relayUrl`? */
export const isThisRelay = (text: string, relayUrl: string): boolean => {
  const own = placeOf(relayUrl)
  const named = placeOf(text)
  if (own === undefined || named === undefined || !isOurHost(named, own)) return false
  return named.path === own.path && (own.query === "" || own.query === named.query)
}

/**
 * Is it the web address `own`, for a request that is signed (NIP-98: "exactly the same")? Scheme, path and query have to be
 * as they are; the host may be spelled in every way that names this relay's, and the scheme `ws` for `http`.
 */
export const isThisAddress = (text: string, own: string): boolean => {
  const [ours, named] = [parse(own), schemePattern.test(text.trim()) ? parse(text) : undefined]
  if (ours === undefined || named === undefined) return false
  return ours.protocol === named.protocol && isOurHost({ host: named.hostname, port: named.port }, {
    host: ours.hostname,
    port: ours.port
  }) && ours.pathname === named.pathname && ours.search === named.search
}

/**
 * Is this request to vanish (kind 62) for the relay at `relayUrl`: does it name it, or all (NIP-62)? One answer for whoever
 * takes a request and whoever carries it out.
 */
export const isVanishFor = (request: Pick<Event, "tags">, relayUrl: string): boolean =>
  request.tags.some(([name, value]) =>
    name === "relay" && value !== undefined && (value === "ALL_RELAYS" || isThisRelay(value, relayUrl))
  )
