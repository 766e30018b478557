/**
 * What the store, as it is, makes of an event: the question `preview` answers and `save` acts on.
 *
 * Reads only. Statements run on the connection they were prepared on, so the writer sees its own transaction.
 */
import type { DatabaseSync } from "node:sqlite"
import { addressOf, type Event, expirationOf, isAddressable, isEphemeral, wins } from "../domain/Event.ts"
import { prepare, type Row } from "./connection.ts"
import { addressKey, bytesOf, idOfRaw, prefixKey, pubkeyOfRaw } from "./keys.ts"

/** A stored event as far as replacing or removing it goes. */
export interface Stored {
  readonly seq: number
  readonly created_at: number
  /** How many rows of `tag` it has. */
  readonly tags: number
  readonly raw: string
}

export type Standing =
  | { readonly _tag: "New"; readonly replaces: Stored | undefined }
  | { readonly _tag: "Duplicate" | "Superseded" | "Deleted" | "Expired" | "Ephemeral" }

const superseded: Standing = { _tag: "Superseded" }
const duplicate: Standing = { _tag: "Duplicate" }
const deleted: Standing = { _tag: "Deleted" }
const expired: Standing = { _tag: "Expired" }
const ephemeral: Standing = { _tag: "Ephemeral" }
const fresh: Standing = { _tag: "New", replaces: undefined }

/** A request to delete (NIP-09). */
export const deletionKind = 5
/** A request to vanish (NIP-62). */
export const vanishKind = 62
/** A message wrapped for the keys in its `p` tags (NIP-59). */
export const giftWrapKind = 1059

export const storedOf = (row: Row): Stored => ({
  seq: row[0] as number,
  created_at: row[1] as number,
  tags: row[2] as number,
  raw: row[3] as string
})

const columns = "seq, created_at, tags, raw"
const noAddress = new Uint8Array(0)

export const make = (db: DatabaseSync) => {
  const byId = prepare(db, `SELECT ${columns} FROM event INDEXED BY event_id WHERE id_key = ?`)
  const byAuthor = prepare(db, `SELECT ${columns} FROM event INDEXED BY event_author WHERE pubkey_key = ? AND kind = ?`)
  const byAddress = prepare(db, `SELECT ${columns} FROM event INDEXED BY event_address WHERE address = ?`)
  // One statement for the three: outside a transaction, each one would open and close a snapshot of its own.
  const removals = prepare(
    db,
    `SELECT (SELECT until FROM vanished WHERE pubkey = ?1),
      EXISTS (SELECT 1 FROM removed_id WHERE id = ?2 AND pubkey = ?1),
      (SELECT until FROM removed_address WHERE address = ?3)`
  )
  const vanished = prepare(db, `SELECT until FROM vanished WHERE pubkey = ?`)

  /** Has somebody the event belongs to asked for its removal? (NIP-09, NIP-62.) */
  const isRemoved = (event: Event, address: string | undefined): boolean => {
    // A deletion cannot be deleted, and a request to vanish stays so that it goes on being honoured.
    if (event.kind === vanishKind) return false
    const [vanishedUntil, byId, addressUntil] = removals.get(
      bytesOf(event.pubkey),
      bytesOf(event.id),
      address === undefined ? noAddress : addressKey(address)
    ) as Row
    if (typeof vanishedUntil === "number" && event.created_at <= vanishedUntil) return true
    if (typeof addressUntil === "number" && event.created_at <= addressUntil) return true
    if (byId === 1 && event.kind !== deletionKind) return true
    // Gift wraps belong to the one they are addressed to: their own key is random (NIP-62).
    return event.kind === giftWrapKind && event.tags.some(([name, value]) => {
      if (name !== "p" || value === undefined) return false
      const until = vanished.get(bytesOf(value))?.[0]
      return typeof until === "number" && event.created_at <= until
    })
  }

  /** The event stored at the same address: the only one that this one can replace or be. */
  const current = (event: Event, address: string): Stored | undefined => {
    const rows = isAddressable(event.kind)
      ? byAddress.all(addressKey(address))
      : byAuthor.all(prefixKey(event.pubkey), event.kind)
    for (const row of rows) if (pubkeyOfRaw(row[3] as string) === event.pubkey) return storedOf(row)
    return undefined
  }

  /** The stored event of this id. */
  const find = (id: string): Stored | undefined => {
    for (const row of byId.all(prefixKey(id))) if (idOfRaw(row[3] as string) === id) return storedOf(row)
    return undefined
  }

  /** `now` in Unix seconds. */
  const judge = (event: Event, now: number): Standing => {
    const expiration = expirationOf(event)
    if (expiration !== undefined && expiration <= now) return expired
    if (isEphemeral(event.kind)) return ephemeral
    const address = addressOf(event)
    if (isRemoved(event, address)) return deleted
    // Whether a replaceable event is known needs no look at the index of ids: only the current one could be it.
    if (address !== undefined) {
      const stored = current(event, address)
      if (stored === undefined) return fresh
      const id = idOfRaw(stored.raw)
      if (id === event.id) return duplicate
      return wins({ id, created_at: stored.created_at }, event) ? superseded : { _tag: "New", replaces: stored }
    }
    return find(event.id) === undefined ? fresh : duplicate
  }

  return { judge, find }
}
