/** What goes out over a connection to an upstream, and what of the answers counts. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as PagedConnection from "../../../src/aggregation/upstream/PagedConnection.ts"
import * as UpstreamSocket from "../../../src/aggregation/upstream/UpstreamSocket.ts"
import { Settings } from "../../../src/config/Settings.ts"
import type { Event } from "../../../src/domain/Event.ts"
import { Journal } from "../../../src/lifecycle/Journal.ts"
import { Shutdown } from "../../../src/lifecycle/Shutdown.ts"
import { profileEvent } from "../../support/events.ts"
import * as FakeUpstream from "../../support/FakeUpstream.ts"

const around = Layer.merge(
  UpstreamSocket.layer,
  Shutdown.layer(new Journal({ now: () => 0, wallTime: () => 0, emit: () => {} }))
)

const connected = (url: string) =>
  Effect.gen(function*() {
    const arrived: Array<Event> = []
    let dropped = 0
    const connection = yield* PagedConnection.connect({
      url,
      limits: Settings.defaults.limits,
      sign: undefined,
      onLive: (events) => Effect.sync(() => void arrived.push(...events)),
      onDropped: (count) => void (dropped += count)
    })
    yield* Effect.forkScoped(connection.read)
    return { connection, arrived, dropped: () => dropped }
  })

describe("a connection to an upstream", () => {
  it.live("opens a reconciliation with the filter as NIP-01 writes it, tags included", () =>
    Effect.gen(function*() {
      const upstream = yield* FakeUpstream.make({
        play: ([type, id], say) => {
          if (type === "NEG-OPEN") say(["NEG-ERR", id, "blocked: no"])
          return type === "NEG-OPEN"
        }
      })
      const { connection } = yield* connected(upstream.url)
      const filter = { kinds: [5], tags: new Map([["k", ["0"]]]) }
      const answer = yield* connection.negotiate(filter, new Uint8Array([0x61]))
      assert.deepStrictEqual(answer, { _tag: "Refused", reason: "blocked: no" })
      const sent = upstream.requests().flatMap((request) => request._tag === "Other" ? [request.message] : [])
      assert.deepStrictEqual(sent[0], ["NEG-OPEN", "reconcile 1", { "kinds": [5], "#k": ["0"] }, "61"])
    }).pipe(Effect.scoped, Effect.provide(around)), 20_000)

  it.live("takes nothing from a subscription that nobody has opened", () =>
    Effect.gen(function*() {
      const upstream = yield* FakeUpstream.make({ events: [profileEvent({}, "stored")] })
      const { arrived, connection, dropped } = yield* connected(upstream.url)
      yield* upstream.until((requests) => requests.some(({ _tag }) => _tag === "Connected"))
      const foreign = profileEvent({}, "foreign")
      for (const id of ["live", "page 1", "page 7", "reconcile 1", "somebody's"]) {
        upstream.broadcast(JSON.stringify(["EVENT", id, foreign]))
        upstream.broadcast(JSON.stringify(["EOSE", id]))
        upstream.broadcast(JSON.stringify(["CLOSED", id, "auth-required: who are you"]))
      }
      yield* Effect.sleep(100)
      const page = yield* connection.page({ kinds: [0] })
      assert.deepStrictEqual(page.events.map(({ id }) => id), [profileEvent({}, "stored").id])
      assert.deepStrictEqual(arrived, [])
      assert.strictEqual(dropped(), 7)
      // Nobody has asked who we are: the refusal was of nothing.
      assert.isFalse(
        upstream.requests().some((request) => request._tag === "Other" && String(request.message).startsWith("AUTH"))
      )
    }).pipe(Effect.scoped, Effect.provide(around)), 20_000)
})
