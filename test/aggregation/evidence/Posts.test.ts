import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Metric, Option, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { hash } from "node:crypto"
import { layer as postsLayer, Posts, proveTimeout, space } from "../../../src/aggregation/evidence/Posts.ts"
import {
  connectionsMax,
  idleMax,
  layer as relayPoolLayer,
  RelayPool
} from "../../../src/aggregation/upstream/RelayPool.ts"
import { type Overrides, Settings } from "../../../src/config/Settings.ts"
import * as WorkerVerifier from "../../../src/crypto/WorkerVerifier.ts"
import { Database } from "../../../src/database/Database.ts"
import type { Event } from "../../../src/domain/Event.ts"
import { Shutdown } from "../../../src/lifecycle/Shutdown.ts"
import { Supervisor } from "../../../src/lifecycle/Supervisor.ts"
import { aggregationOutboxAsks } from "../../../src/observability/Metrics.ts"
import {
  dmRelaysEvent,
  keyOf,
  notes,
  relayListEvent,
  signed,
  withEditedContent,
  withForgedSignature
} from "../../support/events.ts"
import type { FakeSocket } from "../../support/FakeUpstreamSocket.ts"
import { blank, layer as databaseLayer } from "../FakeDatabase.ts"
import * as Relays from "../relays.ts"
import { eventually, now, settle } from "../world.ts"

const author = "author"
const { pubkey } = keyOf(author)
const [first, second] = ["wss://first.example", "wss://second.example"]
const own = "wss://own.example"

const { holding } = Relays

/** A relay that answers every REQ with these events, asked for or not. */
const pushing = (...events: ReadonlyArray<Event>): Relays.Play => (socket) => {
  socket.onMessage = ([type, id]) => {
    if (type !== "REQ") return
    for (const event of events) socket.say(["EVENT", id, event])
    socket.say(["EOSE", id])
  }
  queueMicrotask(() => socket.open())
}

/** Answers, and does not say goodbye. */
const silent: Relays.Play = (socket) => {
  socket.isPolite = false
  holding()(socket)
}

const run = <A, E>(
  relays: Readonly<Record<string, Relays.Play>>,
  test: Effect.Effect<A, E, Posts | RelayPool | Relays.RelayWorld | Database>,
  settings: Overrides = {},
  disk = blank()
) =>
  Effect.andThen(
    TestClock.setTime(now * 1000),
    Effect.provide(
      test,
      postsLayer.pipe(
        Layer.provideMerge(relayPoolLayer),
        Layer.provideMerge(Relays.layer(relays)),
        Layer.provideMerge(WorkerVerifier.layerInline),
        Layer.provideMerge(databaseLayer(disk)),
        Layer.provideMerge(Supervisor.layer),
        Layer.provideMerge(Shutdown.layerTest),
        Layer.provideMerge(Settings.layerTest({
          relaySecretKey: Option.some(Redacted.make(hash("sha256", "outbox"))),
          upstreams: [first],
          outboxRelays: [second],
          ...settings
        }))
      ),
      { local: true }
    )
  )

const prove = Effect.flatMap(Posts, (posts) => posts.prove(pubkey))
const ask = (url: string) =>
  Effect.flatMap(RelayPool, (pool) => pool.ask(url, [{ authors: [pubkey], kinds: [1], limit: 1 }]))

/** `found`, `none`, or why it is unknown. */
const inShort = Effect.map(prove, ({ textNotes }) => {
  if (textNotes._tag === "Unanswered") return textNotes.reason
  return textNotes.count > 0 ? "found" : "none"
})
const unanswered = "outbox relays did not answer"

