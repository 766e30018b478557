/**
 * Plants each variant in turn and counts who notices: `node test/sim/detect.ts --runs 10 --seeds 200`.
 *
 * A run is so many seeds in a process of its own, as a variant lives in the modules that were loaded. The exit code is 1 when
 * any variant was missed in more than a tenth of its runs.
 */
import { execFile } from "node:child_process"
import { join } from "node:path"
import { promisify } from "node:util"
import { numbersOf } from "../torture/Arguments.ts"
import { variants } from "./variants.ts"

const sim = join(import.meta.dirname, "sim.ts")
const { runs, seed, seeds } = numbersOf({ runs: 1, seeds: 200, seed: 1 })

interface Found {
  readonly failing: number
  readonly kinds: Readonly<Record<string, number>>
}

/** Exit code 1 is what is hoped for, so the last line is what counts. */
const run = async (variant: string, from: number): Promise<Found> => {
  const args = [sim, "--json", "--seeds", String(seeds), "--seed", String(from), "--variant", variant]
  const { stdout } = await promisify(execFile)(process.execPath, args).catch((error: { readonly stdout: string }) =>
    error
  )
  return JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "") as Found
}

let missed = 0
for (const { name } of variants) {
  const all: Array<Found> = []
  for (let n = 0; n < runs; n++) all.push(await run(name, seed + n * seeds))
  const noticed = all.filter(({ failing }) => failing > 0).length
  const failing = all.reduce((sum, found) => sum + found.failing, 0)
  const by = [...new Set(all.flatMap(({ kinds }) => Object.keys(kinds)))].join(" ")
  if (noticed < 0.9 * runs) missed++
  const percent = (100 * failing / (runs * seeds)).toFixed(1)
  console.log(`${name}: found in ${noticed} of ${runs} runs, by ${percent} % of the seeds (${by || "nothing"})`)
}
console.log(
  `planted variants: ${
    variants.length - missed
  } of ${variants.length} found in at least 90 % of ${runs} runs of ${seeds} seeds, from seed ${seed}`
)
process.exitCode = missed === 0 ? 0 : 1
