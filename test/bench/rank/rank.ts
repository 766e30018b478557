/**
 * Who comes first where 1,000 real people have up to 30 impostors each, over the socket: first place and MRR@10.
 *
 *     npm run bench:rank -- [--seeds 1,2,3] [--app ../other-checkout] [--only year,today]
 *
 * `year` is a service that has run for a year, `today` one that has seen everybody today. The other checkout, by its own code, is
 * asked the same and knows nothing of either. The worst of the seeds is printed last.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { parseArgs } from "node:util"
import { WebSocket } from "ws"
import type * as Connection from "../../../src/database/sqlite/connection.ts"
import type * as DatabaseFile from "../../../src/database/sqlite/DatabaseFile.ts"
import { prefixKey } from "../../../src/database/sqlite/keys.ts"
import type * as Store from "../../../src/database/sqlite/SqliteStore.ts"
import { load, type Module, modules } from "../../support/modules.ts"
import { type Account, make, now, profileOf, type Question, questionsOf, type World, year } from "./Impostors.ts"

const { values: flags } = parseArgs({
  options: {
    seeds: { type: "string", default: "1,2,3" },
    app: { type: "string" },
    only: { type: "string", default: "year,today" }
  }
})

const here = resolve(import.meta.dirname, "../../..")
const say = (text: string) => Effect.sync(() => void process.stdout.write(`${text}\n`))

/** What this relay, or the other checkout, is to have seen. */
type Age = "year" | "today" | "other"

/** In which second of its service this relay has first seen somebody. */
const seenOf = ({ born }: Account): number => Math.floor(Math.max(born, now - 1.01 * year))

/** Records by which others say what is known of an author. */
const recordsOf = ({ hasPosted, isVerified, nip05, pubkey }: Account) => [
  {
    _tag: "Record",
    space: "proof",
    key: pubkey,
    value: JSON.stringify({ version: 1, found: hasPosted }),
    due: null
  } as const,
  ...(isVerified
    ? [{ _tag: "Record", space: "nip05", key: pubkey, value: JSON.stringify(nip05), due: null } as const]
    : [])
]

/** Writes a world by a checkout's own code. */
const write = Effect.fnUntraced(function*(root: string, path: string, { accounts }: World, age: Age) {
  // An older checkout has its files one folder up.
  const older = <A>(module: Module) =>
    Effect.promise(() => load<A>(root, module, module.replace("database/sqlite/", "database/")))
  const { connect } = yield* older<typeof Connection>(modules.connection)
  const { migrate } = yield* older<typeof DatabaseFile>(modules.DatabaseFile)
  const { SqliteStore } = yield* older<typeof Store>(modules.SqliteStore)
  yield* Effect.orDie(migrate(path))
  yield* Effect.sync(() => {
    const db = connect(path, "writer")
    db.exec("PRAGMA synchronous = OFF")
    const store = new SqliteStore(db, "ws://localhost")
    const batches = Array.from(
      { length: Math.ceil(accounts.length / 500) },
      (_, i) => accounts.slice(500 * i, 500 * i + 500)
    )
    for (const batch of batches) {
      store.apply({ now, writes: batch.map((account) => [{ _tag: "Save", raw: profileOf(account) }]) })
    }
    if (age === "year") {
      const enter = db.prepare("INSERT INTO person VALUES (?, ?, 2)")
      for (const batch of batches) {
        db.exec("BEGIN")
        for (const account of batch) enter.run(prefixKey(account.pubkey), seenOf(account))
        db.exec("COMMIT")
      }
    }
    for (const batch of batches) store.apply({ now, writes: batch.map(recordsOf) })
    while (!store.sweep(now).done) { /* there is more */ }
    store.close()
  })
})

