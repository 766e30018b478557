/**
 * SIGKILL under load, again and again on one growing file: whatever was answered `OK true` is there afterwards.
 *
 * A round starts the service on what the round before left behind, floods it, and kills it: after so many answers, or a
 * random time after its start, in the middle of opening, recovering or migrating. The seed decides when; what the machine
 * does in that time it decides itself.
 */
import { Effect } from "effect"
import { join } from "node:path"
import * as Dice from "../../src/demo/Dice.ts"
import * as Flood from "../support/Flood.ts"
import * as Service from "../support/service.ts"
import { Ledger } from "./Ledger.ts"
import { storedIn } from "./StoredEvents.ts"

const env = { ADMISSION: "open", LOG_LEVEL: "Info" }

/** Milliseconds after the spawn in which the service is still starting. */
const startMillisMax = 900

export interface Outcome {
  readonly rounds: number
  /** Rounds that were killed before the service listened. */
  readonly starting: number
  readonly ledger: Ledger
  /** What was broken, by round. */
  readonly violations: ReadonlyArray<string>
}

/** One life of the service; says whether it was killed while starting. */
const round = Effect.fnUntraced(function*(
  { execArgv, folder, name }: {
    readonly execArgv: ReadonlyArray<string>
    readonly folder: string
    readonly name: string
  },
  dice: Dice.Dice,
  ledger: Ledger
) {
  const whileStarting = dice.chance(0.15)
  const millis = dice.between(0, startMillisMax)
  const clients = dice.between(1, 4)
  const answers = dice.between(1, 600)
  const window = dice.between(1, 128)
  const service = yield* Service.start({ env, folder, execArgv })
  if (whileStarting) {
    yield* Effect.sleep(millis)
    yield* service.signal("SIGKILL")
    yield* service.ended
    return { wrong: [], starting: true, path: service.databasePath }
  }
  const { url } = yield* service.listening
  const floods = yield* Effect.forEach(
    Array.from({ length: clients }, (_, n) => n),
    (n) => Flood.start(url, Flood.noteStream(`${name}, client ${n}`), window)
  )
  // The first client to have its answers ends the round for all.
  const answered = yield* Flood.firstAnswered(floods, answers)
  yield* service.signal("SIGKILL")
  yield* Effect.forEach(floods, (flood) => flood.ended)
  yield* service.ended
  const wrong = floods.flatMap((flood) => ledger.enter(flood))
  return { wrong: answered ? wrong : [...wrong, Flood.silence], starting: false, path: service.databasePath }
}, Effect.scoped)

/** `say` is told of progress, a line at a time. */
export const kill = Effect.fnUntraced(function*(options: {
  readonly rounds: number
  readonly seed: number
  /** Node's own flags for the service. */
  readonly execArgv?: ReadonlyArray<string>
  readonly say?: (line: string) => void
}) {
  const { execArgv = [], rounds, seed } = options
  const dice = Dice.make(seed)
  const folder = yield* Service.folder
  const path = join(folder, "profiles.db")
  const ledger = new Ledger()
  const violations: Array<string> = []
  let starting = 0
  for (let n = 1; n <= rounds; n++) {
    const found = yield* round({ execArgv, folder, name: `seed ${seed}, round ${n}` }, dice, ledger).pipe(
      Effect.catch((failed) => Effect.succeed({ wrong: [failed.message], starting: false, path }))
    )
    if (found.starting) starting++
    const wrong = [...found.wrong]
    // A kill in the first milliseconds of the first round comes before there is a file.
    const stored = yield* Effect.exit(Effect.sync(() => storedIn(found.path)))
    if (stored._tag === "Success") wrong.push(...ledger.compare(stored.value))
    else if (ledger.acknowledged > 0 || !found.starting) wrong.push(`the file cannot be read: ${String(stored.cause)}`)
    violations.push(...wrong.map((line) => `round ${n}: ${line}`))
    options.say?.(`round ${n}/${rounds}: ${ledger.acknowledged} acknowledged, ${ledger.lost} lost`)
  }
  // What the last kill left behind opens, and closes in order.
  const service = yield* Service.start({ env, folder, execArgv })
  yield* service.listening
  const { certificate, code } = yield* service.stop()
  if (code !== 0 || certificate?.forced.length !== 0) {
    violations.push(`the stop at the end: code ${code}, ${JSON.stringify(certificate)}`)
  }
  violations.push(...ledger.compare(storedIn(service.databasePath)).map((line) => `at the end: ${line}`))
  return { rounds, starting, ledger, violations } satisfies Outcome
}, Effect.scoped)

export const summaryOf = ({ ledger, rounds, starting, violations }: Outcome, seed: number): string =>
  [
    `kill9: ${rounds} kills on one file (${starting} while starting)`,
    `${ledger.acknowledged} events acknowledged`,
    `${ledger.lost} lost`,
    `${ledger.twice} answered twice`,
    `${ledger.unacknowledged} stored without an answer`,
    `${violations.length} violations`,
    `seed ${seed}`
  ].join(", ")
