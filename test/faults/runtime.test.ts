/** What surrounds the real service goes wrong, by number as in `docs/reliability.md`: descriptors, memory, clocks, environment. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { connect, type Socket } from "node:net"
import { join } from "node:path"
import { signed } from "../support/events.ts"
import * as Flood from "../support/Flood.ts"
import * as Service from "../support/service.ts"
import * as TestClient from "../support/TestClient.ts"
import * as Tools from "./Tools.ts"

const env = { ADMISSION: "open", LOG_LEVEL: "Info", WATCHDOG_KILL_SECS: "60" }

/** Distinct events of 30 kB. */
function* large(author: string) {
  for (let n = 0;; n++) yield signed({ kind: 1, content: `${author} ${n} ${"x".repeat(30_000)}` })
}

const note = (i: number) => signed({ content: `note ${i}`, created_at: 1_700_000_000 + i })

describe("fault 78: what a process may have is used up", () => {
  Tools.needing("prlimit")(
    "descriptors: sockets are turned away, those that are open are served, and later ones again",
    () =>
      Effect.gen(function*() {
        const service = yield* Service.start({ env, under: ["prlimit", "--nofile=64", "--"] })
        const { http, port, url } = yield* service.listening
        const client = yield* TestClient.connect(url)
        const sockets = yield* Effect.acquireRelease(
          Effect.sync(() => new Set<Socket>()),
          (all) => Effect.sync(() => all.forEach((socket) => socket.destroy()))
        )
        let turnedAway = 0
        for (let n = 0; n < 100; n++) {
          const socket = connect(port, "127.0.0.1")
          sockets.add(socket)
          socket.on("error", () => {})
          socket.once("close", () => {
            if (sockets.delete(socket)) turnedAway++
          })
        }
        yield* Effect.repeat(Effect.delay(Effect.sync(() => turnedAway), 20), { until: (count) => count > 0 })
        assert.strictEqual((yield* client.publish(note(1)))[2], true, "who is connected is served")
        for (const socket of sockets) {
          sockets.delete(socket)
          socket.destroy()
        }
        const answer = yield* Effect.tryPromise(() => fetch(`${http}/health`)).pipe(
          Effect.eventually,
          Effect.timeout("5 seconds")
        )
        assert.strictEqual(answer.status, 200)
        const { certificate, code } = yield* service.stop()
        assert.deepStrictEqual([code, certificate?.forced], [0, []])
      }).pipe(Effect.scoped),
    40_000
  )

  it.live(
    "memory: a heap of 128 MB is enough for floods of large events that wait for their turn",
    () =>
      Effect.gen(function*() {
        const service = yield* Service.start({ env, execArgv: ["--max-old-space-size=128"] })
        const { url } = yield* service.listening
        const floods = yield* Effect.forEach(["a", "b", "c"], (author) => Flood.start(url, large(author), 64))
        yield* Effect.forEach(floods, (flood) => flood.answered(100), { concurrency: "unbounded" })
        const { certificate, code } = yield* service.stop()
        assert.strictEqual(code, 0, service.stderr.join("\n"))
        assert.isAtLeast(certificate?.committed ?? 0, 300)
      }).pipe(Effect.scoped),
    60_000
  )
})

