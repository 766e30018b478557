/**
 * Tortures the real service: `node test/torture/torture.ts --rounds 100 --seed 1`; `--first 17 --rounds 1` replays the
 * choices of round 17, though not what the machine did in the meantime.
 *
 * The last line sums up; the exit code is 1 when anything was broken.
 */
import { Effect } from "effect"
import * as v8Flags from "../../src/lifecycle/v8Flags.js"
import { execArgvOf, numbersOf } from "./Arguments.ts"
import { summaryOf, torture } from "./Rounds.ts"

v8Flags.set()

const { first, rounds, seed } = numbersOf({ rounds: 100, first: 1 })
const say = (line: string) => void process.stderr.write(`${line}\n`)

const outcome = await Effect.runPromise(torture({ rounds, seed, first, say, execArgv: execArgvOf() }))
for (const violation of outcome.violations.slice(0, 40)) console.error(violation)
console.log(summaryOf(outcome, seed))
process.exitCode = outcome.violations.length === 0 && outcome.acknowledged > 0 ? 0 : 1
