/**
 * Profiles from before there was an index of them: entered once, at the first start of a version that has it, in bounded
 * transactions that a stop or a crash between two of them costs nothing of.
 */
import { Clock, Effect } from "effect"
import type { DatabaseSync } from "node:sqlite"
import { ExitCode } from "../../../lifecycle/Certificate.ts"
import { StartError } from "../../../lifecycle/StartError.ts"
import { messageOf } from "../../../observability/messageOf.ts"
import { connect, prepare } from "../connection.ts"
import { RawEvent } from "../rawEvent.ts"
import { SearchIndex } from "./SearchIndex.ts"

/** Profiles of one transaction, which this thread waits for: about 30 ms. */
const stepMax = 500

/** Between two lines in the log. */
const progressMillis = 5000

const stepsOf = (db: DatabaseSync) => {
  const left = prepare(db, "SELECT created_at, id_key FROM search_backlog")
  const next = prepare(
    db,
    `SELECT created_at, id_key, seq, raw FROM event INDEXED BY event_kind
      WHERE kind = 0 AND created_at <= ?1 AND (created_at < ?1 OR id_key > ?2)
      ORDER BY created_at DESC, id_key LIMIT ${stepMax}`
  )
  const reached = prepare(db, "UPDATE search_backlog SET created_at = ?, id_key = ?")
  const done = prepare(db, "DELETE FROM search_backlog")
  const index = new SearchIndex(db)
  /** Enters the next profiles and says how many; 0 when none are left. */
  return (): number => {
    const after = left.get()
    if (after === undefined) return 0
    const rows = next.all(after[0] as number, after[1] as number)
    const last = rows.at(-1)
    db.exec("BEGIN IMMEDIATE")
    try {
      for (const [, , seq, raw] of rows) index.added(seq as number, new RawEvent(raw as string))
      index.flush()
      if (last === undefined) done.run()
      else reached.run(last[0] as number, last[1] as number)
      db.exec("COMMIT")
    } finally {
      if (db.isTransaction) db.exec("ROLLBACK")
    }
    return rows.length
  }
}

const failed = (path: string, cause: unknown) =>
  new StartError({
    component: "database",
    message: `the search index of ${path} could not be built: ${messageOf(cause)}`,
    exitCode: ExitCode.Storage,
    cause
  })

/** Enters what is left, telling of it as it goes; whoever has the file must be alone with it. */
export const work = (path: string): Effect.Effect<void, StartError> => {
  const attempt = <A>(body: () => A): Effect.Effect<A, StartError> =>
    Effect.try({ try: body, catch: (error) => failed(path, error) })
  return Effect.acquireUseRelease(
    attempt(() => connect(path, "writer")),
    Effect.fnUntraced(function*(db) {
      const step = yield* attempt(() => stepsOf(db))
      const since = yield* Clock.currentTimeMillis
      let told = since
      let profiles = 0
      for (;;) {
        const entered = yield* attempt(step)
        profiles += entered
        const now = yield* Clock.currentTimeMillis
        if (entered === 0) {
          if (profiles > 0) {
            yield* Effect.logInfo("search index built").pipe(Effect.annotateLogs({ profiles, millis: now - since }))
          }
          return
        }
        if (now - told >= progressMillis) {
          told = now
          yield* Effect.logInfo("building the search index").pipe(Effect.annotateLogs({ profiles }))
        }
        // Signals come in here.
        yield* Effect.yieldNow
      }
    }),
    (db) => Effect.sync(() => db.close())
  )
}
