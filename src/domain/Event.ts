/**
 * The NIP-01 event: its shape, its identity, its kind ranges, and which of two versions of it wins.
 *
 * Pure: hashing and signatures belong to `crypto/`, storage to `database/`.
 */

/** A signed event, as in NIP-01 "Events and signatures". Fields keep their wire names. */
export interface Event {
  /** Lower-case hex sha256 of the canonical serialisation, 64 characters. */
  readonly id: string
  /** Lower-case hex x-only public key, 64 characters. */
  readonly pubkey: string
  /** Unix seconds. */
  readonly created_at: number
  /** 0 to 65535. */
  readonly kind: number
  readonly tags: ReadonlyArray<ReadonlyArray<string>>
  readonly content: string
  /** Lower-case hex BIP-340 signature of `id`, 128 characters. */
  readonly sig: string
}

/** What a signer is given; `pubkey`, `id` and `sig` are its answer. */
export interface EventTemplate {
  readonly created_at: number
  readonly kind: number
  readonly tags: ReadonlyArray<ReadonlyArray<string>>
  readonly content: string
}
