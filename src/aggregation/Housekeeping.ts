/** Forgets what has expired, and ends the grace of profiles whose newer version was rejected. */
import { Cause, Clock, Duration, Effect, Layer } from "effect"
import { Database, type DatabaseSender } from "../database/Database.ts"
import { expiring, type SpaceName } from "../database/Spaces.ts"
import { Supervisor } from "../lifecycle/Supervisor.ts"
import { Grace } from "./admission/Grace.ts"
import * as Space from "./Space.ts"

const period = Duration.minutes(1)

/** Records forgotten in one write. */
const forgottenMax = 500

/** Writes of one round: what is left waits for the next. */
const writesMax = 20

const forget = Effect.fnUntraced(function*(database: Database["Service"], sender: DatabaseSender, space: SpaceName) {
  for (let writes = 0; writes < writesMax; writes++) {
    const expired = yield* database.due(space, yield* Clock.currentTimeMillis, forgottenMax)
    if (expired.length > 0) yield* sender.write(Space.forget(space, expired))
    if (expired.length < forgottenMax) return
  }
})

const make = Effect.fnUntraced(function*() {
  const database = yield* Database
  const grace = yield* Grace
  const supervisor = yield* Supervisor
  const sender = yield* database.sender("aggregation/housekeeping")

  const round = Effect.gen(function*() {
    for (const space of expiring) yield* forget(database, sender, space)
    const operations = yield* grace.expired
    if (operations.length > 0) yield* sender.write(operations)
    const removed = operations.filter(({ _tag }) => _tag === "Delete").length
    if (removed > 0) {
      yield* Effect.logInfo("profiles removed after a newer version was rejected").pipe(
        Effect.annotateLogs({ removed })
      )
    }
  })

  yield* supervisor.fork(
    "aggregation/housekeeping",
    round.pipe(
      Effect.catch((error) => Effect.logWarning("housekeeping failed", Cause.fail(error))),
      Effect.delay(period),
      Effect.forever
    )
  )
})

export const layer = Layer.effectDiscard(make())
