/**
 * Rows of an author whose events are on their way out, in the order of the indexes: a walk that other writes come between.
 *
 * Page after page, each from where the last one ended, never from the beginning: keys are short, so rows of others lie
 * among them and stay, however many they are.
 */
import type { DatabaseSync } from "node:sqlite"
import { giftWrapKind, vanishKind } from "../../domain/Kinds.ts"
import { prepare, type Row } from "./connection.ts"
import { prefixKey, tagKey } from "./keys.ts"
import { type Stored, storedColumns, storedOf } from "./Precedence.ts"
import { idOfRaw, kindOfRaw, pubkeyOfRaw, RawEvent } from "./rawEvent.ts"

/** A row of `leaving`: what is gone of an author. */
export interface Leaving {
  readonly pubkey: string
  readonly cause: "vanish" | "ban"
  /** Unix seconds, inclusive. */
  readonly until: number
  /** Inclusive. */
  readonly seq: number
}

/** What has to go; undefined for a row that was looked at and stays, as looking is work. */
export type Rows = Generator<Stored | undefined, void>

/** Rows of one statement. */
const rowsMax = 64

/** Rows of `table` after the place (?, ?, ?), newest first and then by id, as their index has them. */
const after = (table: string, at: number) =>
  `${table}.created_at <= ?${at} AND (${table}.created_at < ?${at} OR ${table}.id_key > ?${at + 1}
      OR (${table}.id_key = ?${at + 1} AND ${table}.seq > ?${at + 2}))
    ORDER BY ${table}.created_at DESC, ${table}.id_key, ${table}.seq LIMIT ${rowsMax}`

/** Rows of one range of an index. */
function* pages(
  until: number,
  transaction: () => number,
  fetch: (after: readonly [created_at: number, idKey: number, seq: number]) => ReadonlyArray<Row>,
  isLeaving: (stored: Stored) => boolean
): Rows {
  let after: readonly [number, number, number] = [until, -1, -1]
  for (let isLast = false; !isLast;) {
    const rows = fetch(after)
    const fetchedIn = transaction()
    isLast = rows.length < rowsMax
    for (const row of rows) {
      const stored = storedOf(row)
      after = [stored.created_at, prefixKey(idOfRaw(stored.head)), stored.seq]
      yield isLeaving(stored) ? stored : undefined
      // Another write came in between, and may have removed one of the others.
      if (fetchedIn !== transaction()) {
        isLast = false
        break
      }
    }
  }
}

export const make = (db: DatabaseSync) => {
  const rawOf = prepare(db, "SELECT raw FROM event WHERE seq = ?")
  const nextKindOf = prepare(
    db,
    "SELECT kind FROM event INDEXED BY event_author WHERE pubkey_key = ? AND kind > ? ORDER BY kind LIMIT 1"
  )
  const byAuthor = prepare(
    db,
    `SELECT ${storedColumns} FROM event INDEXED BY event_author
      WHERE event.pubkey_key = ?1 AND event.kind = ?2 AND ${after("event", 3)}`
  )
  const atTag = prepare(
    db,
    `SELECT ${storedColumns} FROM tag CROSS JOIN event ON event.seq = tag.seq
      WHERE tag.key = ?1 AND ${after("tag", 2)}`
  )

  /** `transaction`: tells one from another. */
  return function*({ cause, pubkey, seq, until }: Leaving, transaction: () => number): Rows {
    const author = prefixKey(pubkey)
    for (let kind = -1;;) {
      const next = nextKindOf.get(author, kind)
      if (next === undefined) break
      kind = next[0] as number
      yield undefined
      if (kind === vanishKind && cause === "vanish") continue
      yield* pages(
        until,
        transaction,
        (after) => byAuthor.all(author, kind, ...after),
        (stored) => stored.seq <= seq && pubkeyOfRaw(stored.head) === pubkey
      )
    }
    if (cause === "ban") return
    const isWrapped = ({ seq }: Stored) =>
      new RawEvent(rawOf.get(seq)?.[0] as string).tags.some(([name, value]) => name === "p" && value === pubkey)
    // Gift wraps belong to the one they are addressed to: their own key is random.
    yield* pages(
      until,
      transaction,
      (after) => atTag.all(tagKey("p", pubkey), ...after),
      (stored) => kindOfRaw(stored.head) === giftWrapKind && isWrapped(stored)
    )
  }
}
