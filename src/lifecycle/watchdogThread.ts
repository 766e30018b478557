/**
 * Watches the main thread's heartbeat from a thread of its own: a loop that is stalled cannot report itself.
 *
 * Silence is counted in looks, not in time, so that a process that was stopped and continued is not called stalled. Only
 * a signal can end the process from here, as `process.exit` ends this thread alone.
 */
import * as fs from "node:fs"
import { workerData } from "node:worker_threads"
import type { WatchdogData } from "./watchdog.ts"

const { shared, lookMillis, warnLooks } = workerData as WatchdogData
const pause = new Int32Array(new SharedArrayBuffer(4))

const say = (message: string, silentLooks: number) => {
  const line = JSON.stringify({ level: "error", message, component: "watchdog", silentMs: silentLooks * lookMillis })
  try {
    fs.writeSync(2, `${line}\n`)
  } catch {
    // Nobody reads stderr; what follows must happen all the same.
  }
}

let seen = Atomics.load(shared, 0)
let silent = 0
for (;;) {
  Atomics.wait(pause, 0, 0, lookMillis)
  const now = Atomics.load(shared, 0)
  silent = now === seen ? silent + 1 : 0
  seen = now
  if (silent === warnLooks && Atomics.load(shared, 1) === 1) say("event loop stalled", silent)
  if (silent >= Atomics.load(shared, 2)) {
    say("event loop stalled for too long: killing the process", silent)
    process.kill(process.pid, "SIGKILL")
  }
}
