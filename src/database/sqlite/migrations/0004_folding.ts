/**
 * What profiles are found by has changed, so all of them are entered in the index once more (`search/Backlog.ts`), in place
 * of what is there; and whose a verified NIP-05 name is can be looked up by its domain: an index made by one walk over the records,
 * 1.1 s with three million of them, a tenth about names.
 */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"

const statements = [
  `INSERT OR REPLACE INTO search_backlog SELECT 1, ${Number.MAX_SAFE_INTEGER}, -1 FROM commit_log WHERE events > 0`,
  // A value is JSON text, `"name@domain"`: from its `@` on, and then whole.
  `CREATE INDEX record_nip05 ON record (substr(value, instr(value, '@')), value) WHERE space = 'nip05'`
]

export default Effect.flatMap(
  SqlClient.SqlClient,
  (sql) => Effect.forEach(statements, (statement) => sql.unsafe(statement), { discard: true })
)
