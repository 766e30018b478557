/** Write policy plugins: real programs in Python and shell, asked by the real relay. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Metric } from "effect"
import { spawnSync } from "node:child_process"
import { copyFileSync, existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { answerOf, questionOf } from "../../../src/aggregation/admission/PluginProtocol.ts"
import { type Overrides, Settings } from "../../../src/config/Settings.ts"
import * as Metrics from "../../../src/observability/Metrics.ts"
import { RelayAddress } from "../../../src/websocket/RelayServer.ts"
import { deletionEvent, signed, withEditedContent } from "../../support/events.ts"
import { relay } from "../../support/relay.ts"
import * as service from "../../support/service.ts"
import { connect } from "../../support/TestClient.ts"

const plugins = join(import.meta.dirname, "../../support/plugins")

/** A plugin of its own in a folder of its own, beside which it writes. */
const plugin = (name: string) =>
  Effect.map(service.folder, (folder) => {
    const path = join(folder, name)
    copyFileSync(join(plugins, name), path)
    return path
  })

const now = () => Math.floor(Date.now() / 1000)
let nth = 0
const saying = (content: string) => signed({ kind: 1, content, created_at: now(), tags: [["n", String(nth++)]] })

const withRelay = <A, E>(
  overrides: Overrides,
  use: (publish: (content: string) => Effect.Effect<ReadonlyArray<unknown>, unknown>) => Effect.Effect<A, E>
) =>
  Effect.gen(function*() {
    const { url } = yield* RelayAddress
    const client = yield* connect(url)
    return yield* use((content) =>
      Effect.map(client.publish(saying(content)), ([, , isTaken, said]) => [isTaken, said])
    )
  }).pipe(Effect.provide(Layer.fresh(relay(overrides))), Effect.scoped)

const hasPython = spawnSync("python3", ["--version"]).status === 0
const isAlive = (pid: number) =>
  existsSync(`/proc/${pid}`) && !/^State:\tZ/mu.test(readFileSync(`/proc/${pid}/status`, "utf8"))

const id = "1".repeat(64)
const said = (msg: unknown, action = "reject") => {
  const answer = answerOf(JSON.stringify({ id: id, action, msg }), id)
  return typeof answer === "string" ? answer : answer.refusal?.reply
}

describe("the plugin protocol", () => {
  const event = signed({ content: "hello" })

  it("names sources as strfry does", () => {
    const asked = (source: Parameters<typeof questionOf>[0]["source"]) =>
      JSON.parse(questionOf({ event, source }, 1_767_225_600_999)) as Record<string, unknown>
    assert.deepStrictEqual(asked({ by: "client", address: "192.0.2.1", isKnown: false }), {
      type: "new",
      event,
      receivedAt: 1_767_225_600,
      sourceType: "IP4",
      sourceInfo: "192.0.2.1"
    })
    const author = asked({ by: "author", address: "2001:db8::1" })
    assert.deepStrictEqual([author["sourceType"], author["authed"]], ["IP6", event.pubkey])
    const upstream = asked({ by: "upstream", address: "wss://relay.example" })
    assert.deepStrictEqual([upstream["sourceType"], upstream["sourceInfo"]], ["Stream", "wss://relay.example"])
    assert.deepStrictEqual(asked({ by: "operator" })["sourceType"], "Import")
  })

  it("takes a refusal's own prefix, and gives it one that NIP-01 knows", () => {
    assert.strictEqual(said("rate-limited: slow down"), "rate-limited: slow down")
    assert.strictEqual(said("no poems"), "blocked: no poems")
    assert.strictEqual(said("duplicate: have it"), "blocked: duplicate: have it")
    assert.strictEqual(said(undefined), "blocked: the write policy says no")
    assert.strictEqual(said("hush", "shadowReject"), "blocked: the write policy says no")
    assert.strictEqual(said("", "accept"), undefined)
    assert.isBelow(String(said("x".repeat(10_000))).length, 300)
    assert.notInclude(String(said("a\u001b[2J")), "\u001b")
    for (const line of ["", "nonsense", "[]", "null", "{}", `{"id":"${id}","action":"perhaps"}`]) {
      assert.isString(answerOf(line, id), line)
    }
  })
})

