/**
 * The real service harvests upstreams that overlap: once undisturbed, to be measured, and once killed in the middle.
 *
 * Of a harvest that was killed at most one page of each upstream may be asked for again, and in the end nothing that was
 * offered and is worth keeping may be missing.
 */
import { Effect, type Scope } from "effect"
import { readFileSync } from "node:fs"
import { decodeCoverage } from "../../src/domain/HarvestWindow.ts"
import { type CpuTime, cpuTime } from "../bench/ProcessMeter.ts"
import type { ChildFailed } from "../support/child.ts"
import * as Service from "../support/service.ts"
import { type HarvestWorld, make, type Page, pageSize, type Upstream } from "./HarvestWorld.ts"
import { type StoredEvents, storedIn } from "./StoredEvents.ts"

export interface Measures {
  /** Events judged, those that came twice included. */
  readonly events: number
  readonly seconds: number
  /** Events that were known already, by both upstreams together, and how many of all were spared the signature check. */
  readonly duplicates: number
  readonly spared: number
  /** Microseconds of CPU while it harvested. */
  readonly cpu: CpuTime
  /** Bytes in memory, at most. */
  readonly peakBytes: number
}

export interface Outcome {
  readonly profiles: number
  readonly measures: Measures
  /** Share of the harvest that was done when it was killed. */
  readonly killedAt: number
  /** Pages asked for again after the kill, by upstream. */
  readonly again: ReadonlyArray<number>
  readonly violations: ReadonlyArray<string>
}

const env = (world: HarvestWorld) => ({
  DISCOVERY_RELAY_URL: world.upstreams.map(({ url }) => url).join(","),
  PAGE_SIZE: String(pageSize),
  PICTURES: "off",
  PROOF: "off",
  LOG_LEVEL: "Info"
})

interface Covered {
  readonly outcomes: Readonly<Record<string, number>>
  readonly spared: number
}

/** Waits until every upstream is covered, and says what came of it. Nothing has a bound here but the caller's patience. */
const covered = Effect.fnUntraced(function*(service: Service.Service, count: number) {
  for (;;) {
    const lines = service.stdout.filter((line) => line.includes("\"upstream is covered\""))
    if (lines.length >= count) return lines.map((line) => JSON.parse(line) as Covered)
    yield* Effect.sleep(20)
  }
})

/** The most the process has had in memory. */
const peakBytes = (pid: number): number =>
  1024 * Number(/^VmHWM:\s+(\d+) kB/mu.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1])

const missing = (stored: StoredEvents, wanted: Iterable<string>): ReadonlyArray<string> =>
  [...wanted].filter((id) => !stored.ids.has(id))

/** What a file that a harvest has filled gets wrong. */
const judge = (world: HarvestWorld, path: string): ReadonlyArray<string> => {
  const stored = storedIn(path)
  const lost = missing(stored, world.good)
  return [
    ...stored.damage,
    ...(lost.length === 0 ? [] : [`${lost.length} profiles are missing, ${lost[0]} for one`]),
    ...(stored.ids.size > world.good.size ? [`${stored.ids.size - world.good.size} events too many`] : [])
  ]
}

const measure = Effect.fnUntraced(function*(world: HarvestWorld) {
  const service = yield* Service.start({ env: env(world) })
  yield* service.listening
  const [begun, cpuBefore] = [performance.now(), cpuTime(service.pid)]
  const upstreams = yield* covered(service, world.upstreams.length)
  const cpuAfter = cpuTime(service.pid)
  const seconds = (performance.now() - begun) / 1000
  const peak = peakBytes(service.pid)
  const { code } = yield* service.stop()
  const sum = (of: (upstream: Covered) => number) => upstreams.reduce((total, upstream) => total + of(upstream), 0)
  const measures: Measures = {
    events: sum(({ outcomes }) => Object.values(outcomes).reduce((total, count) => total + count, 0)),
    seconds,
    duplicates: sum(({ outcomes }) => outcomes["Duplicate"] ?? 0),
    spared: sum(({ spared }) => spared),
    cpu: { process: cpuAfter.process - cpuBefore.process, main: cpuAfter.main - cpuBefore.main },
    peakBytes: peak
  }
  return {
    measures,
    violations: [
      ...(code === 0 ? [] : [`the stop after the harvest: code ${code}`]),
      ...(measures.events === world.offered ? [] : [`${measures.events} events judged of ${world.offered} offered`]),
      ...judge(world, service.databasePath)
    ]
  }
}, Effect.scoped)

