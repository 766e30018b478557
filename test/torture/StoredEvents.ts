/** What is in a database file, read with SQLite alone: none of our own code is asked whether our own code is right. */
import { existsSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"

export interface StoredEvents {
  /** Of what is there for everybody who asks; what is hidden and still to be swept is not. */
  readonly ids: ReadonlySet<string>
  /** Events that were ever stored, those that are gone included. */
  readonly seq: number
  /** What SQLite finds wrong with the file, and what the tables contradict each other in; empty when nothing. */
  readonly damage: ReadonlyArray<string>
  /** Harvest coverage by upstream, as JSON. */
  readonly coverage: ReadonlyMap<string, string>
}

/** Single events are hidden by an expiration in the past, those of an author who leaves by a row of `leaving`. */
const visible = `
  SELECT substr(raw, 8, 64) FROM event WHERE coalesce(expiration, 1) > 0 AND NOT EXISTS (
    SELECT 1 FROM leaving
    WHERE lower(hex(leaving.pubkey)) = raw ->> 'pubkey' AND raw ->> 'created_at' <= leaving.until
      AND event.seq <= leaving.seq AND (leaving.cause = 'ban' OR event.kind <> 62)
  )`

/**
 * Reads the file and the log beside it; writes neither, so the next start of the service has its own recovery to do. Nothing
 * is stored where there is no file: a start that failed early made none.
 */
export const storedIn = (path: string): StoredEvents => {
  if (!existsSync(path)) return { ids: new Set(), seq: 0, damage: [], coverage: new Map() }
  const db = new DatabaseSync(path, { readOnly: true })
  try {
    const column = (sql: string) => db.prepare(sql).all().map((row) => String(Object.values(row)[0]))
    const damage = column("PRAGMA integrity_check").filter((line) => line !== "ok")
    if (column("SELECT 1 FROM sqlite_master WHERE name = 'event'").length === 0) {
      return { ids: new Set(), seq: 0, damage, coverage: new Map() }
    }
    // `raw` is canonical JSON, whose first member is the id.
    const rows = column("SELECT substr(raw, 8, 64) FROM event")
    const ids = new Set(column(visible))
    const [seq, events, last] = Object.values(
      db.prepare("SELECT seq, events, (SELECT coalesce(max(seq), 0) FROM event) FROM commit_log").get() ?? {}
    ).map(Number)
    const twice = rows.length - new Set(rows).size
    if (twice !== 0) damage.push(`${twice} events are stored twice`)
    if (events !== rows.length) damage.push(`the commit log counts ${events} events, there are ${rows.length}`)
    if ((last ?? 0) > (seq ?? 0)) damage.push(`the commit log ends at ${seq}, an event has number ${last}`)
    const coverage = new Map(
      db.prepare("SELECT key, value FROM record WHERE space = 'coverage'").all()
        .map((row) => [String(row["key"]), String(row["value"])])
    )
    return { ids, seq: seq ?? 0, damage, coverage }
  } finally {
    db.close()
  }
}
