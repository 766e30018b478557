/**
 * Who notices a bug that was put there by hand: `node test/torture/notice.ts [--variant "sender cloned out of its scope"]`.
 *
 * Plants one of `variants.ts` in the service and has simulation, torture, kills and power cuts look at it for a moment each. The
 * last line sums up; the exit code is 1 when fewer than two of the four fail, as each of them would then prove little alone.
 * One that does not end in time, or breaks down before its last line, has noticed nothing.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"
import { text } from "node:stream/consumers"
import { parseArgs } from "node:util"
import { rewritesOf } from "../sim/variants.ts"
import { demandModules } from "../support/modules.ts"

const { values: { variant } } = parseArgs({
  options: { variant: { type: "string", default: "sender cloned out of its scope" } }
})
demandModules()
// Refuses a name that there is not, which each of the four would take for a failure of the service.
rewritesOf(variant)

const programs: ReadonlyArray<readonly [name: string, file: string, ...args: ReadonlyArray<string>]> = [
  ["sim", "../sim/sim.ts", "--json", "--seeds", "40", "--seed", "1"],
  ["torture", "torture.ts", "--rounds", "3", "--seed", "1"],
  ["kill9", "kill9.ts", "--rounds", "3", "--seed", "1"],
  ["powercut", "powercut.ts", "--runs", "1", "--images", "20", "--seed", "1"]
]

/** Milliseconds for each of them; on a quiet machine it takes one to six seconds. */
const limit = 90_000

/** In a process group of its own, so that a service that does not stop goes with the program that started it. */
const run = async (file: string, args: ReadonlyArray<string>) => {
  const child = spawn(process.execPath, [join(import.meta.dirname, file), ...args], {
    detached: true,
    stdio: ["ignore", "pipe", "pipe"]
  })
  let isLate = false
  const timer = setTimeout(() => {
    isLate = true
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL")
  }, limit)
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")])
  clearTimeout(timer)
  return { code, isLate, said: stdout.trim(), complained: stderr.trim() }
}

const noticed: Array<string> = []
for (const [name, file, ...args] of programs) {
  const { code, complained, isLate, said } = await run(file, [...args, "--variant", variant])
  const verdict = isLate
    ? `did not end within ${limit / 1000} s`
    : said === "" || (code !== 0 && code !== 1)
    ? "not run"
    : code === 0
    ? "missed"
    : "noticed"
  if (verdict === "noticed") noticed.push(name)
  console.log(`${name}: ${verdict}: ${(said === "" ? complained : said).split("\n").at(-1)}`)
}
console.log(`planted "${variant}": ${noticed.length} of ${programs.length} fail (${noticed.join(", ") || "none"})`)
process.exitCode = noticed.length >= 2 ? 0 : 1
