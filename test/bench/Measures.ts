/** What is measured, in which unit, and how a round of load is turned into it. */
import { Effect, Option } from "effect"
import { cpuTime } from "./ProcessMeter.ts"
import type { Relay } from "./Relay.ts"

/** In the order of the report. `better` is the direction that a change is judged by; a `noisy` one is only shown. */
export const measures = {
  rate: { title: "per s", better: "more", noisy: true },
  cpu: { title: "CPU µs", better: "less", noisy: false },
  main: { title: "main µs", better: "less", noisy: false },
  p50: { title: "p50 ms", better: "less", noisy: true },
  p99: { title: "p99 ms", better: "less", noisy: true },
  loop: { title: "loop p99 ms", better: "less", noisy: true },
  events: { title: "events/s", better: "more", noisy: true },
  /** What the other clients of the round were answered. */
  busy: { title: "busy/s", better: "more", noisy: true },
  resident: { title: "resident kB", better: "less", noisy: false },
  live: { title: "live kB", better: "less", noisy: false },
  accepts: { title: "accepts ms", better: "less", noisy: true },
  first: { title: "first EOSE ms", better: "less", noisy: true },
  startCpu: { title: "start CPU ms", better: "less", noisy: false },
  stops: { title: "stops ms", better: "less", noisy: true },
  code: { title: "exit code", better: "less", noisy: false },
  unanswered: { title: "unanswered", better: "less", noisy: false }
} as const satisfies {
  readonly [name: string]: { readonly title: string; readonly better: "more" | "less"; readonly noisy: boolean }
}
export type MeasureName = keyof typeof measures
export type Measures = { readonly [name in MeasureName]?: number }

/** What a load did. */
export interface Load {
  readonly operations: number
  /** Milliseconds of each operation, or of some of them. */
  readonly latencies: ReadonlyArray<number>
  readonly others?: (seconds: number) => Measures
}

/** Of an ascending list. */
const percentile = (sorted: ReadonlyArray<number>, fraction: number): number | undefined =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))]

export const median = (values: ReadonlyArray<number>): number =>
  percentile(values.toSorted((a, b) => a - b), 0.5) ?? Number.NaN

const defined = (values: { readonly [name in MeasureName]?: number | undefined }): Measures =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined))

/** Measures a relay while it is under a load: per operation, unless the name says otherwise. */
export const under = Effect.fnUntraced(function*<E, R>(relay: Relay, load: Effect.Effect<Load, E, R>) {
  yield* relay.ask("begin")
  const { pid } = relay
  const before = pid === undefined ? undefined : cpuTime(pid)
  const since = performance.now()
  const { latencies, operations, others } = yield* load
  const seconds = (performance.now() - since) / 1000
  const after = pid === undefined ? undefined : cpuTime(pid)
  const loop = yield* relay.ask("end")
  const sorted = latencies.toSorted((a, b) => a - b)
  const per = (name: "process" | "main") =>
    before === undefined || after === undefined ? undefined : (after[name] - before[name]) / operations
  return defined({
    rate: operations / seconds,
    cpu: per("process"),
    main: per("main"),
    p50: percentile(sorted, 0.5),
    p99: percentile(sorted, 0.99),
    loop: Option.getOrUndefined(loop),
    ...others?.(seconds)
  })
})
