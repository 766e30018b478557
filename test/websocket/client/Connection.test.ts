import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Latch, PubSub } from "effect"
import { type Overrides, Settings } from "../../../src/config/Settings.ts"
import { Database } from "../../../src/database/Database.ts"
import { type Event, rawOf } from "../../../src/domain/Event.ts"
import { Shutdown } from "../../../src/lifecycle/Shutdown.ts"
import { type Connection, serve } from "../../../src/websocket/client/Connection.ts"
import * as Shared from "../../../src/websocket/client/Shared.ts"
import * as Subscriptions from "../../../src/websocket/client/Subscriptions.ts"
import { epoch, notes, profileEvent, signed } from "../../support/events.ts"
import { FakeClientSocket } from "../FakeClientSocket.ts"
import * as Fake from "../FakeStore.ts"

/** One connection over a fake socket and a fake store, with everything a server would give it. */
const open = Effect.gen(function*() {
  const { limits } = yield* Settings
  const { journal } = yield* Shutdown
  const shared = Shared.of({
    limits,
    database: yield* Database,
    authentication: {
      relayUrl: "ws://localhost",
      isFirst: false,
      makeChallenge: () => "challenge",
      verify: () => Effect.succeed("Valid" as const)
    },
    subscriptions: yield* Subscriptions.make,
    itemSets: { find: () => Effect.succeed("too big"), clear: () => {} },
    journal,
    run: Effect.runForkWith(yield* Effect.context()),
    count: () => {}
  })
  const opened: Array<Connection> = []
  const ended = yield* Deferred.make<void>()
  const socket = new FakeClientSocket()
  yield* serve(shared, socket, { number: 17, client: "127.0.0.1" }, {
    opened: (connection) => opened.push(connection),
    ended: () => Deferred.doneUnsafe(ended, Effect.void)
  })
  const [connection] = opened as [Connection]
  return { socket, connection, ended: Deferred.await(ended), shared, store: yield* Fake.FakeStore, journal }
})

const test = (
  name: string,
  body: Effect.Effect<void, unknown, Effect.Services<typeof open>>,
  overrides: Overrides = {}
) => it.effect(name, () => body.pipe(Effect.provide(Fake.layerStore(overrides))))

/** Lets fibers that can go on do so. */
const settle = Effect.forEach(Array.from({ length: 20 }), () => Effect.yieldNow, { discard: true })

