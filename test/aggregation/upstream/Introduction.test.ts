import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { TestClock } from "effect/testing"
import { hash } from "node:crypto"
import { forbiddenPause } from "../../../src/aggregation/harvest/Harvest.ts"
import { refreshPeriod } from "../../../src/aggregation/harvest/HarvestSession.ts"
import { pageDeadline } from "../../../src/aggregation/upstream/PagedConnection.ts"
import { authenticationProblem } from "../../../src/domain/ClientAuth.ts"
import { canonical, type Event } from "../../../src/domain/Event.ts"
import { profileEvent } from "../../support/events.ts"
import * as FakeNegentropy from "../../support/FakeNegentropy.ts"
import { type FakeSocket, layer as playing, type Relay, relay, type Sent } from "../../support/FakeUpstreamSocket.ts"
import { harvesting, live, profiles, reached, status, waiting } from "../harvesting.ts"
import { eventually, now, settle, upstreamUrl } from "../world.ts"

interface Door {
  /** Challenges are given at once, or with each refusal. */
  readonly greets?: boolean
  readonly answerTo?: (event: Event) => ReadonlyArray<unknown>
  /** What it refuses until it knows who asks. */
  readonly guards?: (message: Sent) => boolean
  readonly reason?: string
}

/** A relay that answers those who have said who they are, and what it was told. */
const guarded = (upstream: Relay, door: Door = {}) => {
  const told: Array<Event> = []
  const heard: Array<Sent> = []
  let challenges = 0
  const play = (socket: FakeSocket) => {
    const challenge = `challenge ${++challenges}`
    // Before the service has said anything, as it does so as soon as the socket is open.
    if (door.greets === true) queueMicrotask(() => socket.say(["AUTH", challenge]))
    upstream.play(socket)
    const answer = socket.onMessage
    let isIn = false
    socket.onMessage = (message) => {
      heard.push(message)
      const [type, first] = message
      if (type === "AUTH") {
        const event = first as Event
        told.push(event)
        const reply = door.answerTo?.(event) ?? ["OK", event.id, true, ""]
        isIn = reply[2] === true
        return socket.say(reply)
      }
      const isGuarded = (type === "REQ" || type === "NEG-OPEN") && (door.guards?.(message) ?? true)
      if (isIn || !isGuarded) return answer?.(message)
      if (door.greets !== true) socket.say(["AUTH", challenge])
      socket.say(["CLOSED", first, door.reason ?? "auth-required: who are you?"])
    }
  }
  return { told, heard, sockets: playing(play) }
}

