/** Which profiles come first of those that a text finds alike, and how they move. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { hash } from "node:crypto"
import { join } from "node:path"
import { connect } from "../../../src/database/sqlite/connection.ts"
import * as DatabaseFile from "../../../src/database/sqlite/DatabaseFile.ts"
import * as SqliteReader from "../../../src/database/sqlite/SqliteReader.ts"
import { SqliteStore } from "../../../src/database/sqlite/SqliteStore.ts"
import { type Event, rawOf } from "../../../src/domain/Event.ts"
import type { Filter } from "../../../src/domain/Filter.ts"
import { randomOf } from "../random.ts"
import { directory } from "../support.ts"

const start = 1_700_000_000
const day = 86_400
const year = 31_557_600

type Fields = Readonly<Record<string, string>>

const person = (
  who: string,
  fields: Fields,
  created_at = start,
  id = hash("sha256", `id ${who} ${created_at}`)
): Event => ({
  id,
  pubkey: hash("sha256", `pubkey ${who}`),
  created_at,
  kind: 0,
  tags: [],
  content: JSON.stringify(fields),
  sig: "0".repeat(128)
})

const record = (space: string, key: string, value: unknown) =>
  ({ _tag: "Record", space, key, value: value === null ? null : JSON.stringify(value), due: null }) as const

/** A store that one can ask, and let time pass in. */
const opened = Effect.fnUntraced(function*() {
  const path = join(yield* directory, "test.db")
  yield* DatabaseFile.migrate(path)
  const db = connect(path, "writer")
  yield* Effect.addFinalizer(() => Effect.sync(() => db.close()))
  const store = new SqliteStore(db, "ws://localhost")
  const { ranked, work } = SqliteReader.make(db)
  let now = start
  const sweep = () => {
    while (!store.sweep(now).done) { /* there is more */ }
  }
  return {
    db,
    resembles: (event: Event) => ranked([event.pubkey])[0]?.resembles,
    put: (...events: ReadonlyArray<Event>) => {
      store.apply({ now, writes: events.map((event) => [{ _tag: "Save", raw: rawOf(event) }]) })
    },
    remove: (...events: ReadonlyArray<Event>) => {
      store.apply({ now, writes: [[{ _tag: "Delete", ids: events.map(({ id }) => id) }]] })
    },
    know: (...records: ReadonlyArray<ReturnType<typeof record>>) => void store.apply({ now, writes: [records] }),
    sweep,
    pass: (seconds: number) => {
      now += seconds
      sweep()
    },
    names: (search: string, filter: Filter = {}): ReadonlyArray<string> => {
      const steps = work({ _tag: "Query", filters: [{ ...filter, search }], limitMax: 100, now: start })
      let step = steps.next()
      while (step.done !== true) step = steps.next()
      const { events } = step.value as { readonly events: ReadonlyArray<string> }
      return events.map((raw) => (JSON.parse((JSON.parse(raw) as Event).content) as Fields)["about"] ?? "")
    }
  }
})

const mira = (about: string, more: Fields = {}) => ({ name: "mira", about, ...more })
const looked = (url: string, facts: object) => record("picture", url, { version: 1, outcome: { _tag: "Known", facts } })
const verified = (event: Event) => record("nip05", event.pubkey, (JSON.parse(event.content) as Fields)["nip05"])

/** Ids that begin alike. */
const idLike = (i: number) => `abcd${`${i}`.padStart(60, "0")}`

const rows = (db: ReturnType<typeof connect>) => db.prepare("SELECT count(*) AS n FROM search_docsize").get()?.["n"]

const test = (body: (store: Effect.Success<ReturnType<typeof opened>>) => void) => () =>
  Effect.scoped(Effect.map(opened(), body))

const picture = "https://pictures.example/mira.png"

