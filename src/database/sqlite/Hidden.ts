/**
 * What is still in the file and gone for everybody who asks: events of authors who vanished or were banned, until they are
 * swept (`Removal.ts`). Single events are hidden by their `expiration`, which every statement looks at anyway.
 *
 * There is rarely anybody, and then a number in `commit_log` says so.
 */
import type { DatabaseSync } from "node:sqlite"
import type { Event } from "../../domain/Event.ts"
import { giftWrapKind, vanishKind } from "../../domain/Kinds.ts"
import { prepare } from "./connection.ts"
import { kindOfRaw, pubkeyOfRaw, RawEvent } from "./rawEvent.ts"

/** Is this event, stored under that number, gone? */
export type IsHidden = (raw: string, seq: number) => boolean

interface Gone {
  /** Unix seconds, inclusive; -1 for none. */
  vanishedUntil: number
  /** Inclusive; -1 for none. */
  bannedSeq: number
}

const makeIsHidden = (gone: ReadonlyMap<string, Gone>): IsHidden => {
  const isVanished = (pubkey: string, created_at: number) => created_at <= (gone.get(pubkey)?.vanishedUntil ?? -1)
  return (raw, seq) => {
    const author = gone.get(pubkeyOfRaw(raw))
    const kind = kindOfRaw(raw)
    if (author === undefined && kind !== giftWrapKind) return false
    if (author !== undefined && seq <= author.bannedSeq) return true
    const { created_at, pubkey, tags }: Event = new RawEvent(raw)
    if (kind !== vanishKind && isVanished(pubkey, created_at)) return true
    return kind === giftWrapKind &&
      tags.some(([name, value]) => name === "p" && value !== undefined && isVanished(value, created_at))
  }
}

export const make = (db: DatabaseSync) => {
  const version = prepare(db, "SELECT leaving FROM commit_log")
  const leaving = prepare(db, "SELECT lower(hex(pubkey)), cause, until, seq FROM leaving")
  let known: { readonly version: number; readonly isHidden: IsHidden } | undefined

  /** As `commit_log.leaving` has it; undefined where nothing is hidden. */
  const at = (version: number): IsHidden | undefined => {
    if (version <= 0) return undefined
    if (known?.version === version) return known.isHidden
    const gone = new Map<string, Gone>()
    for (const [pubkey, cause, until, seq] of leaving.all()) {
      const author = gone.get(pubkey as string) ?? { vanishedUntil: -1, bannedSeq: -1 }
      if (cause === "vanish") author.vanishedUntil = until as number
      else author.bannedSeq = seq as number
      gone.set(pubkey as string, author)
    }
    known = { version, isHidden: makeIsHidden(gone) }
    return known.isHidden
  }

  return {
    at,
    /** In the snapshot that is being read. */
    now: (): IsHidden | undefined => at(version.get()?.[0] as number)
  }
}

export type Hidden = ReturnType<typeof make>
