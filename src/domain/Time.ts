/** The protocol's time: whole Unix seconds, as in `created_at` and `since` (NIP-01). Pure. */

/** The second in which these Unix milliseconds are. */
export const secondsOf = (millis: number): number => Math.floor(millis / 1000)
