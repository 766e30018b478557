/** Database files with any number of events in them, at 30 µs each: made up to the signature, and put past all checks. */
import { Effect } from "effect"
import { hash } from "node:crypto"
import { connect } from "../../src/database/sqlite/connection.ts"
import { migrate } from "../../src/database/sqlite/DatabaseFile.ts"
import { SqliteStore } from "../../src/database/sqlite/SqliteStore.ts"
import { rawOf } from "../../src/domain/Event.ts"
import { epoch } from "./events.ts"

const kinds = [0, 1, 1, 1, 3, 1, 1, 10_002, 1, 1]

export const madeAuthor = (author: number): string => hash("sha256", `author ${author}`)

/** Canonical JSON of an event, the same for the same number: mostly notes, three to a second, each by its own author. */
export const madeEvent = (n: number, author = n): string =>
  rawOf({
    id: hash("sha256", `id ${n}`),
    pubkey: madeAuthor(author),
    created_at: epoch + Math.floor(n / 3),
    kind: kinds[n % kinds.length] ?? 1,
    tags: n % 4 === 0 ? [["t", `topic ${n % 50}`]] : [],
    content: n % kinds.length === 0
      ? JSON.stringify({ name: `person ${n}` })
      : `note ${n}, of a length that is not unusual`,
    sig: hash("sha512", `signature ${n}`)
  })

/** Adds canonical JSON to a file, which is made where there is none. */
export const addEvents = Effect.fnUntraced(function*(path: string, events: ReadonlyArray<string>) {
  yield* Effect.orDie(migrate(path))
  yield* Effect.sync(() => {
    const db = connect(path, "writer")
    db.exec("PRAGMA synchronous = OFF")
    const store = new SqliteStore(db, "ws://localhost")
    for (let i = 0; i < events.length; i += 1000) {
      store.apply({ now: epoch, writes: events.slice(i, i + 1000).map((raw) => [{ _tag: "Save", raw }]) })
    }
    store.close()
  })
})
