/**
 * Measures the service, or any relay, and compares.
 *
 *     npm run bench                               everything, 5 rounds each, medians
 *     npm run bench -- --only ingest --only "REQ: one" --rounds 3
 *     npm run bench -- --big                      adds a store of a million: growth, start, search
 *     npm run bench -- --docs                     writes what is measured into docs/performance.md
 *     npm run bench -- --soak 20                  half load for 20 minutes; fails where memory grows
 *     npm run bench -- --pair ../other-checkout   both in turns, and how much better this one is
 *     npm run bench -- --peer nostr-relay         us and another relay in turns, and how much better we are
 *     npm run bench -- --against ws://localhost:7777 --pid 4711
 *     npm run bench:check                         fails where CPU or memory is worse than last accepted
 *     npm run bench:check -- --accept             accepts what is measured now
 */
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Scope } from "effect"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { parseArgs } from "node:util"
import * as v8Flags from "../../src/lifecycle/v8Flags.js"
import { fanOut } from "./FanOut.ts"
import { growth, ingest } from "./Ingest.ts"
import { harvest, start, startBig, stop } from "./Lifecycle.ts"
import type { Measures } from "./Measures.ts"
import { memory } from "./Memory.ts"
import { peers, service } from "./Program.ts"
import { reading } from "./Reading.ts"
import { elsewhere } from "./Relay.ts"
import * as Report from "./Report.ts"
import { search } from "./Searching.ts"
import { soak } from "./Soak.ts"
import type { Group, Side, Stage } from "./Stage.ts"
import { targetTable, withTable } from "./Targets.ts"

v8Flags.set()

const { values: flags } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    only: { type: "string", multiple: true, default: [""] },
    big: { type: "boolean", default: false },
    root: { type: "string", default: join(import.meta.dirname, "../..") },
    pair: { type: "string" },
    peer: { type: "string" },
    against: { type: "string" },
    pid: { type: "string" },
    /** Flags of the service's own Node, separated by commas; those of the other side, where they differ. */
    node: { type: "string", default: "" },
    "pair-node": { type: "string" },
    json: { type: "string", default: join(import.meta.dirname, "../../node_modules/.cache/bench/last.json") },
    docs: { type: "boolean", default: false },
    /** Minutes. */
    soak: { type: "string" },
    check: { type: "boolean", default: false },
    accept: { type: "boolean", default: false }
  }
})

const accepted = join(import.meta.dirname, "accepted.json")
const page = join(import.meta.dirname, "../../docs/performance.md")
/** What differs less than this between two runs of the same code. */
const tolerance = 1.25

const say = (text: string) => Effect.sync(() => void process.stdout.write(`${text}\n`))

/** What is made once for the whole run. */
const scope = Scope.makeUnsafe()

const sideOf = (label: string, root: string, node = flags.node): Side => ({
  label,
  root: resolve(root),
  program: service(resolve(root)),
  flags: node === "" ? [] : node.split(","),
  external: undefined,
  stores: new Map(),
  scope
})

const peerOf = (name: string): Side => {
  const program = peers.get(name)
  if (program === undefined) throw new Error(`no peer "${name}": there is ${[...peers.keys()].join(", ")}`)
  return { ...sideOf(name, flags.root, flags["pair-node"] ?? ""), program }
}

const thisSide = sideOf("this", flags.root)
const sides: ReadonlyArray<Side> = flags.against === undefined
  ? [
    thisSide,
    ...(flags.pair === undefined ? [] : [sideOf("other", flags.pair, flags["pair-node"])]),
    ...(flags.peer === undefined ? [] : [peerOf(flags.peer)])
  ]
  : [{ ...thisSide, external: elsewhere(flags.against, flags.pid === undefined ? undefined : Number(flags.pid)) }]

/** What all sides can be asked for. */
const isCommon = ({ on }: Group): boolean => {
  if (flags.against !== undefined) return on === "any"
  return flags.peer === undefined || on !== "service"
}

