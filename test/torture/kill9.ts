/**
 * Kills the service under load, many times on one file: `node test/torture/kill9.ts --rounds 100 --seed 1`.
 *
 * The last line sums up; the exit code is 1 when anything that was acknowledged is missing.
 */
import { Effect } from "effect"
import { execArgvOf, numbersOf } from "./Arguments.ts"
import { kill, summaryOf } from "./Kill.ts"

const { rounds, seed } = numbersOf({ rounds: 100 })
const say = (line: string) => void process.stderr.write(`${line}\n`)

const outcome = await Effect.runPromise(kill({ rounds, seed, say, execArgv: execArgvOf() }))
for (const violation of outcome.violations.slice(0, 20)) console.error(violation)
console.log(summaryOf(outcome, seed))
process.exitCode = outcome.violations.length === 0 && outcome.ledger.acknowledged > 0 ? 0 : 1
