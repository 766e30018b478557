/** How a harvest is going, in words. Pure. */
import type { AdmissionOutcome } from "../aggregation/admission/Admission.ts"
import type { RetryStatus } from "../aggregation/admission/Retries.ts"
import type { UpstreamStatus } from "../aggregation/harvest/HarvestStatus.ts"

type Upstreams = ReadonlyArray<Pick<UpstreamStatus, "state" | "phase" | "outcomes" | "rejections" | "dropped">>

/** Outcomes in the order in which they are told, with what they are called to people. */
const words: ReadonlyArray<readonly [tag: AdmissionOutcome["_tag"], word: string, meaning: string]> = [
  ["Saved", "kept", "stored, announced and served"],
  ["Duplicate", "known", "the same event, from another upstream or sent twice"],
  ["Superseded", "superseded", "an older version of what is stored"],
  ["Rejected", "rejected", "a rule said no"],
  ["Invalid", "invalid", "wrong id or forged signature"],
  ["Undetermined", "undetermined", "somebody did not answer: asked again later"],
  ["Deleted", "deleted", "its author asked for its removal"],
  ["Expired", "expired", "its time is over"],
  ["TooManyRemovals", "refused", "its author has had too much removed"],
  ["Ephemeral", "ephemeral", "announced, not stored"],
  ["Failed", "failed", "our side could not: will be fetched again"]
]

type Retries = Pick<RetryStatus, "waiting" | "unchecked" | "outcomes" | "rejections">

export interface Totals {
  /** Events that were read from all upstreams together, those that are still being asked about included. */
  readonly read: number
  readonly outcomes: Readonly<Partial<Record<AdmissionOutcome["_tag"], number>>>
  readonly rejections: Readonly<Record<string, number>>
  readonly dropped: number
  /** Profiles that nobody has been asked about yet. */
  readonly unchecked: number
  /** Every upstream has been read to its end, and is listened to, and every profile was asked about once. */
  readonly complete: boolean
}

/** Adds up counts of the same name. */
const sum = (counts: ReadonlyArray<Readonly<Record<string, number>>>): Readonly<Record<string, number>> => {
  const sums: Record<string, number> = {}
  for (const [name, count] of counts.flatMap(Object.entries<number>)) sums[name] = (sums[name] ?? 0) + count
  return sums
}

const without = (name: AdmissionOutcome["_tag"], counts: Totals["outcomes"]): Totals["outcomes"] =>
  Object.fromEntries(Object.entries(counts).filter(([key]) => key !== name))

const none: Retries = { waiting: 0, unchecked: 0, outcomes: {}, rejections: {} }

export const totalsOf = (upstreams: Upstreams, retries: Retries = none): Totals => {
  const undetermined = retries.waiting - retries.unchecked
  // What an upstream brought undetermined has been settled since, or waits.
  const outcomes: Totals["outcomes"] = sum([
    ...upstreams.map((upstream) => without("Undetermined", upstream.outcomes)),
    retries.outcomes,
    undetermined > 0 ? { Undetermined: undetermined } : {}
  ])
  const dropped = upstreams.reduce((total, upstream) => total + upstream.dropped, 0)
  const judged = Object.values(outcomes).reduce((total, count) => total + count, 0)
  return {
    read: judged + dropped + retries.unchecked,
    outcomes,
    rejections: sum([...upstreams.map((upstream) => upstream.rejections), retries.rejections]),
    dropped,
    unchecked: retries.unchecked,
    complete: upstreams.length > 0 && retries.unchecked === 0 && upstreams.every(({ phase }) => phase === "live")
  }
}

const grouped = (count: number): string => count.toLocaleString("en-US").replaceAll(",", " ")

const barCells = 24

/** `███████░░░  62 %`; full at `complete` and not before. */
export const bar = (done: number, total: number, complete = done >= total): string => {
  const share = complete ? 1 : total === 0 ? 0 : Math.min(0.99, done / total)
  const full = Math.floor(share * barCells)
  return `${"█".repeat(full)}${"░".repeat(barCells - full)} ${String(Math.floor(share * 100)).padStart(3)} %`
}

/** `12 kept · 3 rejected`, without what did not happen. */
const countsOf = (outcomes: Totals["outcomes"]): ReadonlyArray<string> =>
  words.flatMap(([tag, word]) => {
    const count = outcomes[tag] ?? 0
    return count === 0 ? [] : [`${grouped(count)} ${word}`]
  })

/** One line while it goes on; `offered` is how many events there are to read. */
export const progressLine = (totals: Totals, offered: number, seconds: number): string => {
  const head = `harvest ${bar(totals.read, offered, totals.complete)}  ${grouped(totals.read)} of ${grouped(offered)}`
  const asking = totals.unchecked === 0 ? [] : [`${grouped(totals.unchecked)} being asked about`]
  return [`${head} events, ${Math.floor(seconds)} s`, ...asking, ...countsOf(totals.outcomes)].join(" · ")
}

/** One line afterwards: what became of the events that came since `before`. */
export const liveLine = (newcomers: number, before: Totals, now: Totals): string => {
  const since = Object.fromEntries(words.map(([tag]) => [tag, (now.outcomes[tag] ?? 0) - (before.outcomes[tag] ?? 0)]))
  return [`live: ${grouped(newcomers)} newcomer${newcomers === 1 ? "" : "s"}`, ...countsOf(since)].join(" · ")
}

/** What came of it, a line per outcome, and one per reason below the rejected. */
export const summaryLines = (totals: Totals, upstreams: number, seconds: number): ReadonlyArray<string> => {
  const row = (count: number, word: string, meaning: string) =>
    `  ${grouped(count).padStart(7)}  ${word.padEnd(13)} ${meaning}`
  const reasons = Object.entries(totals.rejections).toSorted(([a, x], [b, y]) => y - x || a.localeCompare(b))
  return [
    `Harvested ${grouped(totals.read)} events from ${upstreams} upstreams in ${seconds.toFixed(1)} s:`,
    ...words.flatMap(([tag, word, meaning]) => {
      const count = totals.outcomes[tag] ?? 0
      if (count === 0) return []
      const detail = tag === "Rejected" ? reasons.map(([reason, n]) => `  ${grouped(n).padStart(13)}  ${reason}`) : []
      return [row(count, word, meaning), ...detail]
    }),
    ...(totals.dropped === 0 ? [] : [row(totals.dropped, "dropped", "not asked for, or no event at all")])
  ]
}