const groups: ReadonlyArray<Group> = [
  ingest,
  reading,
  fanOut,
  memory,
  start,
  stop,
  harvest,
  ...(flags.big ? [growth, startBig, search] : [])
].filter(isCommon)

/** A text names a group, or begins the name of a stage, which begins with its group's. */
const isWanted = (name: string) => flags.only.some((text) => name.startsWith(text))
const isOpened = (name: string) => flags.only.some((text) => name.startsWith(text) || text.startsWith(name))

/** All sides in turns, round by round, so that what else the machine does meets them alike. */
const runStage = Effect.fnUntraced(
  function*(stages: ReadonlyArray<Stage>, results: ReadonlyArray<Map<string, Array<Measures>>>) {
    const rounds = Number(flags.rounds)
    const { name } = stages[0] as Stage
    for (let index = -1; index < rounds; index++) {
      for (let turn = 0; turn < stages.length; turn++) {
        const at = (turn + index + 1) % stages.length
        const measured = yield* Effect.scoped((stages[at] as Stage).round(index))
        if (index < 0) continue
        const result = results[at] as Map<string, Array<Measures>>
        result.set(name, [...result.get(name) ?? [], measured])
      }
    }
    yield* say(`  ${name}: ${JSON.stringify(results[0]?.get(name)?.at(-1))}`)
  }
)

/** Fails the process where something is worse than accepted. */
const compare = Effect.fnUntraced(function*(report: Report.Report) {
  const before = existsSync(accepted) ? JSON.parse(readFileSync(accepted, "utf8")) as Report.Report : undefined
  const worse = before === undefined
    ? ["nothing is accepted yet: npm run bench:check -- --accept"]
    : Report.regressions(report, before, tolerance)
  const isFine = worse.length === 0
  yield* say(isFine ? "\nnothing is worse than accepted" : `\nworse than accepted:\n  ${worse.join("\n  ")}`)
  if (!isFine) process.exitCode = 1
})

const measure = Effect.gen(function*() {
  const results = sides.map(() => new Map<string, Array<Measures>>())
  for (const group of groups) {
    if (!isOpened(group.name)) continue
    yield* Effect.scoped(Effect.gen(function*() {
      const prepared = yield* Effect.forEach(sides, group.prepare)
      for (let i = 0; i < (prepared[0]?.length ?? 0); i++) {
        const stages = prepared.map((stages) => stages[i] as Stage)
        if (isWanted(stages[0]?.name ?? "")) yield* runStage(stages, results)
      }
    }))
  }
  const reports = results.map((result, i) => Report.reportOf((sides[i] as Side).root, new Date(), result))
  for (const [i, report] of reports.entries()) {
    yield* say(`\n${sides[i]?.label}: ${report.commit}, ${report.machine}, ${report.node}, ${report.date}\n`)
    yield* say(Report.tableOf(report))
  }
  const [ours, ...others] = results
  for (const [i, theirs] of others.entries()) {
    yield* say(`\nthis beside ${sides[i + 1]?.label}:\n\n${Report.pairedTable(ours as Report.Rounds, theirs)}`)
  }
  yield* Effect.sync(() => {
    mkdirSync(join(flags.json, ".."), { recursive: true })
    writeFileSync(flags.json, `${JSON.stringify(reports, undefined, 2)}\n`)
  })
  const report = reports[0] as Report.Report
  yield* say(`\n${targetTable(report)}`)
  if (flags.docs) {
    yield* Effect.sync(() => writeFileSync(page, withTable(readFileSync(page, "utf8"), targetTable(report))))
  }
  if (flags.accept) {
    yield* Effect.sync(() => writeFileSync(accepted, `${JSON.stringify(report, undefined, 2)}\n`))
  }
  if (flags.check) yield* compare(report)
})

const program = flags.soak === undefined
  ? measure
  : Effect.scoped(Effect.flatMap(soak(sides[0] as Side, Number(flags.soak)), say))

NodeRuntime.runMain(Effect.onExit(program, (exit) => Scope.close(scope, exit)))
