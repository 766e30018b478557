/** The service as the README starts it: behind npm, which passes signals and exit codes on. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { realpathSync } from "node:fs"
import { join } from "node:path"
import * as Child from "../support/child.ts"
import { folder } from "../support/service.ts"

const root = join(import.meta.dirname, "../..")

/** npm's own file, as it is a program for Node; empty where there is none. */
const which = spawnSync("sh", ["-c", "command -v npm"], { encoding: "utf8" }).stdout.trim()
const npm = which === "" ? "" : realpathSync(which)
const isThere = /\.[cm]?js$/u.test(npm)
if (!isThere) console.warn("test/service/npm.test.ts: no npm here; what it makes of signals is not looked at")

const start = Effect.fnUntraced(function*(args: ReadonlyArray<string>, env: Record<string, string> = {}) {
  const home = yield* folder
  return yield* Child.start(npm, args, {
    cwd: root,
    env: {
      HOME: home,
      npm_config_update_notifier: "false",
      BIND_ADDR: "127.0.0.1:0",
      DATABASE_PATH: join(home, "profiles.db"),
      DISCOVERY_RELAY_URL: "none",
      OUTBOX_RELAY_URLS: "none",
      LOG_FORMAT: "json",
      ...env
    }
  })
})

/** The process that holds the port, which is not npm's. */
const serviceOf = (child: Child.Child): ReadonlyArray<number> =>
  spawnSync("ps", ["-o", "pid=", "--ppid", String(child.pid)], { encoding: "utf8" }).stdout.trim().split(/\s+/u).map(
    Number
  )

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

describe.skipIf(!isThere)("behind npm", () => {
  for (const [args, ready] of [[["start"], "\"listening\""], [["run", "demo"], "\"state\":\"ready\""]] as const) {
    it.live(
      `\`npm ${args.join(" ")}\`: a SIGTERM stops the service in order, and its code is npm's`,
      () =>
        Effect.gen(function*() {
          const child = yield* start(args)
          yield* child.line(ready)
          const services = serviceOf(child)
          assert.strictEqual(services.length, 1, "and no shell in between")
          yield* Effect.addFinalizer(() =>
            Effect.sync(() => services.filter(isAlive).forEach((pid) => process.kill(pid, "SIGKILL")))
          )
          yield* child.signal("SIGTERM")
          const { certificate, code, signal } = yield* child.ended
          assert.deepStrictEqual([code, signal, certificate?.code, certificate?.cause], [0, null, 0, "SIGTERM"])
          assert.deepStrictEqual(services.filter(isAlive), [])
        }).pipe(Effect.scoped),
      60_000
    )
  }

  for (
    const [code, args, env] of [
      [64, ["start", "--", "--no-such-flag"], {}],
      [78, ["start"], { PAGE_SIZE: "many" }]
    ] as const
  ) {
    it.live(`the code of a start that fails is npm's: ${code}`, () =>
      Effect.gen(function*() {
        const child = yield* start(args, env)
        assert.strictEqual((yield* child.ended).code, code)
      }).pipe(Effect.scoped), 60_000)
  }
})
