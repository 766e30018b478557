/** How much waits to be checked, and whom we leave alone, as metrics: measured now and then, as time alone changes them. */
import { Cause, Clock, Duration, Effect, Layer, Metric } from "effect"
import { HostBudgets } from "../fetch/HostBudgets.ts"
import { Supervisor } from "../lifecycle/Supervisor.ts"
import {
  aggregationHostsKnown,
  aggregationHostsPaused,
  aggregationRetriesOverdueSeconds,
  aggregationRetriesUnchecked,
  aggregationRetriesWaiting
} from "../observability/Metrics.ts"
import { RetryQueue } from "./admission/RetryQueue.ts"

/** Between two looks at what is counted by looking. */
export const period = Duration.seconds(10)

/** Nothing is left out: what is in check stays in the queue, and counts as waiting. */
const nobody: ReadonlyMap<string, unknown> = new Map()

const make = Effect.fnUntraced(function*() {
  const queue = yield* RetryQueue
  const budgets = yield* HostBudgets
  const supervisor = yield* Supervisor

  const measure = Effect.gen(function*() {
    const { unchecked, waiting } = queue.view()
    yield* Metric.update(aggregationRetriesWaiting, waiting)
    yield* Metric.update(aggregationRetriesUnchecked, unchecked)
    const hosts = yield* budgets.hosts
    yield* Metric.update(aggregationHostsKnown, hosts.length)
    yield* Metric.update(aggregationHostsPaused, hosts.filter(({ paused }) => paused > 0).length)
    const next = yield* queue.next(nobody)
    const now = yield* Clock.currentTimeMillis
    yield* Metric.update(aggregationRetriesOverdueSeconds, next === undefined ? 0 : Math.max(0, now - next) / 1000)
  })

  yield* supervisor.fork(
    "aggregation/gauges",
    measure.pipe(
      Effect.catch((error) => Effect.logDebug("gauges not measured", Cause.fail(error))),
      Effect.delay(period),
      Effect.forever
    )
  )
})

export const layer = Layer.effectDiscard(make())