describe("Connection", () => {
  test(
    "holds a sender of its own name for as long as its socket lives",
    Effect.gen(function*() {
      const { socket, store, ended } = yield* open
      assert.deepStrictEqual([...store.holders], ["websocket/connection 17"])
      socket.end(1000)
      yield* ended
      assert.deepStrictEqual([...store.holders], [])
    })
  )

  test(
    "answers other messages while an EVENT waits",
    Effect.gen(function*() {
      const { socket, store } = yield* open
      const latch = yield* Latch.make()
      store.submit = (event) => Effect.andThen(latch.await, store.save(event))
      const event = signed()
      socket.say(["EVENT", event], ["REQ", "a", { limit: 0 }], ["nonsense"])
      yield* settle
      assert.sameMembers(socket.sent.map(([type]) => type), ["EOSE", "NOTICE"])
      yield* latch.open
      yield* settle
      assert.deepStrictEqual(socket.of("OK"), [["OK", event.id, true, ""]])
    })
  )

  test(
    "stops reading while 256 events wait, reads again when half are answered, and loses none",
    Effect.gen(function*() {
      const { socket, store } = yield* open
      const waiting: Array<Deferred.Deferred<void>> = []
      store.submit = (event) =>
        Effect.suspend(() => {
          const gate = Deferred.makeUnsafe<void>()
          waiting.push(gate)
          return Effect.andThen(Deferred.await(gate), store.save(event))
        })
      const events = notes(300)
      socket.say(...events.map((event) => ["EVENT", event]))
      yield* settle
      assert.isTrue(socket.isPaused)
      assert.strictEqual(waiting.length, 256)
      for (let i = 0; i < 127; i++) yield* Deferred.succeed(waiting[i]!, undefined)
      yield* settle
      assert.isTrue(socket.isPaused, "one short of half")
      yield* Deferred.succeed(waiting[127]!, undefined)
      yield* settle
      assert.isFalse(socket.isPaused)
      assert.strictEqual(waiting.length, 300)
      for (const gate of waiting) yield* Deferred.succeed(gate, undefined)
      yield* settle
      assert.sameMembers(socket.of("OK").map(([, id]) => id), events.map(({ id }) => id))
    })
  )

  test(
    "stops reading while the events that wait have a million characters, whatever their number",
    Effect.gen(function*() {
      const { socket, store } = yield* open
      const waiting: Array<Deferred.Deferred<void>> = []
      store.submit = (event) =>
        Effect.suspend(() => {
          const gate = Deferred.makeUnsafe<void>()
          waiting.push(gate)
          return Effect.andThen(Deferred.await(gate), store.save(event))
        })
      const events = Array.from({ length: 30 }, (_, i) => signed({ content: `${i} ${"x".repeat(60_000)}` }))
      socket.say(...events.map((event) => ["EVENT", event]))
      yield* settle
      assert.isTrue(socket.isPaused)
      assert.strictEqual(waiting.length, 18)
      yield* Deferred.succeed(waiting[0]!, undefined)
      yield* settle
      assert.strictEqual(waiting.length, 19, "as many as were answered")
      for (let i = 1; i < 30; i++) {
        yield* Deferred.succeed(waiting[i]!, undefined)
        yield* settle
      }
      assert.isFalse(socket.isPaused)
      assert.sameMembers(socket.of("OK").map(([, id]) => id), events.map(({ id }) => id))
    })
  )

  test(
    "submits an event once, and needs no fiber where admission has room",
    Effect.gen(function*() {
      const { socket, store } = yield* open
      const waited: Array<Event> = []
      store.submit = (event) => Effect.suspend(() => (waited.push(event), store.save(event)))
      store.taken = []
      const [first, second] = notes(2) as [Event, Event]
      socket.say(["EVENT", first])
      yield* settle
      assert.deepStrictEqual([store.taken.map(({ event }) => event.id), waited.length], [[first.id], 0])
      store.taken[0]!.decide(Exit.succeed({ _tag: "Saved", seq: 1 }))
      assert.deepStrictEqual(socket.of("OK"), [["OK", first.id, true, ""]])
      store.taken = undefined
      socket.say(["EVENT", second])
      yield* settle
      assert.deepStrictEqual(waited.map(({ id }) => id), [second.id])
      assert.strictEqual(socket.of("OK").length, 2)
    })
  )

  test(
    "counts as answered what its client could hear, and nothing after the socket is gone",
    Effect.gen(function*() {
      const { socket, store, journal, ended, shared } = yield* open
      const latch = yield* Latch.make()
      const [first, second] = notes(2) as [Event, Event]
      socket.say(["EVENT", first])
      yield* settle
      store.submit = (event) => Effect.andThen(latch.await, store.save(event))
      socket.say(["EVENT", second])
      socket.end(1000)
      yield* ended
      yield* latch.open
      yield* settle
      assert.deepStrictEqual([journal.counters.answeredTrue, journal.counters.answeredFalse], [1, 0])
      assert.strictEqual(shared.inFlight.count, 0)
    })
  )

  test(
    "answers a submission that dies with OK false, once, and goes on",
    Effect.gen(function*() {
      const { socket, store } = yield* open
      const event = signed()
      store.submit = () => Effect.die(new Error("a bug"))
      socket.say(["EVENT", event], ["REQ", "a", { limit: 0 }])
      yield* settle
      assert.deepStrictEqual(socket.of("OK"), [["OK", event.id, false, "error: internal error"]])
      assert.strictEqual(socket.of("EOSE").length, 1)
    })
  )

  for (const isPacking of [false, true]) {
    const answers = isPacking ? "in one framed answer" : "in single events"
    test(
      `pauses a scan ${answers} while the client does not take what it was sent, and then goes on where it was`,
      Effect.gen(function*() {
        const { socket, store } = yield* open
        store.isPacking = isPacking
        for (const event of notes(200)) yield* store.save({ ...event, content: "x".repeat(4000) })
        socket.isReading = false
        socket.say(["REQ", "a", { limit: 200 }])
        yield* settle
        const page = socket.of("EVENT").length
        assert.isAbove(page, 10)
        assert.isBelow(page, 20, "a quarter of 256 KiB, in events of about 4.3 kB")
        assert.strictEqual(store.givenBack, 0)
        for (let i = 0; i < 20; i++) socket.drain()
        assert.strictEqual(new Set(socket.of("EVENT").map((m) => (m[2] as { id: string }).id)).size, 200)
        assert.strictEqual(socket.of("EVENT").length, 200)
        assert.deepStrictEqual(socket.sent.at(-1), ["EOSE", "a", ["finish"]])
        assert.isFalse(socket.isClosed)
        assert.strictEqual(store.givenBack, isPacking ? 1 : 0, "its memory, once the last of it is written")
      }),
      { limits: { outboundBytesMax: 262_144 } }
    )
  }

  for (const how of ["closes the subscription", "leaves"]) {
    test(
      `gives the memory of an answer back when the client ${how} in the middle of it, once the socket has let go`,
      Effect.gen(function*() {
        const { socket, store } = yield* open
        store.isPacking = true
        for (const event of notes(200)) yield* store.save({ ...event, content: "x".repeat(4000) })
        socket.isReading = false
        socket.say(["REQ", "a", { limit: 200 }])
        yield* settle
        assert.isAbove(socket.of("EVENT").length, 0)
        if (how === "leaves") socket.end(1006)
        else {
          socket.say(["CLOSE", "a"])
          assert.strictEqual(store.givenBack, 0, "the kernel still reads it")
          socket.drain()
        }
        assert.strictEqual(store.givenBack, 1)
        yield* settle
        assert.strictEqual(store.givenBack, 1)
      }),
      { limits: { outboundBytesMax: 262_144 } }
    )
  }

  test(
    "cuts a client with 1013 that takes nothing of a scan between two looks",
    Effect.gen(function*() {
      const { socket, store, connection } = yield* open
      for (const event of notes(200)) yield* store.save({ ...event, content: "x".repeat(4000) })
      socket.isReading = false
      socket.say(["REQ", "a", { limit: 200 }])
      yield* settle
      connection.look(0, 1000)
      assert.isFalse(socket.isClosed)
      connection.look(250, 1000)
      assert.deepStrictEqual(socket.closedWith, { code: 1013, reason: "reading too slowly" })
    }),
    { limits: { outboundBytesMax: 262_144 } }
  )

  test(
    "cuts a client with 1013 when live events wait beyond the bound, and lets go of all that is kept for it",
    Effect.gen(function*() {
      const { socket, store, shared } = yield* open
      socket.say(["REQ", "a", { limit: 0 }])
      yield* settle
      socket.isReading = false
      for (const event of notes(70)) yield* store.save({ ...event, content: "x".repeat(4000) })
      yield* settle
      assert.strictEqual(socket.closedWith?.code, 1013)
      assert.strictEqual(shared.subscriptions.size, 0)
      const sent = socket.sent.length
      yield* store.save(signed())
      yield* settle
      assert.strictEqual(socket.sent.length, sent)
    }),
    { limits: { outboundBytesMax: 262_144 } }
  )

  test(
    "asks a silent client whether it is there, and closes it when it does not answer",
    Effect.gen(function*() {
      const { socket, connection } = yield* open
      connection.look(499, 1000)
      assert.strictEqual(socket.pings, 0)
      connection.look(500, 1000)
      assert.strictEqual(socket.pings, 1)
      // Any byte will do, such as a pong's.
      socket.bytesReceived++
      connection.look(750, 1000)
      connection.look(1249, 1000)
      assert.strictEqual(socket.pings, 1)
      // We were held up: it has been silent for long, but nobody has asked it.
      connection.look(9000, 1000)
      assert.strictEqual(socket.pings, 2)
      connection.look(9499, 1000)
      assert.isFalse(socket.isClosed)
      connection.look(9500, 1000)
      assert.deepStrictEqual(socket.closedWith, { code: 1001, reason: "idle for too long" })
    })
  )

  test(
    "closes a client that floods it with pings",
    Effect.gen(function*() {
      const { socket } = yield* open
      for (let i = 0; i < 300; i++) socket.pingUs()
      assert.isFalse(socket.isClosed)
      socket.pingUs()
      assert.deepStrictEqual(socket.closedWith, { code: 1008, reason: "too many pings" })
    })
  )

  test(
    "answers every event once when it is told to stop, whenever its outcome comes",
    Effect.gen(function*() {
      const { socket, store, connection, shared } = yield* open
      const latch = yield* Latch.make()
      store.submit = (event) => Effect.andThen(latch.await, store.save(event))
      const events = notes(3)
      socket.say(...events.map((event) => ["EVENT", event]))
      connection.stopReading()
      socket.say(["EVENT", signed({ content: "too late" })])
      connection.refuseInFlight()
      yield* latch.open
      yield* settle
      assert.deepStrictEqual(socket.sent, events.map(({ id }) => ["OK", id, false, "error: shutting down"]))
      assert.strictEqual(shared.inFlight.count, 0)
    })
  )
})

