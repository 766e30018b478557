/**
 * The spaces of records: who keeps what beside the events, by which key, and what becomes of it.
 *
 * A closed set, because some things concern all of them: what has expired is forgotten, what is noted about an author goes
 * with the author, and one is read by searches. Whoever adds a row says which of these it is, and is in all of them.
 */
export interface SpaceTraits {
  /** What the key is. `author`: a pubkey in lower-case hex; the record is dropped when its author vanishes (NIP-62). */
  readonly key: "author" | "event" | "upstream" | "url" | "day" | "subject"
  /** Whether a record may be forgotten once its `due` has passed; otherwise `due` says when to act on it. */
  readonly expires: boolean
  /** How far an upstream has been read: what is lost here is found again once that is forgotten. */
  readonly isReadUpTo?: true
}

const table = {
  /** How far its profiles have been read. */
  coverage: { key: "upstream", expires: false, isReadUpTo: true },
  /** What it has shown of how it answers. */
  manners: { key: "upstream", expires: false },
  /** How far it has been asked by author. */
  authors: { key: "upstream", expires: false, isReadUpTo: true },
  /** How far its removals have been read. */
  removals: { key: "upstream", expires: false, isReadUpTo: true },
  /** How far both sides have been compared. */
  negentropy: { key: "upstream", expires: false, isReadUpTo: true },
  /** Ids that are held elsewhere and not wanted here. */
  unwanted: { key: "day", expires: true },
  /** A rejection that took a network to find out. */
  verdict: { key: "event", expires: true },
  /** A profile that waits to be checked. */
  retry: { key: "event", expires: false },
  /** A newer version was rejected. */
  grace: { key: "author", expires: false },
  /** What the operator has decided. */
  management: { key: "subject", expires: false },
  /** What was stored and what came, a day. */
  statistics: { key: "day", expires: false },
  /** The last look at a picture. */
  picture: { key: "url", expires: true },
  /** Whether the author has posted. */
  proof: { key: "author", expires: true },
  /** The NIP-05 name that is the author's by right, as JSON text. */
  nip05: { key: "author", expires: true },
  /** When the name's domain is to be asked again. */
  "nip05-check": { key: "author", expires: false }
} as const satisfies { readonly [name: string]: SpaceTraits }

export type SpaceName = keyof typeof table

export const spaces: { readonly [name in SpaceName]: SpaceTraits } = table

const named = (fits: (traits: SpaceTraits) => boolean): ReadonlyArray<SpaceName> =>
  (Object.keys(spaces) as Array<SpaceName>).filter((name) => fits(spaces[name]))

/** Spaces whose records are forgotten once they are due. */
export const expiring = named(({ expires }) => expires)

/** Spaces of how far upstreams have been read. */
export const readUpTo = named(({ isReadUpTo }) => isReadUpTo === true)

/** Spaces of what is noted about an author. */
export const aboutAuthors = named(({ key }) => key === "author")

/** Where searches find whose name was verified (NIP-50, `domain:` and NIP-05 names). */
export const verifiedNames = "nip05" satisfies SpaceName
