/** NIP-77 as a client, against our own relay in another process. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { hash } from "node:crypto"
import { make as makeEvents } from "../../src/demo/UpstreamEvents.ts"
import type { Event } from "../../src/domain/Event.ts"
import { withForgedSignature } from "../support/events.ts"
import * as FakeNegentropy from "../support/FakeNegentropy.ts"
import { folder } from "../support/service.ts"
import * as Service from "../support/service.ts"
import { committed, databasePath, events, jsonLines, logged, playing, run } from "./support.ts"

/** A relay over these events, which takes any valid one. */
const relayWith = Effect.fnUntraced(function*(stored: ReadonlyArray<Event>) {
  const home = yield* folder
  yield* run(home, ["import", "--no-verify"], { input: jsonLines(stored) })
  const relay = yield* Service.start({
    folder: home,
    env: { DATABASE_PATH: databasePath(home), ADMISSION: "open" }
  })
  const { url } = yield* relay.listening
  return { home, url, relay }
})

const storeWith = Effect.fnUntraced(function*(stored: ReadonlyArray<Event>) {
  const home = yield* folder
  yield* run(home, ["import", "--no-verify"], { input: jsonLines(stored) })
  return home
})

const exported = (home: string) => Effect.map(run(home, ["export"]), ({ stdout }) => stdout)

/** Answers a REQ with whatever matches of these events; `refusal`: what it says to a NEG-OPEN. */
const unable = (stored: ReadonlyArray<Event>, refusal: ReadonlyArray<unknown> | undefined) =>
  playing(([type, id, filter], say) => {
    if (type === "NEG-OPEN" && refusal !== undefined) say(...refusal)
    if (type !== "REQ") return
    const { ids, limit = 500, since = 0, until = Infinity } = filter as {
      readonly ids?: ReadonlyArray<string>
      readonly limit?: number
      readonly since?: number
      readonly until?: number
    }
    say("EVENT", "somebody's", stored[0])
    say("EOSE", "somebody's")
    const found = stored
      .filter(({ created_at, id }) => created_at >= since && created_at <= until && (ids?.includes(id) ?? true))
      .toSorted((a, b) => b.created_at - a.created_at)
    for (const event of found.slice(0, Math.min(limit, 7))) say("EVENT", id, event)
    say("EOSE", id)
  })

