/**
 * Floods the service in every way that a stranger can, one after the other: `node test/torture/floods.ts --seconds 8 --after 60`.
 *
 * `--after`: seconds until memory is looked at again. Names of `Attacks.ts` after `--` are all that is tried then. The table ends
 * with a line that sums up; the exit code is 1 when an innocent client waited for longer than promised, or memory stayed.
 */
import { Cause, Effect, Exit } from "effect"
import { loadavg } from "node:os"
import { parseArgs } from "node:util"
import { type AttackName, attacks } from "./Attacks.ts"
import { flood, type Outcome, tableOf } from "./Flooding.ts"

const { positionals, values } = parseArgs({
  options: { seconds: { type: "string", default: "8" }, after: { type: "string", default: "60" } },
  allowPositionals: true
})
const all = Object.keys(attacks) as ReadonlyArray<AttackName>
const chosen = positionals.length === 0 ? all : all.filter((name) => positionals.includes(name))
const options = { seconds: Number(values.seconds), after: Number(values.after) }

const load = loadavg().map((n) => n.toFixed(1)).join(", ")
const outcomes: Array<Outcome> = []
// Whoever ends this run ends the service and the attackers with it, as their scope closes.
const ending = new AbortController()
for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
  process.once(signal, () => {
    process.exitCode = code
    ending.abort()
  })
}
for (const name of chosen) {
  const exit = await Effect.runPromiseExit(flood(name, options), { signal: ending.signal })
  if (ending.signal.aborted) process.exit()
  if (Exit.isFailure(exit)) throw Cause.squash(exit.cause)
  const outcome = exit.value
  outcomes.push(outcome)
  console.error(`${name}: ${JSON.stringify(outcome)}`)
}
const violations = outcomes.flatMap((outcome) => outcome.violations)
for (const violation of violations) console.error(violation)
console.log(tableOf(outcomes))
console.log(
  `floods: ${outcomes.length} attacks of ${options.seconds} s, ${violations.length} violations, load ${load} before`
)
process.exitCode = violations.length === 0 && outcomes.length > 0 ? 0 : 1
