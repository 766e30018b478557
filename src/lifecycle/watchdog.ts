/** Starts the thread that reports, and finally kills, a process whose event loop has stalled. */
import { Worker } from "node:worker_threads"
import { threadEnv } from "./compileCache.js"

export interface WatchdogData {
  /** A counter that the main thread raises, whether a warning is wanted (1), and looks without a beat before the kill. */
  readonly shared: Int32Array
  readonly lookMillis: number
  /** Looks without a beat before a warning. */
  readonly warnLooks: number
}

const lookMillis = 250

/** For how long an event loop may stand still, unless `WATCHDOG_KILL_SECS` says otherwise. */
export const killMillis: number = 15_000

export interface Watchdog {
  /**
   * From now on a stall is worth a warning. A command on a busy machine is merely late: its stderr is for what it has to say.
   */
  readonly warn: () => void
  /** Kills after so many milliseconds from now on. */
  readonly killAfter: (millis: number) => void
}

/** Neither the thread nor the timer keeps the process alive; both last as long as it does. */
export const start = (options: { readonly warnMillis: number; readonly killMillis: number }): Watchdog => {
  const shared = new Int32Array(new SharedArrayBuffer(12))
  const killAfter = (millis: number) => void Atomics.store(shared, 2, Math.ceil(millis / lookMillis))
  killAfter(options.killMillis)
  const data: WatchdogData = {
    shared,
    lookMillis,
    warnLooks: Math.ceil(options.warnMillis / lookMillis)
  }
  const thread = new Worker(new URL("./watchdogThread.ts", import.meta.url), { workerData: data, env: threadEnv() })
  // Without its watchdog the service still serves; a failure to start a thread shows in the log of whoever needs one.
  thread.on("error", () => {})
  thread.unref()
  setInterval(() => Atomics.add(shared, 0, 1), lookMillis / 2).unref()
  return { warn: () => void Atomics.store(shared, 1, 1), killAfter }
}
