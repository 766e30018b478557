/** The arithmetic of reading an upstream backwards: what is covered, what is missing, and where the next page ends. */

/**
 * 2020-01-01T00:00:00Z in Unix seconds, before the first Nostr event: where reading backwards ends. It is sent as `since`,
 * as some relays take a small `until` for none at all and would start again at the top.
 */
export const floor = 1_577_836_800
