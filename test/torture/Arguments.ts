/** `--rounds N --seed S --variant NAME`: what every long run takes. */
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { parseArgs } from "node:util"

const variant = { type: "string" } as const

/** Node's own flags for a service that one of `variants.ts` is planted in. */
export const planting = (name: string): ReadonlyArray<string> => {
  const url = pathToFileURL(join(import.meta.dirname, "planted.ts"))
  url.searchParams.set("variant", name)
  return ["--import", url.href]
}

/** Node's own flags for the service: none, or those that plant what `--variant` names. */
export const execArgvOf = (): ReadonlyArray<string> => {
  const { values } = parseArgs({ args: process.argv.slice(2), options: { variant }, strict: false })
  return typeof values.variant === "string" ? planting(values.variant) : []
}

/** Whole numbers by name; what is not given is the default, and a seed that is not given is the time. */
export const numbersOf = <Name extends string>(
  defaults: Readonly<Record<Name, number>>
): Record<Name | "seed", number> => {
  const all: Record<string, number> = { seed: Date.now() % 1_000_000_007, ...defaults }
  const options = Object.fromEntries(Object.keys(all).map((name) => [name, { type: "string" as const }]))
  const { values }: { readonly values: Readonly<Record<string, string | undefined>> } = parseArgs({
    args: process.argv.slice(2),
    options: { ...options, variant }
  })
  return Object.fromEntries(
    Object.entries(all).map(([name, otherwise]) => {
      const given = values[name]
      const number = given === undefined ? otherwise : Number(given)
      if (!Number.isSafeInteger(number) || number < 0) throw new Error(`--${name} takes a whole number`)
      return [name, number]
    })
  ) as Record<Name | "seed", number>
}