describe("fault 80: the wall clock jumps", () => {
  Tools.needing("libfaketime")(
    "a day back, ten years on, and every second: nothing crashes, waits or is negative",
    () =>
      Effect.gen(function*() {
        const folder = yield* Service.folder
        const clock = join(folder, "clock")
        const jump = (offset: string) => writeFileSync(clock, `${offset}\n`)
        jump("+0")
        const service = yield* Service.start({ folder, env: { ...env, ...Tools.clockOf(clock) } })
        const { http, url } = yield* service.listening
        const client = yield* TestClient.connect(url)
        /** Unix seconds, as the process has it. */
        const wall = Effect.map(
          Effect.promise(() => fetch(`${http}/health`)),
          ({ headers }) => Date.parse(headers.get("date") ?? "") / 1000
        )
        assert.strictEqual((yield* client.publish(note(0)))[2], true)
        const before = yield* wall
        const jumps = ["-24h", "+0", "+10y", "-24h", "+1h", "-1h", "+2d", "+0"]
        const seen: Array<number> = []
        for (const [n, offset] of jumps.entries()) {
          jump(offset)
          const begun = performance.now()
          assert.strictEqual((yield* client.publish(note(n + 1)))[2], true, offset)
          assert.isBelow(performance.now() - begun, 3000)
          yield* service.signal("SIGUSR2")
          yield* Effect.sleep("1 second")
          seen.push((yield* wall) - before)
        }
        assert.isBelow(Math.min(...seen), -80_000, "the clock did jump back")
        assert.isAbove(Math.max(...seen), 9 * 365 * 86_400, "and ahead")
        const { events } = yield* client.req("all", { kinds: [1] })
        assert.strictEqual(events.length, jumps.length + 1)
        jump("-24h")
        const { certificate, code } = yield* service.stop()
        assert.deepStrictEqual([code, certificate?.forced, certificate?.senders], [0, [], []])
        const { draining, releasing } = certificate?.phases ?? { draining: -1, releasing: -1 }
        assert.isTrue(
          draining >= 0 && releasing >= 0 && draining + releasing < 5000,
          JSON.stringify(certificate?.phases)
        )
        const millis = service.stdout.flatMap((line) => {
          const { lifecycle } = JSON.parse(line) as { readonly lifecycle?: { readonly ms: number } }
          return lifecycle === undefined ? [] : [lifecycle.ms]
        })
        assert.deepStrictEqual(millis, millis.toSorted((a, b) => a - b), "monotonic")
      }).pipe(Effect.scoped),
    60_000
  )
})

describe("fault 81: another time zone and language", () => {
  it.live("change nothing that is logged, stored or answered", () =>
    Effect.gen(function*() {
      const place = { TZ: "Pacific/Kiritimati", LANG: "tr_TR.UTF-8", LC_ALL: "tr_TR.UTF-8" }
      const service = yield* Service.start({ env: { ...env, ...place } })
      const { url } = yield* service.listening
      const client = yield* TestClient.connect(url)
      const event = signed({ content: "IĞDIR iğdır", created_at: 1_700_000_000 })
      assert.strictEqual((yield* client.publish(event))[2], true)
      assert.deepStrictEqual((yield* client.req("mine", { ids: [event.id], since: 1_700_000_000 })).events, [event])
      const stamps = service.stdout.flatMap((line) => {
        const { time } = JSON.parse(line) as { readonly time?: string }
        return time === undefined ? [] : [time]
      })
      assert.isNotEmpty(stamps)
      for (const stamp of stamps) {
        assert.match(stamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
        assert.isBelow(Math.abs(Date.parse(stamp) - Date.now()), 60_000)
      }
      assert.strictEqual((yield* service.stop()).code, 0)
    }).pipe(Effect.scoped), 30_000)
})

describe("fault 82: nothing around the process", () => {
  it.live("no variables, no home, no standard input: it starts, serves and stops", () =>
    Effect.gen(function*() {
      const folder = yield* Service.folder
      const service = yield* Service.start({
        folder,
        under: ["sh", "-c", "exec env -i \"$@\" <&-", "sh"],
        args: [
          "serve",
          "--bind-addr",
          "127.0.0.1:0",
          "--database-path",
          join(folder, "profiles.db"),
          "--discovery-relay-url",
          "none",
          "--log-format",
          "json"
        ]
      })
      const { url } = yield* service.listening
      const client = yield* TestClient.connect(url)
      assert.deepStrictEqual((yield* client.req("all", { kinds: [0] })).end, ["EOSE", "all", ["finish"]])
      const { certificate, code } = yield* service.stop()
      assert.deepStrictEqual([code, certificate?.forced], [0, []])
    }).pipe(Effect.scoped), 30_000)
})