describe("who resembles whom", () => {
  it.live(
    "is said of the later one, as long as both look so",
    test(({ pass, put, resembles }) => {
      const first = person("first", mira("first", { picture }))
      put(first)
      pass(60)
      pass(2 * day)
      const copy = person("copy", mira("copy", { name: "MIRA", picture }), start + 2 * day)
      const other = person("other", mira("other", { picture: "https://pictures.example/other.png" }), start + 2 * day)
      put(copy, other)
      pass(60)
      assert.strictEqual(resembles(copy), first.pubkey)
      assert.isUndefined(resembles(first))
      assert.isUndefined(resembles(other))
      put(person("first", { name: "not she", about: "first" }, start + 3 * day))
      pass(60)
      assert.isUndefined(resembles(copy))
    })
  )

  it.live(
    "is remembered of no more looks than there are, however often somebody has another picture",
    test(({ db, pass, put }) => {
      put(...Array.from({ length: 5 }, (_, i) => person(`quiet ${i}`, { name: `quiet ${i}`, picture })))
      pass(60)
      for (let i = 0; i < 60; i++) {
        put(person("restless", mira("restless", { picture: `${picture}?${i}` }), start + i))
        pass(60)
      }
      assert.isAtMost(db.prepare("SELECT count(*) AS n FROM look").get()?.["n"] as number, 16)
      assert.isAtLeast(db.prepare("SELECT count(*) AS n FROM look").get()?.["n"] as number, 6)
    })
  )
})

describe("an order of one's choice", () => {
  it.live(
    "is by text alone, or newest first: buckets have no part, equals are newest first and then lowest id",
    test(({ know, names, pass, put }) => {
      const known = person("known", mira("known", { nip05: "mira@known.example" }), start)
      put(known)
      know(verified(known))
      pass(60)
      const twin = (id: string) => person(id, mira(id), start + 5, id.repeat(64))
      put(
        person("start", { name: "mirabelle", about: "start" }, start + 9),
        person("words", { name: "aha mira", about: "words" }, start + 20),
        person("about", { name: "zoe", about: "about mira" }, start + 30),
        twin("b"),
        twin("a")
      )
      pass(60)
      assert.strictEqual(names("mira")[0], "known")
      assert.deepStrictEqual(names("mira sort:text"), ["a", "b", "known", "start", "words", "about mira"])
      assert.deepStrictEqual(names("SORT:New mira"), ["about mira", "words", "start", "a", "b", "known"])
      assert.deepStrictEqual(names("mira sort:new", { limit: 2 }), ["about mira", "words"])
      assert.deepStrictEqual(names("mira sort:text", { limit: 1 }), ["a"])
      assert.deepStrictEqual(names("mira sort:new", { until: start + 9 }), ["start", "a", "b", "known"])
      assert.deepStrictEqual(names("mira sort:new", { authors: [known.pubkey] }), ["known"])
      assert.deepStrictEqual(names("aha mira sort:new"), ["words"])
      assert.deepStrictEqual(names("mira@known.example sort:new")[0], "known")
      assert.deepStrictEqual(names("mira sort:hot"), names("mira"), "unknown: ignored")
    })
  )

  it.live(
    "finds the newest below many who are better known",
    test(({ know, names, pass, put }) => {
      const known = Array.from(
        { length: 600 },
        (_, i) => person(`known ${i}`, mira(`known ${i}`, { nip05: `mira@d${i}.example` }), start + i)
      )
      put(...known)
      know(...known.map(verified))
      pass(60)
      put(person("newest", mira("newest"), start + 1000))
      assert.deepStrictEqual(names("mira sort:new", { limit: 2 }), ["newest", "known 599"])
      assert.deepStrictEqual(names("mira sort:text", { limit: 2 }), ["newest", "known 599"])
      assert.strictEqual(names("mira", { limit: 2 })[0], "known 599")
    })
  )
})