describe("an upstream that wants to know who reads it (NIP-42)", () => {
  for (const greets of [true, false]) {
    it.effect(`is told, and answers: the challenge came ${greets ? "on connection" : "with the refusal"}`, () => {
      const upstream = relay(profiles(12))
      const { heard, sockets, told } = guarded(upstream, { greets })
      return harvesting(
        upstream,
        Effect.gen(function*() {
          const { outcomes } = yield* live
          assert.deepStrictEqual(outcomes, { Saved: 12 })
          const [answer, ...others] = told
          assert.deepStrictEqual(others, [])
          assert.strictEqual(hash("sha256", canonical(answer!)), answer!.id)
          assert.isUndefined(
            authenticationProblem(answer!, { challenge: "challenge 1", relayUrl: upstreamUrl }, now)
          )
          // The live subscription was refused as well, and is asked for again once.
          assert.strictEqual(heard.filter(([type, id]) => type === "REQ" && id === "live").length, 2)
          upstream.publish(profileEvent({}, "fresh", { created_at: now }))
          yield* reached(({ outcomes }) => outcomes.Saved === 13)
        }),
        { sockets }
      )
    })
  }

  it.effect("is told although only the live subscription is refused", () => {
    const upstream = relay(profiles(12))
    const { sockets, told } = guarded(upstream, { guards: (message) => message[1] === "live" })
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* live
        assert.strictEqual(told.length, 1)
        upstream.publish(profileEvent({}, "fresh", { created_at: now }))
        yield* reached(({ outcomes }) => outcomes.Saved === 13)
      }),
      { sockets }
    )
  })

  it.effect("is told once per connection, and again on the next one", () => {
    const upstream = relay(profiles(12))
    const { sockets, told } = guarded(upstream)
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* live
        yield* TestClock.adjust(refreshPeriod)
        yield* settle
        assert.strictEqual(told.length, 1)
        upstream.hangUp()
        yield* waiting
        yield* TestClock.adjust("3 seconds")
        yield* live
        yield* eventually(() => told.length === 2)
        assert.notDeepEqual(told[0]?.tags, told[1]?.tags)
      }),
      { sockets }
    )
  })

  it.effect("is told before both sides are compared (NIP-77)", () => {
    const upstream = relay(profiles(12))
    const negentropy = FakeNegentropy.make()
    const playingBoth: Relay = {
      ...upstream,
      play: (socket) => {
        upstream.play(socket)
        const answer = socket.onMessage
        socket.onMessage = (message) => {
          if (!negentropy.play(message, (...frames) => socket.say(...frames), upstream.events)) answer?.(message)
        }
      }
    }
    const { sockets, told } = guarded(playingBoth, { guards: ([type]) => type === "NEG-OPEN" })
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* reached(({ reconciles }) => reconciles === "yes")
        assert.strictEqual(told.length, 1)
      }),
      { sockets }
    )
  })

  it.effect("which does not want us is left alone for an hour: by its OK", () => {
    const upstream = relay(profiles(3))
    const { heard, sockets, told } = guarded(upstream, {
      answerTo: ({ id }) => ["OK", id, false, "restricted: members only\u001b[2J"]
    })
    return harvesting(
      upstream,
      Effect.gen(function*() {
        const { lastError, nextAttempt = 0 } = yield* waiting
        assert.strictEqual(lastError, "forbidden: restricted: members only\\u001b[2J")
        const wait = nextAttempt - now * 1000
        const hour = Duration.toMillis(forbiddenPause)
        assert.isTrue(wait >= 0.8 * hour && wait <= hour, String(wait))
        const before = heard.length
        yield* TestClock.adjust(wait - 1)
        assert.deepStrictEqual([heard.length, told.length], [before, 1])
        yield* TestClock.adjust(1)
        yield* eventually(() => told.length === 2)
      }),
      { sockets }
    )
  })

  it.effect("or by CLOSED, although it was told, or with nothing that would change its mind", () =>
    Effect.gen(function*() {
      const upstream = relay(profiles(3))
      const never = playing((socket: FakeSocket) => {
        upstream.play(socket)
        socket.onMessage = ([type, id]) => {
          if (type === "REQ") socket.say(["CLOSED", id, "restricted: members only"])
        }
      })
      yield* harvesting(
        upstream,
        Effect.map(waiting, ({ lastError }) => assert.strictEqual(lastError, "forbidden: restricted: members only")),
        { sockets: never }
      )
      const still = playing((socket: FakeSocket) => {
        upstream.play(socket)
        socket.onMessage = ([type, first]) => {
          if (type === "AUTH") socket.say(["OK", (first as Event).id, true, ""])
          if (type === "REQ") socket.say(["AUTH", "one challenge"], ["CLOSED", first, "auth-required: who are you?"])
        }
      })
      yield* harvesting(
        upstream,
        Effect.map(waiting, ({ lastError }) => assert.strictEqual(lastError, "forbidden: auth-required: who are you?")),
        { sockets: still }
      )
    }))

  it.effect("has as long as a page to say what it makes of it", () => {
    const upstream = relay(profiles(3))
    const { sockets, told } = guarded(upstream, { answerTo: () => ["NOTICE", "thinking"] })
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* eventually(() => told.length === 1)
        yield* settle
        yield* TestClock.adjust(Duration.subtract(pageDeadline, Duration.millis(1)))
        assert.strictEqual((yield* status).state, "connected")
        yield* TestClock.adjust(1)
        assert.strictEqual((yield* waiting).lastError, "silent: no answer to who we are")
      }),
      { sockets }
    )
  })

  it.effect("cannot have us sign without end: neither a novel, nor a new challenge each time", () => {
    const upstream = relay(profiles(3))
    const told: Array<Event> = []
    let challenges = 0
    const curious = playing((socket: FakeSocket) => {
      upstream.play(socket)
      socket.onMessage = ([type, first]) => {
        if (type === "AUTH") {
          told.push(first as Event)
          socket.say(["OK", (first as Event).id, true, ""])
        }
        if (type === "REQ") {
          socket.say(["AUTH", "x".repeat(257)], ["AUTH", `challenge ${++challenges}`])
          socket.say(["CLOSED", first, "auth-required: who are you?"])
        }
      }
    })
    return harvesting(
      upstream,
      Effect.gen(function*() {
        yield* waiting
        assert.isAtMost(told.length, 2)
        assert.isTrue(told.every(({ tags }) => String(tags).length < 100))
      }),
      { sockets: curious }
    )
  })
})
