/**
 * Where accepted events live.
 *
 * Every event a client can be served has been through a `Sender` of this component, whether it was harvested from an
 * upstream or published by a client, so this is also the one place that announces new events: `commits`.
 */
import { Context, type Effect, type PubSub, Schema, type Scope } from "effect"
import type { Event } from "../domain/Event.ts"
import type { Filter } from "../domain/Filter.ts"
import type { MailboxClosed } from "../lifecycle/Mailbox.ts"

/** The disk, the engine or its thread failed. A write may be retried: `Save` is idempotent by event id. */
export class DatabaseError extends Schema.TaggedError<DatabaseError>()("DatabaseError", {
  operation: Schema.Literals(["write", "read"]),
  cause: Schema.Defect(),
  /** Why nothing can be written now, where nothing has failed (`Room.ts`). */
  lack: Schema.optionalKey(Schema.String)
}) {}

/** What may be said of it outside. */
export const reasonOf = ({ lack }: DatabaseError): string => lack ?? "storage is unavailable"

/** Keep an event; an outcome other than `Saved` leaves the table as it was. */
export interface Save {
  readonly _tag: "Save"
  readonly event: Event
}
/**
 * Forget events by id, without a tombstone: an operator's decision, not an author's (that is a kind 5 event). Whatever is
 * removed, here and below, is gone for everybody who asks once the write is committed; its room may be freed later.
 */
export interface Delete {
  readonly _tag: "Delete"
  readonly ids: ReadonlyArray<string>
}
/** Forget all that is stored of an author, however much it is, without a tombstone: an operator's decision. */
export interface DeleteAuthor {
  readonly _tag: "DeleteAuthor"
  readonly pubkey: string
}
/**
 * Remember or forget (`value: null`) one small JSON document of another component: harvest coverage, a verdict, a
 * retry. In one write with the events it describes, it can never run ahead of them.
 */
export interface RecordWrite {
  readonly _tag: "Record"
  /** One of `Spaces.ts`. */
  readonly space: string
  readonly key: string
  /** JSON text, or null to forget the key. */
  readonly value: string | null
  /** Unix milliseconds at which `due` returns it, or null. */
  readonly due: number | null
}
export type Operation = Save | Delete | DeleteAuthor | RecordWrite

/**
 * What an operation did.
 *
 * - `Saved`: committed, with its place in the commit log.
 * - `Duplicate`: this id is already stored.
 * - `Superseded`: a newer version, or an equal one with a lower id, is already stored (NIP-01, "Kinds").
 * - `Deleted`: its author asked for its removal (NIP-09, NIP-62).
 * - `Expired`: its `expiration` has passed (NIP-40).
 * - `Ephemeral`: announced to subscriptions, not stored (NIP-01, kinds 20000 to 29999).
 * - `TooManyRemovals`: a request to delete (NIP-09) for an author who has as many ids removed as are remembered of one.
 * - `Done`: a `Delete`, `DeleteAuthor` or `RecordWrite` was applied.
 */
export type Outcome =
  | { readonly _tag: "Saved"; readonly seq: number }
  | { readonly _tag: "Duplicate" }
  | { readonly _tag: "Superseded" }
  | { readonly _tag: "Deleted" }
  | { readonly _tag: "Expired" }
  | { readonly _tag: "Ephemeral" }
  | { readonly _tag: "TooManyRemovals" }
  | { readonly _tag: "Done" }

/** What a `Save` would do. */
export type Preview = "New" | "Duplicate" | "Superseded" | "Deleted" | "Expired"

/** One line of the commit log. `seq` is monotonic and never reused; ephemeral events carry the last one committed. */
export interface Commit {
  readonly seq: number
  readonly event: Event
  /** The event as canonical JSON, so that a frame is a concatenation. */
  readonly raw: string
}

/** Canonical JSON of an event; in UTF-8 where many came at once, as most of them go on to a socket unread. */
export type StoredEvent = string | Uint8Array