describe("Posts.prove", () => {
  it.effect("finds a note at any relay it asks, and brings the author's lists along", () => {
    const lists = [relayListEvent({ write: [own] }), dmRelaysEvent([own])]
    return run(
      { [first]: holding(...lists), [second]: holding(...notes(2)) },
      Effect.gen(function*() {
        const { companions, operations, textNotes } = yield* prove
        assert.deepStrictEqual(textNotes, { _tag: "Found", count: 1 })
        assert.sameDeepMembers([...companions], lists)
        assert.strictEqual(operations.length, 1)
      })
    )
  })

  it.effect("takes nothing for proof but a valid event of that author and kind, which is not of the future", () => {
    const [note] = notes(1)
    const forgeries = [
      withForgedSignature(note!),
      withEditedContent(note!),
      notes(1, "somebody else")[0]!,
      signed({ kind: 7 }),
      signed({ created_at: now + 901 })
    ]
    return Effect.forEach(forgeries, (forged) =>
      run(
        { [first]: pushing(forged), [second]: pushing(forged) },
        Effect.map(inShort, (outcome) => assert.strictEqual(outcome, unanswered))
      ))
  })

  it.effect("brings lists along again while none is stored, as the profile they came with may not have been kept", () => {
    const list = relayListEvent({ write: [own] })
    const disk = blank()
    const asked = Effect.map(Relays.RelayWorld, ({ dialled }) => dialled.length)
    const again = run(
      { [first]: holding(list) },
      Effect.gen(function*() {
        const { companions, textNotes } = yield* prove
        return { companions, textNotes, asked: yield* asked }
      }),
      {},
      disk
    )
    return Effect.gen(function*() {
      const proof = yield* run({ [first]: holding(list, ...notes(1)) }, prove, {}, disk)
      assert.deepStrictEqual([...proof.companions], [list])
      const record = proof.operations[0]
      disk.records.set(`${space.name} ${pubkey}`, { key: pubkey, value: record?.value ?? "", due: record?.due ?? null })
      // Proof is not looked for again, whatever is met.
      const second = yield* again
      assert.deepStrictEqual([...second.companions], [list])
      assert.deepStrictEqual(second.textNotes, { _tag: "Found", count: 1 })
      disk.events.set("list", list)
      assert.strictEqual((yield* again).asked, 0)
    })
  })

  it.effect("asks the relays that were set for this, however many upstreams there are", () =>
    run(
      { [second]: holding(...notes(1)) },
      Effect.map(inShort, (outcome) => assert.strictEqual(outcome, "found")),
      { upstreams: Array.from({ length: 20 }, (_, i) => `wss://upstream${i}.example`) }
    ))

  it.effect("asks nobody again for lists that nobody had", () => {
    const disk = blank()
    return Effect.gen(function*() {
      const { operations: [record] } = yield* run({ [first]: holding(...notes(1)) }, prove, {}, disk)
      disk.records.set(`${space.name} ${pubkey}`, { key: pubkey, value: record?.value ?? "", due: record?.due ?? null })
      yield* run(
        {},
        Effect.gen(function*() {
          assert.strictEqual(yield* inShort, "found")
          assert.deepStrictEqual((yield* Relays.RelayWorld).dialled, [])
        }),
        {},
        disk
      )
    })
  })

  it.effect("counts what each relay's word comes to", () =>
    Effect.gen(function*() {
      const counts = Effect.map(
        Effect.forEach(Object.values(aggregationOutboxAsks), Metric.value),
        (states) => states.map((state) => state.count)
      )
      const before = yield* counts
      yield* run({ [first]: pushing(withForgedSignature(notes(1)[0]!)), [second]: holding() }, inShort)
      yield* run({ [second]: holding(...notes(1)) }, inShort)
      const after = yield* counts
      assert.deepStrictEqual(after.map((count, i) => count - (before[i] ?? 0)), [1, 1, 1, 1])
    }))

  it.effect("does not let a relay that forges hide the truth another one tells", () =>
    run(
      { [first]: pushing(withForgedSignature(notes(1)[0]!)), [second]: holding(...notes(1)) },
      Effect.map(inShort, (outcome) => assert.strictEqual(outcome, "found"))
    ))

  it.effect("looks for as many notes as are asked for, at all relays together, and remembers how many those were", () =>
    Effect.gen(function*() {
      const [one, two, three] = notes(3)
      const relays = { [first]: holding(one!, two!), [second]: holding(two!, three!) }
      const disk = blank()
      assert.strictEqual(yield* run(relays, inShort, { proofMin: 3 }, disk), "found")
      const { textNotes } = yield* run(relays, prove, { proofMin: 4 }, disk)
      assert.deepStrictEqual(textNotes, { _tag: "Found", count: 3 })
      assert.strictEqual(
        yield* run({ [first]: holding(one!, two!) }, inShort, { proofMin: 2, upstreams: [first] }),
        "found"
      )
      const kept = yield* run(relays, prove, { proofMin: 3 })
      const record = kept.operations[0]
      disk.records.set(`${space.name} ${pubkey}`, { key: pubkey, value: record?.value ?? "", due: record?.due ?? null })
      // Remembered, and asked by that number only.
      assert.strictEqual(yield* run({}, inShort, { proofMin: 3 }, disk), "found")
      assert.strictEqual(yield* run({}, inShort, { proofMin: 1 }, disk), unanswered)
    }))

  it.effect("says that there is nothing when so many relays say it, and not one sooner", () =>
    Effect.gen(function*() {
      const empty = { [first]: holding(), [second]: holding() }
      assert.strictEqual(yield* run(empty, inShort), "none")
      assert.strictEqual(yield* run(empty, inShort, { proofQuorum: 0 }), unanswered)
      assert.strictEqual(yield* run({ [first]: holding() }, inShort), unanswered)
      assert.strictEqual(yield* run({ [first]: holding() }, inShort, { proofQuorum: 1 }), "none")
    }))

  it.effect("takes the word of all relays there are, where these are fewer", () =>
    Effect.gen(function*() {
      const strict = { proofQuorum: 3 }
      assert.strictEqual(yield* run({ [first]: holding(), [second]: holding() }, inShort, strict), "none")
      assert.strictEqual(yield* run({ [first]: holding() }, inShort, strict), unanswered)
      // An author's own relays are among those that there are.
      const list = relayListEvent({ write: [own] })
      assert.strictEqual(yield* run({ [first]: holding(list), [second]: holding() }, inShort, strict), unanswered)
      assert.strictEqual(
        yield* run({ [first]: holding(list), [second]: holding(), [own]: holding() }, inShort, strict),
        "none"
      )
      const alone = { outboxRelays: [] }
      assert.strictEqual(yield* run({ [first]: holding() }, inShort, alone), "none")
      assert.strictEqual(yield* run({}, inShort, alone), unanswered)
      // Nobody is asked, so nobody has said that there is nothing.
      assert.strictEqual(yield* run({}, inShort, { upstreams: [], outboxRelays: [] }), unanswered)
    }))

  it.effect("asks the author's own relays, as far as known, through the guard, and needs a word of theirs", () => {
    const list = relayListEvent({ write: [own], read: ["wss://read.example"] })
    const both = { [first]: holding(list), [second]: holding() }
    return Effect.gen(function*() {
      yield* run(
        { ...both, [own]: holding(...notes(1)) },
        Effect.gen(function*() {
          assert.strictEqual(yield* inShort, "found")
          const { dialled } = yield* Relays.RelayWorld
          assert.deepStrictEqual(dialled.slice(-1), [{ url: own, trusted: false }])
          assert.isTrue(dialled.slice(0, -1).every(({ trusted }) => trusted))
          assert.isFalse(dialled.some(({ url }) => url.includes("read")))
        })
      )
      assert.strictEqual(yield* run({ ...both, [own]: holding() }, inShort), "none")
      assert.strictEqual(yield* run(both, inShort), unanswered)
    })
  })

  it.effect("knows an author's list that is stored here", () => {
    const disk = blank()
    disk.events.set("list", relayListEvent({ write: [own] }))
    return run(
      { [first]: holding(), [second]: holding(), [own]: holding(...notes(1)) },
      Effect.map(inShort, (outcome) => assert.strictEqual(outcome, "found")),
      {},
      disk
    )
  })

  it.effect("notices a bridge in what it meets", () =>
    run(
      { [first]: holding(signed({ tags: [["proxy", "https://a.example/1", "activitypub"]] })) },
      Effect.map(prove, ({ bridge }) => assert.strictEqual(bridge, "proxy tag"))
    ))

  it.effect("is undetermined within its deadline when relays hang, and is not held up by one that does", () =>
    Effect.gen(function*() {
      const waiting = yield* Effect.forkChild(
        run({ [first]: Relays.hung, [second]: Relays.mute }, inShort),
        { startImmediately: true }
      )
      yield* settle
      yield* TestClock.adjust(proveTimeout)
      assert.strictEqual(yield* Fiber.join(waiting), unanswered)
      const hindered = yield* Effect.forkChild(
        run({ [first]: Relays.hung, [second]: holding(...notes(1)) }, inShort),
        { startImmediately: true }
      )
      yield* settle
      yield* TestClock.adjust("300 millis")
      yield* eventually(() => hindered.pollUnsafe() !== undefined)
      assert.strictEqual(yield* Fiber.join(hindered), "found")
    }))

  it.effect("remembers for a while, and asks again for other kinds", () => {
    const disk = blank()
    const relays = { [first]: holding(), [second]: holding(...notes(1)) }
    const write = Effect.gen(function*() {
      const { operations } = yield* prove
      const sender = yield* (yield* Database).sender("test")
      yield* sender.write(operations)
    }).pipe(Effect.scoped)
    const dialled = Effect.andThen(inShort, Effect.map(Relays.RelayWorld, (world) => world.dialled.length))
    return Effect.gen(function*() {
      yield* run(relays, write, {}, disk)
      assert.isTrue(disk.records.has(`${space.name} ${pubkey}`))
      assert.strictEqual(yield* run(relays, dialled, {}, disk), 0)
      assert.strictEqual(yield* run(relays, dialled, { proofKinds: [1, 30_023] }, disk), 2)
    })
  })

  it.effect("remembers that there is nothing for as many relays as had to say so, and no other number", () => {
    const disk = blank()
    const empty = { [first]: holding(), [second]: holding() }
    const asked = Effect.gen(function*() {
      const { operations } = yield* prove
      if (operations.length > 0) yield* (yield* (yield* Database).sender("test")).write(operations)
      return (yield* Relays.RelayWorld).dialled.length
    }).pipe(Effect.scoped)
    return Effect.gen(function*() {
      assert.strictEqual(yield* run(empty, asked, {}, disk), 2)
      assert.strictEqual(yield* run(empty, asked, {}, disk), 0)
      assert.strictEqual(yield* run(empty, inShort, { proofQuorum: 0 }, disk), unanswered)
      assert.strictEqual(yield* run(empty, asked, { proofQuorum: 1 }, disk), 2)
    })
  })

  it.effect("ends at once when it is interrupted in the middle of the wait", () =>
    run(
      { [first]: Relays.mute, [second]: Relays.hung },
      Effect.gen(function*() {
        const waiting = yield* Effect.forkChild(prove, { startImmediately: true })
        yield* settle
        const exit = yield* Effect.andThen(Fiber.interrupt(waiting), Fiber.await(waiting))
        assert.isTrue(Exit.hasInterrupts(exit))
      })
    ))
})

