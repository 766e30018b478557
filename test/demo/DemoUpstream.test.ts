import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as DemoUpstream from "../../src/demo/DemoUpstream.ts"
import { epoch, notes, profileEvent } from "../support/events.ts"
import { noLeaks } from "../support/leaks.ts"
import { connect } from "../support/TestClient.ts"

describe("DemoUpstream", () => {
  it.live("can be paged through backwards, 500 events at a time, and then says how many there were", () =>
    noLeaks(Effect.gen(function*() {
      const upstream = yield* DemoUpstream.make(0)
      const posts = notes(1100)
      upstream.add([...posts, profileEvent()])
      const client = yield* connect(upstream.url)
      assert.strictEqual(upstream.offered(), 0)
      const seen = new Set<string>()
      const sizes: Array<number> = []
      for (let until = epoch; sizes.at(-1) !== 0;) {
        const { events } = yield* client.req("page", { kinds: [1], until, limit: 5000 })
        sizes.push(events.length)
        for (const event of events) seen.add(event.id)
        until = (events.at(-1)?.created_at ?? 0) - 1
      }
      assert.deepStrictEqual(sizes, [500, 500, 100, 0])
      assert.strictEqual(seen.size, posts.length)
      assert.strictEqual(upstream.offered(), posts.length)
    })))

  it.live("announces what is published to who asked for it, until they close", () =>
    noLeaks(Effect.gen(function*() {
      const upstream = yield* DemoUpstream.make(0)
      const client = yield* connect(upstream.url)
      yield* client.req("live", { kinds: [0], since: epoch })
      const [first, second] = [profileEvent({}, 1), profileEvent({}, 2)]
      upstream.publish(first)
      assert.deepStrictEqual(yield* client.next("EVENT"), ["EVENT", "live", first])
      yield* client.send(["CLOSE", "live"])
      // Answered after the CLOSE has been read.
      yield* client.req("other", { ids: [second.id] })
      upstream.publish(second)
      assert.deepStrictEqual(yield* client.next("EVENT"), ["EVENT", "other", second])
      assert.lengthOf(client.received().filter(([type]) => type === "EVENT"), 2)
    })))

  it.live("says what it does not understand, and goes on", () =>
    noLeaks(Effect.gen(function*() {
      const upstream = yield* DemoUpstream.make(0)
      const client = yield* connect(upstream.url)
      for (const frame of ["{", "[]", "[\"EVENT\",{}]", "[\"COUNT\",\"a\",{}]"]) {
        yield* client.sendRaw(frame)
        yield* client.next("NOTICE")
      }
      assert.deepStrictEqual((yield* client.req("a", {}, {})).end, ["EOSE", "a"])
    })))

  it.live("takes another port when the one it was given is taken", () =>
    noLeaks(Effect.gen(function*() {
      const first = yield* DemoUpstream.make(0)
      const second = yield* DemoUpstream.make(Number(new URL(first.url).port))
      assert.notStrictEqual(first.url, second.url)
      yield* (yield* connect(second.url)).req("a", {})
    })))
})
