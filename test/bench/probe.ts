/**
 * Loaded into the service before it starts (`--import`): answers what only the process itself can say, over the channel
 * to its parent. Measures nothing unless asked, and does not keep the process alive.
 */
import { monitorEventLoopDelay } from "node:perf_hooks"
import { isMainThread } from "node:worker_threads"

/** `begin` measuring the event loop, `end` it, or collect garbage and say what is left in use. */
export type Question = "begin" | "end" | "live"
export interface Answers {
  readonly begin: null
  /** Milliseconds by which timers were late: the 99th percentile. */
  readonly end: number
  /** Bytes that are in use after a collection. */
  readonly live: number
}

/** Milliseconds between two looks at the clock: 0.3 % of a core. */
const resolution = 5

if (isMainThread && process.send !== undefined) {
  const delay = monitorEventLoopDelay({ resolution })
  const answers: { readonly [Q in Question]: () => Answers[Q] } = {
    begin: () => {
      delay.reset()
      delay.enable()
      return null
    },
    end: () => {
      delay.disable()
      return Math.max(0, delay.percentile(99) / 1e6 - resolution)
    },
    live: () => {
      globalThis.gc?.()
      const { arrayBuffers, external, heapUsed } = process.memoryUsage()
      return heapUsed + Math.max(external, arrayBuffers)
    }
  }
  process.on("message", (question: Question) => process.send?.({ question, answer: answers[question]() }))
  process.channel?.unref()
}
