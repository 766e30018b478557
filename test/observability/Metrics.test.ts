import { assert, describe, it } from "@effect/vitest"
import { Effect, Metric } from "effect"
import { PrometheusMetrics } from "effect/observability"
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import * as Metrics from "../../src/observability/Metrics.ts"

const all = Object.values(Metrics).flatMap((metric): ReadonlyArray<Metric.Metric<number, unknown>> =>
  typeof metric === "function"
    ? [metric("no about")]
    : Metric.isMetric(metric)
    ? [metric as Metric.Metric<number, unknown>]
    : Object.values(metric)
)

describe("Metrics", () => {
  it("names every metric after its component, or the process as Prometheus does", () => {
    for (const metric of all) {
      assert.match(metric.id, /^(?:process|database|crypto|aggregation|websocket|lifecycle)(?:_[a-z0-9]+)+$/)
    }
  })

  it("ends a counter in _total and nothing else", () => {
    for (const metric of all) assert.strictEqual(metric.id.endsWith("_total"), metric.type === "Counter", metric.id)
  })

  it("has none that nothing counts", () => {
    const root = join(import.meta.dirname, "../../src")
    const source = globSync("**/*.ts", { cwd: root }).filter((path) => path !== "observability/Metrics.ts")
      .map((path) => readFileSync(join(root, path), "utf8").replaceAll(/^import[^"]*".*$/gmu, "")).join("\n")
    const dead = Object.keys(Metrics).filter((name) => !new RegExp(`\\b${name}\\b`, "u").test(source))
    assert.deepStrictEqual(dead, [])
  })

  it.effect("exports what was counted, under its label", () =>
    Effect.gen(function*() {
      yield* Metric.update(Metrics.databaseOperations.Saved, 2)
      yield* Metric.update(Metrics.databaseOperations.Duplicate, 1)
      yield* Metric.update(Metrics.aggregationRejections("no about"), 1)
      const page = yield* PrometheusMetrics.format()
      assert.include(page, "database_operations_total{outcome=\"Saved\"} 2")
      assert.include(page, "database_operations_total{outcome=\"Duplicate\"} 1")
      assert.include(page, "aggregation_rejections_total{reason=\"no about\"} 1")
    }))
})
