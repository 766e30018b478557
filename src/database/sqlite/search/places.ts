/**
 * Where a profile stands in the index of searches: its row number there is made of its time and the first bits of its id,
 * so that a list read from its end is in the order of answers, newest first and then lowest id (NIP-01). Four bits above the
 * time are for how well known its author is; they are 0 so far.
 *
 * Profiles of one second whose ids begin alike share a place, and so what they are found by. What is read from a
 * place is therefore always tested against the profile itself.
 */

/**
 * Bits of the id, of the 52 that `event.id_key` has. With those of the time they make a safe integer, as `node:sqlite`
 * insists; more of them would make the lists longer, which hold the steps from one row to the next.
 */
const bits = 16
const slots = 2 ** bits
const idsPerSlot = 2 ** (52 - bits)

const timeBits = 33

/** Unix seconds after which a profile is not indexed: the year 2242. */
export const timeMax = 2 ** timeBits - 1

export interface Place {
  /** Unix seconds. */
  readonly created_at: number
  /** Higher for lower ids. */
  readonly slot: number
}

export const placeOf = (created_at: number, idKey: number): Place => ({
  created_at,
  slot: slots - 1 - Math.floor(idKey / idsPerSlot)
})

/** Unix seconds of a row number. */
export const timeAt = (row: number): number => Math.floor(row / slots)

export const rowAt = ({ created_at, slot }: Place): number => created_at * slots + slot

/** The row numbers of a time, from its first to its last. */
export const rowsAt = (created_at: number): { readonly first: number; readonly last: number } => {
  const first = Math.min(created_at, timeMax) * slots
  return { first, last: first + slots - 1 }
}

/** SQL of the place of a row. */
export const timeOf = (row: string): string => `((${row} >> ${bits}) & ${timeMax})`
export const slotOf = (row: string): string => `(${row} & ${slots - 1})`

/** SQL that joins the profiles `e` of a place, by the index that is in this order. */
export const profilesAt = (created_at: string, slot: string): string =>
  `e.kind = 0 AND e.created_at = ${created_at} AND e.id_key >= (${slots - 1} - ${slot}) * ${idsPerSlot}
    AND e.id_key < (${slots} - ${slot}) * ${idsPerSlot}`
