import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { space as graces } from "../../src/aggregation/admission/Grace.ts"
import { space as moderation } from "../../src/aggregation/admission/Moderation.ts"
import { space as retries } from "../../src/aggregation/admission/RetryQueue.ts"
import { space as verdicts } from "../../src/aggregation/admission/Verdicts.ts"
import { checkSpace as checks, space as names } from "../../src/aggregation/evidence/NameOwners.ts"
import { space as proofs } from "../../src/aggregation/evidence/Posts.ts"
import { space as pictures } from "../../src/aggregation/evidence/RememberedPictures.ts"
import { space as authors } from "../../src/aggregation/harvest/AuthorHarvest.ts"
import { space as coverage } from "../../src/aggregation/harvest/HarvestSession.ts"
import { space as manners } from "../../src/aggregation/harvest/Manners.ts"
import { space as negentropy } from "../../src/aggregation/harvest/NegentropyHarvest.ts"
import { space as removals } from "../../src/aggregation/harvest/RemovalHarvest.ts"
import { space as unwanted } from "../../src/aggregation/harvest/UnwantedIds.ts"
import * as Space from "../../src/aggregation/Space.ts"
import { Database } from "../../src/database/Database.ts"
import { aboutAuthors, expiring, type SpaceName, spaces } from "../../src/database/Spaces.ts"
import { space as statistics } from "../../src/web/Statistics.ts"
import * as FakeDatabase from "./FakeDatabase.ts"

/** Every space, and a document of it as files hold it that were written before there was this module. */
const files: { readonly [name in SpaceName]: readonly [space: unknown, text: string] } = {
  coverage: [coverage, "{\"version\":1,\"intervals\":[[1700000000,1700003600]]}"],
  manners: [manners, "{\"version\":1,\"isUnordered\":true,\"pageSizeMax\":50}"],
  authors: [
    authors,
    "{\"version\":1,\"at\":7,\"askedTo\":0,\"since\":0,\"begunAt\":1700000000000,\"retryAt\":0,\"isAble\":true}"
  ],
  removals: [removals, "{\"version\":1,\"intervals\":[[1,2]],\"retryAt\":0,\"isAble\":true}"],
  negentropy: [negentropy, "{\"version\":1,\"until\":null,\"begunAt\":1,\"retryAt\":0,\"isAble\":false}"],
  unwanted: [unwanted, "{\"version\":1,\"rules\":\"0123456789abcdef\",\"items\":\"\"}"],
  verdict: [
    verdicts,
    "{\"version\":1,\"reason\":\"picture is gone\",\"rules\":\"0123456789abcdef\",\"at\":1,\"retryAt\":2}"
  ],
  retry: [
    retries,
    "{\"version\":1,\"attempts\":2,\"since\":1,\"reason\":\"not checked yet\",\"event\":{\"id\":\"ab\",\"pubkey\":\"cd\"}}"
  ],
  grace: [graces, "{\"version\":1,\"served\":\"ab\",\"created_at\":1700000000,\"removed\":false}"],
  management: [moderation, "{\"version\":1,\"state\":\"banned\",\"text\":\"spam\",\"by\":\"ab\",\"at\":1}"],
  statistics: [
    statistics,
    "{\"version\":1,\"profiles\":3,\"events\":9,\"accepted\":2,\"rejected\":1,\"connections\":4}"
  ],
  picture: [
    pictures,
    "{\"outcome\":{\"_tag\":\"Known\",\"facts\":{\"type\":\"png\",\"width\":1,\"height\":2}},\"status\":206,\"checkedAt\":1," +
    "\"freshUntil\":2,\"attempts\":0}"
  ],
  proof: [proofs, "{\"version\":1,\"kinds\":[1],\"found\":false,\"quorum\":2}"],
  nip05: [names, "\"mira@boats.example\""],
  "nip05-check": [
    checks,
    "{\"version\":1,\"name\":\"mira@boats.example\",\"said\":\"verified\",\"at\":1,\"attempts\":0}"
  ]
}
const all = Object.entries(files).map(([name, [space, text]]) => ({ name, space: space as Space.Space<unknown>, text }))

const reading = <A, E>(
  records: ReadonlyArray<readonly [name: string, key: string, value: string, due: number | null]>,
  test: (database: Database["Service"]) => Effect.Effect<A, E>
) => {
  const disk = FakeDatabase.blank()
  for (const [name, key, value, due] of records) disk.records.set(`${name} ${key}`, { key, value, due })
  return Effect.flatMap(Database, test).pipe(Effect.provide(FakeDatabase.layer(disk)), Effect.scoped)
}

describe("a space of records", () => {
  it.each(all)(
    "$name reads a file as it is, and writes the same text back",
    ({ name, space, text }) =>
      Effect.runPromise(reading([[name, "k", text, 5]], (database) =>
        Effect.gen(function*() {
          const kept = yield* space.get(database, "k")
          assert.strictEqual(kept?.due, 5)
          assert.isDefined(kept?.value)
          assert.deepStrictEqual(space.put("k", kept?.value, 5), {
            _tag: "Record",
            space: name,
            key: "k",
            value: text,
            due: 5
          })
          assert.deepStrictEqual((yield* space.due(database, 5, 10)).map(({ key }) => key), ["k"])
          assert.deepStrictEqual(yield* space.due(database, 4, 10), [])
        })))
  )

  it.each(all)(
    "$name takes what it cannot read for nothing, and still says that it is there",
    ({ name, space }) =>
      Effect.runPromise(
        reading([[name, "a", "{", 1], [name, "b", "{\"version\":2}", 2]], (database) =>
          Effect.gen(function*() {
            assert.deepStrictEqual(yield* space.get(database, "a"), { key: "a", value: undefined, due: 1 })
            assert.isUndefined(yield* space.get(database, "c"))
            assert.deepStrictEqual((yield* space.all(database)).map(({ key, value }) => [key, value]), [
              ["a", undefined],
              ["b", undefined]
            ])
          }))
      )
  )

  it("knows its own among the operations of a write", () => {
    const space = Space.versioned("verdict", { n: Schema.Int })
    assert.deepStrictEqual(space.written(space.put("k", { n: 1 }, 3))?.value?.n, 1)
    assert.deepStrictEqual(space.written(space.drop("k")), { key: "k", value: undefined, due: null })
    assert.isUndefined(space.written({ ...space.drop("k"), space: "grace" }))
    assert.isUndefined(space.written({ _tag: "Delete", ids: [] }))
  })
})

describe("the registry of spaces", () => {
  it("forgets all that is noted about an author, and nothing else", () => {
    assert.sameMembers([...aboutAuthors], ["grace", "proof", "nip05", "nip05-check"])
    assert.deepStrictEqual(
      Space.forgetAuthor("ab"),
      aboutAuthors.map((space) => ({ _tag: "Record", space, key: "ab", value: null, due: null }))
    )
  })

  it("lets expire what may be found out again, and nothing that is to be acted on", () =>
    assert.sameMembers([...expiring], ["unwanted", "verdict", "picture", "proof", "nip05"]))

  it("knows every space that a module has", () => assert.sameMembers(Object.keys(files), Object.keys(spaces)))
})
