/**
 * Events, their tags, what their authors removed, and the documents of other components.
 *
 * Shapes follow what writing costs. Every index over random keys dirties one page per row, so there are two of them for
 * a profile (id and author), both over 52-bit prefixes, which are half as wide as the full keys and safe JavaScript
 * integers; the reader checks the full value in `raw`. There is no index over time alone: the few filters without kinds
 * merge one cursor per kind that exists.
 *
 * Indexes end in the order of an answer, newest first and then lowest id (NIP-01), so that a page of results is one
 * stretch of an index even where thousands of events share a second.
 */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"

const statements = [
  // `raw` is canonical JSON and holds the truth; the other columns only find it. `seq` comes from `commit_log`.
  `CREATE TABLE event (
    seq INTEGER PRIMARY KEY,
    id_key INTEGER NOT NULL,
    pubkey_key INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expiration INTEGER,
    address BLOB,
    tags INTEGER NOT NULL,
    raw TEXT NOT NULL
  ) STRICT`,
  `CREATE INDEX event_id ON event (id_key)`,
  `CREATE INDEX event_author ON event (pubkey_key, kind, created_at DESC, id_key)`,
  `CREATE INDEX event_kind ON event (kind, created_at DESC, id_key)`,
  // Addressable kinds only: an author may have thousands of them in one kind.
  `CREATE UNIQUE INDEX event_address ON event (address) WHERE address IS NOT NULL`,
  `CREATE INDEX event_expiration ON event (expiration) WHERE expiration IS NOT NULL`,
  // One row per distinct single-letter tag and value; `key` is a hash of both, checked against `raw` by the reader.
  `CREATE TABLE tag (
    key INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    id_key INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (key, created_at DESC, id_key, seq)
  ) STRICT, WITHOUT ROWID`,
  // Removed by its author (NIP-09), whether it was here or not: what was deleted must not come back.
  `CREATE TABLE removed_id (
    id BLOB NOT NULL,
    pubkey BLOB NOT NULL,
    PRIMARY KEY (id, pubkey)
  ) STRICT, WITHOUT ROWID`,
  // Versions up to and including `until` are removed (NIP-09, `a` tags).
  `CREATE TABLE removed_address (address BLOB PRIMARY KEY, until INTEGER NOT NULL) STRICT, WITHOUT ROWID`,
  // Everything by the key up to and including `until` is removed (NIP-62); `pending` while rows are left to delete.
  `CREATE TABLE vanished (
    pubkey BLOB PRIMARY KEY,
    until INTEGER NOT NULL,
    pending INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID`,
  // Its one row: the last sequence number given out, how many events are stored, and which file this is.
  `CREATE TABLE commit_log (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    seq INTEGER NOT NULL,
    events INTEGER NOT NULL,
    identity BLOB NOT NULL
  ) STRICT`,
  `INSERT INTO commit_log VALUES (1, 0, 0, randomblob(16))`,
  `CREATE TABLE record (
    space TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    due INTEGER,
    UNIQUE (space, key)
  ) STRICT`,
  `CREATE INDEX record_due ON record (space, due) WHERE due IS NOT NULL`
]

export default Effect.flatMap(
  SqlClient.SqlClient,
  (sql) => Effect.forEach(statements, (statement) => sql.unsafe(statement), { discard: true })
)
