/** What is going on, for the live page, its stream, the upstreams' page, and their JSON. */
import { Clock, Effect, Metric } from "effect"
import { HarvestStatus, type UpstreamStatus } from "../aggregation/harvest/HarvestStatus.ts"
import { Settings } from "../config/Settings.ts"
import { Database } from "../database/Database.ts"
import { secondsOf } from "../domain/Time.ts"
import type { LiveFacts } from "../pages/LivePage.ts"
import type { UpstreamFacts, UpstreamsFacts } from "../pages/RelaysPage.ts"
import type { People } from "./People.ts"
import { countersOf, reasonsOf } from "./Statistics.ts"

/** Reasons of rejections that are shown. */
const reasonsMax = 10

const hostOf = (url: string): string => url.replace(/^wss?:\/\//u, "").replace(/\/$/u, "")

/** Why a connection ended, without what a stranger's relay wrote into it. */
const problemOf = ({ lastError }: UpstreamStatus): string | undefined => {
  if (lastError === undefined) return undefined
  const known = /timed out|timeout|refused|ENOTFOUND|ECONNRESET|TLS|certificate|auth-required|rate-limited|closed/iu
  return known.exec(lastError)?.[0].toLowerCase() ?? "its connection ended"
}

const stateOf = ({ nextAttempt, phase, state }: UpstreamStatus, now: number): string => {
  if (state === "connecting") return "connects"
  if (state === "connected") return phase === "live" ? "live" : "reads history"
  const seconds = nextAttempt === undefined ? 0 : Math.max(0, Math.round((nextAttempt - now) / 1000))
  return `waits ${seconds} s`
}

const upstreamOf = (status: UpstreamStatus, now: number): UpstreamFacts => ({
  host: hostOf(status.url),
  state: stateOf(status, now),
  covered: status.covered.map(([since, until]) => [since, until] as const),
  events: Object.values(status.outcomes).reduce((sum, count) => sum + (count ?? 0), 0),
  accepted: status.outcomes.Saved ?? 0,
  problem: problemOf(status)
})

const gaugeOf = (snapshot: ReadonlyArray<Metric.Metric.Snapshot>, id: string): number =>
  snapshot.reduce(
    (sum, metric) => metric.id === id && metric.type === "Gauge" ? sum + Number(metric.state.value) : sum,
    0
  )

export const make = Effect.fnUntraced(function*(people: People) {
  const database = yield* Database
  const harvest = yield* HarvestStatus
  const { rules } = yield* Settings

  const upstreams = Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    const all = yield* harvest.upstreams
    return {
      upstreams: all.map((status) => upstreamOf(status, now)),
      since: rules.createdAtMin,
      now: secondsOf(now)
    } satisfies UpstreamsFacts
  })

  const live = Effect.gen(function*() {
    const snapshot = yield* Metric.snapshot
    const { outcome, sumOf } = countersOf(snapshot)
    const judged = sumOf("aggregation_admissions_total")
    const known = outcome("Duplicate") + outcome("Superseded") + outcome("Deleted") + outcome("Expired")
    const fresh = judged - known
    const signed = fresh - outcome("Invalid")
    const { waiting } = yield* harvest.retries
    return {
      funnel: [
        { key: "judged", name: "Came in", value: judged },
        { key: "fresh", name: "Not known yet", value: fresh },
        { key: "signed", name: "Signed by their authors", value: signed },
        { key: "decided", name: "Decided so far", value: signed - outcome("Undetermined") - outcome("Failed") },
        { key: "accepted", name: "Accepted", value: outcome("Saved") }
      ],
      reasons: reasonsOf(snapshot, reasonsMax),
      waiting,
      clients: gaugeOf(snapshot, "websocket_connections"),
      subscriptions: gaugeOf(snapshot, "websocket_subscriptions")
    } satisfies LiveFacts
  })

  /** One frame of the stream. */
  const frame = Effect.gen(function*() {
    const { clients, funnel, reasons, subscriptions, waiting } = yield* live
    const { events } = yield* database.stats
    const profiles = yield* people.total
    return JSON.stringify({
      profiles,
      events,
      clients,
      subscriptions,
      waiting,
      ...Object.fromEntries(funnel.map(({ key, value }) => [key, value])),
      ...Object.fromEntries(reasons.map(({ reason, value }) => [`reason ${reason}`, value]))
    })
  }).pipe(Effect.catchTag("DatabaseError", () => Effect.succeed("{}")))

  return { upstreams, live, frame }
})

export type Figures = Effect.Success<ReturnType<typeof make>>
