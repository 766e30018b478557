import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { RelayAddress } from "../../src/websocket/RelayServer.ts"
import { signed } from "../support/events.ts"
import { connect } from "../support/TestClient.ts"
import * as Fake from "./FakeStore.ts"

describe("RelayServer", () => {
  it.live("serves an event that was published", () =>
    Effect.gen(function*() {
      const { url } = yield* RelayAddress
      const client = yield* connect(url)
      const event = signed({ content: "hello" })
      assert.deepStrictEqual(yield* client.publish(event), ["OK", event.id, true, ""])
      const { events, end } = yield* client.req("a", { authors: [event.pubkey] })
      assert.deepStrictEqual(events, [event])
      assert.deepStrictEqual(end, ["EOSE", "a", ["finish"]])
    }).pipe(Effect.scoped, Effect.provide(Fake.layer())))
})
