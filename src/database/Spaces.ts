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
  /** What is kept, in a few words for a page or a log. */
  readonly holds: string
}

const table = {
  coverage: { key: "upstream", expires: false, holds: "how far its profiles have been read" },
  authors: { key: "upstream", expires: false, holds: "how far it has been asked by author" },
  removals: { key: "upstream", expires: false, holds: "how far its removals have been read" },
  negentropy: { key: "upstream", expires: false, holds: "how far both sides have been compared" },
  unwanted: { key: "day", expires: true, holds: "ids that are held elsewhere and not wanted here" },
  verdict: { key: "event", expires: true, holds: "a rejection that took a network to find out" },
  retry: { key: "event", expires: false, holds: "a profile that waits to be checked" },
  grace: { key: "author", expires: false, holds: "a newer version was rejected" },
  management: { key: "subject", expires: false, holds: "what the operator has decided" },
  statistics: { key: "day", expires: false, holds: "what was stored and what came, a day" },
  picture: { key: "url", expires: true, holds: "the last look at a picture" },
  proof: { key: "author", expires: true, holds: "whether the author has posted" },
  nip05: { key: "author", expires: true, holds: "the NIP-05 name that is the author's by right, as JSON text" },
  "nip05-check": { key: "author", expires: false, holds: "when the name's domain is to be asked again" }
} as const satisfies { readonly [name: string]: SpaceTraits }

export type SpaceName = keyof typeof table

export const spaces: { readonly [name in SpaceName]: SpaceTraits } = table

const named = (holds: (traits: SpaceTraits) => boolean): ReadonlyArray<SpaceName> =>
  (Object.keys(spaces) as Array<SpaceName>).filter((name) => holds(spaces[name]))

/** Spaces whose records are forgotten once they are due. */
export const expiring = named(({ expires }) => expires)

/** Spaces of what is noted about an author. */
export const aboutAuthors = named(({ key }) => key === "author")

/** Where searches find whose name was verified (NIP-50, `nip05:`). */
export const verifiedNames = "nip05" satisfies SpaceName
