/** A database file with events in it, written by the checkout's own code, past its sockets and signature checks. */
import { Effect } from "effect"
import type * as Connection from "../../src/database/sqlite/connection.ts"
import type * as DatabaseFile from "../../src/database/sqlite/DatabaseFile.ts"
import type * as Store from "../../src/database/sqlite/SqliteStore.ts"
import { load, modules } from "../support/modules.ts"
import type { Block } from "./Corpus.ts"

/** Events per transaction. */
const batch = 1000

/** Creates the file at `path`. */
export const write = Effect.fnUntraced(function*(root: string, path: string, blocks: Iterable<Block>) {
  const { connect } = yield* Effect.promise(() =>
    load<typeof Connection>(root, modules.connection, "database/connection.ts")
  )
  const { migrate } = yield* Effect.promise(() =>
    load<typeof DatabaseFile>(root, modules.DatabaseFile, "database/DatabaseFile.ts")
  )
  const { SqliteStore } = yield* Effect.promise(() =>
    load<typeof Store>(root, modules.SqliteStore, "database/SqliteStore.ts")
  )
  yield* Effect.orDie(migrate(path))
  yield* Effect.sync(() => {
    const db = connect(path, "writer")
    db.exec("PRAGMA synchronous = OFF")
    const store = new SqliteStore(db, "ws://localhost")
    let written = 0
    for (const block of blocks) {
      written += block.length
      for (let i = 0; i < block.length; i += batch) {
        const writes = block.slice(i, i + batch).map((raw) => [{ _tag: "Save", raw } as const])
        store.apply({ now: 1_767_225_600, writes })
      }
    }
    // Refused writes are told of in answers, which nobody here reads.
    if (store.sizes.events !== written) throw new Error(`stored ${store.sizes.events} of ${written} events`)
    // What a store does in the background after an upgrade, or after so many events at once, is done before it is measured.
    while (!store.sweep(1_767_225_600).done);
    store.close()
  })
})
