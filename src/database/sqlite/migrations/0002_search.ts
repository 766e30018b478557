/**
 * The index of profiles (NIP-50): which terms, see `search/terms.ts`, stand at which places, see `search/places.ts`.
 *
 * Full-text search is used as what it is good at, an inverted index that is cheap to add to: without texts, positions and
 * ranking. Its tokenizer only has to cut at blanks, as terms are made by us.
 */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"

const statements = [
  `CREATE VIRTUAL TABLE search USING fts5(
    terms, content = '', contentless_delete = 1, detail = none, tokenize = 'ascii'
  )`,
  // Pages that fill one of the file's.
  `INSERT INTO search (search, rank) VALUES ('pgsz', 8000)`,
  // Its one row, absent when nothing is left to do: profiles that were stored before there was an index are entered
  // newest first (`search/Backlog.ts`), and those after this place are still to come.
  `CREATE TABLE search_backlog (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    created_at INTEGER NOT NULL,
    id_key INTEGER NOT NULL
  ) STRICT`,
  `INSERT INTO search_backlog SELECT 1, ${Number.MAX_SAFE_INTEGER}, -1 FROM commit_log WHERE events > 0`
]

export default Effect.flatMap(
  SqlClient.SqlClient,
  (sql) => Effect.forEach(statements, (statement) => sql.unsafe(statement), { discard: true })
)
