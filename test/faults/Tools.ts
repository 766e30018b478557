/**
 * Tools of the operating system that faults are made with. One that is missing here, or not allowed, is named with the reason
 * for which its tests are skipped.
 */
import { it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as smallDisk from "../support/smallDisk.ts"
import { failureOf } from "../support/smallDisk.ts"

const probes = {
  strace: () => failureOf("strace", "-f", "-o", "/dev/null", "true"),
  libfiu: () => failureOf("fiu-run", "-x", "-f", "", "-c", "enable name=posix/io/rw/pwrite", "true"),
  libfaketime: () => failureOf("faketime", "-m", "-f", "@2001-01-01 00:00:00", "true"),
  unshare: () => failureOf("unshare", "--pid", "--fork", "--kill-child", "--", "true"),
  prlimit: () => failureOf("prlimit", "--nofile=64", "true"),
  tmpfs: smallDisk.obstacle
} as const
export type Tool = keyof typeof probes

/** Packages of Debian that have them. */
const packages: Readonly<Record<Tool, string>> = {
  strace: "strace",
  libfiu: "fiu-utils",
  libfaketime: "faketime",
  unshare: "util-linux",
  prlimit: "util-linux",
  tmpfs: "mount"
}

/** `it.live`, or its skip, which says why. */
export const needing = (tool: Tool): typeof it.live | typeof it.live.skip => {
  const why = probes[tool]()
  if (why === undefined) return it.live
  console.log(`skipped: faults by ${tool}: ${why}; Debian has it in the package "${packages[tool]}"`)
  return it.live.skip
}

/**
 * What to run a process under so that some calls on one file, or several, fail, such as
 * `failing("/db-wal", "fsync,fdatasync:error=EIO:when=6")`. Calls are counted for each thread by itself.
 */
export const failing = (
  files: string | ReadonlyArray<string>,
  ...injections: ReadonlyArray<string>
): ReadonlyArray<string> => [
  "strace",
  // The process is our child, and strace is not.
  "-D",
  "-f",
  "-o",
  "/dev/null",
  ...[files].flat().flatMap((file) => ["-P", file]),
  ...injections.flatMap((injection) => ["-e", `inject=${injection}`]),
  "--"
]

/** What to run a process under so that calls fail by chance: names as in `fiu-ls`, probability from 0 to 1. */
export const failingByChance = (point: string, probability: number): ReadonlyArray<string> => [
  "fiu-run",
  "-x",
  "-f",
  "",
  "-c",
  `enable_random name=${point},probability=${probability}`
]

/** The environment of a process whose wall clock is what `file` says, such as `+0` or `-24h`; its monotonic one is real. */
export const clockOf = (file: string): Record<string, string> => {
  const { stdout } = spawnSync("faketime", ["-m", "-f", "+0", "sh", "-c", "printf %s \"$LD_PRELOAD\""], {
    encoding: "utf8"
  })
  return {
    LD_PRELOAD: stdout,
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_NO_CACHE: "1",
    FAKETIME_DONT_FAKE_MONOTONIC: "1"
  }
}
