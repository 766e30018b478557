import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer } from "effect"
import { space } from "../../../src/aggregation/harvest/HarvestSession.ts"
import { HarvestStatus, type UpstreamStatus } from "../../../src/aggregation/harvest/HarvestStatus.ts"
import * as UpstreamSocket from "../../../src/aggregation/upstream/UpstreamSocket.ts"
import type { Event } from "../../../src/domain/Event.ts"
import { decodeCoverage } from "../../../src/domain/HarvestWindow.ts"
import { epoch, profileEvent } from "../../support/events.ts"
import * as FakeUpstream from "../../support/FakeUpstream.ts"
import { Dials } from "../../support/FakeUpstreamSocket.ts"
import { blank, type Disk } from "../FakeDatabase.ts"
import { within } from "../world.ts"

const sockets = Layer.merge(UpstreamSocket.layer, Layer.succeed(Dials, { all: [], next: Effect.never }))

const profiles = (count: number): ReadonlyArray<Event> =>
  Array.from({ length: count }, (_, n) => profileEvent({}, `author ${n}`, { created_at: epoch - n }))

const harvesting = <A, E>(
  url: string,
  test: Parameters<typeof within<A, E>>[1],
  options: { readonly disk?: Disk["Service"]; readonly pageSize?: number; readonly backoff?: number } = {}
) =>
  within({
    sockets,
    disk: options.disk ?? blank(),
    settings: {
      upstreams: [url],
      pageSize: options.pageSize ?? 5,
      initialBackoff: Duration.millis(options.backoff ?? 20),
      maxBackoff: Duration.millis(options.backoff ?? 100)
    }
  }, test)

/** Waits until the status of the upstream satisfies the predicate; the test's deadline bounds it. */
const reached = Effect.fnUntraced(function*(isSo: (status: UpstreamStatus) => boolean) {
  const { upstreams } = yield* HarvestStatus
  while (true) {
    const [seen] = yield* upstreams
    if (seen !== undefined && isSo(seen)) return seen
    yield* Effect.sleep(5)
  }
})
const live = reached(({ phase, state }) => phase === "live" && state === "connected")
const failed = reached(({ lastError }) => lastError !== undefined)

/** How long leaving the component takes, in milliseconds, from when `test` is done. */
const stopMillis = <A, E>(url: string, test: Parameters<typeof within<A, E>>[1]) =>
  Effect.gen(function*() {
    const done = yield* harvesting(url, Effect.map(test, () => performance.now()))
    return performance.now() - done
  })

