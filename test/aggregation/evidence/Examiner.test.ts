/** What the examiner asks, and whom not. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Examiner, layerNetwork } from "../../../src/aggregation/evidence/Examiner.ts"
import { NameOwners } from "../../../src/aggregation/evidence/NameOwners.ts"
import { Picture, type PictureOutcome } from "../../../src/aggregation/evidence/Picture.ts"
import { Posts } from "../../../src/aggregation/evidence/Posts.ts"
import { type IsTakenDown, TakenDown } from "../../../src/aggregation/evidence/TakenDown.ts"
import { Settings } from "../../../src/config/Settings.ts"
import * as HostBudgets from "../../../src/fetch/HostBudgets.ts"
import { profileEvent } from "../../support/events.ts"

const hash = "0123456789abcdef".repeat(4)
const nobody = () => Effect.die(new Error("nobody is to be asked"))

/** Every picture is too small, and has that hash. */
const small: PictureOutcome = {
  _tag: "Known",
  facts: { type: "png", width: 1, height: 1, sha256: hash },
  checkedAt: 0
}

/** What becomes of a profile with this picture, and which pictures were looked at, where so much is taken down. */
const examined = (picture: string, isTakenDown: IsTakenDown) => {
  const looked: Array<string> = []
  const layer = layerNetwork.pipe(
    Layer.provide(Layer.succeed(Picture, {
      look: (url) =>
        Effect.sync(() => {
          looked.push(url)
          return small
        })
    })),
    Layer.provide(Layer.succeed(Posts, { prove: nobody })),
    Layer.provide(Layer.succeed(NameOwners, {
      check: nobody,
      recall: nobody,
      recheck: nobody,
      onStored: () => Effect.succeed([])
    })),
    Layer.provide(HostBudgets.layer),
    Layer.provide(Layer.succeed(TakenDown, isTakenDown)),
    Layer.provide(Settings.layerTest({ pictures: "on", proof: "off" }))
  )
  return Effect.provide(
    Effect.gen(function*() {
      const { verdict } = yield* (yield* Examiner).examine(profileEvent({ picture }))
      return { verdict: verdict._tag, looked }
    }),
    layer,
    { local: true }
  )
}

const byHost: IsTakenDown = (picture) => picture._tag === "Web" && picture.host === "pics.example"
const byHash: IsTakenDown = (_, sha256) => sha256 === hash

describe("a picture that the operator has taken down", () => {
  const url = "https://pics.example/a.png"

  it.live("is looked at while it is not", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* examined(url, () => false), { verdict: "Rejected", looked: [url] })
    }))

  it.live("is not looked at, and says nothing about its author", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* examined(url, byHost), { verdict: "Accepted", looked: [] })
    }))

  it.live("says nothing either where only a look can tell that it is that one", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* examined(url, byHash), { verdict: "Accepted", looked: [url] })
    }))
})
