import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { make as makeEvents } from "../../src/demo/UpstreamEvents.ts"
import type { Event } from "../../src/domain/Event.ts"
import { epoch, notes, profileEvent, signed } from "./events.ts"
import * as FakeUpstream from "./FakeUpstream.ts"
import { connect } from "./TestClient.ts"

const ids = (events: ReadonlyArray<Event>) => events.map((event) => event.id)

const count = (messages: ReadonlyArray<ReadonlyArray<unknown>>, type: string) =>
  messages.filter((message) => message[0] === type).length

const authors = ["ana", "bo", "cy"]
/** Few distinct values, so that every combination of conditions meets ties and empty answers. */
const crowd = Array.from({ length: 60 }, (_, i) =>
  signed({
    kind: [0, 1, 3][i % 3] ?? 0,
    created_at: epoch + (i * 7) % 20,
    content: String(i),
    tags: [["t", `topic ${i % 4}`]]
  }, authors[i % authors.length]))

/** Slow and obvious: every event against every condition, then sorted, then cut. */
const slowQuery = (filter: {
  readonly kinds?: ReadonlyArray<number>
  readonly authors?: ReadonlyArray<string>
  readonly since?: number
  readonly until?: number
  readonly limit?: number
  readonly "#t"?: ReadonlyArray<string>
}) => {
  let found = crowd.slice()
  const { kinds, authors, since, until, limit, "#t": topics } = filter
  if (kinds !== undefined) found = found.filter((event) => kinds.includes(event.kind))
  if (authors !== undefined) found = found.filter((event) => authors.includes(event.pubkey))
  if (since !== undefined) found = found.filter((event) => event.created_at >= since)
  if (until !== undefined) found = found.filter((event) => event.created_at <= until)
  if (topics !== undefined) found = found.filter((event) => topics.includes(event.tags[0]?.[1] ?? ""))
  found.sort((a, b) => a.created_at === b.created_at ? a.id.localeCompare(b.id) : b.created_at - a.created_at)
  return limit === undefined ? found : found.slice(0, limit)
}

const within = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
const time = within(epoch - 1, epoch + 21)
const AnyFilter = Schema.Struct({
  kinds: Schema.optionalKey(Schema.Array(within(0, 3))),
  authors: Schema.optionalKey(Schema.Array(Schema.Literals(crowd.slice(0, 3).map((event) => event.pubkey)))),
  since: Schema.optionalKey(time),
  until: Schema.optionalKey(time),
  limit: Schema.optionalKey(within(0, 70)),
  "#t": Schema.optionalKey(Schema.Array(Schema.Literals(["topic 0", "topic 1", "topic 9"])))
})

describe("UpstreamEvents", () => {
  it.effect.prop(
    "answers any filter as a slow, obvious search does",
    { filter: AnyFilter },
    ({ filter }) =>
      Effect.sync(() => assert.deepStrictEqual(ids(makeEvents(crowd).query(filter)), ids(slowQuery(filter)))),
    { arbitrary: { runs: 500 } }
  )

  it("puts a later event in its place, and keeps doubles", () => {
    const [first, ...rest] = crowd
    assert.isDefined(first)
    const events = makeEvents(rest)
    events.add(first)
    assert.deepStrictEqual(ids(events.query({})), ids(slowQuery({})))
    events.add(first)
    assert.strictEqual(events.size(), crowd.length + 1)
    assert.lengthOf(events.query({ ids: [first.id] }), 2)
  })
})

