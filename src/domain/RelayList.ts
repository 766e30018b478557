/**
 * Which relays an author uses: kind 10002 (NIP-65) for notes, kind 10050 (NIP-17) for direct messages.
 *
 * Lists are written by strangers: an address that cannot be dialled is left out, the rest stays. Whether a host may be
 * dialled at all is for whoever dials to say.
 */
import type { Event } from "./Event.ts"
import { relayUrlOf } from "./RelayUrl.ts"

/** Relays by use, normalised, in the order of the list, each once. */
export interface RelayList {
  /** Where the author publishes: read their events here (NIP-65, "outbox"). */
  readonly write: ReadonlyArray<string>
  /** Where the author listens: send mentions here. */
  readonly read: ReadonlyArray<string>
}

/** Relays that are read of one list; 2 to 4 of each use are advised. */
export const relaysMax = 50

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
