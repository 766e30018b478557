/** The description of the API: what it says is what outsiders build on, and what is answered. */
import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { HttpApiClient, OpenApi } from "effect/http-api"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Api } from "../../src/api/Api.ts"
import { keyOf, profileEvent } from "../support/events.ts"
import * as service from "../support/service.ts"
import * as TestClient from "../support/TestClient.ts"

const golden = join(import.meta.dirname, "../golden/openapi.json")

describe("the API's description", () => {
  it("is the one that clients were made from (UPDATE_GOLDEN=1 for a change on purpose)", () => {
    const text = `${JSON.stringify(OpenApi.fromApi(Api), undefined, 2)}\n`
    if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(golden, text)
    assert.strictEqual(text, readFileSync(golden, "utf8"))
  })

  it.live("makes a client that reads every answer", () =>
    Effect.gen(function*() {
      const running = yield* service.start({ env: { ADMISSION: "open" } })
      const { http, url } = yield* running.listening
      const socket = yield* TestClient.connect(url)
      const event = profileEvent({ name: "ada" }, "person 1")
      assert.isTrue((yield* socket.publish(event))[2])
      const { pubkey } = keyOf("person 1")
      const { profiles, relay } = yield* HttpApiClient.make(Api, { baseUrl: http })
      assert.deepStrictEqual((yield* profiles.profile({ params: { id: pubkey } })).event.id, event.id)
      assert.isTrue((yield* profiles.explain({ params: { id: pubkey } })).stored)
      const found = yield* profiles.search({ query: { q: "ada", limit: 10, sort: "rank" } })
      assert.deepStrictEqual(found.profiles.map((profile) => profile.pubkey), [pubkey])
      const batch = yield* profiles.batch({ payload: { pubkeys: [pubkey, "ab".repeat(32)] } })
      assert.deepStrictEqual(batch.missing, ["ab".repeat(32)])
      assert.deepStrictEqual((yield* profiles.random({ query: { count: 12 } })).map((one) => one.profile.id), [
        event.id
      ])
      assert.deepStrictEqual(yield* relay.relays(), [])
      assert.lengthOf(yield* relay.stats({ query: { days: 7 } }), 1)
      const absent = yield* Effect.flip(profiles.profile({ params: { id: "ab".repeat(32) } }))
      assert.strictEqual(absent._tag, "NotHere")
      const nonsense = yield* Effect.flip(profiles.profile({ params: { id: "nonsense" } }))
      assert.strictEqual(nonsense._tag, "BadKey")
    }).pipe(Effect.provide(NodeHttpClient.layerNodeHttp)), 60_000)
})