describe("FakeUpstream, honest", () => {
  it.live("answers pages newest first, then EOSE", () =>
    Effect.gen(function*() {
      const upstream = yield* FakeUpstream.make({ events: crowd, pageMax: 7 })
      const client = yield* connect(upstream.url)
      const capped = yield* client.req("a", { kinds: [1], limit: 500 })
      assert.deepStrictEqual(ids(capped.events), ids(slowQuery({ kinds: [1], limit: 7 })))
      assert.deepStrictEqual(capped.end, ["EOSE", "a"])
      const next = yield* client.req("b", { kinds: [1], until: epoch + 9, limit: 3 })
      assert.deepStrictEqual(ids(next.events), ids(slowQuery({ kinds: [1], until: epoch + 9, limit: 3 })))
    }))

  it.live("answers an event that two filters match once", () =>
    Effect.gen(function*() {
      const upstream = yield* FakeUpstream.make({ events: crowd })
      const client = yield* connect(upstream.url)
      const { events } = yield* client.req("a", { kinds: [0] }, { kinds: [0, 1] })
      assert.lengthOf(events, 40)
    }))

  it.live("sends new events to the subscriptions that match, until they are closed", () =>
    Effect.gen(function*() {
      const upstream = yield* FakeUpstream.make()
      const client = yield* connect(upstream.url)
      yield* client.req("profiles", { kinds: [0] })
      yield* client.req("notes", { kinds: [1] })
      const [first, second, third] = [profileEvent({}, 1), profileEvent({}, 2), signed()]
      upstream.publish(first)
      assert.deepStrictEqual(yield* client.next("EVENT"), ["EVENT", "profiles", first])
      yield* client.send(["CLOSE", "profiles"])
      yield* upstream.until((requests) => requests.some(({ _tag }) => _tag === "Other"))
      upstream.publish(second)
      upstream.publish(third)
      assert.deepStrictEqual(yield* client.next("EVENT"), ["EVENT", "notes", third])
    }))
})

