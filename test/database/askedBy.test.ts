/** What the store says of private messages, of authors by number, and of ids alone; in memory and over threads. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { hash } from "node:crypto"
import { estimateCount, hllDecode } from "nostr-tools/nip45"
import { Database, textOf } from "../../src/database/Database.ts"
import type { Event } from "../../src/domain/Event.ts"
import { type Filter, filterOf } from "../../src/domain/Filter.ts"
import { offsetOf } from "../../src/domain/HyperLogLog.ts"
import { mayRead } from "../../src/domain/PrivateMessage.ts"
import { epoch, keyOf, notes, signed } from "../support/events.ts"
import { file, memory } from "./support.ts"

const [ann, bob] = ["ann", "bob"].map((name) => keyOf(name).pubkey) as [string, string]

const followers = Array.from({ length: 500 }, (_, i) => signed({ kind: 3, tags: [["p", bob]] }, `follower ${i}`))

const stored: ReadonlyArray<Event> = [
  signed({ kind: 4, tags: [["p", bob]], created_at: epoch + 5 }, "ann"),
  signed({ kind: 1059, tags: [["p", ann]], created_at: epoch + 4 }, "one-time key"),
  signed({ kind: 1059, tags: [["p", "c".repeat(64)]], created_at: epoch + 3 }, "another one-time key"),
  signed({ kind: 1, tags: [["p", bob]], content: "public", created_at: epoch + 2 }, "ann"),
  signed({ kind: 4, tags: [["p", bob]], content: "older", created_at: epoch + 1 }, "ann"),
  ...notes(20, "ann", epoch - 100),
  ...followers
]

const filled = Layer.effectDiscard(Effect.gen(function*() {
  const { write } = yield* (yield* Database).sender("test")
  yield* write(stored.map((event) => ({ _tag: "Save", event })))
}))

const filterFrom = (value: object): Filter => {
  const filter = filterOf(value, { filterValuesMax: 1000 })
  assert.isObject(filter)
  return filter as Filter
}

const hexOf = (ids: Uint8Array): ReadonlyArray<string> =>
  Array.from({ length: ids.length / 32 }, (_, i) => Buffer.from(ids.subarray(32 * i, 32 * i + 32)).toString("hex"))

for (const [name, database] of [["memory", memory], ["threads", file]] as const) {
  layer(Layer.provideMerge(filled, database), { excludeTestServices: true })(name, (it) => {
    describe("who asks", () => {
      it.effect("is not told by `more` that private messages lie behind the limit", () =>
        Effect.gen(function*() {
          const { query } = yield* Database
          const filter = filterFrom({ since: epoch + 1, until: epoch + 2, limit: 1 })
          const toStranger = yield* query([filter], { limitMax: 5000, readers: [] })
          const toAnn = yield* query([filter], { limitMax: 5000, readers: [ann] })
          assert.deepStrictEqual([toStranger.events, toStranger.complete], [toAnn.events, true])
          assert.isFalse(toAnn.complete, "the one behind it is hers to read")
        }))

      for (const readers of [[], [ann], [bob], [ann, bob], ["c".repeat(64)]]) {
        it.effect(`is shown and counted no private message of others, as ${readers.length} keys`, () =>
          Effect.gen(function*() {
            const { count, items, query } = yield* Database
            const shown = stored.filter((event) => mayRead(event, new Set(readers)))
            for (
              const [value, isMatch] of [
                [{}, () => true],
                [{ authors: [ann] }, (event: Event) => event.pubkey === ann],
                [{ kinds: [4, 1059] }, (event: Event) => event.kind === 4 || event.kind === 1059],
                [
                  { "#p": [ann, bob], kinds: [1, 4, 1059] },
                  (event: Event) =>
                    [1, 4, 1059].includes(event.kind) && event.tags.some(([, to]) => to === ann || to === bob)
                ]
              ] as ReadonlyArray<readonly [object, (event: Event) => boolean]>
            ) {
              const filter = filterFrom(value)
              const expected = shown.filter(isMatch).map(({ id }) => id).toSorted()
              const { events, complete } = yield* query([filter], { limitMax: 5000, readers })
              assert.deepStrictEqual(events.map((raw) => (JSON.parse(textOf(raw)) as Event).id).toSorted(), expected)
              assert.isTrue(complete, "what is hidden is not missing")
              assert.strictEqual(yield* count([filter], { readers }), expected.length)
              assert.deepStrictEqual(
                hexOf((yield* items(filter, { itemsMax: 5000, readers })).ids).toSorted(),
                expected
              )
            }
          }))
      }

      it.effect("fills a limit with what may be shown", () =>
        Effect.gen(function*() {
          const { query } = yield* Database
          const { events } = yield* query([{ authors: [ann], limit: 3 }], { limitMax: 5000, readers: [] })
          assert.deepStrictEqual(events.map((raw) => (JSON.parse(textOf(raw)) as Event).kind), [1, 1, 1])
        }))

      it.effect("is one of us without keys, and reads all", () =>
        Effect.gen(function*() {
          const { count } = yield* Database
          assert.strictEqual(yield* count([{ kinds: [4, 1059] }]), 4)
        }))
    })

    it.effect("counts authors in registers", () =>
      Effect.gen(function*() {
        const { sketch } = yield* Database
        const filter = filterFrom({ kinds: [3], "#p": [bob] })
        const offset = offsetOf([filter], (text) => hash("sha256", text))!
        const { count, hll } = yield* sketch(filter, { offset })
        assert.strictEqual(count, followers.length)
        const estimate = estimateCount(hllDecode(hll)!)
        assert.isAbove(estimate, 400)
        assert.isBelow(estimate, 600)
      }))

    it.effect("gives the newest times and ids, and says when there are more", () =>
      Effect.gen(function*() {
        const { items } = yield* Database
        const all = stored.filter(({ kind, pubkey }) => kind === 1 && pubkey === ann)
        const filter = filterFrom({ authors: [ann], kinds: [1] })
        const exact = yield* items(filter, { itemsMax: all.length })
        assert.deepStrictEqual(hexOf(exact.ids), all.map(({ id }) => id))
        assert.deepStrictEqual([...exact.timestamps], all.map(({ created_at }) => created_at))
        assert.isTrue(exact.complete, "as many as the cap are all of them")
        const fewer = yield* items(filter, { itemsMax: all.length - 1 })
        assert.isFalse(fewer.complete)
        assert.deepStrictEqual(hexOf(fewer.ids), all.slice(0, -1).map(({ id }) => id))
        const limited = yield* items({ ...filter, limit: 2 }, { itemsMax: 10 })
        assert.isTrue(limited.complete, "the client asked for two")
        assert.strictEqual(limited.timestamps.length, 2)
      }))
  })
}