/** A running service over a file; gone when the scope closes. */
const serve = (root: string, path: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<{ readonly url: string; readonly child: ReturnType<typeof spawn> }>((resume) => {
        const child = spawn(process.execPath, ["--disable-sigusr1", join(root, "src/entry.js")], {
          cwd: join(path, ".."),
          env: {
            PATH: process.env["PATH"],
            BIND_ADDR: "127.0.0.1:0",
            DATABASE_PATH: path,
            DISCOVERY_RELAY_URL: "none",
            OUTBOX_RELAY_URLS: "none",
            NIP05: "off",
            LOG_FORMAT: "json"
          },
          stdio: ["ignore", "pipe", "inherit"]
        })
        let text = ""
        child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
          text = (text + chunk).slice(-65_536)
          const [, url] = /"url":"(ws:[^"]*)"/u.exec(text) ?? []
          if (url !== undefined) resume(Effect.succeed({ url, child }))
        })
      }),
      ({ child }) =>
        Effect.callback<void>((resume) => {
          child.on("exit", () => resume(Effect.void))
          child.kill("SIGTERM")
        })
    ),
    ({ url }) => url
  )

/** Asks everything, a few questions at a time; answers are pubkeys in their order. */
const ask = (url: string, questions: ReadonlyArray<Question>) =>
  Effect.callback<ReadonlyArray<ReadonlyArray<string>>>((resume) => {
    const socket = new WebSocket(url)
    const answers: Array<Array<string>> = questions.map(() => [])
    let next = 0
    let done = 0
    const send = () => {
      if (next === questions.length) return
      socket.send(JSON.stringify(["REQ", String(next), { kinds: [0], search: questions[next]!.search, limit: 10 }]))
      next++
    }
    socket.on("open", () => {
      for (let i = 0; i < 4; i++) send()
    })
    socket.on("message", (data: Buffer) => {
      const [type, id, event] = JSON.parse(data.toString()) as [string, string, { readonly pubkey: string }]
      if (type === "EVENT") answers[Number(id)]!.push(event.pubkey)
      if (type !== "EOSE" && type !== "CLOSED") return
      if (type === "EOSE") socket.send(JSON.stringify(["CLOSE", id]))
      if (++done < questions.length) return send()
      socket.close()
      resume(Effect.succeed(answers))
    })
  })

interface Score {
  readonly first: number
  readonly mrr: number
}

const scoresOf = (questions: ReadonlyArray<Question>, answers: ReadonlyArray<ReadonlyArray<string>>) => {
  const sums = new Map<string, { count: number; first: number; mrr: number }>()
  questions.forEach(({ about, wanted }, i) => {
    const sum = sums.get(about) ?? { count: 0, first: 0, mrr: 0 }
    sums.set(about, sum)
    const place = answers[i]!.indexOf(wanted)
    sum.count++
    if (place === 0) sum.first++
    if (place >= 0) sum.mrr += 1 / (place + 1)
  })
  return new Map([...sums].map(([about, { count, first, mrr }]) => [about, { first: first / count, mrr: mrr / count }]))
}

const run = Effect.fnUntraced(function*(seed: number, age: Age, root: string) {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "rank-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
  )
  const world = make(seed)
  const path = join(folder, "profiles.db")
  yield* write(root, path, world, age)
  const questions = questionsOf(world, seed)
  const started = process.hrtime.bigint()
  const answers = yield* Effect.flatMap(serve(root, path), (url) => ask(url, questions))
  const millis = Number(process.hrtime.bigint() - started) / 1e6
  yield* say(`seed ${seed}, ${age}: ${questions.length} questions in ${(millis / 1000).toFixed(1)} s`)
  return scoresOf(questions, answers)
}, Effect.scoped)

const of = (value: number): string => value.toFixed(2).replace(/^0/, "")

const main = Effect.gen(function*() {
  const seeds = flags.seeds.split(",").map(Number)
  const ages = [
    ...(flags.app === undefined ? [] : [["other", resolve(flags.app)] as const]),
    ...flags.only.split(",").map((age) => [age as Age, here] as const)
  ]
  for (const [age, root] of ages) {
    const worst = new Map<string, Score>()
    for (const seed of seeds) {
      for (const [about, score] of yield* run(seed, age, root)) {
        const before = worst.get(about) ?? { first: 1, mrr: 1 }
        worst.set(about, { first: Math.min(before.first, score.first), mrr: Math.min(before.mrr, score.mrr) })
      }
    }
    yield* say(`\n${age}: first place / MRR@10, the worst of seeds ${flags.seeds}`)
    for (const [about, { first, mrr }] of worst) yield* say(`${about.padEnd(48)} ${of(first)} / ${of(mrr)}`)
    yield* say("")
  }
})

NodeRuntime.runMain(main)
