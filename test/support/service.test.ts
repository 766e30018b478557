import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync } from "node:fs"
import { profileEvent } from "./events.ts"
import * as FakeUpstream from "./FakeUpstream.ts"
import * as service from "./service.ts"
import { connect } from "./TestClient.ts"

describe("service", () => {
  it.live("starts, says where it listens, and stops with a certificate", () =>
    Effect.gen(function*() {
      const upstream = yield* FakeUpstream.make({ events: [profileEvent()] })
      const { existed, running } = yield* Effect.scoped(Effect.gen(function*() {
        const running = yield* service.start({ env: { DISCOVERY_RELAY_URL: upstream.url, ADMISSION: "open" } })
        const { url } = yield* running.listening
        const client = yield* connect(url)
        const answer = yield* client.req("a", { kinds: [0] })
        if (answer.events.length === 0) yield* client.next("EVENT")
        const ended = yield* running.stop("SIGTERM")
        assert.strictEqual(ended.code, 0, running.stdout.join("\n"))
        assert.strictEqual(ended.certificate?.code, 0)
        assert.strictEqual(ended.certificate?.cause, "SIGTERM")
        assert.strictEqual((yield* client.closed()).code, 1001)
        assert.deepStrictEqual(running.states(), ["starting", "ready", "draining", "releasing", "stopped"])
        return { running, existed: existsSync(running.databasePath) }
      }))
      assert.isTrue(existed)
      assert.isFalse(existsSync(running.folder))
    }), 20_000)

  it.live("is gone with its scope, whatever it was doing", () =>
    Effect.gen(function*() {
      const pid = yield* Effect.scoped(Effect.map(service.start(), ({ pid }) => pid))
      assert.throws(() => process.kill(pid, 0), "ESRCH")
    }))
})