describe("the better known first", () => {
  it.live(
    "are those with a name by right, at a domain of their own before a provider's",
    test(({ know, names, put }) => {
      const own = person("own", mira("own", { nip05: "_@mira.example" }), start)
      const many = ["a", "b", "c"].map((local) => person(local, { name: local, nip05: `${local}@many.example` }))
      const provider = person("provider", mira("provider", { nip05: "mira@many.example" }), start + 1)
      const claimed = person("claimed", mira("claimed", { nip05: "_@mira.example" }), start + 2)
      put(own, provider, claimed, ...many)
      assert.deepStrictEqual(names("mira"), ["claimed", "provider", "own"])
      know(...[...many, provider].map(verified))
      know(verified(own))
      assert.deepStrictEqual(names("mira"), ["own", "provider", "claimed"])
      know(record("nip05", own.pubkey, null))
      assert.deepStrictEqual(names("mira"), ["provider", "claimed", "own"])
    })
  )

  it.live(
    "are those who have been here for years, and posted",
    test(({ know, names, pass, put, sweep }) => {
      put(person("old", mira("old"), start))
      sweep()
      pass(3 * year)
      put(person("silent", mira("silent"), start + 3 * year), person("new", mira("new"), start + 2 * year))
      know(record("proof", person("silent", {}).pubkey, { version: 1, found: false }))
      sweep()
      assert.deepStrictEqual(names("mira"), ["old", "new", "silent"])
      put(person("old", mira("old again"), start + 2 * year))
      assert.deepStrictEqual(
        names("mira"),
        ["old again", "new", "silent"],
        "a new version stands where its author does"
      )
    })
  )

  it.live(
    "are those who had a name and a picture first, by URL or by file",
    test(({ know, names, pass, put, remove, sweep }) => {
      const first = person("first", mira("first", { picture: "https://a.example/1" }), start)
      put(first)
      sweep()
      pass(2 * day)
      const copies = [
        person("url", { name: "MÍRA.", about: "url", picture: "https://a.example/1" }, start + 5),
        person("file", mira("file", { picture: "https://b.example/2" }), start + 6),
        person("head", mira("head", { picture: "https://c.example/3" }), start + 7)
      ]
      const others = [
        person("picture", { name: "other", about: "picture", picture: "https://a.example/1" }, start + 8),
        person("name", mira("name", { picture: "https://d.example/4" }), start + 9)
      ]
      know(
        looked("https://a.example/1", { bytes: 9000, sha256: "aa", head: "bb" }),
        looked("https://b.example/2", { bytes: 9000, sha256: "aa" }),
        looked("https://c.example/3", { bytes: 9000, head: "bb" }),
        looked("https://d.example/4", { bytes: 9001, head: "bb" })
      )
      put(...copies, ...others)
      sweep()
      assert.deepStrictEqual(names("mira"), ["name", "first", "head", "file", "url"])
      assert.deepStrictEqual(names("other"), ["picture"])
      // Who is left is no copy any more, once it is looked at again.
      remove(first)
      pass(2 * day)
      assert.deepStrictEqual(names("mira"), ["name", "head", "file", "url"])
    })
  )

  it.live(
    "are none of those who came together, but who has a domain of their own is no copy",
    test(({ know, names, put, sweep }) => {
      const picture = "https://a.example/1"
      const real = person("real", mira("real", { picture, nip05: "_@mira.example" }), start)
      put(person("copy", mira("copy", { picture }), start + 1), real)
      sweep()
      assert.deepStrictEqual(names("mira"), ["copy", "real"])
      know(verified(real))
      assert.deepStrictEqual(names("mira"), ["real", "copy"])
    })
  )

  it.live(
    "come first of a whole name only up to a point, and of a beginning at once",
    test(({ know, names, put }) => {
      const known = person("known", { name: "mirabel", about: "known", nip05: "_@m.example" }, start)
      put(known, person("whole", mira("whole"), start), person("start", { name: "miranda", about: "start" }, start + 9))
      know(verified(known))
      assert.deepStrictEqual(names("mira"), ["whole", "known", "start"])
      assert.deepStrictEqual(names("mir"), ["known", "start", "whole"])
      assert.deepStrictEqual(names("mir", { limit: 1 }), ["known"])
    })
  )

  it.live(
    "are found in spite of one slip, where nobody has a name that is or begins with what was typed",
    test(({ know, names, put }) => {
      const known = person("known", { name: "miranda_sol", about: "known", nip05: "_@m.example" })
      put(known, person("unknown", { name: "mirando sol", about: "unknown" }))
      know(verified(known))
      for (const text of ["mirnda sol", "mirannda sol", "mirxnda sol", "mirnada sol", "miranda so1", "iranda sol"]) {
        assert.deepStrictEqual(names(text), ["known"], text)
      }
      for (const text of ["mirxnxa sol", "mrnda sol", "mirando", "sol mirnda"]) {
        assert.notInclude(names(text), "known", text)
      }
      know(record("nip05", known.pubkey, null))
      assert.deepStrictEqual(names("mirnda sol"), [], "nobody who is well known")
    })
  )

  it.live(
    "are found by time and by several words in every bucket",
    test(({ know, names, put }) => {
      const all = Array.from(
        { length: 60 },
        (_, i) => person(`${i}`, { name: `mira of ${i}`, about: String(i), nip05: `_@m${i}.example` }, start + i)
      )
      put(...all)
      know(...all.filter((_, i) => i % 3 === 0).map(verified))
      for (const text of ["mira", "mira of"]) {
        assert.deepStrictEqual(
          names(text, { since: start + 10, until: start + 14 }),
          ["12", "14", "13", "11", "10"],
          text
        )
        assert.deepStrictEqual(names(text, { until: start + 1 }), ["0", "1"], text)
        assert.deepStrictEqual(names(text, { since: start + 58, limit: 1 }), ["59"], text)
        assert.deepStrictEqual(names(text, { limit: 3 }), ["57", "54", "51"], text)
      }
    })
  )

  it.live(
    "are not those who share their second and the first bits of their id",
    test(({ db, know, names, put, remove }) => {
      const known = person("known", mira("known", { nip05: "_@m.example" }), start, idLike(2))
      const [same, later] = [person("same", mira("same"), start, idLike(1)), person("later", mira("later"), start + 1)]
      put(known, same, later)
      know(verified(known))
      assert.deepStrictEqual(names("mira"), ["known", "later", "same"])
      assert.strictEqual(rows(db), 3)
      remove(known)
      assert.deepStrictEqual(names("mira"), ["later", "same"])
      remove(same, later)
      assert.strictEqual(rows(db), 0)
    })
  )

  it.live(
    "move without a trace, whatever happens in between",
    test(({ db, know, names, pass, put, remove }) => {
      const random = randomOf(20_261_130)
      const current = new Map<number, Event>()
      for (let round = 0; round < 300; round++) {
        const who = random.int(12)
        const before = current.get(who)
        const fields = mira(String(who), {
          nip05: `_@m${random.int(3)}.example`,
          picture: `https://p.example/${random.int(3)}`
        })
        const event = person(
          String(who),
          fields,
          start + round,
          `abc${random.int(2)}${hash("sha256", String(round)).slice(4)}`
        )
        if (random.chance(60)) {
          put(event)
          current.set(who, event)
        } else if (before !== undefined && random.chance(40)) {
          remove(before)
          current.delete(who)
        } else if (before !== undefined) {
          know(random.chance(70) ? verified(before) : record("nip05", before.pubkey, null))
        }
        if (random.chance(20)) pass(random.int(200 * day))
        assert.sameMembers([...names("mira")], [...current.keys()].map(String), `round ${round}`)
        assert.isAtMost(rows(db) as number, current.size)
      }
      db.exec("INSERT INTO search (search) VALUES ('integrity-check')")
    })
  )
})
