/**
 * A record a day: what was stored when it ended, and what came while it lasted. Today's is written every ten minutes and at
 * the end, so that a restart goes on with it.
 */
import { Clock, Effect, Metric, Schedule, Schema } from "effect"
import * as Space from "../aggregation/Space.ts"
import { Database } from "../database/Database.ts"
import { Supervisor } from "../lifecycle/Supervisor.ts"
import type { DayRecord } from "../pages/StatsPage.ts"
import type { People } from "./People.ts"

const dayMillis = 86_400_000

/** By day, `2026-11-30`. */
export const space = Space.versioned("statistics", {
  profiles: Schema.Int,
  events: Schema.Int,
  accepted: Schema.Int,
  rejected: Schema.Int,
  connections: Schema.Int
})
type Stored = Space.Value<typeof space>

/** `2026-11-30`, UTC. */
const dayOf = (millis: number): string => new Date(millis).toISOString().slice(0, 10)

/** What was counted since the start of the process. */
export const countersOf = (snapshot: ReadonlyArray<Metric.Metric.Snapshot>) => {
  const sumOf = (id: string, wanted: (attributes: Readonly<Record<string, string>>) => boolean = () => true): number =>
    snapshot.reduce((sum, metric) => {
      if (metric.id !== id || metric.type !== "Counter" || !wanted(metric.attributes ?? {})) return sum
      return sum + Number(metric.state.count)
    }, 0)
  const outcome = (name: string) => sumOf("aggregation_admissions_total", ({ outcome }) => outcome === name)
  return { sumOf, outcome }
}

/** The most frequent reasons of rejections. */
export const reasonsOf = (snapshot: ReadonlyArray<Metric.Metric.Snapshot>, max: number) =>
  snapshot.flatMap((metric) =>
    metric.id === "aggregation_rejections_total" && metric.type === "Counter"
      ? [{ reason: metric.attributes?.["reason"] ?? "other", value: Number(metric.state.count) }]
      : []
  ).toSorted((a, b) => b.value - a.value).slice(0, max)

export const make = Effect.fnUntraced(function*(people: Pick<People, "total">) {
  const database = yield* Database
  const supervisor = yield* Supervisor
  const sender = yield* Effect.orDie(database.sender("web/statistics"))

  const counted = Effect.map(Metric.snapshot, (snapshot) => {
    const { outcome, sumOf } = countersOf(snapshot)
    return {
      accepted: outcome("Saved"),
      rejected: outcome("Rejected"),
      connections: sumOf("websocket_connections_opened_total")
    }
  })

  let today = dayOf(yield* Clock.currentTimeMillis)
  /** What stood in today's record when we began to count, and what was counted then. */
  let base = (yield* Effect.orDie(space.get(database, today)))?.value
  let since = yield* counted

  const recordNow = Effect.gen(function*() {
    const { events } = yield* database.stats
    const profiles = yield* people.total
    const now = yield* counted
    return {
      profiles,
      events,
      accepted: (base?.accepted ?? 0) + now.accepted - since.accepted,
      rejected: (base?.rejected ?? 0) + now.rejected - since.rejected,
      connections: (base?.connections ?? 0) + now.connections - since.connections
    } satisfies Stored
  })

  const save = Effect.gen(function*() {
    const record = yield* recordNow
    yield* sender.write([space.put(today, record)])
    const day = dayOf(yield* Clock.currentTimeMillis)
    if (day === today) return
    today = day
    base = undefined
    since = yield* counted
  }).pipe(Effect.catchTags({
    // Storage that fails stops the service by itself, and so does the mailbox's owner.
    DatabaseError: () => Effect.void,
    MailboxClosed: () => Effect.void
  }))

  yield* Effect.addFinalizer(() => save)
  yield* supervisor.fork(
    "web/statistics",
    Effect.gen(function*() {
      const now = yield* Clock.currentTimeMillis
      // On the minute at which a day ends, besides every ten minutes.
      yield* Effect.sleep(Math.min(600_000, dayMillis - now % dayMillis))
      yield* save
    }).pipe(Effect.repeat(Schedule.forever))
  )

  /** Of the last days, oldest first; today's as far as it has come. */
  const days = Effect.fnUntraced(function*(count: number) {
    const from = dayOf((yield* Clock.currentTimeMillis) - count * dayMillis)
    const all = yield* space.all(database)
    const records = all.flatMap(({ key, value }): ReadonlyArray<DayRecord> =>
      value === undefined || key <= from || key === today ? [] : [{ day: key, ...value }]
    )
    return [...records, { day: today, ...(yield* recordNow) }]
  })
  return { days }
})

export type Statistics = Effect.Success<ReturnType<typeof make>>

/** As a spreadsheet reads it (RFC 4180). */
export const csvOf = (records: ReadonlyArray<DayRecord>): string =>
  [
    "day,profiles,events,accepted,rejected,connections",
    ...records.map(({ accepted, connections, day, events, profiles, rejected }) =>
      [day, profiles, events, accepted, rejected, connections].join(",")
    )
  ].map((line) => `${line}\r\n`).join("")
