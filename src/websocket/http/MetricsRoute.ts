/**
 * `GET /metrics`: everything that is counted, as Prometheus reads it, by Effect's own exporter.
 *
 * It answers who the console takes for somebody on this machine, who asks from a network in `METRICS_ALLOW`, and who brings the
 * token of `METRICS_TOKEN_FILE` (RFC 6750). What has to be measured is measured when it is asked for.
 */
import { Effect, Metric, Option } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { PrometheusMetrics } from "effect/observability"
import { createHash, timingSafeEqual } from "node:crypto"
import { readFileSync } from "node:fs"
import type { BlockList } from "node:net"
import { monitorEventLoopDelay } from "node:perf_hooks"
import type { Settings } from "../../config/Settings.ts"
import type { Journal } from "../../lifecycle/Journal.ts"
import * as Metrics from "../../observability/Metrics.ts"
import { isListed, isLocal } from "./Console.ts"

export interface MetricsOptions {
  readonly journal: Journal
  readonly settings: Pick<Settings["Service"], "relayUrl" | "metricsTokenPath">
  readonly proxies: () => BlockList
  /** Networks of `METRICS_ALLOW`. */
  readonly allowed: () => BlockList
  readonly clientBehind: (remoteAddress: string | undefined, forwardedFor: string | undefined) => string
}

const digest = (text: string): Buffer => createHash("sha256").update(text).digest()

/** The file is read at each request, so that a token can be changed; compared in a time that tells nothing of it. */
const bringsToken = (path: string, authorization: string | undefined): boolean => {
  const given = /^Bearer ([\w~+/.=-]{1,512})$/u.exec(authorization ?? "")?.[1]
  if (path === "" || given === undefined) return false
  try {
    const wanted = readFileSync(path, "utf8").trim()
    return wanted !== "" && timingSafeEqual(digest(given), digest(wanted))
  } catch {
    return false
  }
}

const measure = Effect.fnUntraced(
  function*({ journal }: MetricsOptions, delay: ReturnType<typeof monitorEventLoopDelay>) {
    const { heapUsed, rss } = process.memoryUsage()
    yield* Metric.update(Metrics.processResidentBytes, rss)
    yield* Metric.update(Metrics.processHeapBytes, heapUsed)
    yield* Metric.update(Metrics.processUptimeSeconds, journal.now() / 1000)
    yield* Metric.update(Metrics.processEventLoopDelaySeconds, delay.percentile(99) / 1e9)
    delay.reset()
    for (const { capacity, depth, holders, name } of journal.mailboxes) {
      yield* Metric.update(Metrics.lifecycleMailboxDepth(name), depth())
      yield* Metric.update(Metrics.lifecycleMailboxCapacity(name), capacity)
      yield* Metric.update(Metrics.lifecycleSenders(name), holders().length)
    }
  }
)

export const metricsRoute = Effect.fnUntraced(function*(options: MetricsOptions) {
  // Sampled by the loop itself, every 20 ms: some microseconds a second.
  const delay = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const delay = monitorEventLoopDelay({ resolution: 20 })
      delay.enable()
      return delay
    }),
    (delay) => Effect.sync(() => delay.disable())
  )
  return HttpRouter.add("GET", "/metrics", (request) =>
    Effect.gen(function*() {
      const { settings } = options
      const remoteAddress = Option.getOrUndefined(request.remoteAddress)
      const asking = { remoteAddress, headers: request.headers }
      const isAllowed = isLocal(asking, { proxies: options.proxies(), relayUrl: settings.relayUrl }) ||
        isListed(
          options.allowed(),
          options.clientBehind(remoteAddress, request.headers["x-forwarded-for"]).replace(/\/\d+$/u, "")
        ) ||
        bringsToken(settings.metricsTokenPath, request.headers["authorization"])
      if (!isAllowed) {
        return HttpServerResponse.text(
          "metrics are for this machine, for networks of METRICS_ALLOW, and for who brings the token of METRICS_TOKEN_FILE\n",
          { status: 403, headers: { "x-content-type-options": "nosniff", "cache-control": "no-store" } }
        )
      }
      yield* measure(options, delay)
      return HttpServerResponse.text(yield* PrometheusMetrics.format(), {
        contentType: "text/plain; version=0.0.4; charset=utf-8",
        headers: { "cache-control": "no-store" }
      })
    }))
})
