/** `/metrics` of the real service: who may read it, and that Prometheus could. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { profileEvent } from "../../support/events.ts"
import * as service from "../../support/service.ts"
import * as TestClient from "../../support/TestClient.ts"

const read = (http: string, headers: Record<string, string> = {}) =>
  Effect.promise(async () => {
    const response = await fetch(`${http}/metrics`, { headers })
    return { status: response.status, type: response.headers.get("content-type"), text: await response.text() }
  })

/** As the text format has it: a comment, or a name, labels, a value. */
const line =
  /^(?:# (?:HELP|TYPE) [a-z_]+ .+|[a-z_]+(?:\{[a-zA-Z_]+="(?:[^"\\]|\\.)*"(?:,[a-zA-Z_]+="(?:[^"\\]|\\.)*")*\})? [-+]?(?:\d+(?:\.\d+)?(?:e[-+]\d+)?|Inf|NaN))$/u

describe("/metrics", () => {
  it.live(
    "are for this machine, for allowed networks by the true address, and for a token",
    () =>
      Effect.gen(function*() {
        const folder = yield* service.folder
        const token = join(folder, "token")
        writeFileSync(token, "s3cret\n")
        const running = yield* service.start({
          folder,
          env: {
            ADMISSION: "open",
            METRICS_ALLOW: "203.0.113.0/24",
            METRICS_TOKEN_FILE: token,
            TRUSTED_PROXIES: "127.0.0.1/32"
          }
        })
        const { http, url } = yield* running.listening
        const client = yield* TestClient.connect(url)
        assert.isTrue((yield* client.publish(profileEvent()))[2])

        const here = yield* read(http)
        assert.deepStrictEqual([here.status, here.type], [200, "text/plain; version=0.0.4; charset=utf-8"])
        for (const text of here.text.trimEnd().split("\n")) assert.match(text, line)
        assert.include(here.text, "database_operations_total{outcome=\"Saved\"}")
        assert.include(here.text, "websocket_connections 1")
        assert.match(here.text, /lifecycle_senders\{mailbox="database"\} [1-9]/u)
        assert.match(here.text, /process_resident_memory_bytes \d{8,}/u)

        const from = (address: string) => read(http, { "x-forwarded-for": address })
        assert.strictEqual((yield* from("203.0.113.9")).status, 200)
        assert.strictEqual((yield* from("198.51.100.9")).status, 403)
        const bearing = (given: string) =>
          read(http, { "x-forwarded-for": "198.51.100.9", authorization: `Bearer ${given}` })
        assert.strictEqual((yield* bearing("s3cret")).status, 200)
        assert.strictEqual((yield* bearing("s3cre")).status, 403)
        writeFileSync(token, "another")
        assert.strictEqual((yield* bearing("s3cret")).status, 403)
        assert.strictEqual((yield* bearing("another")).status, 200)
        const { code } = yield* running.stop()
        assert.strictEqual(code, 0)
      }),
    30_000
  )
})
