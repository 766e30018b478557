/**
 * Direct messages, and who may read them: their author and those whom they are addressed to (NIP-17, NIP-59, NIP-42).
 *
 * What these kinds say is encrypted; who writes to whom and when is not, and that is what a relay gives away.
 */
import type { Event } from "./Event.ts"
import type { Filter } from "./Filter.ts"
import { giftWrapKind } from "./Kinds.ts"

/** Direct messages (NIP-04), gift wraps (NIP-59) and ephemeral gift wraps, which relays of kind 10050 lists take in. */
const privateKinds: ReadonlySet<number> = new Set([4, giftWrapKind, 21_059])

export const isPrivate = (kind: number): boolean => privateKinds.has(kind)

/** Keys that a client has proved to hold. */
export type Readers = ReadonlySet<string>

export const mayRead = (event: Pick<Event, "kind" | "pubkey" | "tags">, readers: Readers): boolean =>
  !isPrivate(event.kind) || readers.has(event.pubkey) ||
  event.tags.some(([name, value]) => name === "p" && value !== undefined && readers.has(value))

/**
 * Why somebody may not ask for that; undefined where they may. Asking for private kinds by name takes a key, and where
 * authors or addressees are named, one of them has to be the client. Any other filter is answered without what the client
 * may not read.
 */
export const readRefusal = (
  filters: ReadonlyArray<Filter>,
  readers: Readers
):
  | "auth-required: these kinds are for their authors and addressees"
  | "restricted: these messages are not yours"
  | undefined =>
{
  for (const { authors, kinds, tags } of filters) {
    if (kinds?.some(isPrivate) !== true) continue
    if (readers.size === 0) return "auth-required: these kinds are for their authors and addressees"
    const addressees = tags?.get("p")
    if (authors === undefined && addressees === undefined) continue
    const isOurs = (key: string) => readers.has(key)
    if (authors?.some(isOurs) !== true && addressees?.some(isOurs) !== true) {
      return "restricted: these messages are not yours"
    }
  }
  return undefined
}
