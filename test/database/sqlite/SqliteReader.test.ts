import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { DatabaseSync } from "node:sqlite"
import { connect } from "../../../src/database/sqlite/connection.ts"
import { migrate } from "../../../src/database/sqlite/DatabaseFile.ts"
import * as SqliteReader from "../../../src/database/sqlite/SqliteReader.ts"
import { SqliteStore } from "../../../src/database/sqlite/SqliteStore.ts"
import { rawOf } from "../../../src/domain/Event.ts"

/** Unix seconds of events of kind 1; the groups are about as long as one step counts. */
const times = [[100, 8191], [101, 1], [102, 8193], [103, 2], [104, 8192], [105, 1]].flatMap(([time, count]) =>
  Array.from({ length: count! }, () => time!)
)

const storeOf = Effect.fnUntraced(function*(name: string) {
  const path = `file:/${name}?vfs=memdb`
  yield* Effect.acquireRelease(Effect.sync(() => new DatabaseSync(path)), (db) => Effect.sync(() => db.close()))
  yield* migrate(path)
  const store = new SqliteStore(connect(path, "writer"), "ws://localhost")
  const writes = times.map((created_at, i) =>
    [{
      _tag: "Save",
      raw: rawOf({
        id: i.toString(16).padStart(12, "0").padEnd(64, "0"),
        pubkey: "a".repeat(64),
        created_at,
        kind: 1,
        tags: [],
        content: "",
        sig: "b".repeat(128)
      })
    }] as const
  )
  store.apply({ now: 0, writes })
  return store
})

describe("COUNT of whole kinds", () => {
  it.effect("is right around the edges of its steps, and takes a step for every few thousand rows", () =>
    Effect.gen(function*() {
      const store = yield* storeOf("counts")
      const reader = SqliteReader.make(store.connection)
      const count = (filter: { readonly since?: number; readonly until?: number }) => {
        const work = reader.work({ _tag: "Count", filters: [{ kinds: [1], ...filter }], now: 0 })
        let steps = 1
        let step = work.next()
        for (; step.done !== true; steps++) step = work.next()
        return { count: step.value, steps }
      }
      for (let since = 99; since <= 106; since++) {
        for (let until = 99; until <= 106; until++) {
          const expected = times.filter((time) => time >= since && time <= until).length
          assert.strictEqual(count({ since, until }).count, expected, `${since} to ${until}`)
        }
      }
      const all = count({})
      assert.strictEqual(all.count, times.length)
      assert.isAtLeast(all.steps, 3)
    }).pipe(Effect.scoped))
})
