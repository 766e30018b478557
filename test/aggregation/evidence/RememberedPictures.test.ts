import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Metric } from "effect"
import { createHash } from "node:crypto"
import { layer as pictureLayer, Picture } from "../../../src/aggregation/evidence/Picture.ts"
import * as RememberedPictures from "../../../src/aggregation/evidence/RememberedPictures.ts"
import { aggregationPictureLooks } from "../../../src/observability/Metrics.ts"
import * as Guarded from "../../support/guarded.ts"
import * as HostileHost from "../../support/HostileHost.ts"
import { gif, png, svg } from "../../support/images.ts"
import { blank, type Disk, layer as databaseLayer } from "../FakeDatabase.ts"

/** A service that finds this disk, as at each of its starts. */
const pictures = (disk: Disk["Service"]) =>
  pictureLayer.pipe(
    Layer.provide(Guarded.layer()),
    Layer.provide(RememberedPictures.layer),
    Layer.provide(databaseLayer(disk))
  )

const looks = Effect.map(
  Effect.forEach(Object.values(aggregationPictureLooks), Metric.value),
  (states) => states.map((state) => state.count)
)

describe("what is known of pictures", () => {
  it.live("is kept in the database: type, size, animation, bytes, hash where read whole, status and time", () =>
    Effect.gen(function*() {
      const host = yield* HostileHost.make()
      const drawing = svg("viewBox='0 0 300 600'")
      const moving = Buffer.concat([png(300, 600, { frames: 2 }), Buffer.alloc(100_000)])
      const still = gif(300, 600)
      host.script("/drawing", HostileHost.ok(drawing))
      host.script("/moving", HostileHost.ranged(moving))
      host.script("/still", HostileHost.ranged(still))
      host.script("/gone", HostileHost.status(410))
      host.script("/broken", HostileHost.status(500))
      const disk = blank()
      const before = yield* looks
      const begin = Date.now()
      const all = Effect.gen(function*() {
        const picture = yield* Picture
        for (const path of ["drawing", "moving", "still", "gone", "broken"]) {
          yield* picture.look(`${host.origin}/${path}`)
        }
      })
      yield* Effect.provide(all, pictures(disk), { local: true })

      const kept = (path: string) => {
        const record = disk.records.get(`${RememberedPictures.space.name} ${host.origin}/${path}`)
        const { checkedAt, freshUntil, ...rest } = JSON.parse(record?.value ?? "{}") as Record<string, unknown>
        assert.isAtLeast(Number(checkedAt), begin)
        assert.isAbove(Number(freshUntil), Number(checkedAt))
        assert.isAtLeast(record?.due ?? 0, Number(freshUntil))
        return rest
      }
      assert.deepStrictEqual(kept("drawing"), {
        outcome: {
          _tag: "Known",
          facts: {
            type: "svg",
            width: 300,
            height: 600,
            bytes: drawing.length,
            sha256: createHash("sha256").update(drawing).digest("hex"),
            head: createHash("sha256").update(drawing).digest("hex")
          }
        },
        status: 200,
        attempts: 0
      })
      assert.deepStrictEqual(kept("moving"), {
        outcome: {
          _tag: "Known",
          facts: {
            type: "png",
            width: 300,
            height: 600,
            animated: true,
            bytes: moving.length,
            head: createHash("sha256").update(moving.subarray(0, 4096)).digest("hex")
          }
        },
        status: 206,
        attempts: 0
      })
      assert.deepStrictEqual(kept("gone"), {
        outcome: { _tag: "NoImage", reason: "picture is gone", detail: "410" },
        status: 410,
        attempts: 0
      })
      assert.strictEqual(kept("broken")["attempts"], 1)
      assert.containSubset(kept("still"), { outcome: { facts: { type: "gif", bytes: still.length } } })

      // Counted by what came of them: three images, one gone, one silence.
      const after = yield* looks
      assert.deepStrictEqual(after.map((count, i) => count - (before[i] ?? 0)), [3, 1, 0, 0, 1, 0, 0])

      // A restart asks nobody again, and counts nothing.
      const requests = host.requests.length
      yield* Effect.provide(all, pictures(disk), { local: true })
      assert.strictEqual(host.requests.length, requests)
      assert.deepStrictEqual(yield* looks, after)
    }))
})
