import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync, readFileSync } from "node:fs"
import { HarvestStatus } from "../../src/aggregation/HarvestStatus.ts"
import type { Event } from "../../src/domain/Event.ts"
import { layer, relay } from "../support/FakeUpstreamSocket.ts"
import { Disk } from "./FakeDatabase.ts"
import { upstreamUrl, within } from "./world.ts"

const corpus = new URL("../../../shared/corpus/real-events.jsonl", import.meta.url)
if (!existsSync(corpus)) console.log("skipped: the corpus of real events is not beside this checkout")

describe("harvesting real events of the public network", () => {
  it.effect.skipIf(!existsSync(corpus))("fetches every profile, finds every signature valid, and judges each", () => {
    const events = readFileSync(corpus, "utf8").trim().split("\n").map((line) => JSON.parse(line) as Event)
    const upstream = relay(events)
    return within(
      { sockets: layer(upstream.play), settings: { upstreams: [upstreamUrl], pageSize: 40 } },
      Effect.gen(function*() {
        const { upstreams } = yield* HarvestStatus
        let [status] = yield* upstreams
        for (let turn = 0; turn < 20_000 && status?.phase !== "live"; turn++) {
          yield* Effect.yieldNow
          status = (yield* upstreams)[0]
        }
        console.log("harvest of the corpus", status?.outcomes, status?.rejections)
        assert.deepStrictEqual(status?.outcomes, { Saved: 213, Rejected: 37 })
        assert.deepStrictEqual(status?.rejections, {
          "no about": 22,
          "no picture": 10,
          "no name": 2,
          "bridged account": 2,
          "picture is not a URL": 1
        })
        const { events: saved } = yield* Disk
        assert.strictEqual(saved.size, 213)
      })
    )
  })
})