describe("OpenSubscriptions", () => {
  test(
    "sends what is committed while the store is read after EOSE, in order, neither missed nor twice",
    Effect.gen(function*() {
      const { socket, store } = yield* open
      const latch = yield* Latch.make()
      const [before, meanwhile, after] = [notes(3, "a"), notes(3, "a", epoch + 10), notes(3, "a", epoch + 20)]
      for (const event of before) yield* store.save(event)
      store.pace = latch.await
      // Commits that the read sees are announced after the subscription was entered: they must not come twice.
      socket.say(["REQ", "s", { kinds: [1] }])
      for (const event of meanwhile) yield* store.save(event)
      yield* settle
      assert.deepStrictEqual(socket.sent, [])
      yield* latch.open
      yield* settle
      for (const event of after) yield* store.save(event)
      yield* settle
      assert.deepStrictEqual(socket.sent, [
        ...before.map((event) => ["EVENT", "s", event]),
        ["EOSE", "s", ["finish"]],
        ...[...meanwhile, ...after].map((event) => ["EVENT", "s", event])
      ])
    })
  )

  test(
    "keeps an ephemeral event that comes while the store is read",
    Effect.gen(function*() {
      const { socket, store } = yield* open
      const latch = yield* Latch.make()
      yield* store.save(signed())
      store.pace = latch.await
      socket.say(["REQ", "s", { kinds: [20_000] }])
      const event = signed({ kind: 20_000 })
      yield* store.save(event)
      yield* settle
      yield* latch.open
      yield* settle
      assert.deepStrictEqual(socket.sent, [["EOSE", "s", ["finish"]], ["EVENT", "s", event]])
    })
  )

  test(
    "says nothing for a subscription that is closed or replaced while the store is read",
    Effect.gen(function*() {
      const { socket, store, shared } = yield* open
      const latch = yield* Latch.make()
      yield* store.save(signed())
      store.pace = latch.await
      socket.say(["REQ", "closed", {}], ["REQ", "replaced", { kinds: [1] }])
      yield* settle
      socket.say(["CLOSE", "closed"], ["REQ", "replaced", { kinds: [7] }])
      yield* latch.open
      yield* settle
      assert.deepStrictEqual(socket.sent, [["EOSE", "replaced", ["finish"]]])
      assert.strictEqual(shared.subscriptions.size, 1)
    })
  )

  test(
    "answers a read that fails with CLOSED, without EOSE, and leaves nothing open",
    Effect.gen(function*() {
      const { socket, store, shared } = yield* open
      store.pace = Effect.fail(Fake.readError)
      socket.say(["REQ", "s", {}])
      yield* settle
      assert.deepStrictEqual(socket.sent, [["CLOSED", "s", "error: could not read the store"]])
      assert.strictEqual(shared.subscriptions.size, 0)
    })
  )

  test(
    "reads for four subscriptions at a time, and for all of them in the end",
    Effect.gen(function*() {
      const { socket, store } = yield* open
      let reading = 0
      let most = 0
      const latch = yield* Latch.make()
      store.pace = Effect.acquireUseRelease(
        Effect.sync(() => void (most = Math.max(most, ++reading))),
        () => latch.await,
        () => Effect.sync(() => void reading--)
      )
      socket.say(...Array.from({ length: 20 }, (_, i) => ["REQ", `s${i}`, {}]))
      yield* settle
      // Replacing must not buy a client more reads at once.
      socket.say(...Array.from({ length: 20 }, (_, i) => ["REQ", `s${i}`, { kinds: [1] }]))
      yield* settle
      yield* latch.open
      yield* settle
      assert.strictEqual(most, 4)
      assert.strictEqual(new Set(socket.of("EOSE").map(([, id]) => id)).size, 20)
      assert.strictEqual(socket.of("EOSE").length, 20)
    })
  )

  test(
    "counts, and refuses a count that fails or searches",
    Effect.gen(function*() {
      const { socket, store } = yield* open
      for (const event of notes(3)) yield* store.save(event)
      socket.say(["COUNT", "c", { kinds: [1] }], ["COUNT", "d", { search: "x" }])
      yield* settle
      assert.sameDeepMembers([...socket.sent], [["COUNT", "c", { count: 3 }], ["CLOSED", "d", "unsupported: search"]])
    })
  )
})

describe("Subscriptions", () => {
  test(
    "give other fibers their turn while profiles are looked up by their words",
    Effect.gen(function*() {
      const { socket, store } = yield* open
      socket.say(["REQ", "s", { search: "mira", limit: 0 }])
      yield* settle
      const event = profileEvent({ name: "mira" })
      const commits = Array.from({ length: 1000 }, (_, i) => ({ seq: i + 1, event, raw: rawOf(event) }))
      yield* PubSub.publish(store.saved, commits)
      let most = 0
      for (let before = 0; before < commits.length;) {
        yield* Effect.yieldNow
        const heard = socket.of("EVENT").length
        most = Math.max(most, heard - before)
        before = heard
      }
      assert.isBelow(most, 500)
    })
  )
})
