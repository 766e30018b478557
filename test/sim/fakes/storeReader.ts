/** The service's own reads of a world's disk, as far as it is synced; long ones take a while. */
import { Effect } from "effect"
import type { SqliteReader } from "../../../src/database/sqlite/SqliteReader.ts"
import * as StoreReader from "../../../src/database/sqlite/StoreReader.ts"
import { run } from "../Run.ts"

const soon = Effect.suspend(() => Effect.sleep(run().world.dice.between(0, 15)))

/** Without the reader's thread: whoever asks reads. */
export const make = (reader: SqliteReader, _thread: unknown): ReturnType<typeof StoreReader.make> => {
  const real = StoreReader.make(reader, undefined)
  return {
    ...real,
    query: (...asked) => Effect.andThen(soon, real.query(...asked)),
    count: (...asked) => Effect.andThen(soon, real.count(...asked)),
    sketch: (...asked) => Effect.andThen(soon, real.sketch(...asked)),
    items: (...asked) => Effect.andThen(soon, real.items(...asked))
  }
}
