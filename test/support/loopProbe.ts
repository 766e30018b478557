/**
 * Loaded into a process before it starts (`--import`): says how long its event loop was kept from its work. `begin` on its
 * stdin starts measuring, `end <number>` answers with one line on stderr; `turns.ts` has both.
 *
 * A timer of a millisecond looks at the thread's CPU time. What has been used between two looks is the longest that one turn
 * of the loop can have worked, whatever else the machine had to do meanwhile. The kernel brings these times up to date at its
 * ticks, every 1 to 10 milliseconds.
 */
import { readFileSync } from "node:fs"
import { createInterface } from "node:readline"
import { isMainThread } from "node:worker_threads"

/** Milliseconds. */
export interface Turns {
  /** CPU time of the longest turn and of the one after it, each at most a tick and a millisecond too much. */
  readonly longest: readonly [number, number]
  /** By how much a timer was late, at worst, apart from waiting for a CPU as far as the kernel tells. */
  readonly delay: number
}

const resolution = 1

/** Milliseconds that this thread could have run and had no CPU. */
const waited = (): number => {
  try {
    return Number(readFileSync("/proc/thread-self/schedstat", "latin1").split(" ")[1]) / 1e6
  } catch {
    return 0
  }
}

const look = () => {
  const { system, user } = process.threadCpuUsage()
  return { cpu: (system + user) / 1000, waited: waited(), at: performance.now() }
}

const measure = () => {
  let longest: readonly [number, number] = [0, 0]
  let delay = 0
  let before = look()
  const timer = setInterval(() => {
    const now = look()
    const turn = now.cpu - before.cpu
    longest = turn > longest[0] ? [turn, longest[0]] : [longest[0], Math.max(longest[1], turn)]
    delay = Math.max(delay, now.at - before.at - resolution - (now.waited - before.waited))
    before = now
  }, resolution)
  timer.unref()
  return (): Turns => {
    clearInterval(timer)
    return { longest, delay }
  }
}

if (isMainThread) {
  let end: (() => Turns) | undefined
  createInterface({ input: process.stdin }).on("line", (line) => {
    const [command, number] = line.split(" ")
    if (command === "begin") end = measure()
    if (command === "end") process.stderr.write(`${JSON.stringify({ turns: end?.(), number: Number(number) })}\n`)
  })
  // It keeps nobody alive.
  if ("unref" in process.stdin) process.stdin.unref()
}