export const textOf = (event: StoredEvent): string =>
  typeof event === "string" ? event : Buffer.from(event.buffer, event.byteOffset, event.byteLength).toString()

/** EVENT messages to one subscription (NIP-01), in frames (RFC 6455 §5.2), one after the other: to be written as they are. */
export interface EventMessages {
  readonly bytes: Uint8Array
  /** Where each of them ends. */
  readonly ends: Uint32Array
  /**
   * Gives the memory back for other answers, once nobody reads it any more, the kernel neither: it may be gone at once. Whoever
   * never does leaves it to the garbage collector.
   */
  readonly giveBack: () => void
}

export interface QueryResult {
  /** The store as it was after this commit; live delivery starts with the next one. */
  readonly asOf: number
  /** `created_at` descending, then lowest id (NIP-01); no id twice. */
  readonly events: ReadonlyArray<StoredEvent>
  /** Instead of `events`, where a subscription was named and the store had this at hand. */
  readonly messages?: EventMessages
  /** False when a limit, a filter's or the relay's, cut the answer short. */
  readonly complete: boolean
}

/** Who asks: where keys are given, private messages are left out that are not theirs (NIP-17, NIP-42). */
export interface AskedBy {
  /** Absent: one of our own components, which may read all. */
  readonly readers?: ReadonlyArray<string> | undefined
}

/** What a filter finds, for a reconciliation (NIP-77): the newest first, packed, as there may be many. */
export interface Items {
  /** Unix seconds of each event. */
  readonly timestamps: Float64Array
  /** 32 bytes for each, in the same order. */
  readonly ids: Uint8Array
  /** Unix seconds from which the first of them must not be served any more (NIP-40); `Infinity` for none. */
  readonly expiresAt: number
  /** False when there are more than were asked for. */
  readonly complete: boolean
}

/** A stored event, and its place in the commit log. */
export interface Committed {
  readonly seq: number
  readonly event: StoredEvent
}

/** How many events, and how many authors they have, in registers (`domain/HyperLogLog`). */
export interface Sketch {
  readonly count: number
  readonly hll: string
}

/** A part of an order that a seed picks (`domain/Permutation`), over the places in the commit log. */
export interface DrawRequest {
  readonly kind: number
  /** 32 bits. */
  readonly seed: number
  /** The last place that is in the order: what `Drawn` said before, or absent for the newest. */
  readonly top?: number | undefined
  /** Where in the order to begin; 0 is its start. */
  readonly from: number
  readonly count: number
}

export interface Drawn {
  readonly top: number
  /** Where to go on; `top` when the order is at its end. */
  readonly next: number
  /** At most `count`; fewer at the end, and where so few places hold the kind that looking further would take too long. */
  readonly events: ReadonlyArray<string>
}

/** How an author is ranked among equal answers to a search (`domain/Standing`). */
export interface RankedAuthor {
  /** When a profile of theirs was seen here first: Unix seconds. */
  readonly seen: number
  /** From 0, the least known, to 15. */
  readonly bucket: number
  /** Whoever has the same folded name and the same picture and was here first, or has the name by right: a pubkey. */
  readonly resembles?: string
  /** How many accounts that this relay trusts follow the author; absent where nobody has counted. */
  readonly trustedFollowers?: number
  /** When they were counted: Unix seconds. */
  readonly rankedAt?: number
}

export interface StoredRecord {
  readonly key: string
  readonly value: string
  readonly due: number | null
}

