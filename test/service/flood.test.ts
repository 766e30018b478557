/** Upstreams that send more than anybody can use: the others have their turn, memory has a bound, and so has the stop. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { profileEvent } from "../support/events.ts"
import * as FakeUpstream from "../support/FakeUpstream.ts"
import * as Service from "../support/service.ts"

/** The most that a process has had in memory, in bytes. */
const peakBytes = (pid: number): number =>
  1024 * Number(/^VmHWM:\s+(\d+) kB/mu.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1])

const hasProc = process.platform === "linux"
if (!hasProc) console.log("skipped: memory of a process is read from /proc")

/** Profiles of this very minute, so that a live subscription finds them stored. */
const recent = (count: number, author: string, contentBytes = 0) => {
  const now = Math.floor(Date.now() / 1000)
  return Array.from(
    { length: count },
    (_, n) =>
      profileEvent({ about: `bio ${"x".repeat(contentBytes)}` }, `${author} ${n}`, { created_at: now - 60 - n % 60 })
  )
}

const old = (count: number) =>
  Array.from({ length: count }, (_, n) => profileEvent({}, `honest ${n}`, { created_at: 1_700_000_000 - n }))

const env = (...urls: ReadonlyArray<string>) => ({
  DISCOVERY_RELAY_URL: urls.join(","),
  PICTURES: "off",
  PROOF: "off",
  LOG_LEVEL: "Info"
})

/** The highest peak that a flood may bring about: some three times what the service needs when idle. */
const peakMax = 500 * 1_048_576

describe.skipIf(!hasProc)("an upstream that floods", () => {
  for (const flood of [true, "live"] as const) {
    const what = flood === "live" ? "its live subscription without an end" : "every page without an end"
    it.live(`${what} does not starve another, fill the memory, or hold up a stop`, () =>
      Effect.gen(function*() {
        const flooding = yield* FakeUpstream.make({ events: recent(300, "flood", 2000), faults: { flood } })
        const honest = yield* FakeUpstream.make({ events: old(2500), pageMax: 500 })
        const service = yield* Service.start({ env: env(flooding.url, honest.url) })
        yield* service.listening
        // The line of the honest one alone: the other is never covered, or at once.
        yield* Effect.gen(function*() {
          while (!service.stdout.some((line) => line.includes("upstream is covered") && line.includes(honest.url))) {
            yield* Effect.sleep(10)
          }
        }).pipe(Effect.timeout("30 seconds"))
        const line = service.stdout.find((line) => line.includes("upstream is covered") && line.includes(honest.url))
        const { outcomes } = JSON.parse(line ?? "{}") as { readonly outcomes?: Record<string, number> }
        assert.strictEqual(outcomes?.["Saved"], 2500)
        const before = flooding.sent()
        if (flood === "live") {
          // It is still at it, and is read on.
          yield* Effect.gen(function*() {
            while (flooding.sent() < before + 2000) yield* Effect.sleep(10)
          }).pipe(Effect.timeout("30 seconds"))
          assert.strictEqual(flooding.connections(), 1)
        }
        const peak = peakBytes(service.pid)
        assert.isBelow(peak, peakMax)
        const begun = performance.now()
        const { certificate, code } = yield* service.stop()
        const millis = performance.now() - begun
        assert.strictEqual(code, 0)
        assert.deepStrictEqual(certificate?.forced, [])
        assert.isBelow(millis, 3000)
        console.log(
          `flood (${flood}): ${flooding.sent()} frames sent, peak ${Math.round(peak / 1_048_576)} MB, stop ${
            Math.round(millis)
          } ms`
        )
      }).pipe(Effect.scoped), 90_000)
  }
})
