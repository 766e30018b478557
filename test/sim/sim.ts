/**
 * The seeded simulation: `node test/sim/sim.ts --seeds 20000 --seed 1`; `--seed 4711 --seeds 1` replays one.
 *
 * A failing seed is run again, must go the same way step by step, is made smaller, and its trace is printed. The last line
 * sums up; the exit code is 1 when anything was found. `--variant <name>` plants one of `variants.ts`, `--json` leaves out
 * everything but the counts.
 *
 * `--variants` plants all of them in turn (or the one named), 200 seeds each unless told otherwise; the exit code is 1 when
 * any is noticed by less than nine seeds in ten.
 */
import { parseArgs } from "node:util"
import * as v8Flags from "../../src/lifecycle/v8Flags.js"
import { demandModules } from "../support/modules.ts"
import { detect } from "./Detection.ts"
import * as edges from "./edges.ts"
import { install } from "./rewriting.ts"
import { rewrites } from "./scale.ts"
import { rewritesOf, variants } from "./variants.ts"

v8Flags.set()

const { values } = parseArgs({
  options: {
    seeds: { type: "string" },
    seed: { type: "string", default: "1" },
    variant: { type: "string" },
    variants: { type: "boolean", default: false },
    json: { type: "boolean", default: false }
  }
})
const [seed, seeds] = [Number(values.seed), Number(values.seeds ?? (values.variants ? 200 : 20_000))]
if (!Number.isSafeInteger(seed) || !Number.isSafeInteger(seeds) || seeds < 1) {
  throw new Error("--seed and --seeds take whole numbers")
}

demandModules()
if (values.variants) {
  const names = values.variant === undefined ? variants.map(({ name }) => name) : [values.variant]
  process.exit(await detect(names, { seeds, seed }) ? 0 : 1)
}

const unmet = edges.install()
install([...rewrites, ...rewritesOf(values.variant)])
const { explain, summaryOf, sweep } = await import("./Sweep.ts")

if (unmet().length > 0) throw new Error(`edges that the source does not have any more: ${unmet().join("; ")}`)

const found = await sweep({ first: seed, count: seeds })
const [failing] = found.failing
if (values.json) console.log(JSON.stringify({ failing: found.failing.length, kinds: Object.fromEntries(found.kinds) }))
else {
  if (failing !== undefined) { for (const line of await explain(failing)) console.error(line) }
  console.log(summaryOf(found, values.variant))
}
// A world in which nobody was served proves nothing; a handful of seeds may be such worlds.
const isEmpty = found.answers.true === 0 && seeds >= 100
process.exitCode = failing === undefined && !isEmpty ? 0 : 1
