/**
 * Mutation score of the lifecycle and the ingester: `node test/sim/mutants.ts [--files Mailbox,Ingester]`.
 *
 * Every mutant is put into a copy of the checkout and met with the tests that ought to notice it, the quickest first. The last
 * line sums up; survivors are listed as they are found, with a reason where one is known. The exit code is 1 below 90 %.
 */
import { spawnSync } from "node:child_process"
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { mutantsOf } from "./Mutations.ts"
import { reasonOf } from "./survivors.ts"

const root = join(import.meta.dirname, "../..")
const { values } = parseArgs({ options: { files: { type: "string" } } })

/** Node's own arguments of one check; it fails when the mutant is noticed. */
type Check = ReadonlyArray<string>
const vitest = (
  ...files: ReadonlyArray<string>
): Check => ["node_modules/vitest/vitest.mjs", "run", "--bail", "1", ...files]
const sim: Check = ["test/sim/sim.ts", "--json", "--seeds", "150"]
const lifecycle = vitest("test/lifecycle/Mailbox.test.ts", "test/lifecycle/Shutdown.test.ts")
const processes = vitest("test/lifecycle/process.test.ts")

/** Files below `src/`, each with its checks, the quickest first. */
const subjects: ReadonlyArray<readonly [file: string, checks: ReadonlyArray<Check>]> = [
  ["database/Ingester.ts", [sim, vitest("test/database/faults.test.ts"), vitest("test/database/Database.test.ts")]],
  ["lifecycle/Mailbox.ts", [lifecycle, sim, processes]],
  ["lifecycle/Shutdown.ts", [lifecycle, sim, processes]],
  ["lifecycle/Supervisor.ts", [lifecycle, sim, processes]],
  ["lifecycle/Launch.ts", [lifecycle, sim, processes]],
  ["lifecycle/Certificate.ts", [lifecycle, sim, processes]],
  ["lifecycle/Journal.ts", [lifecycle, sim, processes]],
  ["lifecycle/process.ts", [processes]],
  ["lifecycle/Output.ts", [processes]],
  ["lifecycle/watchdog.ts", [processes]],
  ["lifecycle/watchdogThread.ts", [processes]]
]
const wanted = values.files?.split(",")
const chosen = subjects.filter(([file]) => wanted === undefined || wanted.some((name) => file.endsWith(`/${name}.ts`)))

/** Milliseconds after which a check has hung, which is a way of noticing. */
const patience = 90_000

const copy = mkdtempSync(join(tmpdir(), "profile-aggregator-mutants-"))
for (const name of ["src", "test", "package.json", "tsconfig.json", "vitest.config.ts"]) {
  cpSync(join(root, name), join(copy, name), { recursive: true })
}
symlinkSync(join(root, "node_modules"), join(copy, "node_modules"))

const passes = (check: Check): boolean =>
  spawnSync(process.execPath, check, { cwd: copy, timeout: patience, killSignal: "SIGKILL", stdio: "ignore" })
    .status === 0

let survivors = 0
let count = 0
let explained = 0
try {
  for (const check of new Set(chosen.flatMap(([, checks]) => checks))) {
    if (!passes(check)) throw new Error(`fails without any mutant: ${check.join(" ")}`)
  }
  for (const [file, checks] of chosen) {
    const path = join(copy, "src", file)
    const original = readFileSync(path, "utf8")
    const mutants = mutantsOf(original)
    let killed = 0
    for (const { line, source, what } of mutants) {
      writeFileSync(path, source)
      if (!checks.every(passes)) {
        killed++
        continue
      }
      const text = what.replaceAll(/\s+/g, " ")
      const reason = reasonOf(file, text)
      if (reason !== undefined) explained++
      survivors++
      console.log(`survived: src/${file}:${line} ${text}${reason === undefined ? "" : ` (${reason})`}`)
    }
    writeFileSync(path, original)
    count += mutants.length
    console.error(`src/${file}: ${killed} of ${mutants.length} killed`)
  }
} finally {
  rmSync(copy, { recursive: true, force: true })
}
const killed = count - survivors
const score = 100 * killed / count
console.log(
  `mutants: ${killed} of ${count} killed (${
    score.toFixed(1)
  } %), ${survivors} survive, ${explained} of them with a reason`
)
process.exitCode = score >= 90 ? 0 : 1
