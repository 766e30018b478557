/** Many seeds, and a close look at one. */
import { historyOf } from "./History.ts"
import { shrink } from "./Shrink.ts"
import { simulate } from "./Simulation.ts"

const add = <K>(counts: Map<K, number>, key: K) => void counts.set(key, (counts.get(key) ?? 0) + 1)

const shown = <K extends number | string>(counts: ReadonlyMap<K, number>): string =>
  [...counts].toSorted(([a], [b]) => String(a).localeCompare(String(b))).map(([key, n]) => `${key}: ${n}`).join(", ")

export interface Found {
  readonly seeds: { readonly first: number; readonly count: number }
  readonly failing: ReadonlyArray<number>
  /** Broken invariants, by the number of seeds that broke them; and a seed that did. */
  readonly kinds: ReadonlyMap<string, number>
  readonly examples: ReadonlyMap<string, number>
  readonly codes: ReadonlyMap<number, number>
  /** Stops by how many components were open. */
  readonly stops: ReadonlyMap<number, number>
  /** Stops that no second signal cut short, and the budgets that fired in them. */
  readonly unhurried: number
  readonly budgets: ReadonlyMap<string, number>
  readonly answers: { readonly true: number; readonly false: number }
  /** Lives of the service, and how many of them were ended by a power cut. */
  readonly lives: number
  readonly powerCuts: number
  readonly steps: number
  /** The longest stop, in a world's milliseconds. */
  readonly stopMillisMax: number
  readonly seconds: number
}

export const sweep = async (seeds: Found["seeds"]): Promise<Found> => {
  const began = performance.now()
  const failing: Array<number> = []
  const kinds = new Map<string, number>()
  const examples = new Map<string, number>()
  const codes = new Map<number, number>()
  const stops = new Map<number, number>()
  const budgets = new Map<string, number>()
  let unhurried = 0
  const answers = { true: 0, false: 0 }
  let steps = 0
  let lives = 0
  let powerCuts = 0
  let stopMillisMax = 0
  for (let seed = seeds.first; seed < seeds.first + seeds.count; seed++) {
    const outcome = await simulate(historyOf(seed))
    steps += outcome.steps
    lives += outcome.lives.length
    for (const life of outcome.lives) {
      stopMillisMax = Math.max(stopMillisMax, life.stopMillis ?? 0)
      if (life.certificate === undefined) powerCuts++
      else add(codes, life.certificate.code)
      if (life.stopMillis !== undefined) add(stops, life.open)
      if (life.stopMillis !== undefined && life.certificate !== undefined && !life.hurried) {
        unhurried++
        for (const budget of life.certificate.forced) add(budgets, budget)
      }
      answers.true += life.answers.true
      answers.false += life.answers.false
    }
    if (outcome.violations.length === 0) continue
    failing.push(seed)
    for (const kind of new Set(outcome.violations.map((violation) => violation.split(":")[0] ?? ""))) {
      add(kinds, kind)
      if (!examples.has(kind)) examples.set(kind, seed)
    }
  }
  const seconds = (performance.now() - began) / 1000
  return {
    seeds,
    failing,
    kinds,
    examples,
    codes,
    stops,
    unhurried,
    budgets,
    answers,
    lives,
    powerCuts,
    steps,
    stopMillisMax,
    seconds
  }
}

export const summaryOf = (found: Found, variant: string | undefined): string =>
  [
    `sim: ${found.seeds.count} seeds from ${found.seeds.first}${
      variant === undefined ? "" : ` with "${variant}" planted`
    }`,
    `${found.failing.length} failing${
      found.kinds.size === 0 ? "" : ` (${shown(found.kinds)}; try ${shown(found.examples)})`
    }`,
    `${found.lives} lives, ${found.powerCuts} of them ended by a power cut`,
    `${found.answers.true} events acknowledged`,
    `${found.answers.false} refused`,
    `codes ${shown(found.codes)}`,
    `stops by open components ${shown(found.stops)}`,
    `budgets that fired in ${found.unhurried} stops by one signal: ${shown(found.budgets) || "none"}`,
    `longest stop ${found.stopMillisMax} simulated ms`,
    `${(found.steps / 1e6).toFixed(1)} million steps in ${found.seconds.toFixed(0)} s (${
      (found.seeds.count / found.seconds).toFixed(0)
    } seeds/s)`
  ].join("; ")

/** Lines of a trace that are shown. */
const traceMax = 60

/** What is known of one failing seed: what it broke, whether it replays step by step, and a trace of the smallest form of it. */
export const explain = async (seed: number): Promise<ReadonlyArray<string>> => {
  const history = historyOf(seed)
  const once = await simulate(history, true)
  const again = await simulate(history, true)
  const isSame = once.fingerprint === again.fingerprint && once.trace.join("\n") === again.trace.join("\n")
  const small = await shrink(history)
  const last = await simulate(small, true)
  return [
    `seed ${seed}: ${once.violations.join("; ")}`,
    isSame ? `replays exactly (${once.steps} steps, ${once.trace.length} lines of trace)` : "DOES NOT REPLAY",
    `made smaller: ${small.lives.length} of ${history.lives.length} lives, ${last.steps} steps, ${last.trace.length} lines of trace; ${
      last.violations.join("; ")
    }`,
    JSON.stringify(small),
    ...last.trace.slice(-traceMax)
  ]
}
