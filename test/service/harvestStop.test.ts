/** The real service is stopped in each state of a harvest: at once, in order, and nothing is lost by it. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, type Scope } from "effect"
import { createServer, type Socket } from "node:net"
import { DatabaseSync } from "node:sqlite"
import type { Event } from "../../src/domain/Event.ts"
import { profileEvent } from "../support/events.ts"
import * as FakeNegentropy from "../support/FakeNegentropy.ts"
import * as FakeUpstream from "../support/FakeUpstream.ts"
import * as HostileHost from "../support/HostileHost.ts"
import * as Service from "../support/service.ts"
import { storedIn } from "../torture/StoredEvents.ts"

const profiles = Array.from(
  { length: 3000 },
  (_, n) => profileEvent({}, `author ${n}`, { created_at: 1_700_000_000 - n })
)

const few = profiles.slice(0, 50)

/** An upstream, and how to know that the service has got where it is to be stopped. */
interface State {
  readonly url: string
  /** Settings over those that let nobody be asked. */
  readonly env?: Readonly<Record<string, string>>
  /** What it holds. */
  readonly events: ReadonlyArray<Event>
  readonly reached: (service: Service.Service) => Effect.Effect<unknown, unknown>
}

/** Accepts TCP, and says nothing. */
const listener = Effect.gen(function*() {
  const dialled = yield* Deferred.make<void>()
  const sockets = new Set<Socket>()
  const server = yield* Effect.acquireRelease(
    Effect.callback<ReturnType<typeof createServer>>((resume) => {
      const server = createServer((socket) => {
        sockets.add(socket)
        socket.on("error", () => {})
        Deferred.doneUnsafe(dialled, Exit.void)
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.sync(() => {
        server.close()
        // Nobody reads them, so nobody would notice that the other side has gone.
        for (const socket of sockets) socket.destroy()
      })
  )
  const address = server.address()
  const port = typeof address === "object" ? address?.port : 0
  return { url: `ws://127.0.0.1:${port}`, events: [], reached: () => Deferred.await(dialled) } satisfies State
})

const isPage = (request: FakeUpstream.Request) => request._tag === "Req" && request.subscription !== "live"

/** Waits for so many pages. */
const upstream = (options: FakeUpstream.Options, pages: number) =>
  Effect.map(FakeUpstream.make({ events: profiles, pageMax: 100, ...options }), (fake) => ({
    url: fake.url,
    events: profiles,
    reached: () => fake.until((requests) => requests.filter(isPage).length >= pages)
  }))

const isAuth = (message: unknown) => Array.isArray(message) && message[0] === "AUTH"

const isOpening = (request: FakeUpstream.Request) =>
  request._tag === "Other" && Array.isArray(request.message) && request.message[0] === "NEG-OPEN"

const reconciling = Effect.gen(function*() {
  const negentropy = FakeNegentropy.make({ instead: () => undefined })
  const fake = yield* FakeUpstream.make({ events: few, play: negentropy.play })
  return {
    url: fake.url,
    events: few,
    reached: () => fake.until((requests) => requests.some(isOpening))
  } satisfies State
})

/** An upstream that says nothing to some messages, and waits for the first of them. */
const silentAbout = (isIt: (message: ReadonlyArray<unknown>) => boolean, faults: FakeUpstream.Faults = {}) =>
  Effect.gen(function*() {
    const fake = yield* FakeUpstream.make({ events: few, faults, play: isIt })
    return {
      url: fake.url,
      events: few,
      reached: () =>
        fake.until((requests) =>
          requests.some((request) => request._tag === "Other" && isIt(request.message as ReadonlyArray<unknown>))
        )
    } satisfies State
  })

const kindsOf = ([type, , filter]: ReadonlyArray<unknown>) =>
  type === "REQ" ? String((filter as { readonly kinds?: unknown }).kinds) : undefined

/** Loopback may be fetched from, on any port. */
const fetching = { PICTURES: "on", FETCH_ALLOW: "127.0.0.0/8" }

/** Profiles whose pictures are all at one host, which does as the script says. */
const pictured = (
  script: HostileHost.Script,
  env: State["env"],
  reached: (host: HostileHost.HostileHost) => State["reached"]
) =>
  Effect.gen(function*() {
    const host = yield* HostileHost.make()
    host.script("/a.png", script)
    const events = Array.from(
      { length: 300 },
      (_, n) => profileEvent({ picture: `${host.origin}/a.png?${n}` }, `author ${n}`, { created_at: 1_700_000_000 - n })
    )
    for (let n = 0; n < events.length; n++) host.script(`/a.png?${n}`, script)
    const fake = yield* FakeUpstream.make({ events, pageMax: 50 })
    return { url: fake.url, env: { ...fetching, ...env }, events, reached: reached(host) } satisfies State
  })

const requested = (host: HostileHost.HostileHost) => () => host.until(() => host.requests.length > 0)

/** What waits in the retry queue, as the file has it. */
const retriesIn = (path: string): ReadonlyArray<string> => {
  const db = new DatabaseSync(path, { readOnly: true })
  try {
    return db.prepare("SELECT value FROM record WHERE space = 'retry'").all().map((row) => String(row["value"]))
  } finally {
    db.close()
  }
}
const waitsInQueue = (isSo: (retries: ReadonlyArray<string>) => boolean) => ({ databasePath }: Service.Service) =>
  Effect.gen(function*() {
    while (!isSo(retriesIn(databasePath))) yield* Effect.sleep(50)
  })

/** Relays that are asked whether the authors have posted: one that reads the question, and says nothing. */
const proving = Effect.gen(function*() {
  const fake = yield* FakeUpstream.make({ events: few })
  const outbox = yield* FakeUpstream.make({ faults: { neverEose: true } })
  return {
    url: fake.url,
    env: { PROOF: "on", OUTBOX_RELAY_URLS: outbox.url },
    events: few,
    reached: () => outbox.until((requests) => requests.some(({ _tag }) => _tag === "Req"))
  } satisfies State
})

const states: Readonly<Record<string, Effect.Effect<State, never, Scope.Scope>>> = {
  "dialling": listener,
  "waiting for a page that does not end": upstream({ faults: { neverEose: true } }, 1),
  "reading a page that drips": upstream({ faults: { dripMillis: 500 } }, 1),
  "judging and committing pages": upstream({}, 8),
  "reading an upstream that no longer answers anything": Effect.map(
    FakeUpstream.make({ faults: { mute: true } }),
    (fake) => ({ url: fake.url, events: [], reached: () => fake.until((requests) => requests.length > 0) })
  ),
  "waiting 360 seconds to dial again": Effect.map(
    FakeUpstream.make({ faults: { refuse: { status: 503 } } }),
    (fake) => ({
      url: fake.url,
      events: [],
      reached: (service: Service.Service) => service.line("upstream cannot be reached")
    })
  ),
  "listening": Effect.map(
    FakeUpstream.make({ events: few }),
    (fake) => ({
      url: fake.url,
      events: few,
      reached: (service: Service.Service) => service.line("upstream is covered")
    })
  ),
  "waiting for an answer about the sets of both sides": reconciling,
  "saying who it is to an upstream that wants to know": Effect.map(
    FakeUpstream.make({ events: few, faults: { auth: true } }),
    (fake) => ({
      url: fake.url,
      events: few,
      reached: () =>
        fake.until((requests) => requests.some((request) => request._tag === "Other" && isAuth(request.message)))
    })
  ),
  "waiting for a page of removals": silentAbout((message) => kindsOf(message) === "62"),
  "waiting for what belongs to authors": silentAbout((message) => kindsOf(message) === "62,10002,10050"),
  "reading the body of a picture": pictured({ _tag: "HangAfterHeaders" }, {}, requested),
  "waiting for a picture's host": pictured({ _tag: "Hang" }, {}, requested),
  "waiting for relays where authors may have posted": proving,
  "waiting for the next turn in the retry queue": pictured(
    HostileHost.status(500),
    {},
    () => waitsInQueue((retries) => retries.some((retry) => retry.includes("\"attempts\":1")))
  ),
  "waiting for room in the retry queue": pictured(
    { _tag: "Hang" },
    { MAX_RETRIES: "100" },
    () => waitsInQueue((retries) => retries.length >= 100)
  )
}

describe("faults 47 and 60: stopping the real service while it is", () => {
  for (const [name, state] of Object.entries(states)) {
    it.live(`${name} takes less than two seconds, forces nothing, and loses nothing`, () =>
      Effect.gen(function*() {
        const { env: own, events, reached, url }: State = yield* state
        const folder = yield* Service.folder
        const env = {
          DISCOVERY_RELAY_URL: url,
          INITIAL_BACKOFF_SECS: "360",
          MAX_BACKOFF_SECS: "3600",
          PICTURES: "off",
          PROOF: "off",
          ...own
        }
        const service = yield* Service.start({ folder, env })
        yield* service.listening
        yield* Effect.timeout(reached(service), "20 seconds")
        const begun = performance.now()
        const { certificate, code } = yield* service.stop()
        const millis = performance.now() - begun
        assert.strictEqual(code, 0)
        assert.deepStrictEqual(certificate?.forced, [])
        assert.deepStrictEqual(certificate?.senders, [])
        assert.isBelow(millis, 2000)
        const { coverage, damage, ids } = storedIn(service.databasePath)
        assert.deepStrictEqual(damage, [])
        const { intervals = [] } = JSON.parse(coverage.get(url) ?? "{}") as {
          readonly intervals?: Array<[number, number]>
        }
        const waiting = retriesIn(service.databasePath)
        const lost = events.filter(({ created_at, id }) =>
          !ids.has(id) && !waiting.some((retry) => retry.includes(id)) &&
          intervals.some(([from, to]) => from <= created_at && created_at <= to)
        )
        assert.deepStrictEqual(lost, [])
      }).pipe(Effect.scoped), 60_000)
  }
})