describe("RelayPool", () => {
  it.effect("dials one relay once, whichever way its address is written", () =>
    run(
      { [first]: holding(...notes(1)) },
      Effect.gen(function*() {
        const spellings = [first, `${first}/`, "ws://first.example", "wss://FIRST.example:443/"]
        const answers = yield* Effect.forEach(spellings, ask, { concurrency: "unbounded" })
        assert.isTrue(answers.every(({ length }) => length === 1))
        assert.strictEqual((yield* Relays.RelayWorld).dialled.length, 1)
      })
    ))

  it.effect("answers who asks, with the relay's own key, where a relay wants to know (NIP-42)", () => {
    const seen: Array<Event> = []
    const play = (accepts: boolean): Relays.Play => (socket) => {
      let isIn = false
      socket.onMessage = ([type, value]) => {
        // The challenge comes with the first question, as some relays do.
        if (type === "REQ" && !isIn) socket.say(["AUTH", "a challenge"])
        if (type === "REQ") socket.say(...(isIn ? [["EOSE", value]] : [["CLOSED", value, "auth-required: who?"]]))
        if (type !== "AUTH") return
        const event = value as Event
        seen.push(event)
        isIn = accepts
        socket.say(["OK", event.id, accepts, accepts ? "" : "restricted: not you"])
      }
      queueMicrotask(() => socket.open())
    }
    return run(
      { [first]: play(true), [second]: play(false) },
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* ask(first), [])
        yield* ask(first)
        assert.strictEqual(seen.length, 1)
        assert.strictEqual(seen[0]?.kind, 22_242)
        assert.deepStrictEqual(seen[0]?.tags, [["relay", first], ["challenge", "a challenge"]])
        assert.strictEqual((yield* Effect.flip(ask(second))).reason, "forbidden")
        // It may have fallen silent for good: it is left alone for about an hour.
        assert.strictEqual((yield* Effect.flip(ask(second))).reason, "unreachable")
        const { dialled } = yield* Relays.RelayWorld
        yield* TestClock.adjust("47 minutes")
        yield* Effect.flip(ask(second))
        assert.strictEqual(dialled.length, 2)
        yield* TestClock.adjust("13 minutes")
        yield* Effect.flip(ask(second))
        assert.strictEqual(dialled.length, 3)
      })
    )
  })

  it.effect("tells nobody who asks that a stranger has named (NIP-42)", () => {
    const heard: Array<unknown> = []
    const curious: Relays.Play = (socket) => {
      socket.onMessage = (message) => {
        heard.push(message[0])
        if (message[0] === "REQ") socket.say(["CLOSED", message[1], "auth-required: who?"])
      }
      queueMicrotask(() => {
        socket.open()
        socket.say(["AUTH", "a challenge"])
      })
    }
    return run(
      { [own]: curious },
      Effect.gen(function*() {
        assert.strictEqual((yield* Effect.flip(ask(own))).message, "refused: auth-required: who?")
        assert.notInclude(heard, "AUTH")
      })
    )
  })

  it.effect("closes a connection that nobody has used for a while, with a goodbye", () =>
    run(
      { [first]: holding() },
      Effect.gen(function*() {
        yield* ask(first)
        const [socket] = (yield* Relays.RelayWorld).sockets
        yield* TestClock.adjust(idleMax - 1)
        assert.isUndefined(socket?.closedWith)
        yield* TestClock.adjust("16 seconds")
        assert.strictEqual(socket?.closedWith, 1000)
        assert.deepStrictEqual(yield* (yield* RelayPool).view, [])
      })
    ))

  it.effect("has so many connections and no more: the one that was used longest ago makes room", () => {
    const urls = Array.from({ length: connectionsMax + 1 }, (_, n) => `wss://relay-${n}.example`)
    return run(
      Object.fromEntries(urls.map((url) => [url, holding()])),
      Effect.gen(function*() {
        for (const url of urls.slice(0, -1)) {
          yield* ask(url)
          yield* TestClock.adjust(1)
        }
        yield* ask(urls[0]!)
        yield* ask(urls.at(-1)!)
        yield* settle
        const { sockets } = yield* Relays.RelayWorld
        assert.deepStrictEqual(sockets.filter(({ closedWith }) => closedWith === 1000).map(({ url }) => url), [urls[1]])
        assert.strictEqual((yield* (yield* RelayPool).view).length, connectionsMax)
      })
    )
  })

  it.effect("refuses another connection while all are in use, and says that it is our fault", () => {
    const urls = Array.from({ length: connectionsMax + 1 }, (_, n) => `wss://relay-${n}.example`)
    return run(
      Object.fromEntries(urls.map((url) => [url, Relays.mute])),
      Effect.gen(function*() {
        yield* Effect.forEach(urls.slice(0, -1), (url) => Effect.forkChild(ask(url), { startImmediately: true }))
        yield* settle
        assert.strictEqual((yield* Effect.flip(ask(urls.at(-1)!))).reason, "ours")
      })
    )
  })

  it.effect("leaves a relay alone for half a minute after it could not be reached, and asks again then", () =>
    run(
      {},
      Effect.gen(function*() {
        const { dialled, relays } = yield* Relays.RelayWorld
        assert.strictEqual((yield* Effect.flip(ask(first))).reason, "unreachable")
        assert.strictEqual((yield* Effect.flip(ask(first))).reason, "unreachable")
        assert.strictEqual(dialled.length, 1)
        relays.set(first, holding())
        yield* TestClock.adjust("30 seconds")
        assert.deepStrictEqual(yield* ask(first), [])
        assert.strictEqual(dialled.length, 2)
      })
    ))

  it.effect("gives every question its own deadline, and a relay that keeps silent up", () =>
    run(
      { [first]: Relays.mute },
      Effect.gen(function*() {
        for (let n = 0; n < 3; n++) {
          const asking = yield* Effect.forkChild(Effect.flip(ask(first)), { startImmediately: true })
          yield* settle
          yield* TestClock.adjust("4999 millis")
          assert.isUndefined(asking.pollUnsafe())
          yield* TestClock.adjust("1 millis")
          assert.strictEqual((yield* Fiber.join(asking)).reason, "silent")
        }
        yield* settle
        const [socket] = (yield* Relays.RelayWorld).sockets
        assert.strictEqual(socket?.closedWith, 1000)
      })
    ))

  it.effect("fails what is asked when the connection is lost, floods or lies, and dials again for the next", () => {
    const faults: ReadonlyArray<(socket: FakeSocket, id: unknown) => void> = [
      (socket) => socket.end(1006),
      (socket, id) => socket.say(...Array.from({ length: 101 }, () => ["EVENT", id, notes(1)[0]])),
      (socket) => socket.say(...Array.from({ length: 1001 }, () => "garbage"))
    ]
    return Effect.forEach(faults, (fault) =>
      run(
        {
          [first]: (socket) => {
            socket.onMessage = ([type, id]) => type === "REQ" ? fault(socket, id) : undefined
            queueMicrotask(() => socket.open())
          }
        },
        Effect.gen(function*() {
          const { relays } = yield* Relays.RelayWorld
          assert.include(["lost", "misbehaved"], (yield* Effect.flip(ask(first))).reason)
          yield* settle
          relays.set(first, holding())
          assert.deepStrictEqual(yield* ask(first), [])
        })
      ))
  })

  it.effect("closes everything at once when it is released, however silent the relays are", () =>
    Effect.gen(function*() {
      const urls = Array.from({ length: 20 }, (_, n) => `wss://relay-${n}.example`)
      const done = yield* Effect.forkChild(
        run(Object.fromEntries(urls.map((url) => [url, silent])), Effect.forEach(urls, ask)),
        { startImmediately: true }
      )
      yield* settle
      yield* settle
      yield* TestClock.adjust("500 millis")
      yield* eventually(() => done.pollUnsafe() !== undefined)
    }))
})
