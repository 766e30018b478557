/**
 * Goes through every event of the file, whoever may have changed it: bits flip on disks, and SQLite reads what it finds.
 *
 * What an event says is proved by its id and signature; what it is found by has to follow from it. A row whose event is not what was
 * signed is taken out, without a word about the event itself, which may come again; one that is found by something else is
 * entered anew. Indexes are rebuilt, as a flip in one hides what it leads to.
 */
import { Effect, type Scope } from "effect"
import { resolve } from "node:path"
import type { DatabaseSync } from "node:sqlite"
import { addressOf, type Event, eventOf, expirationOf, isAddressable, rawOf } from "../../domain/Event.ts"
import { profileKind } from "../../domain/Kinds.ts"
import type { StartError } from "../../lifecycle/StartError.ts"
import { escape } from "../../observability/Escape.ts"
import type { Repaired, RepairOptions } from "../Repair.ts"
import { readUpTo } from "../Spaces.ts"
import { connect, prepare, type Row } from "./connection.ts"
import * as DatabaseFile from "./DatabaseFile.ts"
import { attempt, broken, hold, realPathOf } from "./FileLock.ts"
import { addressKey, prefixKey, tagKeys } from "./keys.ts"
import { SearchIndex } from "./search/SearchIndex.ts"
import { integrityOf } from "./SqliteCheck.ts"
import { SqliteStore } from "./SqliteStore.ts"

/** Rows read, and judged, at a time. */
const rowsMax = 500
/** Larger than any that was stored: what is read is judged by its signature, not by today's limits. */
const limits = { eventTagsMax: 1_000_000, contentMax: 16_777_216, frameBytesMax: 64 * 1024 * 1024 }

interface Stored {
  readonly seq: number
  readonly idKey: number
  readonly pubkeyKey: number
  readonly kind: number
  readonly createdAt: number
  readonly raw: string
}

/** What is wrong with a row: its event is not what was signed, or is found by something else. */
interface Unsound {
  readonly row: Stored
  /** The event, where it is whole. */
  readonly event: Event | undefined
}

/** The event, as it is written; undefined for what is none. */
const decoded = (raw: string): Event | undefined => {
  try {
    const event = eventOf(JSON.parse(raw), limits)
    return typeof event === "string" || rawOf(event) !== raw ? undefined : event
  } catch {
    return undefined
  }
}

const hasKey = (expected: Uint8Array | null, found: Row[number] | undefined): boolean =>
  expected === null ? found === null : found instanceof Uint8Array && Buffer.compare(expected, found) === 0

const make = (db: DatabaseSync) => {
  const after = prepare(
    db,
    `SELECT seq, id_key, pubkey_key, kind, created_at, expiration, address, tags, raw FROM event
      WHERE seq > ? ORDER BY seq LIMIT ${rowsMax}`
  )
  const hasTag = prepare(db, "SELECT 1 FROM tag WHERE key = ? AND created_at = ? AND id_key = ? AND seq = ?")

  /** Is the event found by what it says? */
  const isFound = (event: Event, [seq, idKey, pubkeyKey, kind, createdAt, expiration, address, tags]: Row): boolean => {
    const keys = tagKeys(event.tags)
    const own = prefixKey(event.id)
    const ownAddress = isAddressable(event.kind) ? addressKey(addressOf(event) ?? "") : null
    return idKey === own && pubkeyKey === prefixKey(event.pubkey) && kind === event.kind &&
      createdAt === event.created_at && expiration === (expirationOf(event) ?? null) && hasKey(ownAddress, address) &&
      tags === keys.length &&
      keys.every((key) => hasTag.get(key, event.created_at, own, seq as number) !== undefined)
  }

  return { after: (seq: number) => after.all(seq), isFound }
}

const storedOf = (row: Row): Stored => ({
  seq: row[0] as number,
  idKey: row[1] as number,
  pubkeyKey: row[2] as number,
  kind: row[3] as number,
  createdAt: row[4] as number,
  raw: String(row[8])
})

