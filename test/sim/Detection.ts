/**
 * Plants each variant in turn and counts the seeds that notice.
 *
 * Each variant has a process of its own, as it lives in the modules that were loaded.
 */
import { execFile } from "node:child_process"
import { join } from "node:path"
import { promisify } from "node:util"

const sim = join(import.meta.dirname, "sim.ts")

/** The part of the seeds that has to notice a variant. */
const goal = 0.9

interface Found {
  readonly failing: number
  readonly kinds: Readonly<Record<string, number>>
}

/** Exit code 1 is what is hoped for, so the last line is what counts; without one the variant could not be planted. */
const foundWith = async (variant: string, seeds: number, seed: number): Promise<Found> => {
  const args = [sim, "--json", "--seeds", String(seeds), "--seed", String(seed), "--variant", variant]
  type Output = { readonly stdout: string; readonly stderr: string }
  const { stderr, stdout } = await promisify(execFile)(process.execPath, args).catch((error: Output) => error)
  if (stdout === "") throw new Error(`${variant}: ${stderr}`)
  return JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "") as Found
}

const percent = (part: number, whole: number) => `${(100 * part / whole).toFixed(1)} %`

/** Prints a line for each of the variants, and one that sums up; says whether each was noticed by nine seeds in ten. */
export const detect = async (
  names: ReadonlyArray<string>,
  { seed, seeds }: { readonly seeds: number; readonly seed: number }
): Promise<boolean> => {
  const width = Math.max(...names.map((name) => name.length))
  let missed = 0
  for (const name of names) {
    const { failing, kinds } = await foundWith(name, seeds, seed)
    if (failing < goal * seeds) missed++
    const by = Object.entries(kinds).toSorted(([, a], [, b]) => b - a).map(([kind, count]) => `${kind} ${count}`)
    console.log(`${name.padEnd(width)}  ${percent(failing, seeds).padStart(7)}  (${by.join(", ") || "nothing"})`)
  }
  console.log(
    `planted variants: ${names.length - missed} of ${names.length} found by at least ${percent(goal, 1)} of ` +
      `${seeds} seeds from ${seed}`
  )
  return missed === 0
}
