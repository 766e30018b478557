/** What the service is to reach, and the table that says what it does (`docs/performance.md`). */
import type { MeasureName, Measures } from "./Measures.ts"
import { type Report, shown, table } from "./Report.ts"

type Stages = Report["stages"]

interface Target {
  readonly line: string
  readonly reach: string
  readonly reference: string
  /** Undefined where its stages were not run. */
  readonly measured: (stages: Stages) => number | undefined
  readonly isReached: (measured: number) => boolean
}

const of = (stage: string, measure: MeasureName) => (stages: Stages): number | undefined => stages[stage]?.[measure]
const atLeast = (least: number) => (measured: number): boolean => measured >= least
const atMost = (most: number) => (measured: number): boolean => measured <= most

/** The largest of a measure among the stages that have it. */
const largest = (measure: MeasureName) => (stages: Stages): number | undefined => {
  const values = Object.values(stages).flatMap((measured: Measures) => measured[measure] ?? [])
  return values.length === 0 ? undefined : Math.max(...values)
}

const rate = (line: string, reach: number, unit: string, reference: string, stage: string): Target => ({
  line,
  reach: `≥ ${reach.toLocaleString("en")} ${unit}`,
  reference,
  measured: of(stage, unit === "events/s" ? "events" : "rate"),
  isReached: atLeast(reach)
})
const cost = (
  line: string,
  reach: number,
  unit: string,
  reference: string,
  [stage, measure]: readonly [string, MeasureName]
): Target => ({
  line,
  reach: `≤ ${reach} ${unit}`,
  reference,
  measured: of(stage, measure),
  isReached: atMost(reach)
})

const profiles = "ingest: kind 0, 8 × 32 unanswered"
const notes = "ingest: kind 1, 8 × 32 unanswered"
const growing = ["growth: kind 0 into 20,000", "growth: kind 0 into 1,000,000"] as const

const targets: ReadonlyArray<Target> = [
  cost("ingest, CPU per new profile, whole process", 85, "µs", "a prototype: 75 to 85", [profiles, "cpu"]),
  cost("the same, a note", 85, "µs", "a prototype: 75 to 85", [notes, "cpu"]),
  cost("ingest, main thread, a profile", 38, "µs", "a prototype: 36 to 39", [profiles, "main"]),
  cost("the same, a note", 38, "µs", "a prototype: 36 to 39", [notes, "main"]),
  rate("ingest, profiles", 12_084, "OK/s", "strfry 6,042, nostr-relay 401", profiles),
  rate("ingest, notes", 12_084, "OK/s", "strfry 6,109, nostr-relay 407", notes),
  rate("one at a time", 657, "OK/s", "strfry 657", "ingest: one at a time"),
  cost("duplicates, CPU each", 14, "µs", "a prototype: 10 to 13", ["ingest: duplicates", "cpu"]),
  rate("REQ: one id", 17_728, "EOSE/s", "strfry 17,728, nostr-relay 6,710", "REQ: one id"),
  rate("REQ: kind 0 by 1 author", 16_432, "EOSE/s", "strfry 16,432, nostr-relay 7,944", "REQ: kind 0 by 1 author"),
  rate("REQ: kind 0 by 10 authors", 6127, "EOSE/s", "strfry 6,127, nostr-relay 7", "REQ: kind 0 by 10 authors"),
  rate("REQ: kind 0 by 100 authors", 1137, "EOSE/s", "strfry 1,137, nostr-relay 7", "REQ: kind 0 by 100 authors"),
  rate(
    "REQ: kind 0, until, limit 500",
    258_000,
    "events/s",
    "strfry 257,619, nostr-relay 43,637",
    "REQ: kind 0, until, limit 500"
  ),
  rate("fan-out to 500", 142_000, "deliveries/s", "strfry 141,753, nostr-relay 50,612", "fan-out: to 500"),
  cost("fan-out to 500, p50", 71, "ms", "nostr-relay 71, strfry 328", ["fan-out: to 500", "p50"]),
  cost("memory of an idle connection", 12, "kB", "ws alone: 10", ["memory: an idle connection", "resident"]),
  {
    line: "memory after 100,000 events",
    reach: "≤ 200 MB",
    reference: "nostr-relay 142, strfry 15 and its page cache",
    measured: (stages) => {
      const resident = of("memory: resident on 100,000 events", "resident")(stages)
      return resident === undefined ? undefined : resident / 1024
    },
    isReached: atMost(200)
  },
  cost("start on 100,000 events, accepts", 500, "ms", "nostr-relay 211, strfry 38", [
    "start: on 100,000 events",
    "accepts"
  ]),
  {
    line: "search on 1,000,000 events, p99",
    reach: "≤ 10 ms",
    reference: "",
    measured: (stages) => {
      const searches = Object.entries(stages).filter(([stage]) => stage.startsWith("search:"))
      return largest("p99")(Object.fromEntries(searches))
    },
    isReached: atMost(10)
  },
  {
    line: "growth: CPU per event into 1,000,000, as a multiple of that into 20,000",
    reach: "≤ 1.6",
    reference: "",
    measured: (stages) => {
      const [small, large] = growing.map((stage) => of(stage, "cpu")(stages))
      return small === undefined || large === undefined ? undefined : large / small
    },
    isReached: atMost(1.6)
  },
  {
    line: "event loop, p99 delay, worst stage",
    reach: "≤ 20 ms",
    reference: "",
    measured: largest("loop"),
    isReached: atMost(20)
  }
]

/** The targets whose stages were run; Markdown. */
export const targetTable = ({ commit, date, machine, node, rounds, stages }: Report): string => {
  const rows = targets.flatMap(({ isReached, line, measured, reach, reference }) => {
    const value = measured(stages)
    return value === undefined ? [] : [[line, reach, reference, shown(value), isReached(value) ? "yes" : "**no**"]]
  })
  return `Commit \`${commit}\`, ${machine}, Node ${node}, ${date.slice(0, 10)}, medians of ${rounds} rounds.\n\n` +
    table(["", "reach", "reference", "measured", "reached"], rows)
}

const marks = ["<!-- measured: begin -->", "<!-- measured: end -->"] as const

/** The page with the text between its marks. */
export const withTable = (page: string, text: string): string => {
  const [begin, end] = marks
  const [before, rest] = page.split(begin)
  const after = rest?.split(end)[1]
  if (before === undefined || after === undefined) throw new Error(`the page lacks ${begin} or ${end}`)
  return `${before}${begin}\n\n${text}\n\n${end}${after}`
}