describe("sync", () => {
  it.live(
    "both: the two stores end byte for byte the same, and a second run finds nothing",
    () =>
      Effect.gen(function*() {
        const all = events(2500)
        const { home: theirs, relay, url } = yield* relayWith(all.filter((_, i) => i % 9 !== 0))
        const ours = yield* storeWith(all.filter((_, i) => i % 9 !== 1))
        const result = yield* run(ours, ["sync", url])
        assert.strictEqual(result.code, 0, result.stderr.join("\n"))
        assert.deepStrictEqual(result.stdout, [])
        const again = yield* run(ours, ["sync", url])
        assert.match(again.stderr.join("\n"), /Done\. Have 0, need 0\./)
        yield* relay.stop()
        const stored = yield* exported(ours)
        assert.strictEqual(stored.length, 2500)
        assert.isTrue(stored.join("\n") === (yield* exported(theirs)).join("\n"))
      }).pipe(Effect.scoped),
    60_000
  )

  it.live("a direction and a filter bind it; up and none work beside a running service", () =>
    Effect.gen(function*() {
      const all = events(300)
      const { home: theirs, relay, url } = yield* relayWith(all.slice(100))
      const ours = yield* storeWith(all.slice(0, 200))
      const service = yield* Service.start({ folder: ours, env: { DATABASE_PATH: databasePath(ours) } })
      yield* service.listening
      assert.strictEqual((yield* run(ours, ["sync", url, "--dir", "down"])).code, 69)
      const none = yield* run(ours, ["sync", url, "--dir", "none"])
      assert.match(none.stderr.join("\n"), /Have 100 need 100/)
      assert.deepStrictEqual([committed(ours), committed(theirs)], [200, 200])
      const up = yield* run(ours, ["sync", url, "--dir", "up", "--filter", "{\"kinds\":[0]}"])
      assert.strictEqual(up.code, 0)
      const profiles = all.slice(0, 100).filter(({ kind }) => kind === 0).length
      assert.deepStrictEqual([committed(ours), committed(theirs)], [200, 200 + profiles])
      yield* service.stop()
      assert.strictEqual((yield* run(ours, ["sync", url, "--dir", "down"])).code, 0)
      assert.deepStrictEqual([committed(ours), committed(theirs)], [300, 200 + profiles])
      yield* relay.stop()
    }).pipe(Effect.scoped), 60_000)

  it.live("does not keep what is forged, and says so", () =>
    Effect.gen(function*() {
      const [good, bad] = events(2) as [Event, Event]
      const { relay, url } = yield* relayWith([good, withForgedSignature(bad)])
      const ours = yield* storeWith([])
      const result = yield* run(ours, ["sync", url])
      assert.strictEqual(result.code, 0)
      assert.match(result.stderr.join("\n"), /Down: 1 stored, 1 not kept/)
      assert.match(JSON.stringify(logged(result, "warn")), /forged/)
      assert.strictEqual(committed(ours), 1)
      yield* relay.stop()
    }).pipe(Effect.scoped), 30_000)

  it.live(
    "names what is wrong: the URL, the filter, a relay that is not there, one that refuses",
    () =>
      Effect.gen(function*() {
        const ours = yield* storeWith(events(3))
        assert.strictEqual((yield* run(ours, ["sync", "https://relay.example"])).code, 64)
        assert.strictEqual((yield* run(ours, ["sync", "ws://127.0.0.1:1", "--filter", "[{},{}]"])).code, 64)
        assert.strictEqual((yield* run(ours, ["sync", "ws://127.0.0.1:1", "--dir", "sideways"])).code, 64)
        const absent = yield* run(ours, ["sync", "ws://127.0.0.1:1"])
        assert.strictEqual(absent.code, 69)
        assert.match(JSON.stringify(logged(absent, "error")), /ECONNREFUSED/)

        const url = yield* playing((_, say) => say("NEG-ERR", "N", "blocked: this query is too big"))
        const refused = yield* run(ours, ["sync", url])
        assert.strictEqual(refused.code, 1)
        assert.match(JSON.stringify(logged(refused, "error")), /blocked: this query is too big/)
      }).pipe(Effect.scoped),
    40_000
  )

  for (
    const [how, refusal] of [
      ["a NOTICE", ["NOTICE", "ERROR: bad msg: unknown cmd"]],
      ["CLOSED", ["CLOSED", "N", "unsupported: negentropy"]],
      ["silence", undefined]
    ] as const
  ) {
    it.live(`asks for everything where ${how} says that the relay does not compare`, () =>
      Effect.gen(function*() {
        const all = events(30)
        const ours = yield* storeWith(all.slice(0, 10))
        const url = yield* unable(all, refusal)
        // Of silence the first message's own deadline is 15 s, however long others may take.
        const compared = yield* run(ours, ["sync", url, "--timeout", "0", "--print-missing"])
        assert.strictEqual(compared.code, 0, compared.stderr.join("\n"))
        assert.deepStrictEqual(compared.stdout.toSorted(), all.slice(10).map(({ id }) => `need,${id}`).toSorted())
        assert.strictEqual((yield* exported(ours)).length, 10)
        const result = yield* run(ours, ["sync", url, "--dir", "down", "--timeout", "2"])
        assert.strictEqual(result.code, 0, result.stderr.join("\n"))
        assert.match(result.stderr.join("\n"), /need 20/)
        assert.strictEqual((yield* exported(ours)).length, 30)
      }).pipe(Effect.scoped), 60_000)
  }

  it.live("writes what either side lacks instead of exchanging it", () =>
    Effect.gen(function*() {
      const all = events(30)
      const { home: theirs, relay, url } = yield* relayWith(all.slice(10))
      const ours = yield* storeWith(all.slice(0, 20))
      const result = yield* run(ours, ["sync", url, "--print-missing"])
      assert.strictEqual(result.code, 0, result.stderr.join("\n"))
      assert.deepStrictEqual(
        result.stdout.toSorted(),
        [
          ...all.slice(0, 10).map(({ id }) => `have,${id}`),
          ...all.slice(20).map(({ id }) => `need,${id}`)
        ].toSorted()
      )
      assert.deepStrictEqual([committed(ours), committed(theirs)], [20, 20])
      const both = yield* run(ours, ["sync", url, "--print-missing", "--dir", "down"])
      assert.strictEqual(both.code, 64)
      assert.match(both.stderr.join("\n"), /--dir can only be none/)
      yield* relay.stop()
    }).pipe(Effect.scoped), 60_000)

  it.live("says who it is to a relay that wants to know, once, where there is a key", () =>
    Effect.gen(function*() {
      const all = events(30)
      const negentropy = FakeNegentropy.make()
      const stored = makeEvents(all)
      const said: Array<Event> = []
      const url = yield* playing((message, say) => {
        const [type, id] = message
        if (type === "AUTH") {
          said.push(id as Event)
          return say("OK", (id as Event).id, true, "")
        }
        if (said.length === 0) {
          say("AUTH", "challenge of this relay")
          return say("NEG-ERR", id, "auth-required: who are you?")
        }
        if (
          negentropy.play(
            message,
            (...frames) => frames.forEach((frame) => say(...frame as ReadonlyArray<unknown>)),
            stored
          )
        ) {
          return undefined
        }
        if (type !== "REQ") return undefined
        const { ids } = message[2] as { readonly ids: ReadonlyArray<string> }
        for (const event of all) if (ids.includes(event.id)) say("EVENT", id, event)
        return say("EOSE", id)
      })
      const ours = yield* storeWith([])
      const unnamed = yield* run(ours, ["sync", url, "--dir", "down"])
      assert.strictEqual(unnamed.code, 1)
      assert.match(JSON.stringify(logged(unnamed, "error")), /auth-required: who are you/)
      assert.deepStrictEqual(said, [])
      const named = yield* run(ours, ["sync", url, "--dir", "down"], {
        env: { RELAY_SECRET_KEY: hash("sha256", "a key of this test") }
      })
      assert.strictEqual(named.code, 0, named.stderr.join("\n"))
      assert.strictEqual((yield* exported(ours)).length, 30)
      assert.deepStrictEqual(
        said.map(({ kind, tags }) => [kind, tags.find(([name]) => name === "challenge")?.[1]]),
        [[22_242, "challenge of this relay"]]
      )
    }).pipe(Effect.scoped), 60_000)

  it.live(
    "fails with how many of the events that it needs have not come, and with the reason of a CLOSED",
    () =>
      Effect.gen(function*() {
        const all = events(12)
        const ours = yield* storeWith([])
        const negentropy = FakeNegentropy.make()
        const stored = makeEvents(all)
        const hiding = yield* playing((message, say) => {
          if (
            negentropy.play(message, (...frames) =>
              frames.forEach((frame) => say(...(frame as ReadonlyArray<unknown>))), stored)
          ) {
            return
          }
          const [type, id] = message
          if (type !== "REQ") {
            return
          }
          for (const event of all.slice(0, 9)) {
            say("EVENT", id, event)
          }
          say("EOSE", id)
        })
        const short = yield* run(ours, ["sync", hiding, "--dir", "down"])
        assert.strictEqual(short.code, 75)
        assert.match(JSON.stringify(logged(short, "error")), /3 events were needed and have not come/)
        assert.strictEqual((yield* exported(ours)).length, 9)

        const closing = yield* playing((message, say) => {
          if (
            negentropy.play(message, (...frames) =>
              frames.forEach((frame) =>
                say(...(frame as ReadonlyArray<unknown>))
              ), stored)
          ) {
            return
          }
          if (message[0] === "REQ") {
            say("CLOSED", message[1], "blocked: not you")
          }
        })
        const refused = yield* run(ours, ["sync", closing, "--dir", "down"])
        assert.strictEqual(refused.code, 1)
        assert.match(JSON.stringify(logged(refused, "error")), /blocked: not you/)
      }).pipe(Effect.scoped),
    60_000
  )
})
