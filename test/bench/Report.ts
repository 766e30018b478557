/** Medians of rounds, as a table, as JSON, and as ratios to an earlier run. */
import { execFileSync } from "node:child_process"
import { availableParallelism, cpus } from "node:os"
import { type MeasureName, type Measures, measures, median } from "./Measures.ts"

/** Stage by stage, measure by measure: one value per round. */
export type Rounds = ReadonlyMap<string, ReadonlyArray<Measures>>

export interface Report {
  readonly commit: string
  readonly machine: string
  readonly node: string
  readonly date: string
  readonly rounds: number
  /** Medians. */
  readonly stages: { readonly [stage: string]: Measures }
}

const names = Object.keys(measures) as ReadonlyArray<MeasureName>

const mediansOf = (rounds: ReadonlyArray<Measures>): Measures =>
  Object.fromEntries(
    names.flatMap((name) => {
      const values = rounds.flatMap((round) => round[name] ?? [])
      return values.length === 0 ? [] : [[name, Number(median(values).toPrecision(4))]]
    })
  )

const commitOf = (root: string): string => {
  try {
    return execFileSync("git", ["describe", "--always", "--dirty"], {
      cwd: root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"]
    }).trim()
  } catch {
    return "unknown"
  }
}

export const reportOf = (root: string, date: Date, rounds: Rounds): Report => ({
  commit: commitOf(root),
  machine: `${availableParallelism()} × ${cpus()[0]?.model ?? "unknown"}`,
  node: process.version,
  date: date.toISOString(),
  rounds: Math.max(0, ...Array.from(rounds.values(), (values) => values.length)),
  stages: Object.fromEntries(Array.from(rounds, ([stage, values]) => [stage, mediansOf(values)]))
})

export const shown = (value: number | undefined): string => {
  if (value === undefined) return ""
  return value >= 100 ? Math.round(value).toLocaleString("en") : value.toPrecision(3)
}

/** Cells padded to the width of their column; Markdown. */
export const table = (header: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => (row[i] ?? "").length)))
  const line = (cells: ReadonlyArray<string>) =>
    `| ${cells.map((cell, i) => i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)).join(" | ")} |`
  const rule = `|${widths.map((width, i) => `${"-".repeat(width + 1)}${i === 0 ? "-" : ":"}`).join("|")}|`
  return [line(header), rule, ...rows.map(line)].join("\n")
}

export const tableOf = (report: Report): string => {
  const stages = Object.entries(report.stages)
  const used = names.filter((name) => stages.some(([, measured]) => measured[name] !== undefined))
  return table(
    ["stage", ...used.map((name) => measures[name].title)],
    stages.map(([stage, measured]) => [stage, ...used.map((name) => shown(measured[name]))])
  )
}

/** Above 1: `now` is better. */
const gain = (name: MeasureName, now: number, then: number): number =>
  measures[name].better === "more" ? now / then : then / now

/** Medians of the gains of pairs of rounds, each pair measured one after the other. */
export const pairedTable = (ours: Rounds, theirs: Rounds): string => {
  const rows = Array.from(ours, ([stage, rounds]) => {
    const others = theirs.get(stage) ?? []
    return [
      stage,
      ...names.map((name) => {
        const gains = rounds.flatMap((round, i) => {
          const [now, then] = [round[name], others[i]?.[name]]
          return now === undefined || then === undefined || then === 0 || now === 0 ? [] : [gain(name, now, then)]
        })
        return gains.length === 0 ? "" : median(gains).toFixed(2)
      })
    ]
  })
  const used = names.map((_, i) => i + 1).filter((i) => rows.some((row) => row[i] !== ""))
  return table(
    ["gain (above 1 is better)", ...used.map((i) => measures[names[i - 1] as MeasureName].title)],
    rows.map((row) => [row[0] ?? "", ...used.map((i) => row[i] ?? "")])
  )
}

/** What is worse than accepted by more than the tolerance, of the measures that a busy machine does not change much. */
export const regressions = (now: Report, accepted: Report, tolerance: number): ReadonlyArray<string> =>
  Object.entries(now.stages).flatMap(([stage, measured]) =>
    names.flatMap((name) => {
      const [value, before] = [measured[name], accepted.stages[stage]?.[name]]
      if (value === undefined || before === undefined || measures[name].noisy) return []
      const isWorse = before === 0 ? value > 0 : gain(name, value, before) < 1 / tolerance
      return isWorse ? [`${stage}: ${measures[name].title} ${shown(before)} → ${shown(value)}`] : []
    })
  )
