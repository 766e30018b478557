/**
 * What the store, as it is, makes of an event: the question `preview` answers and `save` acts on.
 *
 * Reads only. Statements run on the connection they were prepared on, so the writer sees its own transaction.
 */
import type { DatabaseSync } from "node:sqlite"
import { addressOf, type Event, expirationOf, isAddressable, isEphemeral, wins } from "../../domain/Event.ts"
import { deletionKind, giftWrapKind, vanishKind } from "../../domain/Kinds.ts"
import { prepare, type Row } from "./connection.ts"
import { addressKey, bytesOf, prefixKey } from "./keys.ts"
import { headLength, idOfRaw, pubkeyOfRaw } from "./rawEvent.ts"

/** A stored event as far as replacing or removing it goes. */
export interface Stored {
  readonly seq: number
  readonly created_at: number
  /** How many rows of `tag` it has. */
  readonly tags: number
  /** How its canonical JSON begins, for `idOfRaw`, `pubkeyOfRaw` and `kindOfRaw`. */
  readonly head: string
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

/** SQL of a `Stored`, and the row that it selects. */
export const storedColumns = `event.seq, event.created_at, event.tags, substr(event.raw, 1, ${headLength})`
export const storedOf = (row: Row): Stored => ({
  seq: row[0] as number,
  created_at: row[1] as number,
  tags: row[2] as number,
  head: row[3] as string
})

/** SQL: not hidden (`Removal.ts`). What is has no address any more. */
export const shown = "(event.expiration IS NULL OR event.expiration > 0)"

const noAddress = new Uint8Array(0)

export const make = (db: DatabaseSync) => {
  const byId = prepare(db, `SELECT ${storedColumns} FROM event INDEXED BY event_id WHERE id_key = ? AND ${shown}`)
  const byAuthor = prepare(
    db,
    `SELECT ${storedColumns} FROM event INDEXED BY event_author WHERE pubkey_key = ? AND kind = ? AND ${shown}`
  )
  const byAddress = prepare(db, `SELECT ${storedColumns} FROM event INDEXED BY event_address WHERE address = ?`)
  // One statement for the three: outside a transaction, each one would open and close a snapshot of its own.
  const removals = prepare(
    db,
    `SELECT (SELECT until FROM vanished WHERE pubkey = ?1),
      EXISTS (SELECT 1 FROM removed_id WHERE id = ?2 AND pubkey = ?1),
      (SELECT until FROM removed_address WHERE address = ?3)`
  )
  const banned = prepare(db, "SELECT seq FROM leaving WHERE pubkey = ? AND cause = 'ban'")
  const vanished = prepare(db, `SELECT until FROM vanished WHERE pubkey = ?`)

  const isVanished = (pubkey: string, created_at: number): boolean => {
    const until = vanished.get(bytesOf(pubkey))?.[0]
    return typeof until === "number" && created_at <= until
  }
  /** Gift wraps belong to the one they are addressed to: their own key is random (NIP-62). */
  const isVanishedWrap = ({ created_at, kind, tags }: Event): boolean =>
    kind === giftWrapKind &&
    tags.some(([name, value]) => name === "p" && value !== undefined && isVanished(value, created_at))

  /**
   * Has somebody the stored event belongs to asked for its removal, and it is only still to be done? All other requests
   * are carried out at once.
   */
  const isLeaving = (event: Event): boolean =>
    event.kind !== vanishKind && (isVanished(event.pubkey, event.created_at) || isVanishedWrap(event))

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
    return isVanishedWrap(event)
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

  /** Has an operator removed it, and it is only still to be swept? Then it is gone, and may come again. */
  const isGone = ({ head, seq }: Stored): boolean =>
    seq <= ((banned.get(bytesOf(pubkeyOfRaw(head)))?.[0] ?? -1) as number)

  /** `now` in Unix seconds. */
  const judge = (event: Event, now: number): Standing => {
    const expiration = expirationOf(event)
    if (expiration !== undefined && expiration <= now) return expired
    if (isEphemeral(event.kind)) return ephemeral
    const address = addressOf(event)
    // Whether a replaceable event is known needs no look at the index of ids: only the current one could be it.
    const found = address === undefined ? find(event.id) : current(event, address)
    const stored = found === undefined || isGone(found) ? undefined : found
    const id = stored === undefined ? undefined : idOfRaw(stored.head)
    // What comes again costs least, as it is what comes most: two looks, and no hash.
    if (id === event.id) return isLeaving(event) ? deleted : duplicate
    if (isRemoved(event, address)) return deleted
    if (stored === undefined || id === undefined) return found === undefined ? fresh : { _tag: "New", replaces: found }
    return wins({ id, created_at: stored.created_at }, event) ? superseded : { _tag: "New", replaces: stored }
  }

  return { judge, find }
}
