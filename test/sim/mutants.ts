/**
 * Mutation score of the lifecycle and the ingester: `node test/sim/mutants.ts [--files Mailbox,Ingester] [--jobs 2] [--nice 15] [--fresh]`.
 *
 * Every mutant is met with the tests that concern its file, the quickest first, up to the first that fails. What was found is
 * remembered until the mutant or one of those tests changes; `--fresh` forgets it. The last line sums up; before it come the
 * survivors. The exit code is 1 when less than 90 % are killed, a survivor has no reason in `survivors.ts`, or a reason there
 * has no survivor.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { setPriority } from "node:os"
import { basename, extname, join } from "node:path"
import { parseArgs } from "node:util"
import { demandModules } from "../support/modules.ts"
import { type Check, cleanUp, copyOf, Findings, limitsIn, notices } from "./MutantChecks.ts"
import { type Mutant, mutantsOf } from "./Mutations.ts"
import { checksOf, files } from "./subjects.ts"
import { type Reason, reasonOf, reasons } from "./survivors.ts"

const root = join(import.meta.dirname, "../..")
const { values } = parseArgs({
  options: {
    files: { type: "string" },
    jobs: { type: "string", default: "1" },
    fresh: { type: "boolean", default: false },
    nice: { type: "string", default: "15" }
  }
})

demandModules()
const wanted = values.files?.split(",")
const chosen = files.filter((file) =>
  wanted === undefined || wanted.some((name) => basename(file, extname(file)) === name)
)

interface Task {
  readonly file: string
  readonly checks: ReadonlyArray<Check>
  readonly mutant: Mutant
}

setPriority(Number(values.nice))
for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
  process.once(signal, () => {
    cleanUp()
    process.exit(code)
  })
}

const findings = new Findings(root, values.fresh)
const originals = new Map(chosen.map((file) => [file, readFileSync(join(root, "src", file), "utf8")]))
const tasks = chosen.flatMap((file): ReadonlyArray<Task> =>
  mutantsOf(originals.get(file) as string).map((mutant) => ({ file, checks: checksOf(file), mutant }))
)

/** As far as it is known: `undefined` while checks are left that nobody has met it with. */
const isKilled = ({ checks, mutant }: Task): boolean | undefined => {
  const found = new Set(checks.map((check) => findings.get(mutant.source, check)))
  return found.has(true) ? true : found.has(undefined) ? undefined : false
}
const open = tasks.filter((task) => isKilled(task) === undefined)
console.error(`${tasks.length} mutants in ${chosen.length} files, ${tasks.length - open.length} of them known`)

const nameOf = ({ file, mutant: { line, text, what } }: Task): string => `src/${file}:${line} ${what} · ${text}`

try {
  if (open.length > 0) {
    const limitOf = limitsIn(copyOf(root))
    const queue = open.values()
    let done = 0
    await Promise.all(
      Array.from({ length: Number(values.jobs) }, () => copyOf(root)).map(async (copy) => {
        for (const task of queue) {
          const { checks, file, mutant } = task
          const path = join(copy, "src", file)
          writeFileSync(path, mutant.source)
          for (const check of checks) {
            if (isKilled(task) === true) break
            if (findings.get(mutant.source, check) !== undefined) continue
            const limit = await limitOf(check)
            if (limit !== undefined) findings.set(mutant.source, check, await notices(copy, check, limit))
          }
          writeFileSync(path, originals.get(file) as string)
          console.error(`${++done}/${open.length} ${isKilled(task) === true ? "killed" : "survived"}: ${nameOf(task)}`)
        }
      })
    )
  }
} finally {
  cleanUp()
}

const survivors = tasks.filter((task) => isKilled(task) !== true)
const used = new Set<Reason>()
let unexplained = 0
for (const task of survivors) {
  const reason = reasonOf(task.file, task.mutant)
  if (reason === undefined) unexplained++
  else used.add(reason)
  console.log(`survived: ${nameOf(task)}${reason === undefined ? "" : ` (${reason.why})`}`)
}
const stale = reasons.filter((reason) => chosen.includes(reason.file) && !used.has(reason))
for (const { at, file, what } of stale) console.log(`a reason without a survivor: src/${file} ${what} · ${at}`)
for (const file of chosen) {
  const all = tasks.filter((task) => task.file === file)
  if (all.length > 0) {
    console.log(
      `src/${file}: ${all.length - survivors.filter((task) => task.file === file).length} of ${all.length} killed`
    )
  }
}
const killed = tasks.length - survivors.length
const score = 100 * killed / tasks.length
console.log(
  [
    `mutants: ${killed} of ${tasks.length} killed (${score.toFixed(1)} %)`,
    `${survivors.length} survive, ${survivors.length - unexplained} of them with a reason`
  ].join(", ")
)
process.exitCode = score >= 90 && unexplained === 0 && stale.length === 0 ? 0 : 1
