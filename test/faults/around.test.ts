/** Who stands between an operator and the real service, by number as in `docs/reliability.md`: namespaces, shells, crowds. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import * as Service from "../support/service.ts"
import * as TestClient from "../support/TestClient.ts"
import * as Tools from "./Tools.ts"

const env = { ADMISSION: "open", LOG_LEVEL: "Info", WATCHDOG_KILL_SECS: "60" }

/** The only child of a process, once there is one; it is killed with the scope at the latest. */
const childOf = (pid: number) =>
  Effect.acquireRelease(
    Effect.sync(() => Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8"))).pipe(
      Effect.delay(5),
      Effect.repeat({ until: (child) => child > 0 })
    ),
    (child) => Effect.ignore(Effect.try(() => process.kill(child, "SIGKILL")))
  )

describe("fault 14: process 1 of a namespace, for which the kernel discards signals that nobody handles", () => {
  for (const state of ["starting", "ready"]) {
    Tools.needing("unshare")(`is stopped in order by SIGTERM while it is ${state}`, () =>
      Effect.gen(function*() {
        const under = ["unshare", "--pid", "--fork", "--kill-child", "--"]
        const service = yield* Service.start({ env, under })
        const child = yield* childOf(service.pid)
        yield* service.line(`"state":"${state}"`)
        assert.match(readFileSync(`/proc/${child}/status`, "utf8"), /^NSpid:\s+\d+\s+1$/mu)
        process.kill(child, "SIGTERM")
        const { certificate, code } = yield* service.ended
        assert.deepStrictEqual([code, certificate?.cause, certificate?.forced], [0, "SIGTERM", []])
        assert.notInclude(Object.values(certificate?.proofs ?? {}), false)
      }).pipe(Effect.scoped), 40_000)
  }
})

describe("fault 15: a shell that keeps the signal to itself", () => {
  it.live.skipIf(process.platform !== "linux")(
    "ends alone: the service goes on, and stops in order once it is told",
    () =>
      Effect.gen(function*() {
        const service = yield* Service.start({ env, under: ["sh", "-c", `"$@"; true`, "sh"] })
        const child = yield* childOf(service.pid)
        const { url } = yield* service.listening
        yield* service.signal("SIGTERM")
        const client = yield* TestClient.connect(url)
        assert.strictEqual((yield* client.req("a", { limit: 0 })).end[0], "EOSE")
        assert.notInclude(service.states(), "draining")
        process.kill(child, "SIGTERM")
        const { certificate } = yield* service.ended
        assert.strictEqual((yield* client.closed()).code, 1001)
        assert.deepStrictEqual([certificate?.code, certificate?.cause, certificate?.forced], [0, "SIGTERM", []])
      }).pipe(Effect.scoped),
    40_000
  )
})

describe("fault 22: a crowd of clients that say nothing", () => {
  it.live("is served in between, and every one of it is told goodbye", () =>
    Effect.gen(function*() {
      const crowd = 1000
      const service = yield* Service.start({ env: { ...env, MAX_CONNECTIONS_PER_ADDRESS: String(crowd + 10) } })
      const { url } = yield* service.listening
      const clients = yield* Effect.forEach(Array.from({ length: crowd }), () => TestClient.connect(url), {
        concurrency: 50
      })
      const last = yield* TestClient.connect(url)
      assert.strictEqual((yield* last.req("a", { limit: 0 })).end[0], "EOSE")
      const { certificate, code } = yield* service.stop()
      assert.strictEqual(code, 0, JSON.stringify(certificate))
      const codes = yield* Effect.forEach(clients, (client) => Effect.map(client.closed(), ({ code }) => code))
      assert.deepStrictEqual(codes.filter((code) => code !== 1001), [])
      assert.deepStrictEqual([certificate?.senders, certificate?.handles], [[], []])
    }).pipe(Effect.scoped), 60_000)
})
