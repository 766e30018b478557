/**
 * Harvests many profiles, undisturbed and with a kill in the middle:
 * `node test/torture/harvest.ts --profiles 100000 --seed 1 [--percent 50]`.
 *
 * The last line sums up; the exit code is 1 when anything is missing or more than a page was fetched again.
 */
import { Effect } from "effect"
import { numbersOf } from "./Arguments.ts"
import { harvest, summaryOf } from "./HarvestRun.ts"

const { percent, profiles, seed } = numbersOf({ profiles: 100_000, percent: 50 })
const say = (line: string) => void process.stderr.write(`${line}\n`)

const outcome = await Effect.runPromise(Effect.scoped(harvest({ profiles, seed, at: percent / 100, say })))
for (const violation of outcome.violations.slice(0, 20)) console.error(violation)
console.log(summaryOf(outcome, seed))
process.exitCode = outcome.violations.length === 0 ? 0 : 1
