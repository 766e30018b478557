/**
 * What a process has used, as the kernel counts it: good for any process on the machine, ours or a peer's.
 *
 * CPU time is the only figure that other programs on the machine do not change by much, so it stands beside every rate.
 */
import { readdirSync, readFileSync } from "node:fs"

/** Microseconds of CPU since the process began, user and system together. */
export interface CpuTime {
  readonly process: number
  /** Its first thread: in Node, the one with the event loop. */
  readonly main: number
}

/** The first field of `schedstat`: nanoseconds on a CPU. */
const microsOf = (path: string): number => Number(readFileSync(path, "latin1").split(" ")[0]) / 1000

export const cpuTime = (pid: number): CpuTime => {
  let all = 0
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      all += microsOf(`/proc/${pid}/task/${thread}/schedstat`)
    } catch {
      // It ended just now.
    }
  }
  return { process: all, main: microsOf(`/proc/${pid}/schedstat`) }
}

/** Bytes in memory that belong to the process alone, and all that it has mapped in. */
export const residentBytes = (pid: number): { readonly anonymous: number; readonly all: number } => {
  const status = readFileSync(`/proc/${pid}/status`, "latin1")
  const field = (name: string) => 1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "mu").exec(status)?.[1])
  return { anonymous: field("RssAnon"), all: field("VmRSS") }
}
