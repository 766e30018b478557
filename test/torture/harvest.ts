/**
 * Harvests many profiles, undisturbed and with a kill in the middle:
 * `node test/torture/harvest.ts --profiles 100000 --seed 1 [--percent 50] [--duplicates 33]`.
 *
 * `--percent`: where it is killed; `--duplicates`: percent of what is offered that was offered before, by another upstream: 0
 * and 50 take two upstreams, 90 takes ten, and ten times as many events as profiles.
 *
 * The last line sums up; the exit code is 1 when anything is missing or more than a page was fetched again.
 */
import { Effect } from "effect"
import { numbersOf } from "./Arguments.ts"
import { harvest, summaryOf } from "./HarvestRun.ts"

const { duplicates, percent, profiles, seed } = numbersOf({ profiles: 100_000, percent: 50, duplicates: 33 })
const say = (line: string) => void process.stderr.write(`${line}\n`)

const outcome = await Effect.runPromise(Effect.scoped(harvest({ profiles, seed, duplicates, at: percent / 100, say })))
for (const violation of outcome.violations.slice(0, 20)) console.error(violation)
console.log(summaryOf(outcome, seed))
process.exitCode = outcome.violations.length === 0 ? 0 : 1
