/**
 * Compares every engine that loads here with `noble` on many signatures. Run as a script:
 * `node test/crypto/differential.ts [count] [seed]`. Prints one line, and fails on any difference.
 */
import { type Engine, engineNames, selfTested } from "../../src/crypto/engines/Engine.ts"
import { loaders } from "../../src/crypto/engines/EngineSelection.ts"
import { cases, compare } from "./signatures.ts"

const count = Number(process.argv[2] ?? 10_000)
const seed = Number(process.argv[3] ?? 1)

const oracle = selfTested(await loaders.noble())
const engines: Array<Engine> = []
const absent: Array<string> = []
for (const name of engineNames) {
  if (name === "noble") continue
  try {
    engines.push(selfTested(await loaders[name]()))
  } catch (error) {
    absent.push(`${name} (${error instanceof Error ? error.message : String(error)})`)
  }
}

const { differences, invalid, valid } = compare(engines, oracle, cases(count, seed))
const report = [
  `${valid + invalid} signatures, ${valid} valid and ${invalid} not, by ${engines.map(({ name }) => name).join(", ")}`,
  `${differences.length} differences from noble`,
  ...absent.map((engine) => `not here: ${engine}`)
]
console.log(report.join("; "))
for (const difference of differences.slice(0, 20)) console.error(difference)
process.exitCode = differences.length === 0 && valid > 0 && invalid > 0 && engines.length > 0 ? 0 : 1
