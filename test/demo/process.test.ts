import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync } from "node:fs"
import { dirname, join } from "node:path"
import * as child from "../support/child.ts"
import { connect } from "../support/TestClient.ts"

const fixture = join(import.meta.dirname, "fixtureProcess.ts")

/** The first match of a pattern in what was printed. */
const find = (lines: ReadonlyArray<string>, pattern: RegExp) => pattern.exec(lines.join("\n"))?.[1] ?? ""

describe("the demo, as a process", () => {
  it.live(
    "harvests its world, serves it, goes on with newcomers, and stops with a certificate",
    () =>
      Effect.gen(function*() {
        const demo = yield* child.start(fixture, ["300"])
        yield* demo.line("Harvested ")
        yield* demo.line("turns up every 3 seconds")
        assert.isAbove(Number(find(demo.stdout, /(\d+) {2}kept /)), 100)
        assert.isAbove(Number(find(demo.stdout, /(\d+) {2}invalid /)), 0)
        assert.match(demo.stdout.join("\n"), /\d {2}bridged account/)

        const client = yield* connect(find(demo.stdout, /(ws:\/\/127\.0\.0\.1:\d+)/))
        const { events } = yield* client.req("profiles", { kinds: [0], limit: 20 })
        assert.lengthOf(events, 20)
        // The first of them is a good one.
        const newcomer = yield* client.next("EVENT", "8 seconds")
        assert.strictEqual(newcomer[1], "profiles")

        const folder = dirname(find(demo.stdout, /file=(\S+demo\.db)/))
        assert.isTrue(existsSync(folder))
        yield* demo.signal("SIGINT")
        const ended = yield* demo.ended
        assert.strictEqual(ended.code, 0, demo.stdout.slice(-20).join("\n"))
        assert.deepStrictEqual(ended.certificate?.released, ["websocket", "web", "aggregation", "crypto", "database"])
        assert.deepStrictEqual(ended.certificate?.forced, [])
        assert.isFalse(existsSync(folder))
      }),
    30_000
  )

  it.live("can be stopped while its people are still being made up", () =>
    Effect.gen(function*() {
      const demo = yield* child.start(fixture, ["1000000"])
      yield* demo.line("of 1000000")
      yield* demo.signal("SIGINT")
      const ended = yield* demo.ended
      assert.strictEqual(ended.code, 0)
      assert.deepStrictEqual(demo.states(), ["starting", "draining", "stopped"])
      assert.deepStrictEqual(ended.certificate?.released, [])
    }), 30_000)
})