describe("FakeUpstream, at fault", () => {
  /** A connected client of an upstream that holds `crowd`. */
  const faulty = Effect.fnUntraced(function*(faults: FakeUpstream.Faults) {
    const upstream = yield* FakeUpstream.make({ events: crowd, faults })
    return { upstream, client: yield* connect(upstream.url) }
  })

  it.live("never upgrades, and lets go of the socket at the end", () =>
    Effect.gen(function*() {
      const upstream = yield* FakeUpstream.make({ faults: { neverUpgrade: true } })
      const refused = yield* Effect.flip(connect(upstream.url, { handshakeTimeout: 50 }))
      assert.strictEqual(refused.status, 0)
      assert.include(refused.detail, "timed out")
    }))

  it.live("refuses the handshake with a status", () =>
    Effect.gen(function*() {
      const upstream = yield* FakeUpstream.make({
        faults: { refuse: { status: 429, headers: { "retry-after": "7" } } }
      })
      assert.strictEqual((yield* Effect.flip(connect(upstream.url))).status, 429)
      upstream.behave({})
      yield* connect(upstream.url)
    }))

  it.live("is mute: no answer, and no Close frame", () =>
    Effect.gen(function*() {
      const { client } = yield* faulty({ mute: true })
      yield* client.send(["REQ", "a", {}])
      yield* client.close()
      yield* Effect.flip(client.closed("100 millis"))
      assert.lengthOf(client.received(), 0)
    }))

  it.live("keeps its EOSE", () =>
    Effect.gen(function*() {
      const { client, upstream } = yield* faulty({ neverEose: true })
      yield* client.send(["REQ", "a", {}])
      yield* client.next(() => client.received().length === crowd.length)
      upstream.behave({})
      // Were an EOSE on its way, it would come before this answer.
      yield* client.req("b", { limit: 0 })
      assert.strictEqual(count(client.received(), "EOSE"), 1)
    }))

  it.live("closes, or drops the connection, after so many messages", () =>
    Effect.gen(function*() {
      const { client, upstream } = yield* faulty({ closeAfter: { messages: 5, code: 1013, reason: "busy" } })
      yield* client.send(["REQ", "a", {}])
      assert.deepStrictEqual(yield* client.closed(), { code: 1013, reason: "busy" })
      assert.lengthOf(client.received(), 5)
      upstream.behave({ closeAfter: { messages: 0 } })
      const second = yield* connect(upstream.url)
      yield* second.send(["REQ", "a", {}])
      assert.deepStrictEqual(yield* second.closed(), { code: 1006, reason: "" })
      assert.lengthOf(second.received(), 0)
    }))

  it.live("drops the connection at any byte", () =>
    Effect.gen(function*() {
      const { client, upstream } = yield* faulty({})
      yield* client.req("a", { limit: 2 })
      const handshake = 129
      for (const cut of [0, 1, handshake, handshake + 1, handshake + 400, handshake + 700]) {
        upstream.behave({ cutAfterBytes: cut })
        const outcome = yield* connect(upstream.url).pipe(
          Effect.flatMap((client) =>
            Effect.andThen(
              client.send(["REQ", "a", { limit: 2 }]),
              Effect.map(client.closed(), ({ code }) => ({ code, messages: client.received().length }))
            )
          ),
          Effect.result
        )
        if (cut < handshake) assert.strictEqual(outcome._tag, "Failure", `cut at ${cut}`)
        else {
          assert.isTrue(outcome._tag === "Success" && outcome.success.code === 1006, `cut at ${cut}`)
          assert.isTrue(outcome._tag === "Success" && outcome.success.messages < 3, `cut at ${cut}`)
        }
      }
    }))

  it.live("drips", () =>
    Effect.gen(function*() {
      const { client } = yield* faulty({ dripMillis: 10 })
      const started = performance.now()
      yield* client.req("a", { limit: 5 })
      assert.isAtLeast(performance.now() - started, 45)
    }))

  it.live("floods without an end, as fast as it is read", () =>
    Effect.gen(function*() {
      const { client, upstream } = yield* faulty({ flood: true })
      yield* client.send(["REQ", "a", {}])
      yield* client.next(() => client.received().length > 20 * crowd.length)
      assert.strictEqual(count(client.received(), "EOSE"), 0)
      upstream.behave({})
    }))

  it.live("sends the newest page whatever until says", () =>
    Effect.gen(function*() {
      const { client } = yield* faulty({ samePage: true })
      const page = ids(slowQuery({ limit: 4 }))
      assert.deepStrictEqual(ids((yield* client.req("a", { limit: 4 })).events), page)
      assert.deepStrictEqual(ids((yield* client.req("b", { limit: 4, until: epoch })).events), page)
    }))

  it.live("sends what nobody asked for", () =>
    Effect.gen(function*() {
      const { client, upstream } = yield* faulty({ outsideFilter: true })
      const { events } = yield* client.req("a", { kinds: [0], limit: 3 })
      assert.strictEqual(events.filter((event) => event.kind !== 0).length, 5)
      upstream.behave({ ignoreLimit: true, oldestFirst: true })
      assert.deepStrictEqual(ids((yield* client.req("b", { limit: 1 })).events), ids(slowQuery({})).toReversed())
      upstream.behave({ forge: true })
      const forged = (yield* client.req("c", { limit: 1 })).events[0]
      const honest = slowQuery({ limit: 1 })[0]
      assert.strictEqual(forged?.id, honest?.id)
      assert.notStrictEqual(forged?.sig, honest?.sig)
    }))

  it.live("storms: notices, challenges, refusals, garbage, huge frames", () =>
    Effect.gen(function*() {
      const { client, upstream } = yield* faulty({ notices: 50, garbage: ["{", "[]", "[\"EVENT\"]"] })
      yield* client.req("a", { limit: 1 })
      assert.strictEqual(count(client.received(), "NOTICE"), 50)
      assert.strictEqual(count(client.received(), "(not JSON)"), 1)
      upstream.behave({ closed: "error: no" })
      assert.deepStrictEqual((yield* client.req("b", {})).end, ["CLOSED", "b", "error: no"])
      upstream.behave({ auth: true })
      assert.include(String((yield* client.req("c", {})).end[2]), "auth-required: ")
      yield* client.next("AUTH")
      upstream.behave({ hugeFrameBytes: 3_000_000 })
      yield* client.req("d", { limit: 0 })
      const huge = yield* client.next("(not JSON)")
      assert.strictEqual(huge[1], "{")
      assert.lengthOf(String((yield* client.next("(not JSON)"))[1]), 3_000_000)
    }))
})

