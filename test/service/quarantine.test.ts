/** A profile that ends the process, on an upstream from which it comes again at every start. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { profileEvent } from "../support/events.ts"
import { make as makeUpstream } from "../support/FakeUpstream.ts"
import * as Service from "../support/service.ts"
import * as TestClient from "../support/TestClient.ts"

/** Kills the process where it reads what one profile says. */
const preload = `data:text/javascript,${
  encodeURIComponent(`
    const parse = JSON.parse
    JSON.parse = (text, ...more) => {
      if (String(text).startsWith('{"name":"poison"')) process.kill(process.pid, "SIGKILL")
      return parse(text, ...more)
    }`)
}`

const now = Math.floor(Date.now() / 1000)
const poison = profileEvent({ name: "poison" }, "poison", { created_at: now - 1005 })
const others = Array.from(
  { length: 10 },
  (_, n) => profileEvent({ name: `person ${n}` }, `person ${n}`, { created_at: now - 1000 - n })
)

describe("a profile that ends the process", () => {
  it.live(
    "is set aside after it has done so three times, the last of them by name, and everybody else is kept",
    () =>
      Effect.gen(function*() {
        const upstream = yield* makeUpstream({ events: [...others, poison] })
        const folder = yield* Service.folder
        const state = (ending: string) => join(folder, `profiles.db${ending}`)
        const env = { DISCOVERY_RELAY_URL: upstream.url, PICTURES: "off", PROOF: "off", NIP05: "off" }
        const start = () => Service.start({ folder, env, execArgv: ["--import", preload] })

        for (const careful of [false, false, true]) {
          yield* Effect.scoped(Effect.gen(function*() {
            const service = yield* start()
            assert.strictEqual((yield* service.ended).signal, "SIGKILL")
            assert.strictEqual(service.stdout.some((line) => line.includes("one at a time")), careful)
            assert.strictEqual(existsSync(state(".in-work")), careful, "nothing is named otherwise")
          }))
        }
        assert.deepStrictEqual(JSON.parse(readFileSync(state(".in-work"), "utf8")), poison)
        assert.isFalse(existsSync(state(".set-aside.jsonl")))

        yield* Effect.scoped(Effect.gen(function*() {
          const service = yield* start()
          assert.include(yield* service.line("set aside"), poison.id)
          const covered = JSON.parse(yield* service.line("upstream is covered")) as {
            readonly rejections: Record<string, number>
          }
          assert.deepStrictEqual(covered.rejections, { "set aside after a crash": 1 })
          const { url } = yield* service.listening
          const client = yield* TestClient.connect(url)
          const { events } = yield* client.req("a", { kinds: [0] })
          assert.sameMembers(events.map(({ id }) => id), others.map(({ id }) => id))
          const [, , isKept, why] = yield* client.publish(poison)
          assert.deepStrictEqual([isKept, why], [false, "blocked: set aside after a crash"])

          const doctor = yield* Service.start({ folder, env, args: ["doctor"] })
          yield* doctor.ended
          const said = doctor.stdout.join("\n")
          assert.match(said, /^warn {2}ends +4 starts since the last certificate/mu)
          assert.match(said, new RegExp(`^warn {2}ends +set aside .*${poison.id}`, "mu"))
          assert.strictEqual((yield* service.stop()).code, 0)
        }))
        assert.deepStrictEqual(readFileSync(state(".set-aside.jsonl"), "utf8"), `${JSON.stringify(poison)}\n`)

        // After a certificate all is as ever, but for the event.
        yield* Effect.scoped(Effect.gen(function*() {
          const service = yield* start()
          const { url } = yield* service.listening
          const client = yield* TestClient.connect(url)
          assert.include((yield* client.publish(poison))[3], "set aside")
          assert.isFalse(service.stdout.some((line) => line.includes("one at a time")))
          assert.strictEqual(readFileSync(state(".starts"), "utf8"), "1\n")
          assert.strictEqual((yield* service.stop()).code, 0)
          assert.isFalse(existsSync(state(".starts")))
        }))

        // The operator has it in hand.
        writeFileSync(state(".set-aside.jsonl"), "")
        const service = yield* Service.start({ folder, env })
        const { url } = yield* service.listening
        const client = yield* TestClient.connect(url)
        assert.isTrue((yield* client.publish(poison))[2])
      }).pipe(Effect.scoped),
    120_000
  )
})