/** As much of the hex as its key has, which is what the index of searches goes by. */
const hexOf = (key: number): string => key.toString(16).padStart(13, "0").padEnd(64, "0")

/** Everything that is not as it should be, in the order of the rows. */
const examine = Effect.fnUntraced(function*(db: DatabaseSync, total: number, { judge, told }: RepairOptions) {
  const { after, isFound } = make(db)
  const unsound: Array<Unsound> = []
  let done = 0
  for (let last = 0;;) {
    const rows = yield* attempt("cannot read the events", () => after(last))
    // What is on its way out is hidden by an expiration that no event has.
    const shown = rows.filter((row) => row[5] === null || (row[5] as number) > 0)
    const events = shown.map((row) => decoded(String(row[8])))
    const verdicts = (yield* judge(events.filter((event) => event !== undefined))).values()
    shown.forEach((row, i) => {
      const event = events[i]
      const isSigned = event !== undefined && verdicts.next().value === true
      if (!isSigned) unsound.push({ row: storedOf(row), event: undefined })
      else if (!isFound(event, row)) unsound.push({ row: storedOf(row), event })
    })
    done += rows.length
    told(done, total)
    if (rows.length < rowsMax) return unsound
    last = rows.at(-1)?.[0] as number
  }
})

/** Takes out what is unsound, and rebuilds what events are found by. */
const mend = (db: DatabaseSync, unsound: ReadonlyArray<Unsound>): void => {
  db.exec("BEGIN IMMEDIATE")
  const search = new SearchIndex(db)
  const remove = prepare(db, "DELETE FROM event WHERE seq = ?")
  for (const { row } of unsound) {
    remove.run(row.seq)
    if (row.kind !== profileKind) continue
    search.removed({ created_at: row.createdAt, id: hexOf(row.idKey), pubkey: hexOf(row.pubkeyKey) })
  }
  search.flush()
  db.exec("DELETE FROM tag WHERE seq NOT IN (SELECT seq FROM event)")
  db.exec("REINDEX event")
  db.exec("UPDATE commit_log SET events = (SELECT count(*) FROM event)")
  // What is lost is somewhere else: upstreams are read again from the beginning, and what is held already costs little.
  if (unsound.some(({ event }) => event === undefined)) {
    const forget = prepare(db, "DELETE FROM record WHERE space = ?")
    for (const space of readUpTo) forget.run(space)
  }
  db.exec("COMMIT")
}

/** Not while a service uses the file (69). Fails (74) for one whose pages do not hold together. */
export const repair = Effect.fnUntraced(
  function*(
    { databasePath, relayUrl }: { readonly databasePath: string; readonly relayUrl: string },
    options: RepairOptions
  ): Effect.fn.Return<Repaired, StartError, Scope.Scope> {
    const path = realPathOf(resolve(databasePath))
    // Its schema has to be ours, and it has to be there.
    yield* Effect.scoped(DatabaseFile.openReader(path))
    yield* hold(path)
    const { events, problem } = yield* integrityOf(path)
    if (problem !== undefined) {
      return yield* broken(
        `${path} is corrupt (${escape(problem, 300)}): restore a backup, or import what \`export\` can still read of it`
      )
    }
    const db = yield* Effect.acquireRelease(
      attempt(`cannot open ${path}`, () => connect(path, "writer")),
      (db) => Effect.sync(() => db.isOpen && db.close())
    )
    const unsound = yield* examine(db, events, options)
    return yield* attempt(`cannot repair ${path}`, () => {
      mend(db, unsound)
      const moved = unsound.flatMap(({ event }) => event === undefined ? [] : [event])
      const store = new SqliteStore(db, relayUrl)
      for (const event of moved) store.apply({ now: 0, writes: [[{ _tag: "Save", raw: rawOf(event) }]] })
      store.close()
      return { events, lost: unsound.length - moved.length, moved: moved.length }
    })
  }
)
