/**
 * Looks at the NIP-05 names of stored profiles whenever they are due: new ones soon, all others again and again.
 *
 * What is due stands in the database until the write that says when it is due next, so a stop simply ends the looks.
 */
import { Cause, Clock, Duration, Effect, Layer } from "effect"
import { Settings } from "../Config.ts"
import { Database } from "../database/Database.ts"
import { Supervisor } from "../lifecycle/Supervisor.ts"
import { checkSpace, Nip05 } from "./Nip05.ts"

/** Between two looks at what is due. */
export const period = Duration.seconds(5)

/** Names looked at side by side, and in one round. */
const concurrency = 8
const perRound = 64

const make = Effect.fnUntraced(function*() {
  const { nip05 } = yield* Settings
  if (nip05 === "off") return
  const database = yield* Database
  const names = yield* Nip05
  const supervisor = yield* Supervisor
  const sender = yield* database.sender("aggregation/nip05")

  const look = (pubkey: string) => Effect.flatMap(names.recheck(pubkey), (records) => sender.write(records))

  /** Succeeds with whether there may be more that is due. */
  const round = Effect.gen(function*() {
    const due = yield* database.due(checkSpace, yield* Clock.currentTimeMillis, perRound)
    yield* Effect.forEach(due, ({ key }) => look(key), { concurrency, discard: true })
    return due.length === perRound
  })

  yield* supervisor.fork(
    "aggregation/nip05",
    round.pipe(
      Effect.catch((error) => Effect.as(Effect.logWarning("NIP-05 names not checked", Cause.fail(error)), false)),
      Effect.flatMap((isMore) => isMore ? Effect.void : Effect.sleep(period)),
      Effect.forever
    )
  )
})

export const layer = Layer.effectDiscard(make())
