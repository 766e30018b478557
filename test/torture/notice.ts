/**
 * Who notices a bug that was put there by hand: `node test/torture/notice.ts [--variant "sender cloned out of its scope"]`.
 *
 * Plants one of `variants.ts` in the service and has simulation, torture, kills and power cuts look at it for a moment each. The
 * last line sums up; the exit code is 1 when fewer than two of the four fail, as each of them would then prove little alone.
 */
import { spawnSync } from "node:child_process"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { rewritesOf } from "../sim/variants.ts"

const { values: { variant } } = parseArgs({
  options: { variant: { type: "string", default: "sender cloned out of its scope" } }
})
// Refuses a name that there is not, which each of the four would take for a failure of the service.
rewritesOf(variant)

const programs: ReadonlyArray<readonly [name: string, ...args: ReadonlyArray<string>]> = [
  ["sim", "../sim/sim.ts", "--json", "--seeds", "40", "--seed", "1"],
  ["torture", "torture.ts", "--rounds", "3", "--seed", "1"],
  ["kill9", "kill9.ts", "--rounds", "3", "--seed", "1"],
  ["powercut", "powercut.ts", "--runs", "1", "--images", "20", "--seed", "1"]
]

const noticed: Array<string> = []
for (const [name, file = "", ...args] of programs) {
  const run = [join(import.meta.dirname, file), ...args, "--variant", variant]
  const { status, stderr, stdout } = spawnSync(process.execPath, run, { encoding: "utf8" })
  if (status === 1) noticed.push(name)
  const verdict = status === 1 ? "noticed" : status === 0 ? "missed" : "not run"
  console.log(`${name}: ${verdict}: ${(stdout.trim() === "" ? stderr : stdout).trim().split("\n").at(-1)}`)
}
console.log(`planted "${variant}": ${noticed.length} of ${programs.length} fail (${noticed.join(", ") || "none"})`)
process.exitCode = noticed.length >= 2 ? 0 : 1
