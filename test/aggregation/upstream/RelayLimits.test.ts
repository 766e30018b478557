import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createServer, type RequestListener } from "node:http"
import { layer, Limits, limitsIn } from "../../../src/aggregation/upstream/RelayLimits.ts"
import { relay } from "../../support/FakeUpstreamSocket.ts"
import { harvesting, live, pagesOf, profiles } from "../harvesting.ts"

/** What is made of a relay that answers its information document so. */
const asked = (answer: RequestListener) =>
  Effect.gen(function*() {
    const server = yield* Effect.acquireRelease(
      Effect.callback<ReturnType<typeof createServer>>((resume) => {
        const server = createServer(answer).listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) =>
        Effect.callback<void>((resume) => {
          server.close(() => resume(Effect.void))
          server.closeAllConnections()
        })
    )
    const address = server.address()
    const port = typeof address === "object" ? address?.port : 0
    return yield* (yield* Limits)(`ws://127.0.0.1:${port}/relay`)
  }).pipe(Effect.scoped, Effect.provide(layer))

const document = (limitation: unknown) => JSON.stringify({ name: "somebody's", limitation })

describe("what an upstream says beforehand", () => {
  it.live("is read from its information document, at its path, as NIP-11 has it", () =>
    Effect.gen(function*() {
      const seen: Array<unknown> = []
      const limits = yield* asked((request, response) => {
        seen.push(request.url, request.headers.accept, request.headers.connection)
        response.end(document({ max_limit: 250, max_filters: 1 }))
      })
      assert.deepStrictEqual(limits, { limitMax: 250, filtersMax: 1 })
      assert.deepStrictEqual(seen, ["/relay", "application/nostr+json", "close"])
    }))

  it("is believed as far as it is a number of something", () => {
    for (const none of ["", "{", "[]", "null", "{\"limitation\":7}", document({ max_limit: 0, max_filters: -1 })]) {
      assert.deepStrictEqual(limitsIn(none), {}, none)
    }
    assert.deepStrictEqual(limitsIn(document({ max_limit: "500", max_filters: 1.5 })), {})
    assert.deepStrictEqual(limitsIn(document({ max_limit: 500, max_filters: null })), { limitMax: 500 })
  })

  it.live("is nothing where there is no document, a redirect, one without end, or silence", () =>
    Effect.gen(function*() {
      const good = document({ max_limit: 250 })
      assert.deepStrictEqual(yield* asked((_, response) => void response.writeHead(404).end(good)), {})
      assert.deepStrictEqual(
        yield* asked(({ url }, response) =>
          url === "/relay" ? void response.writeHead(302, { location: "/other" }).end() : void response.end(good)
        ),
        {}
      )
      assert.deepStrictEqual(yield* asked((_, response) => void response.end(good + " ".repeat(70_000))), {})
      assert.deepStrictEqual(yield* asked((request) => void request.socket.destroy()), {})
      assert.deepStrictEqual(yield* asked(() => {}), {})
    }))

  it.effect("is what it is asked for, before it has to refuse anything", () => {
    const upstream = relay(profiles(20))
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* live
        assert.isTrue(pagesOf(upstream).every(({ limit }) => limit === 3), JSON.stringify(pagesOf(upstream)))
      })
    ).pipe(Effect.provideService(Limits, () => Effect.succeed({ limitMax: 3 })))
  })
})
