/** A NIP-01 filter: decoded, bounded and ready to match. */

/** One filter of a REQ; absent fields match everything (NIP-01, "Communication between clients and relays"). */
export interface Filter {
  readonly ids?: ReadonlyArray<string>
  readonly authors?: ReadonlyArray<string>
  readonly kinds?: ReadonlyArray<number>
  /** Unix seconds, inclusive. */
  readonly since?: number
  /** Unix seconds, inclusive. */
  readonly until?: number
  /** At most this many stored events; 0 means none. */
  readonly limit?: number
  /** Tag filters by single letter, without the "#": every listed letter must match one of its values. */
  readonly tags?: ReadonlyMap<string, ReadonlyArray<string>>
  /** NIP-50. */
  readonly search?: string
}
