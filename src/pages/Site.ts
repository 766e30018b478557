/** What every page knows of the relay that it is a page of. */
import { withoutEndSlashes } from "../domain/RelayUrl.ts"

export interface Site {
  /** Of the relay (NIP-11). */
  readonly name: string
  readonly description: string
  readonly version: string
  /** Where Nostr clients connect: `wss://…`. */
  readonly relayUrl: string
  /** What all links begin with: empty, or the path under which a proxy serves the relay, such as `/relay`. */
  readonly base: string
  /** `https://host` and the base: for what has to be absolute. */
  readonly address: string
  /** Paths of the style sheet, of the script and of the icon, with the base. */
  readonly assets: { readonly style: string; readonly script: string; readonly icon: string }
  /** How to reach the operator (NIP-11), such as a `mailto:` URI; absent where none is set. */
  readonly contact: string | undefined
}

/**
 * Base and absolute address of the pages of a relay, by its public address. The Host header of a request is never asked:
 * whoever makes the request chooses it.
 */
export const placeOf = (relayUrl: string): Pick<Site, "base" | "address"> => {
  const url = new URL(relayUrl.replace(/^ws/u, "http"))
  const base = withoutEndSlashes(url.pathname)
  return { base, address: `${url.origin}${base}` }
}