describe("an upstream over a real socket", () => {
  it.live("is harvested, listened to, and left with Close 1000", () =>
    Effect.gen(function*() {
      const upstream = yield* FakeUpstream.make({ events: profiles(23) })
      yield* harvesting(
        upstream.url,
        Effect.gen(function*() {
          assert.deepStrictEqual((yield* live).outcomes, { Saved: 23 })
          upstream.publish(profileEvent({}, "fresh", { created_at: Math.floor(Date.now() / 1000) }))
          yield* reached(({ outcomes }) => outcomes.Saved === 24)
        })
      )
      yield* upstream.until((requests) => requests.some((request) => request._tag === "Closed"))
      const closed = upstream.requests().find((request) => request._tag === "Closed")
      assert.strictEqual(closed?.code, 1000)
      assert.isTrue(
        upstream.requests().some((request) => request._tag === "Other" && String(request.message) === "CLOSE,live")
      )
    }).pipe(Effect.scoped))

  it.live("is told who reads it where it wants to know, in a way that others understand (NIP-42)", () =>
    Effect.gen(function*() {
      const upstream = yield* FakeUpstream.make({ events: profiles(23), faults: { auth: "until answered" } })
      yield* harvesting(
        upstream.url,
        Effect.gen(function*() {
          assert.deepStrictEqual((yield* live).outcomes, { Saved: 23 })
          upstream.publish(profileEvent({}, "fresh", { created_at: Math.floor(Date.now() / 1000) }))
          yield* reached(({ outcomes }) => outcomes.Saved === 24)
        })
      )
    }).pipe(Effect.scoped))

  it.live(
    "may drop the connection at every byte, one after the other: the cursor stays, and nothing is missed (fault 43)",
    () =>
      Effect.gen(function*() {
        const events = profiles(5)
        // Each connection gets one byte further than the one before: through the handshake, and each page's frames.
        const upstream = yield* FakeUpstream.make({ events, faults: { cutAfterBytes: 0, cutStepBytes: 1 } })
        const disk = blank()
        const coverage = () => decodeCoverage(disk.records.get(`${space.name} ${upstream.url}`)?.value ?? "") ?? []
        const lost = () => {
          const ids = new Set([...disk.events.values()].map(({ id }) => id))
          return events.filter(({ created_at, id }) =>
            !ids.has(id) && coverage().some(([from, to]) => from <= created_at && created_at <= to)
          )
        }
        yield* harvesting(
          upstream.url,
          Effect.gen(function*() {
            const { upstreams } = yield* HarvestStatus
            let [before, reached] = ["", false]
            while (!reached) {
              const [seen] = yield* upstreams
              reached = seen?.phase === "live"
              const now = JSON.stringify(seen)
              if (now !== before) assert.deepStrictEqual(lost(), [])
              before = now
              yield* Effect.sleep(1)
            }
          }),
          { disk, pageSize: 2, backoff: 1 }
        )
        assert.strictEqual(disk.events.size, events.length)
        const asked = upstream.requests().filter(({ _tag }) => _tag === "Connected").length
        assert.isAbove(asked, 1000, "connections that got past the handshake")
      }).pipe(Effect.scoped),
    60_000
  )

  it.live("is cut when a frame is larger than any event (fault 39)", () =>
    Effect.gen(function*() {
      const upstream = yield* FakeUpstream.make({
        events: profiles(1),
        faults: { hugeFrameBytes: UpstreamSocket.frameBytesMax + 1 }
      })
      const { lastError } = yield* harvesting(upstream.url, failed)
      assert.match(lastError ?? "", /^lost: Max payload size exceeded/)
    }).pipe(Effect.scoped))

  it.live("is cut when it floods, and does not hold a stop up while it does (fault 41)", () =>
    Effect.gen(function*() {
      const upstream = yield* FakeUpstream.make({ events: profiles(50), faults: { flood: true } })
      const { lastError } = yield* harvesting(upstream.url, failed)
      assert.match(lastError ?? "", /^misbehaved/)
      assert.isBelow(yield* stopMillis(upstream.url, reached(({ state }) => state === "connected")), 1000)
    }).pipe(Effect.scoped))

  it.live("does not hold a stop up while it never answers the handshake (faults 36 and 47)", () =>
    Effect.gen(function*() {
      const upstream = yield* FakeUpstream.make({ faults: { neverUpgrade: true } })
      assert.isBelow(yield* stopMillis(upstream.url, Effect.sleep(50)), 300)
    }).pipe(Effect.scoped))

  it.live("is waited for no longer than half a second when it does not answer Close", () =>
    Effect.gen(function*() {
      const upstream = yield* FakeUpstream.make({ faults: { mute: true } })
      const millis = yield* stopMillis(upstream.url, reached(({ state }) => state === "connected"))
      assert.isTrue(millis >= 490 && millis < 900, String(millis))
    }).pipe(Effect.scoped))
})

const errorOf = (url: string) => Effect.map(harvesting(url, failed), ({ lastError }) => lastError ?? "")

describe("an upstream that cannot be reached", () => {
  it.live("is told apart by what the network said (fault 46)", () =>
    Effect.gen(function*() {
      const upstream = yield* FakeUpstream.make({ faults: { refuse: { status: 503 } } })
      assert.match(yield* errorOf(upstream.url), /^unreachable: Unexpected server response: 503/)
      upstream.behave({ refuse: { status: 302, headers: { location: upstream.url } } })
      assert.match(yield* errorOf(upstream.url), /^unreachable: Unexpected server response: 302/)
      assert.match(yield* errorOf(upstream.url.replace("ws:", "wss:")), /^unreachable: .*(SSL|TLS|socket)/i)
      assert.match(yield* errorOf("ws://127.0.0.1:1"), /^unreachable: .*ECONNREFUSED/)
      assert.match(yield* errorOf("ws://name.invalid"), /^unreachable: .*(ENOTFOUND|EAI_AGAIN)/)
      assert.match(yield* errorOf("no address"), /^unreachable: .*Invalid URL/)
    }).pipe(Effect.scoped))
})