describe.skipIf(!hasPython)("a plugin in Python (needs python3)", () => {
  it.live("accepts and rejects, in its words, and is not asked about forgeries, deletions and requests to vanish", () =>
    Effect.gen(function*() {
      const path = yield* plugin("policy.py")
      yield* Effect.gen(function*() {
        const client = yield* connect((yield* RelayAddress).url)
        const kept = saying("welcome")
        assert.deepStrictEqual((yield* client.publish(kept)).slice(2), [true, ""])
        assert.deepStrictEqual((yield* client.publish(saying("reject restricted: members only"))).slice(2), [
          false,
          "restricted: members only"
        ])
        const shadowed = saying("shadow")
        assert.deepStrictEqual((yield* client.publish(shadowed)).slice(2), [false, "blocked: the write policy says no"])
        assert.isFalse((yield* client.publish(withEditedContent(saying("forged"))))[2])
        assert.isTrue((yield* client.publish(deletionEvent([kept.id])))[2])
        const request = signed({ kind: 62, content: "gone", tags: [["relay", "ALL_RELAYS"]] }, "somebody else")
        assert.isTrue((yield* client.publish(request))[2])
        const asked = readFileSync(`${path}.log`, "utf8").trim().split("\n").map((line) =>
          JSON.parse(line).event.content
        )
        assert.deepStrictEqual(asked, ["welcome", "reject restricted: members only", "shadow"])
        assert.deepStrictEqual((yield* client.req("all", { ids: [shadowed.id] })).events, [])
      }).pipe(Effect.provide(relay({ writePolicy: path })), Effect.scoped)
    }))

  for (const word of ["hang", "die", "babble", "flood", "other"]) {
    it.live(
      `that would ${word} is started again, and what it left is refused with error:`,
      () =>
        Effect.gen(function*() {
          const path = yield* plugin("policy.py")
          const writePolicyTimeout = Settings.valuesOf({}).initialBackoff
          yield* withRelay({ writePolicy: path, writePolicyTimeout }, (publish) =>
            Effect.gen(function*() {
              assert.deepStrictEqual(yield* publish("first"), [true, ""])
              const refusal = [false, "error: the write policy does not answer"]
              assert.deepStrictEqual(yield* publish(word), refusal)
              // Until it may be started again, nobody waits for it.
              assert.deepStrictEqual(yield* publish("at once"), refusal)
              yield* Effect.sleep(1300)
              assert.deepStrictEqual(yield* publish("again"), [true, ""])
            }))
        }),
      20_000
    )
  }

  it.live("that fails lets events through where the setting says so, and is counted", () =>
    Effect.gen(function*() {
      const path = yield* plugin("policy.py")
      const before = yield* Metric.value(Metrics.aggregationPolicyFailures.ended)
      yield* withRelay({ writePolicy: path, writePolicyFailure: "accept" }, (publish) =>
        Effect.gen(function*() {
          assert.deepStrictEqual(yield* publish("die"), [true, ""])
          assert.deepStrictEqual(yield* publish("reject in vain"), [true, ""])
        }))
      const after = yield* Metric.value(Metrics.aggregationPolicyFailures.ended)
      assert.strictEqual(after.count - before.count, 1)
    }))
})

describe("a plugin in shell", () => {
  it.live("accepts hundreds at a time, in order", () =>
    Effect.gen(function*() {
      const path = yield* plugin("allow.sh")
      yield* withRelay({ writePolicy: path }, (publish) =>
        Effect.gen(function*() {
          const answers = yield* Effect.forEach(Array.from({ length: 200 }), () => publish("fine"), { concurrency: 50 })
          assert.isTrue(answers.every(([isTaken]) => isTaken === true))
        }))
    }), 30_000)

  it.live(
    "that hangs and ignores signals holds up no stop, and leaves no process behind",
    () =>
      Effect.gen(function*() {
        const path = yield* plugin("hang.sh")
        const running = yield* service.start({
          env: { WRITE_POLICY: path, WRITE_POLICY_TIMEOUT_SECS: "8", ADMISSION: "open" }
        })
        const { url } = yield* running.listening
        const client = yield* connect(url)
        yield* client.send(["EVENT", saying("waits")])
        yield* Effect.sleep(300)
        const pids = readFileSync(`${path}.pids`, "utf8").trim().split(" ").map(Number)
        assert.isTrue(pids.every(isAlive))
        const ended = yield* running.stop()
        assert.strictEqual(ended.code, 0)
        const { draining = 0, releasing = 0 } = ended.certificate?.phases ?? {}
        assert.isBelow(draining + releasing, 2000)
        assert.propertyVal(ended.certificate?.proofs, "policyExited", true)
        assert.isFalse(pids.some(isAlive))
      }),
    30_000
  )

  it.live("that is none stops the start with 78", () =>
    Effect.gen(function*() {
      const running = yield* service.start({ env: { WRITE_POLICY: "/nowhere/plugin" } })
      assert.strictEqual((yield* running.ended).code, 78)
    }), 30_000)
})
