import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Metric } from "effect"
import { TestClock } from "effect/testing"
import { layer as retryQueueLayer, space } from "../../src/aggregation/admission/RetryQueue.ts"
import * as Gauges from "../../src/aggregation/Gauges.ts"
import { Settings } from "../../src/config/Settings.ts"
import { HostBudgets, layer as hostBudgetsLayer } from "../../src/fetch/HostBudgets.ts"
import { Shutdown } from "../../src/lifecycle/Shutdown.ts"
import { Supervisor } from "../../src/lifecycle/Supervisor.ts"
import {
  aggregationHostsKnown,
  aggregationHostsPaused,
  aggregationRetriesOverdueSeconds,
  aggregationRetriesUnchecked,
  aggregationRetriesWaiting
} from "../../src/observability/Metrics.ts"
import { profileEvent } from "../support/events.ts"
import { blank, layer as databaseLayer } from "./FakeDatabase.ts"
import { now } from "./world.ts"

const gauges = Effect.map(
  Effect.all([
    Metric.value(aggregationRetriesWaiting),
    Metric.value(aggregationRetriesUnchecked),
    Metric.value(aggregationRetriesOverdueSeconds),
    Metric.value(aggregationHostsKnown),
    Metric.value(aggregationHostsPaused)
  ]),
  ([waiting, unchecked, overdue, hosts, paused]) => ({
    waiting: waiting.value,
    unchecked: unchecked.value,
    overdue: overdue.value,
    hosts: hosts.value,
    paused: paused.value
  })
)

const waiting = (seed: string, reason: string, due: number) => {
  const event = profileEvent({}, seed)
  const value = JSON.stringify({ version: 1, event, attempts: 1, since: 0, reason })
  return [`${space.name} ${event.id}`, { key: event.id, value, due }] as const
}

describe("the gauges of what waits", () => {
  it.effect("say how many profiles wait, for how long the next one has, and how many hosts are left alone", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(now * 1000)
      const disk = blank()
      disk.records.set(...waiting("one", "not checked yet", now * 1000 - 30_000))
      disk.records.set(...waiting("two", "picture host did not answer", now * 1000 + 3_600_000))
      const layer = Gauges.layer.pipe(
        Layer.provideMerge(retryQueueLayer),
        Layer.provideMerge(databaseLayer(disk)),
        Layer.provideMerge(hostBudgetsLayer),
        Layer.provideMerge(Supervisor.layer),
        Layer.provideMerge(Shutdown.layerTest),
        Layer.provideMerge(Settings.layerTest())
      )
      yield* Effect.gen(function*() {
        const budgets = yield* HostBudgets
        yield* Effect.scoped(budgets.reserve("calm.example"))
        yield* Effect.scoped(Effect.flatMap(budgets.reserve("busy.example"), ({ refused }) => refused(60_000)))
        yield* TestClock.adjust(Gauges.period)
        assert.deepStrictEqual(yield* gauges, { waiting: 2, unchecked: 1, overdue: 40, hosts: 2, paused: 1 })
        // A pause ends by itself, and an unreadable disk ends nothing.
        disk.broken.value = true
        yield* TestClock.adjust("1 minute")
        disk.broken.value = false
        yield* TestClock.adjust(Gauges.period)
        assert.deepStrictEqual(yield* gauges, { waiting: 2, unchecked: 1, overdue: 110, hosts: 2, paused: 0 })
        disk.records.clear()
        yield* TestClock.adjust(Gauges.period)
        assert.strictEqual((yield* gauges).overdue, 0)
      }).pipe(Effect.provide(layer, { local: true }))
    }))
})