/** Of the pages of a second life, those that the first had asked for already, but for its newest stretch. */
const askedAgain = (before: ReadonlyArray<Page>, after: ReadonlyArray<Page>): number => {
  const since = before[0]?.since ?? 0
  const reached = Math.min(...before.map(({ until }) => until))
  return after.filter((page) => page.since === since && page.until >= reached).length
}

const pagesOf = (upstreams: ReadonlyArray<Upstream>) => upstreams.map(({ pages }) => pages().length)

/** Kills the service once so many pages were asked for, all upstreams together, and lets another finish. */
const interrupted = Effect.fnUntraced(function*(world: HarvestWorld, pagesBeforeKill: number) {
  const folder = yield* Service.folder
  const violations: Array<string> = []
  const first = yield* Service.start({ env: env(world), folder })
  const begin = pagesOf(world.upstreams)
  while (pagesOf(world.upstreams).reduce((a, b) => a + b, 0) - begin.reduce((a, b) => a + b, 0) < pagesBeforeKill) {
    yield* Effect.sleep(1)
  }
  yield* first.signal("SIGKILL")
  yield* first.ended
  const middle = pagesOf(world.upstreams)

  // Whatever is said to be covered is there.
  const stored = storedIn(first.databasePath)
  for (const { url } of world.upstreams) {
    const intervals = decodeCoverage(stored.coverage.get(url) ?? "") ?? []
    if (intervals.length > 0 && stored.ids.size === 0) violations.push(`${url} is covered, and nothing is stored`)
  }
  const coveredBy = world.upstreams.map(({ url }) => decodeCoverage(stored.coverage.get(url) ?? "") ?? [])
  const lost = [...world.goodAt].filter(([id, at]) =>
    !stored.ids.has(id) && coveredBy.every((intervals) => intervals.some(([from, to]) => from <= at && at <= to))
  )
  if (lost.length > 0) violations.push(`${lost.length} events are covered and not stored`)

  const second = yield* Service.start({ env: env(world), folder })
  yield* covered(second, world.upstreams.length)
  const { code } = yield* second.stop()
  if (code !== 0) violations.push(`the stop after the second life: code ${code}`)
  violations.push(...judge(world, second.databasePath))
  const again = world.upstreams.map(({ pages }, at) =>
    askedAgain(pages().slice(begin[at], middle[at]), pages().slice(middle[at]))
  )
  for (const [at, count] of again.entries()) {
    if (count > 1) violations.push(`${count} pages of upstream ${at} were fetched again`)
  }
  return { again, killedAt: stored.ids.size / world.good.size, violations }
}, Effect.scoped)

/** `duplicates`: percent of what is offered that was offered before. `at`: the share of all pages after which the second harvest is killed. */
export const harvest = Effect.fnUntraced(
  function*(options: {
    readonly profiles: number
    readonly seed: number
    readonly at?: number
    readonly duplicates?: number
    readonly say?: (line: string) => void
  }): Effect.fn.Return<Outcome, ChildFailed, Scope.Scope> {
    const say = options.say ?? (() => {})
    say(`making ${options.profiles} profiles`)
    const world = yield* make({ ...options, folder: yield* Service.folder })
    say(`harvesting ${world.offered} events from ${world.upstreams.length} upstreams`)
    const measured = yield* measure(world)
    const pages = pagesOf(world.upstreams).reduce((a, b) => a + b, 0)
    say(`harvesting again, with a SIGKILL after ${Math.round(100 * (options.at ?? 0.5))} % of the pages`)
    const killed = yield* interrupted(world, Math.max(2, Math.round(pages * (options.at ?? 0.5))))
    return {
      profiles: options.profiles,
      measures: measured.measures,
      killedAt: killed.killedAt,
      again: killed.again,
      violations: [...measured.violations, ...killed.violations]
    }
  }
)

const percent = (part: number, whole: number) => `${((100 * part) / whole).toFixed(1)} %`

export const summaryOf = ({ again, killedAt, measures, profiles, violations }: Outcome, seed: number): string => {
  const { cpu, duplicates, events, peakBytes: peak, seconds, spared } = measures
  return [
    `harvest: ${profiles} profiles, ${events} events from ${again.length} upstreams`,
    `${Math.round(events / seconds)} events/s`,
    `${percent(events - profiles, events)} offered before, ${percent(duplicates, events)} found stored`,
    `${percent(spared, events)} spared the signature check`,
    `CPU per event ${Math.round(cpu.process / events)} µs (main thread ${Math.round(cpu.main / events)} µs)`,
    `peak ${Math.round(peak / 1_048_576)} MB`,
    `SIGKILL at ${percent(killedAt, 1)}: pages fetched again ${again.join(" and ")}`,
    `${violations.length} violations`,
    `seed ${seed}`
  ].join(", ")
}
