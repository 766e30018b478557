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

/** SQL: the last event of ?1 that an operator has removed and that is still to be swept. It is gone, and may come again. */
const bannedSeq = "(SELECT seq FROM leaving WHERE pubkey = ?1 AND cause = 'ban')"
const isGone = ({ seq }: Stored, bannedSeq: Row[number] | undefined): boolean => seq <= ((bannedSeq ?? -1) as number)

const isUntil = ({ created_at }: Event, until: Row[number] | undefined): boolean =>
  typeof until === "number" && created_at <= until

const noAddress = new Uint8Array(0)

/** A stored event, and what is about to take it away. */
interface Found extends Stored {
  readonly vanishedUntil: Row[number] | undefined
  readonly bannedSeq: Row[number] | undefined
}
const foundOf = (row: Row): Found => ({ ...storedOf(row), vanishedUntil: row[4], bannedSeq: row[5] })

export const make = (db: DatabaseSync) => {
  // What comes again costs least, as it is what comes most: one statement says what is stored and whether it is leaving.
  const known = `SELECT ${storedColumns}, (SELECT until FROM vanished WHERE pubkey = ?1), ${bannedSeq}`
  const knownById = prepare(db, `${known} FROM event INDEXED BY event_id WHERE id_key = ?2 AND ${shown}`)
  const knownByAuthor = prepare(
    db,
    `${known} FROM event INDEXED BY event_author WHERE pubkey_key = ?2 AND kind = ?3 AND ${shown}`
  )
  const knownByAddress = prepare(db, `${known} FROM event INDEXED BY event_address WHERE address = ?2`)
  const byId = prepare(db, `SELECT ${storedColumns} FROM event INDEXED BY event_id WHERE id_key = ? AND ${shown}`)
  // One statement for all: outside a transaction, each one would open and close a snapshot of its own.
  const removals = prepare(
    db,
    `SELECT (SELECT until FROM vanished WHERE pubkey = ?1),
      EXISTS (SELECT 1 FROM removed_id WHERE id = ?2 AND pubkey = ?1),
      (SELECT until FROM removed_address WHERE address = ?3),
      ${bannedSeq}`
  )
  const vanished = prepare(db, `SELECT until FROM vanished WHERE pubkey = ?`)

  const isVanished = (pubkey: string, created_at: number): boolean => {
    const until = vanished.get(bytesOf(pubkey))?.[0]
    return typeof until === "number" && created_at <= until
  }
  /** Gift wraps belong to the one they are addressed to: their own key is random (NIP-62). */
  const isVanishedWrap = ({ created_at, kind, tags }: Event): boolean =>
    kind === giftWrapKind &&
    tags.some(([name, value]) => name === "p" && value !== undefined && isVanished(value, created_at))

  /** Has somebody the event belongs to asked for its removal? (NIP-09, NIP-62.) */
  const isRemoved = (event: Event, [vanishedUntil, byId, addressUntil]: Row): boolean =>
    isUntil(event, vanishedUntil) || isUntil(event, addressUntil) || (byId === 1 && event.kind !== deletionKind) ||
    isVanishedWrap(event)

  /** The event stored at the same address: the only one that this one can replace or be. */
  const current = (event: Event, address: string, pubkey: Uint8Array): Found | undefined => {
    const rows = isAddressable(event.kind)
      ? knownByAddress.all(pubkey, addressKey(address))
      : knownByAuthor.all(pubkey, prefixKey(event.pubkey), event.kind)
    for (const row of rows) if (pubkeyOfRaw(row[3] as string) === event.pubkey) return foundOf(row)
    return undefined
  }

  /** The stored event of the same id. */
  const same = ({ id }: Event, pubkey: Uint8Array): Found | undefined => {
    for (const row of knownById.all(pubkey, prefixKey(id))) if (idOfRaw(row[3] as string) === id) return foundOf(row)
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
    const pubkey = bytesOf(event.pubkey)
    // Whether a replaceable event is known needs no look at the index of ids: only the current one could be it.
    const found = address === undefined ? same(event, pubkey) : current(event, address, pubkey)
    const id = found === undefined ? undefined : idOfRaw(found.head)
    // A deletion cannot be deleted, and a request to vanish stays so that it goes on being honoured.
    const isRemovable = event.kind !== vanishKind
    if (found !== undefined && id === event.id && !isGone(found, found.bannedSeq)) {
      return isRemovable && (isUntil(event, found.vanishedUntil) || isVanishedWrap(event)) ? deleted : duplicate
    }
    const removal = isRemovable
      ? removals.get(
        pubkey,
        bytesOf(event.id),
        address === undefined ? noAddress : addressKey(address)
      )
      : undefined
    if (removal !== undefined && isRemoved(event, removal)) return deleted
    if (found === undefined || id === undefined) return fresh
    return id === event.id || isGone(found, removal?.[3]) || !wins({ id, created_at: found.created_at }, event)
      ? { _tag: "New", replaces: found }
      : superseded
  }

  return { judge, find }
}
