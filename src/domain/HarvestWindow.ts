/** The arithmetic of reading an upstream backwards: what is covered, what is missing, and where the next page ends. */

/** A range of `created_at`, both ends inclusive, Unix seconds. */
export type Interval = readonly [from: number, to: number]