describe("a fake upstream that is told what else to say", () => {
  it.live("leaves messages to the player that takes them, tells of each, and counts what it has sent", () =>
    Effect.gen(function*() {
      const heard: Array<string> = []
      const upstream = yield* FakeUpstream.make({
        events: [signed()],
        onRequest: ({ _tag }) => heard.push(_tag),
        play: ([type, text], say, events) => {
          if (type !== "ECHO") return false
          say(["NOTICE", "text"], ["ECHO", text, events.size()])
          return true
        }
      })
      const client = yield* connect(upstream.url)
      yield* client.send(["REQ", "a", {}])
      yield* client.next(([type]) => type === "EOSE")
      yield* client.send(["ECHO", "hello"])
      assert.deepStrictEqual(yield* client.next(([type]) => type === "ECHO"), ["ECHO", "hello", 1])
      assert.deepStrictEqual(heard, ["Connected", "Req", "Other"])
      assert.strictEqual(upstream.sent(), 4)
    }).pipe(Effect.scoped))

  it.live("cuts each connection a step later than the one before, from the start again when told anew", () =>
    Effect.gen(function*() {
      const upstream = yield* FakeUpstream.make({ faults: { cutAfterBytes: 0, cutStepBytes: 100 } })
      const isOpen = Effect.map(Effect.result(connect(upstream.url)), ({ _tag }) => _tag === "Success")
      // The answer to the handshake is 129 bytes.
      assert.deepStrictEqual([yield* isOpen, yield* isOpen, yield* isOpen], [false, false, true])
      upstream.behave({ cutAfterBytes: 100, cutStepBytes: 100 })
      assert.deepStrictEqual([yield* isOpen, yield* isOpen], [false, true])
    }).pipe(Effect.scoped))
})

describe("fakeUpstreamProcess", () => {
  it.live("serves a file, takes orders on stdin, and ends with it", () =>
    Effect.gen(function*() {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "fake-upstream-"))),
        (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
      )
      const file = join(folder, "events.jsonl")
      writeFileSync(file, notes(3).map((event) => JSON.stringify(event)).join("\n"))
      const child = yield* Effect.acquireRelease(
        Effect.sync(() =>
          spawn(process.execPath, [join(import.meta.dirname, "fakeUpstreamProcess.ts"), "--events", file], {
            stdio: ["pipe", "pipe", "inherit"]
          })
        ),
        (child) => Effect.sync(() => child.kill("SIGKILL"))
      )
      const line = yield* Effect.callback<string>((resume) => {
        createInterface({ input: child.stdout }).once("line", (line) => resume(Effect.succeed(line)))
      }).pipe(Effect.timeout("8 seconds"))
      const { url } = JSON.parse(line) as { readonly url: string }
      const client = yield* connect(url)
      assert.lengthOf((yield* client.req("a", {})).events, 3)
      const late = profileEvent()
      child.stdin.write(
        `${JSON.stringify({ publish: late })}\n${JSON.stringify({ behave: { closed: "error: no" } })}\n`
      )
      assert.deepStrictEqual(yield* client.next("EVENT"), ["EVENT", "a", late])
      assert.deepStrictEqual((yield* client.req("b", {})).end, ["CLOSED", "b", "error: no"])
      const code = yield* Effect.callback<number | null>((resume) => {
        child.once("exit", (code) => resume(Effect.succeed(code)))
        child.stdin.end()
      }).pipe(Effect.timeout("5 seconds"))
      assert.strictEqual(code, 0)
      assert.strictEqual((yield* client.closed()).code, 1006)
    }))
})
