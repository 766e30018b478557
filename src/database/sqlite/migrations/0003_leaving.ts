/**
 * Removals that are done in slices: what is on its way out is hidden by a row, and counted in `commit_log` so that whoever
 * reads knows without a look at the table. Changes no row of the tables that grow: a million events and a million tombstones
 * take as long as none, but for one walk over `vanished`: a second a million, measured on a busy machine.
 *
 * A single event is hidden by an `expiration` that is not above zero, which no stored one is otherwise.
 */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"

const statements = [
  // Events by the author from up to `until` (Unix seconds) and up to `seq` are gone; what is left of them is swept.
  // `cause`: `vanish`, which takes gift wraps for the author along (NIP-62), or `ban`.
  `CREATE TABLE leaving (
    pubkey BLOB NOT NULL,
    cause TEXT NOT NULL,
    until INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (pubkey, cause)
  ) STRICT, WITHOUT ROWID`,
  `INSERT INTO leaving SELECT pubkey, 'vanish', until, ${Number.MAX_SAFE_INTEGER} FROM vanished WHERE pending = 1`,
  // How often `leaving` has had new rows; negative while it is empty.
  `ALTER TABLE commit_log ADD COLUMN leaving INTEGER NOT NULL DEFAULT 0`,
  `UPDATE commit_log SET leaving = EXISTS (SELECT 1 FROM leaving)`,
  // How many ids and addresses an author has had removed that were not here, since there is this table: none is ever
  // forgotten, so there is a bound (`Removal.ts`).
  `CREATE TABLE removal_count (pubkey BLOB PRIMARY KEY, count INTEGER NOT NULL) STRICT, WITHOUT ROWID`
]

export default Effect.flatMap(
  SqlClient.SqlClient,
  (sql) => Effect.forEach(statements, (statement) => sql.unsafe(statement), { discard: true })
)
