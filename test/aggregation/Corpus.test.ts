import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { hash } from "node:crypto"
import { existsSync, readFileSync } from "node:fs"
import { Picture, type PictureOutcome } from "../../src/aggregation/evidence/Picture.ts"
import { HarvestStatus } from "../../src/aggregation/harvest/HarvestStatus.ts"
import type { Event } from "../../src/domain/Event.ts"
import { layer, relay } from "../support/FakeUpstreamSocket.ts"
import { Disk } from "./FakeDatabase.ts"
import { proofs, upstreamUrl, within } from "./world.ts"

const corpus = new URL("../../../shared/corpus/real-events.jsonl", import.meta.url)
if (!existsSync(corpus)) console.log("skipped: the corpus of real events is not beside this checkout")

/** The same number, 0 to 99, for the same text. */
const percentOf = (text: string): number => Number.parseInt(hash("sha256", text).slice(0, 8), 16) % 100

const known = (width: number, height: number): PictureOutcome => ({
  _tag: "Known",
  facts: { type: "jpeg", width, height },
  checkedAt: 0
})
const noImage = (reason: Extract<PictureOutcome, { readonly _tag: "NoImage" }>["reason"]): PictureOutcome => ({
  _tag: "NoImage",
  reason,
  detail: "",
  checkedAt: 0
})

/** A made-up answer for every picture: most are large enough, and something is the matter with the rest. */
const pictureOf = (url: string): PictureOutcome => {
  const percent = percentOf(url)
  if (percent < 10) return known(299, 600)
  if (percent < 20) return noImage("picture is gone")
  if (percent < 25) return noImage("picture is not an image")
  if (percent < 28) return noImage("picture target is not public")
  if (percent < 35) {
    return { _tag: "Unanswered", reason: "picture host did not answer", detail: "", retryAfter: 60_000 }
  }
  return known(300, 600)
}

/** One author in ten has never posted, as far as anybody knows, and of one in twenty nobody can say. */
const proofOf = (pubkey: string) => {
  const percent = percentOf(pubkey)
  if (percent < 10) return proofs.none
  return percent < 15 ? proofs.unanswered : proofs.found
}

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

  it.effect.skipIf(!existsSync(corpus))(
    "judges each by pictures and posts as well, and settles all that can be",
    () => {
      const events = readFileSync(corpus, "utf8").trim().split("\n").map((line) => JSON.parse(line) as Event)
      const upstream = relay(events)
      return within(
        {
          sockets: layer(upstream.play),
          picture: Layer.succeed(Picture, { look: (url) => Effect.succeed(pictureOf(url)) }),
          posts: (pubkey) => Effect.succeed(proofOf(pubkey)),
          settings: { upstreams: [upstreamUrl], pageSize: 40 }
        },
        Effect.gen(function*() {
          const { upstreams, retries } = yield* HarvestStatus
          const { events: saved } = yield* Disk
          for (let turn = 0; turn < 40_000; turn++) {
            const [status] = yield* upstreams
            if (status?.phase === "live" && (yield* retries).unchecked === 0 && (yield* retries).checking === 0) break
            yield* Effect.yieldNow
          }
          const [status] = yield* upstreams
          const { outcomes, rejections, waiting } = yield* retries
          const table: Record<string, number | undefined> = {
            ...status?.rejections,
            ...rejections,
            accepted: outcomes.Saved,
            undetermined: waiting
          }
          console.log("verdicts on the corpus, with pictures and posts", table)
          assert.deepStrictEqual(table, {
            "no about": 22,
            "no picture": 10,
            "no name": 2,
            "bridged account": 2,
            "picture is not a URL": 1,
            "picture is too small": 22,
            "picture is gone": 17,
            "picture target is not public": 8,
            "picture is not an image": 6,
            "no text note": 15,
            accepted: 117,
            undetermined: 28
          })
          assert.strictEqual(Object.values(table).reduce((sum, count) => Number(sum) + Number(count), 0), 250)
          assert.strictEqual([...saved.values()].filter(({ kind }) => kind === 0).length, outcomes.Saved)
        })
      )
    }
  )
})
