/**
 * Power cuts and the order of answers: `node test/torture/powercut.ts --runs 5 --images 400 --seed 1`.
 *
 * Needs strace. The last line sums up; the exit code is 1 when anything was lost, broken or too early, 2 without strace.
 */
import { Effect } from "effect"
import { execArgvOf, numbersOf } from "./Arguments.ts"
import { powerCut, summaryOf } from "./Cuts.ts"
import { missing } from "./Trace.ts"

const { images, runs, seed } = numbersOf({ runs: 5, images: 400 })
const say = (line: string) => void process.stderr.write(`${line}\n`)

const why = missing()
if (why === undefined) {
  const outcome = await Effect.runPromise(powerCut({ runs, images, seed, say, execArgv: execArgvOf() }))
  for (const violation of outcome.violations.slice(0, 20)) console.error(violation)
  console.log(summaryOf(outcome, seed))
  process.exitCode = outcome.violations.length === 0 && outcome.told > 0 ? 0 : 1
} else {
  console.log(`powercut: not run: ${why}`)
  process.exitCode = 2
}
