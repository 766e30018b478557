/**
 * What an event makes the store do, in one unit: the work of an index entry that is written or removed, 2 to 10 µs.
 *
 * Size alone says little: a request to delete of 1,600 ids is 1,600 lookups and tombstones, an event of 2,000 tags 2,000
 * entries in an index, when it comes and when it goes. Batches are cut by this, and clients are charged by it.
 */
import { type Event, isEphemeral } from "./Event.ts"
import { deletionKind, vanishKind } from "./Kinds.ts"

/** A row, and its entries in the indexes of ids, authors, kinds and expirations. */
const rowWork = 5

/** Characters of text that are worth an index entry. */
const charactersPerUnit = 1024

/** Looking up what one tag of a kind 5 names, its tombstone, and hiding what was found. */
const targetWork = 6

/** Rows of an author who vanishes that are looked at in the transaction of the request; the others are swept. */
export const vanishRowsMax = 256

/** Work of removing one event. */
export const removalWork = (tags: number): number => rowWork + tags

/** The most that saving this event costs, apart from what it replaces. `characters`: of its JSON. */
export const workOf = ({ kind, tags }: Pick<Event, "kind" | "tags">, characters: number): number => {
  const text = characters / charactersPerUnit
  if (isEphemeral(kind)) return text
  const own = rowWork + tags.length + text
  if (kind === deletionKind) return own + targetWork * tags.length
  return kind === vanishKind ? own + targetWork * vanishRowsMax : own
}
