/**
 * The real process, real sockets, and everybody at their worst, round after round: what the certificate, the exit code
 * and the file say is held against what the clients saw.
 */
import { Effect, Exit } from "effect"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import * as Dice from "../../src/demo/Dice.ts"
import * as Service from "../support/service.ts"
import * as smallDisk from "../support/smallDisk.ts"
import { Ledger } from "./Ledger.ts"
import { draw, type Plan } from "./Plan.ts"
import { play } from "./Round.ts"
import { diskBytes } from "./Troubles.ts"

export interface Outcome {
  readonly rounds: number
  readonly violations: ReadonlyArray<string>
  readonly acknowledged: number
  readonly refused: number
  readonly lost: number
  readonly twice: number
  /** Rounds by exit code. */
  readonly codes: ReadonlyMap<string, number>
  /** Milliseconds of the stops that nothing cut short, in order. */
  readonly stops: ReadonlyArray<number>
  /** Budgets that fired in those. */
  readonly budgets: ReadonlyMap<string, number>
}

/** Each round has a seed of its own, made of this run's and its number: `first` goes straight to one of them. */
export const torture = Effect.fnUntraced(function*(options: {
  readonly rounds: number
  readonly seed: number
  readonly first?: number
  /** Node's own flags for the service. */
  readonly execArgv?: ReadonlyArray<string>
  readonly say?: (line: string) => void
}) {
  const { execArgv = [], first = 1, rounds, seed } = options
  const home = yield* Service.folder
  const violations: Array<string> = []
  const codes = new Map<string, number>()
  const stops: Array<number> = []
  const budgets = new Map<string, number>()
  const total = { acknowledged: 0, refused: 0, lost: 0, twice: 0 }
  let ledger = new Ledger()
  let folder = ""
  const settle = () => {
    total.acknowledged += ledger.acknowledged
    total.refused += ledger.answers.false
    total.lost += ledger.lost
    total.twice += ledger.twice
  }
  const obstacle = smallDisk.obstacle()
  if (obstacle !== undefined) options.say?.(`no disk fills: ${obstacle}`)
  const planOf = (n: number): Plan => {
    const plan = draw(Dice.make(seed * 7919 + n))
    return obstacle !== undefined && plan.trouble?._tag === "FullDisk" ? { ...plan, trouble: undefined } : plan
  }
  /** Where a round is played: a disk that fills is its own, and a file that was displaced is nobody's any more. */
  const folderOf = Effect.fnUntraced(function*({ sameFile, trouble }: Plan, n: number) {
    if (sameFile && folder !== "" && trouble?._tag !== "FullDisk") return folder
    settle()
    ledger = new Ledger()
    if (trouble?._tag === "FullDisk") return (yield* smallDisk.make(diskBytes)).folder
    const made = join(home, `round ${n}`)
    mkdirSync(made)
    return made
  })
  for (let n = first; n < first + rounds; n++) {
    const plan = planOf(n)
    const exit = yield* folderOf(plan, n).pipe(
      Effect.flatMap((found) => {
        folder = plan.trouble === undefined ? found : ""
        return play(plan, { folder: found, name: `seed ${seed}, round ${n}`, ledger, execArgv })
      }),
      Effect.scoped,
      Effect.exit
    )
    const wrong = Exit.isSuccess(exit) ? exit.value.violations : [String(exit.cause)]
    if (wrong.length > 0) {
      violations.push(...wrong.slice(0, 10).map((line) => `seed ${seed}, round ${n}: ${line}`))
      options.say?.(`round ${n} was ${JSON.stringify(plan)}`)
    }
    const code = Exit.isSuccess(exit) ? exit.value.code : "none"
    codes.set(String(code), (codes.get(String(code)) ?? 0) + 1)
    const millis = Exit.isSuccess(exit) ? exit.value.stopMillis : undefined
    if (millis !== undefined) stops.push(millis)
    for (const budget of Exit.isSuccess(exit) ? exit.value.budgets : []) {
      budgets.set(budget, (budgets.get(budget) ?? 0) + 1)
    }
    options.say?.(
      `round ${n}: code ${code}, ${
        millis === undefined ? "cut short" : `${Math.round(millis)} ms`
      }, ${wrong.length} violations`
    )
  }
  settle()
  return { rounds, violations, codes, stops: stops.toSorted((a, b) => a - b), budgets, ...total } satisfies Outcome
}, Effect.scoped)

const at = (sorted: ReadonlyArray<number>, fraction: number): string =>
  sorted.length === 0 ? "none" : `${Math.round(sorted[Math.ceil(fraction * sorted.length) - 1] ?? 0)} ms`

const shown = (counts: ReadonlyMap<string, number>): string =>
  [...counts].map(([name, count]) => `${name}: ${count}`).join(" ")

export const summaryOf = (outcome: Outcome, seed: number): string =>
  [
    `torture: ${outcome.rounds} rounds`,
    `${outcome.acknowledged} events acknowledged`,
    `${outcome.refused} refused`,
    `${outcome.lost} lost`,
    `${outcome.twice} answered twice`,
    `codes ${shown(outcome.codes)}`,
    `budgets that fired in ${outcome.stops.length} stops by one signal ${shown(outcome.budgets) || "none"}`,
    `stop p50 ${at(outcome.stops, 0.5)}, max ${at(outcome.stops, 1)}`,
    `${outcome.violations.length} violations`,
    `seed ${seed}`
  ].join(", ")
