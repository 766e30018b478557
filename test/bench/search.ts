/**
 * What searches cost, and what it costs to keep an index for them.
 *
 *     node test/bench/search.ts --profiles 100000 [--rounds 300] [--before ../other-checkout] [--file kept.db]
 *
 * Asks the reader as its thread does, on a file with warm pages. Every question is asked three times and its fastest answer
 * counts, as what other processes do is not its fault. With `--before`, the same
 * profiles are also saved by another checkout's store, and the two costs are compared. A file that is named is kept, and only
 * asked when it is there already.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Effect } from "effect"
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { parseArgs } from "node:util"
import * as connection from "../../src/database/sqlite/connection.ts"
import type * as DatabaseFile from "../../src/database/sqlite/DatabaseFile.ts"
import * as SqliteReader from "../../src/database/sqlite/SqliteReader.ts"
import type * as Store from "../../src/database/sqlite/SqliteStore.ts"
import type { Filter } from "../../src/domain/Filter.ts"
import { load, modules } from "../support/modules.ts"
import * as People from "./People.ts"

const { values: flags } = parseArgs({
  options: {
    profiles: { type: "string", default: "100000" },
    rounds: { type: "string", default: "300" },
    batch: { type: "string", default: "256" },
    before: { type: "string" },
    file: { type: "string" },
    only: { type: "string", default: "" }
  }
})
const profiles = Number(flags.profiles)
const rounds = Number(flags.rounds)
const now = 1_790_000_000

const say = (text: string) => Effect.sync(() => void process.stdout.write(`${text}\n`))

/** Saves all profiles; CPU microseconds of each. */
const save = Effect.fnUntraced(function*(root: string, path: string) {
  const { connect } = yield* Effect.promise(() => load<typeof connection>(root, modules.connection))
  const { migrate } = yield* Effect.promise(() => load<typeof DatabaseFile>(root, modules.DatabaseFile))
  const { SqliteStore } = yield* Effect.promise(() => load<typeof Store>(root, modules.SqliteStore))
  yield* Effect.orDie(migrate(path))
  const db = connect(path, "writer")
  db.exec("PRAGMA synchronous = OFF")
  const store = new SqliteStore(db, "ws://localhost")
  const batch = Number(flags.batch)
  let micros = 0
  for (let i = 0; i < profiles; i += batch) {
    const writes = Array.from(
      { length: Math.min(batch, profiles - i) },
      (_, j) => [{ _tag: "Save", raw: People.profile(i + j) } as const]
    )
    const before = process.cpuUsage()
    store.apply({ now, writes })
    const { system, user } = process.cpuUsage(before)
    micros += user + system
    if (i % (64 * batch) === 0) yield* Effect.yieldNow
  }
  store.close()
  return { micros: micros / profiles, megabytes: statSync(path).size / 1e6 }
})

/** A question for each round: no two alike where there are enough of them. */
const questions: Readonly<Record<string, (round: number) => Filter>> = {
  "one letter": (i) => ({ search: "abcdefghijklmnopqrstuvwxyz"[i % 26]! }),
  "two letters": (i) => ({ search: People.names(i % 400).slice(0, 2) }),
  "three letters of a name": (i) => ({ search: People.names(i).slice(0, 3) }),
  "five letters of a name": (i) => ({ search: People.names(i).slice(0, 5) }),
  "a common name": (i) => ({ search: People.names(i % 40) }),
  "a rare name": (i) => ({ search: People.surnames(9000 + i) }),
  "nobody's name": (i) => ({ search: `qx${i}zz` }),
  "a common word": (i) => ({ search: People.words(i % 20) }),
  "two common words": (i) => ({ search: `${People.words(i % 20)} ${People.words((i * 7 + 3) % 60)}` }),
  "two words of the middle": (i) => ({ search: `${People.words(300 + i)} ${People.words(700 + i)}` }),
  "a common and a rare word": (i) => ({ search: `${People.words(i % 5)} ${People.words(20_000 + i)}` }),
  "a common and a middling word": (i) => ({ search: `${People.words(i % 3)} ${People.words(500 + i)}` }),
  "two letters that never meet": (i) => ({ search: `${"aeiou"[i % 5]} ${"qxw"[i % 3]}` }),
  "eight common words": (i) => ({
    search: Array.from({ length: 8 }, (_, j) => People.words((i + 3 * j) % 40)).join(" ")
  }),
  "first and last name": (i) => ({ search: `${People.names(i % 50)} ${People.surnames(i)}` }),
  "a common word, 500 wanted": (i) => ({ search: People.words(i % 20), limit: 500 }),
  "a common word in one month": (i) => ({ search: People.words(i % 20), since: 1_640_000_000, until: 1_642_592_000 })
}

const at = (sorted: ReadonlyArray<number>, quantile: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * quantile))]!

const ask = (reader: SqliteReader.SqliteReader, filter: Filter) => {
  const started = performance.now()
  const work = reader.work({ _tag: "Query", filters: [{ limit: 20, ...filter }], limitMax: 5000, now })
  let step = work.next()
  while (step.done !== true) step = work.next()
  const { complete, events } = step.value as { readonly complete: boolean; readonly events: ReadonlyArray<string> }
  return { millis: performance.now() - started, found: events.length, complete }
}

const main = Effect.gen(function*() {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "search-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
  )
  const file = flags.file ?? join(folder, "here.db")
  const here = existsSync(file) ? undefined : yield* save(join(import.meta.dirname, "../.."), file)
  if (here !== undefined) {
    yield* say(`${profiles} profiles saved: ${here.micros.toFixed(1)} µs of CPU each, ${here.megabytes.toFixed(0)} MB`)
  }
  if (here !== undefined && flags.before !== undefined) {
    const before = yield* save(resolve(flags.before), join(folder, "before.db"))
    yield* say(`before: ${before.micros.toFixed(1)} µs, ${before.megabytes.toFixed(0)} MB`)
    yield* say(`ratio: ${(here.micros / before.micros).toFixed(2)}`)
  }
  const reader = SqliteReader.make(connection.connect(file, "reader"))
  for (const [name, filterOf] of Object.entries(questions)) {
    if (!name.includes(flags.only)) continue
    for (let i = 0; i < 20; i++) ask(reader, filterOf(i))
    const before = process.threadCpuUsage()
    const answers = Array.from({ length: rounds }, (_, i) => {
      const [first, ...others] = [0, 1, 2].map(() => ask(reader, filterOf(i)))
      return others.reduce((best, answer) => answer.millis < best.millis ? answer : best, first!)
    })
    const { system, user } = process.threadCpuUsage(before)
    const cpu = (system + user) / 3000 / rounds
    const millis = answers.map((answer) => answer.millis).toSorted((a, b) => a - b)
    const found = answers.reduce((sum, answer) => sum + answer.found, 0) / rounds
    const cut = answers.filter((answer) => !answer.complete).length / rounds
    yield* say(
      `${name.padEnd(30)} p50 ${at(millis, 0.5).toFixed(2).padStart(6)} ms  p99 ${
        at(millis, 0.99).toFixed(2).padStart(6)
      } ms` +
        `  CPU ${cpu.toFixed(2).padStart(6)} ms  answers ${found.toFixed(1).padStart(5)}  not all ${
          (100 * cut).toFixed(0).padStart(3)
        } %`
    )
    yield* Effect.yieldNow
  }
  reader.close()
}).pipe(Effect.scoped)

NodeRuntime.runMain(main)