/** A scoped right to write, registered under its holder's name. */
export interface DatabaseSender {
  /**
   * Applies all operations in one transaction and succeeds once it is on disk, never before: a relay's `OK true` rests
   * on it. One outcome per operation, in order. Interrupting the caller does not undo a write that was accepted.
   */
  readonly write: (operations: ReadonlyArray<Operation>) => Effect.Effect<
    ReadonlyArray<Outcome>,
    DatabaseError | MailboxClosed
  >
  /**
   * The same for many writes of which each stands by itself, in order: they share what a transaction costs, and one that
   * is refused takes no other along. `queued` is called as soon as whatever is written later will be applied later: at
   * once where there is room for it, and otherwise not before the end.
   */
  readonly writeAll: (writes: ReadonlyArray<ReadonlyArray<Operation>>, queued?: () => void) => Effect.Effect<
    ReadonlyArray<ReadonlyArray<Outcome> | DatabaseError>,
    MailboxClosed
  >
}

export class Database extends Context.Service<Database, {
  readonly sender: (holder: string) => Effect.Effect<DatabaseSender, MailboxClosed, Scope.Scope>

  /** Batches of commits from now on, in `seq` order. The subscription ends with its scope. */
  readonly commits: Effect.Effect<PubSub.Subscription<ReadonlyArray<Commit>>, never, Scope.Scope>

  /**
   * Stored events that match any filter; each filter's own `limit` applies to it, capped at `limitMax`. `subscription`:
   * whose name the events are to be told under.
   */
  readonly query: (
    filters: ReadonlyArray<Filter>,
    options: { readonly limitMax: number; readonly subscription?: string } & AskedBy
  ) => Effect.Effect<QueryResult, DatabaseError>

  /** How many stored events match any filter, each counted once (NIP-45). */
  readonly count: (filters: ReadonlyArray<Filter>, options?: AskedBy) => Effect.Effect<number, DatabaseError>

  /** The same for one filter, and its authors counted by `offset` (NIP-45, "HyperLogLog"). */
  readonly sketch: (
    filter: Filter,
    options: { readonly offset: number } & AskedBy
  ) => Effect.Effect<Sketch, DatabaseError>

  /** Times and ids of stored events that match, at most `itemsMax`; the filter's own `limit` applies too. */
  readonly items: (
    filter: Filter,
    options: { readonly itemsMax: number } & AskedBy
  ) => Effect.Effect<Items, DatabaseError>

  /**
   * Stored events that were committed after `seq`, in commit order, at most `limit`: whoever remembers the last one has
   * seen everything that was stored up to then, and is stored still.
   */
  readonly committedAfter: (seq: number, limit: number) => Effect.Effect<ReadonlyArray<Committed>, DatabaseError>

  /** Stored events of a kind by chance: each of them has one turn in the order, and all are as likely as any. */
  readonly draw: (request: DrawRequest) => Effect.Effect<Drawn, DatabaseError>

  /** Of authors by pubkey, in their order; undefined while nobody has looked at one yet, which is soon after the first profile. */
  readonly ranked: (
    pubkeys: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlyArray<RankedAuthor | undefined>, DatabaseError>

  /**
   * What a `Save` of this event would do to the store as committed now: the cheap question to ask before its signature
   * is checked. `New` is no promise.
   */
  readonly preview: (event: Event) => Effect.Effect<Preview, DatabaseError>
  /** The same for many events, each as if it came alone. */
  readonly previewAll: (events: ReadonlyArray<Event>) => Effect.Effect<ReadonlyArray<Preview>, DatabaseError>

  readonly record: (space: string, key: string) => Effect.Effect<StoredRecord | undefined, DatabaseError>
  /** All documents of a space, by key. */
  readonly records: (space: string) => Effect.Effect<ReadonlyArray<StoredRecord>, DatabaseError>
  /** Documents of a space whose `due` is at or before `now` (Unix milliseconds), soonest first. */
  readonly due: (space: string, now: number, limit: number) => Effect.Effect<ReadonlyArray<StoredRecord>, DatabaseError>

  /** Sizes for pages, metrics and the certificate. */
  readonly stats: Effect.Effect<
    { readonly events: number; readonly seq: number; readonly committed: number; readonly queue: number },
    DatabaseError
  >
}>()("profile-aggregator/database/Database") {}
