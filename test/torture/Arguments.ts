/** `--rounds N --seed S`: what every long run takes. */
import { parseArgs } from "node:util"

/** Whole numbers by name; what is not given is the default, and a seed that is not given is the time. */
export const numbersOf = <Name extends string>(
  defaults: Readonly<Record<Name, number>>
): Record<Name | "seed", number> => {
  const all: Record<string, number> = { seed: Date.now() % 1_000_000_007, ...defaults }
  const options = Object.fromEntries(Object.keys(all).map((name) => [name, { type: "string" as const }]))
  const { values } = parseArgs({ args: process.argv.slice(2), options })
  return Object.fromEntries(
    Object.entries(all).map(([name, otherwise]) => {
      const given = values[name]
      const number = given === undefined ? otherwise : Number(given)
      if (!Number.isSafeInteger(number) || number < 0) throw new Error(`--${name} takes a whole number`)
      return [name, number]
    })
  ) as Record<Name | "seed", number>
}
