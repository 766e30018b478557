/**
 * A stop of a container in its first moments: the service under an init that is process 1, as in `docs/deploy/Dockerfile`.
 *
 * Needs `unshare` and root for a process namespace of its own, and `tini`; skipped where they cannot be had.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync, spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import * as Service from "../support/service.ts"

const canUnshare = spawnSync("unshare", ["--pid", "--fork", "--mount-proc", "true"], { stdio: "ignore" }).status === 0
const hasInit = spawnSync("tini", ["--version"], { stdio: "ignore" }).status === 0

/** Pids of the children of a process. */
const childrenOf = (pid: number): ReadonlyArray<number> => {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter((text) => text !== "")
      .map(Number)
  } catch {
    return []
  }
}

/** The process whose parent is `unshare`: 1 in its namespace. */
const first = Effect.fnUntraced(function*(pid: number) {
  for (;;) {
    const [child] = childrenOf(pid)
    if (child !== undefined) return child
    yield* Effect.sleep("1 millis")
  }
})

const under = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]

describe("a SIGTERM to process 1", () => {
  for (const millis of [0, 5, 15, 30, 60, 120, 300]) {
    it.live.skipIf(!canUnshare || !hasInit)(
      `is heard ${millis} ms after an init has begun (needs root, unshare, tini)`,
      () =>
        Effect.gen(function*() {
          const service = yield* Service.start({ under: [...under, "tini", "--"] })
          const init = yield* first(service.pid)
          // Until then it is `unshare` still, or what the kernel makes of it.
          while (!execFileSync("ps", ["-o", "comm=", "-p", `${init}`], { encoding: "utf8" }).startsWith("tini")) {
            yield* Effect.sleep("1 millis")
          }
          yield* Effect.sleep(`${millis} millis`)
          process.kill(init, "SIGTERM")
          // `ended` fails after 20 s; a stop that was lost would serve on.
          yield* service.ended
        }).pipe(Effect.scoped),
      30_000
    )
  }

  it.live.skipIf(!canUnshare || !hasInit)(
    "stops in order once it serves, and says so (needs root, unshare, tini)",
    () =>
      Effect.gen(function*() {
        const service = yield* Service.start({ under: [...under, "tini", "--"] })
        yield* service.listening
        process.kill(yield* first(service.pid), "SIGTERM")
        const { certificate, code } = yield* service.ended
        assert.strictEqual(code, 0)
        assert.isTrue(Object.values(certificate?.proofs ?? { none: false }).every(Boolean))
      }).pipe(Effect.scoped),
    30_000
  )
})
