/** What orders equal answers to a search (`search/Ranking.ts`). */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"

const statements = [
  // An author whose profile was seen here: when first, in Unix seconds, and in which bucket it stands in the index.
  `CREATE TABLE person (
    pubkey_key INTEGER PRIMARY KEY,
    seen INTEGER NOT NULL,
    bucket INTEGER NOT NULL
  ) STRICT`,
  // Who was here first of those with one name and one picture: 52 bits of a hash of both.
  `CREATE TABLE look (key INTEGER PRIMARY KEY, pubkey_key INTEGER NOT NULL) STRICT`,
  // Its one row: the last event that was looked at, and the last author who was looked at again.
  `CREATE TABLE ranking (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    seq INTEGER NOT NULL,
    pubkey_key INTEGER NOT NULL
  ) STRICT`,
  `INSERT INTO ranking VALUES (1, 0, -1)`
]

export default Effect.flatMap(
  SqlClient.SqlClient,
  (sql) => Effect.forEach(statements, (statement) => sql.unsafe(statement), { discard: true })
)
