/**
 * Where a profile stands in the index of searches: its row number there is made of how well known its author is, its time and
 * the first bits of its id, so that a list read from its end has the best known first, and among equals is in the order of
 * answers, newest first and then lowest id (NIP-01).
 *
 * Profiles of one bucket and second whose ids begin alike share a place, and so what they are found by. What is read from a
 * place is therefore always tested against the profile itself.
 */

import { bucketMax } from "../../../domain/Standing.ts"

/**
 * Bits of the id, of the 52 that `event.id_key` has. With those of the time and of the bucket they make a safe integer, as
 * `node:sqlite` insists; more of them would make the lists longer, which hold the steps from one row to the next.
 */
const bits = 16
const slots = 2 ** bits
const idsPerSlot = 2 ** (52 - bits)

const timeBits = 33

/** Unix seconds after which a profile is not indexed: the year 2242. */
export const timeMax = 2 ** timeBits - 1

const rowsPerBucket = 2 ** (timeBits + bits)

/** Of authors about whom nothing is known that would move them (`Ranking.ts`). */
export const bucketOfNewcomers = 2

/** The last row there can be. */
export const rowMax = (bucketMax + 1) * rowsPerBucket - 1

export interface Place {
  readonly bucket: number
  /** Unix seconds. */
  readonly created_at: number
  /** Higher for lower ids. */
  readonly slot: number
}

export const placeOf = (bucket: number, created_at: number, idKey: number): Place => ({
  bucket,
  created_at,
  slot: slots - 1 - Math.floor(idKey / idsPerSlot)
})

export const bucketAt = (row: number): number => Math.floor(row / rowsPerBucket)

/** What a row number says of time and id. */
export const withoutBucket = (row: number): number => row % rowsPerBucket

export const rowAt = ({ bucket, created_at, slot }: Place): number => bucket * rowsPerBucket + created_at * slots + slot

/** The row numbers of a bucket within some time, Unix seconds and both inclusive. */
export const rowsOf = (
  bucket: number,
  since: number,
  until: number
): { readonly first: number; readonly last: number } => ({
  first: rowAt({ bucket, created_at: Math.min(since, timeMax), slot: 0 }),
  last: rowAt({ bucket, created_at: Math.min(until, timeMax), slot: slots - 1 })
})

/** SQL of the place of a row. */
export const timeOf = (row: string): string => `((${row} >> ${bits}) & ${timeMax})`
export const slotOf = (row: string): string => `(${row} & ${slots - 1})`

/** SQL that joins the profiles `e` of a place, by the index that is in this order. */
export const profilesAt = (created_at: string, slot: string): string =>
  `e.kind = 0 AND e.created_at = ${created_at} AND e.id_key >= (${slots - 1} - ${slot}) * ${idsPerSlot}
    AND e.id_key < (${slots} - ${slot}) * ${idsPerSlot}`
