/** What an operator said outlives the process; over a real file, as that is the point. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { join } from "node:path"
import { layer as moderationLayer, Moderation, takenDownLayer } from "../../../src/aggregation/admission/Moderation.ts"
import { TakenDown } from "../../../src/aggregation/evidence/TakenDown.ts"
import { type Overrides, Settings } from "../../../src/config/Settings.ts"
import { Database } from "../../../src/database/Database.ts"
import { refusalOf } from "../../../src/domain/Gate.ts"
import { keptKinds, removalKinds } from "../../../src/domain/Kinds.ts"
import { pictureUrlOf } from "../../../src/domain/PictureUrl.ts"
import { at, directory } from "../../database/support.ts"
import { epoch, keyOf, notes, signed } from "../../support/events.ts"

const { pubkey } = keyOf("spammer")
const operator = keyOf("operator").pubkey

const ban = {
  _tag: "Put",
  method: "banpubkey",
  rule: { subject: "pubkey", name: pubkey, state: "banned", text: "spam" }
} as const

/** The service over that file, for as long as `use` takes. */
const within = <A, E>(
  path: string,
  use: Effect.Effect<A, E, Moderation | Database | Settings>,
  settings: Overrides = { admission: "open" }
) =>
  use.pipe(
    Effect.provide(
      Layer.merge(moderationLayer, takenDownLayer).pipe(
        Layer.provideMerge(at(path)),
        Layer.provideMerge(Settings.layerTest(settings))
      ),
      { local: true }
    )
  )

/** What the gate says of an event, by what stands. */
const refusal = Effect.fnUntraced(function*(author: string, kind = 1) {
  const { stateOf } = yield* Moderation
  const { admission, limits, listKinds, relayUrl, rules } = yield* Settings
  const event = signed({ kind, tags: [["relay", "ALL_RELAYS"]] }, author)
  const policy = { admission, limits, listKinds, relayUrl, rules, stateOf }
  const said = refusalOf(event, { source: { by: "upstream", address: "" }, now: epoch, policy })
  return said?._tag === "Rejected" ? said.reason : said
})

const allowedKinds = Moderation.useSync((it) => it.rules("kind", "allowed").map(({ name }) => Number(name)))

/** Takes a picture down, and asks whether one is. */
const down = (name: string) =>
  Moderation.use(({ apply }) =>
    apply(
      { _tag: "Put", method: "banpicture", rule: { subject: "picture", name, state: "banned", text: "" } },
      operator
    )
  )
const isDown = (url: string, sha256?: string) =>
  Effect.gen(function*() {
    const { rules } = yield* Settings
    const { isTakenDown } = yield* Moderation
    return isTakenDown(pictureUrlOf(url, rules), sha256)
  })

describe("Moderation", () => {
  it.live("remembers a ban across restarts, and that it was lifted", () =>
    Effect.gen(function*() {
      const path = join(yield* directory, "moderation.db")
      yield* within(path, Moderation.use(({ apply }) => apply(ban, operator)))
      yield* within(
        path,
        Effect.gen(function*() {
          assert.strictEqual(yield* refusal("spammer"), "banned by the operator")
          assert.isUndefined(yield* refusal("somebody else"))
          const lift = {
            _tag: "Remove",
            method: "unbanpubkey",
            subject: "pubkey",
            name: pubkey,
            state: "banned"
          } as const
          yield* Moderation.use(({ apply }) => apply(lift, operator))
        })
      )
      yield* within(path, Effect.map(refusal("spammer"), (reason) => assert.isUndefined(reason)))
    }))

  it.live("takes pictures down by host and by hash, until that is lifted, and leaves their authors alone", () =>
    Effect.gen(function*() {
      const path = join(yield* directory, "moderation.db")
      const hash = "0123456789abcdef".repeat(4)
      yield* within(
        path,
        Effect.gen(function*() {
          // Those who look at pictures are told by the same decisions.
          const isTakenDown = yield* TakenDown
          const url = pictureUrlOf("https://pics.example/a", (yield* Settings).rules)
          assert.isFalse(isTakenDown(url))
          yield* Effect.andThen(down("pics.example"), down(hash))
          assert.isTrue(isTakenDown(url))
        })
      )
      yield* within(
        path,
        Effect.gen(function*() {
          for (
            const url of ["https://pics.example/a", "https://img.pics.example/a", `https://cdn.example/${hash}.png`]
          ) {
            assert.isTrue(yield* isDown(url), url)
          }
          for (const url of ["https://mypics.example/a", "https://example/a", "data:image/png;base64,AA"]) {
            assert.isFalse(yield* isDown(url), url)
            assert.isTrue(yield* isDown(url, hash), url)
          }
          assert.isUndefined(yield* refusal("somebody"))
          const lift = {
            _tag: "Remove",
            method: "unbanpicture",
            subject: "picture",
            name: "pics.example",
            state: "banned"
          } as const
          yield* Moderation.use(({ apply }) => apply(lift, operator))
          assert.isFalse(yield* isDown("https://pics.example/a"))
        })
      )
    }))

  it.live("removes every event of a banned author, and takes deletions and requests to vanish still", () =>
    Effect.gen(function*() {
      const path = join(yield* directory, "moderation.db")
      yield* within(
        path,
        Effect.gen(function*() {
          const database = yield* Database
          yield* Effect.scoped(Effect.gen(function*() {
            const { write } = yield* database.sender("test")
            for (const author of ["spammer", "somebody"]) {
              yield* write(notes(1100, author).map((event) => ({ _tag: "Save", event })))
            }
          }))
          yield* Moderation.use(({ apply }) => apply(ban, operator))
          assert.strictEqual(yield* database.count([{}]), 1100)
          for (const kind of [5, 62]) assert.isUndefined(yield* refusal("spammer", kind))
        })
      )
    }))

  it.live("keeps the kinds of profiles only, or any, unless told otherwise", () =>
    Effect.gen(function*() {
      const path = join(yield* directory, "moderation.db")
      yield* within(
        path,
        Effect.gen(function*() {
          assert.sameMembers(yield* allowedKinds, [...keptKinds, ...removalKinds])
          assert.strictEqual(yield* refusal("somebody", 1), "kind is not kept here")
          assert.isUndefined(yield* refusal("somebody", 10_002))
        }),
        { admission: "profiles" }
      )
      yield* within(path, Effect.map(refusal("somebody", 1), (reason) => assert.isUndefined(reason)))
    }))
})
