/**
 * Which relays an author uses: kind 10002 (NIP-65) for notes, kind 10050 (NIP-17) for direct messages.
 *
 * Lists are written by strangers: an address that cannot be dialled is left out, the rest stays. Whether a host may be
 * dialled at all is for whoever dials to say.
 */
import type { Event } from "./Event.ts"

/** Relays by use, normalised, in the order of the list, each once. */
export interface RelayList {
  /** Where the author publishes: read their events here (NIP-65, "outbox"). */
  readonly write: ReadonlyArray<string>
  /** Where the author listens: send mentions here. */
  readonly read: ReadonlyArray<string>
}

/** Relays that are read of one list; 2 to 4 of each use are advised. */
export const relaysMax = 50

/** UTF-16 units of one address. */
export const relayUrlMax = 512

/**
 * One spelling per relay: lower-case host, no default port, no fragment, no final slash of the root, `wss:` where no
 * scheme was written. Undefined for what is no relay: other schemes, credentials, a host without a name. Never throws.
 */
export const relayUrlOf = (text: string): string | undefined => {
  const trimmed = text.trim()
  if (trimmed === "" || trimmed.length > relayUrlMax || /\s/.test(trimmed)) return undefined
  const written = /^[a-z][a-z0-9+.-]*:\/\//i.test(trimmed) ? trimmed : `wss://${trimmed}`
  // Web addresses are a common slip for the socket at the same place.
  const url = URL.parse(written.replace(/^http(s?):/i, "ws$1:"))
  if (url === null || (url.protocol !== "ws:" && url.protocol !== "wss:")) return undefined
  if (url.username !== "" || url.password !== "") return undefined
  if (!/^(?:localhost|\[[0-9a-f:.]+\]|[a-z0-9_-]+(?:\.[a-z0-9_-]+)+\.?)$/.test(url.hostname)) return undefined
  url.hash = ""
  url.hostname = url.hostname.replace(/\.$/, "")
  const { href } = url
  return url.pathname === "/" && url.search === "" && href.endsWith("/") ? href.slice(0, -1) : href
}

/** Do both addresses name the same relay (NIP-42 compares so)? */
export const isSameRelay = (a: string, b: string): boolean => {
  const url = relayUrlOf(a)
  return url !== undefined && url === relayUrlOf(b)
}

/** The `r` tags of a kind 10002 event. A tag with an unknown marker says nothing we could act on, and is left out. */
export const relayListOf = (event: Pick<Event, "tags">): RelayList => {
  const read = new Set<string>()
  const write = new Set<string>()
  for (const [name, text, marker] of event.tags) {
    if (name !== "r" || text === undefined) continue
    const url = relayUrlOf(text)
    if (url === undefined) continue
    const both = marker === undefined || marker === ""
    if ((both || marker === "read") && read.size < relaysMax) read.add(url)
    if ((both || marker === "write") && write.size < relaysMax) write.add(url)
  }
  return { write: [...write], read: [...read] }
}

/** The `relay` tags of a kind 10050 event: the only relays its author takes direct messages from. */
export const messageRelaysOf = (event: Pick<Event, "tags">): ReadonlyArray<string> => {
  const relays = new Set<string>()
  for (const [name, text] of event.tags) {
    const url = name === "relay" && text !== undefined ? relayUrlOf(text) : undefined
    if (url !== undefined && relays.size < relaysMax) relays.add(url)
  }
  return [...relays]
}
