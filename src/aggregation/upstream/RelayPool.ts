/**
 * Connections to relays that are asked now and then, shared by everybody who asks: a bounded number of them, of which the
 * one that was used longest ago makes room for the next.
 *
 * Relays that the operator configured are dialled as they are; all others were named by strangers and go through the
 * guarded constructor. A relay that cannot be had is left alone for a while, longer each time.
 */
import { Clock, Context, Deferred, Effect, type Fiber, FiberSet, Layer, Random } from "effect"
import { Socket } from "effect/socket"
import { madeOf, Settings } from "../../config/Settings.ts"
import { Verifier } from "../../crypto/Verifier.ts"
import { doubled, spreadBelow } from "../../domain/Backoff.ts"
import type { Event } from "../../domain/Event.ts"
import type { Filter } from "../../domain/Filter.ts"
import { LruMap } from "../../domain/LruMap.ts"
import { aliasOf, byAlias } from "../../domain/RelayUrl.ts"
import type { MailboxClosed } from "../../lifecycle/Mailbox.ts"
import { Shutdown } from "../../lifecycle/Shutdown.ts"
import { Supervisor } from "../../lifecycle/Supervisor.ts"
import { type AskingConnection, connect } from "./AskingConnection.ts"
import { UpstreamError } from "./UpstreamError.ts"

/** Opens sockets to relays that strangers named; fails to open where it must not. */
export class LearntSocket extends Context.Service<LearntSocket, Socket.WebSocketConstructor["Service"]>()(
  "profile-aggregator/aggregation/LearntSocket"
) {}

/** Open connections in all. */
export const connectionsMax = 64
/** Those to one host, which may have relays at several paths. */
export const connectionsPerHostMax = 2

/** Milliseconds for which a connection that nobody uses stays open, and between two looks for such. */
export const idleMax = 60_000
const sweepEvery = 15_000

/** Milliseconds for which a relay that failed is left alone: this, doubled each time in a row, up to an hour. */
const firstPause = 30_000
const pauseMax = 3_600_000

/** Relays whose failures are remembered. */
const failuresMax = 10_000

/** Unanswered questions in a row after which a connection is given up. */
const silencesMax = 3

export class RelayPool extends Context.Service<RelayPool, {
  /** Everything stored at a relay that matches any of the filters. Nothing of it is verified. */
  readonly ask: (url: string, filters: ReadonlyArray<Filter>) => Effect.Effect<ReadonlyArray<Event>, UpstreamError>
  /** Open connections, by relay. */
  readonly view: Effect.Effect<ReadonlyArray<{ readonly url: string; readonly users: number }>>
}>()("profile-aggregator/aggregation/upstream/RelayPool") {}

interface Entry {
  /** Name and port. */
  readonly host: string
  readonly url: string
  readonly connection: Deferred.Deferred<AskingConnection, UpstreamError>
  /** Holds the connection's scope: interrupting it closes the connection. */
  fiber: Fiber.Fiber<void> | undefined
  users: number
  usedAt: number
  silences: number
}

interface Failure {
  readonly count: number
  /** Unix milliseconds. */
  readonly until: number
}

const busy = (detail: string) => new UpstreamError({ reason: "ours", detail })

const make = Effect.fnUntraced(function*() {
  const settings = yield* Settings
  const shutdown = yield* Shutdown
  const supervisor = yield* Supervisor
  const verifier = yield* (yield* Verifier).sender("aggregation/relays")
  const trusted = yield* Socket.WebSocketConstructor
  const learnt = yield* LearntSocket
  /** As configured, by alias. */
  const configured = madeOf(
    () => settings.now,
    ({ outboxRelays, upstreams }) => byAlias([...upstreams, ...outboxRelays])
  )
  const entries = new Map<string, Entry>()
  const failures = new LruMap<string, Failure>(failuresMax)

  // Its scope ends all of them together, as each may wait for its relay's goodbye.
  const fibers = yield* FiberSet.make<void>()

  const fail = Effect.fnUntraced(function*(alias: string, atLeast = firstPause) {
    const now = yield* Clock.currentTimeMillis
    const count = (failures.get(alias)?.count ?? 0) + 1
    const pause = spreadBelow(doubled(atLeast, count, pauseMax), yield* Random.next)
    failures.set(alias, { count, until: now + Math.round(pause) })
  })

  /** Dials, and lives as long as the connection; forgets it when it is over. */
  const keep = (alias: string, entry: Entry) => {
    const own = configured().get(alias)
    const dial = connect({
      url: own ?? entry.url,
      construct: own === undefined ? learnt : trusted,
      limits: settings.limits,
      // Who was named by a stranger is not told who comes to look.
      sign: own === undefined ? undefined : verifier.sign
    })
    return dial.pipe(
      Effect.tap((connection) => Deferred.succeed(entry.connection, connection)),
      Effect.flatMap(({ ended }) => ended),
      Effect.scoped,
      Effect.provideService(Shutdown, shutdown),
      Effect.catch((error) =>
        Effect.gen(function*() {
          if (yield* Deferred.fail(entry.connection, error)) yield* fail(alias)
          yield* Effect.logDebug("relay connection ended").pipe(
            Effect.annotateLogs({ relay: entry.url, reason: error.message })
          )
        })
      ),
      Effect.ensuring(Effect.suspend(() => {
        if (entries.get(alias) === entry) entries.delete(alias)
        return Deferred.fail(entry.connection, busy("closed by us"))
      }))
    )
  }

  /** At once for everybody here; its goodbye takes a while, and nobody waits for it. */
  const close = (alias: string, entry: Entry) =>
    Effect.sync(() => {
      if (entries.get(alias) === entry) entries.delete(alias)
      entry.fiber?.interruptUnsafe()
    })

  const idlest = (among: Iterable<readonly [string, Entry]>) => {
    let found: readonly [string, Entry] | undefined
    for (const [alias, entry] of among) {
      if (entry.users === 0 && (found === undefined || entry.usedAt < found[1].usedAt)) found = [alias, entry]
    }
    return found
  }

  /** A place for one more connection; evicts one that is idle where there is none. */
  const makeRoom = Effect.fnUntraced(function*(host: string) {
    const sameHost = [...entries].filter(([, entry]) => entry.host === host)
    if (sameHost.length >= connectionsPerHostMax) {
      const idle = idlest(sameHost)
      return idle === undefined ? yield* busy("too many connections to this host") : yield* close(...idle)
    }
    if (entries.size < connectionsMax) return undefined
    const idle = idlest(entries)
    return idle === undefined ? yield* busy("too many connections") : yield* close(...idle)
  })

  const open = Effect.fnUntraced(function*(alias: string, url: string) {
    const now = yield* Clock.currentTimeMillis
    const failure = failures.get(alias)
    if (failure !== undefined && failure.until > now) {
      return yield* new UpstreamError({ reason: "unreachable", detail: "it failed a while ago" })
    }
    const host = URL.parse(url)?.host ?? url
    yield* makeRoom(host)
    const entry: Entry = {
      host,
      url,
      connection: Deferred.makeUnsafe(),
      fiber: undefined,
      users: 0,
      usedAt: now,
      silences: 0
    }
    entries.set(alias, entry)
    entry.fiber = yield* FiberSet.run(fibers, keep(alias, entry))
    return entry
  })

  const using = Effect.fnUntraced(function*(alias: string, url: string) {
    const entry = entries.get(alias) ?? (yield* open(alias, url))
    entry.users++
    return entry
  }, Effect.uninterruptible)

  const askOf = Effect.fnUntraced(function*(alias: string, entry: Entry, filters: ReadonlyArray<Filter>) {
    const connection = yield* Deferred.await(entry.connection)
    return yield* connection.ask(filters).pipe(
      Effect.tap(() =>
        Effect.sync(() => {
          entry.silences = 0
          failures.delete(alias)
        })
      ),
      Effect.tapError(Effect.fnUntraced(function*({ reason }) {
        if (reason !== "silent" && reason !== "refused" && reason !== "forbidden") return
        entry.silences++
        if (entry.silences < silencesMax && reason !== "forbidden") return
        // A relay that does not let us read will not do so in a minute either.
        yield* fail(alias, reason === "forbidden" ? pauseMax : firstPause)
        yield* close(alias, entry)
      }))
    )
  })

  const ask = (url: string, filters: ReadonlyArray<Filter>) =>
    Effect.suspend(() => {
      const alias = aliasOf(url)
      return Effect.acquireUseRelease(
        using(alias, url),
        (entry) => askOf(alias, entry, filters),
        (entry) =>
          Effect.map(Clock.currentTimeMillis, (now) => {
            entry.users--
            entry.usedAt = now
          })
      )
    })

  const sweep = Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    for (const [alias, entry] of entries) {
      if (entry.users === 0 && now - entry.usedAt >= idleMax) yield* close(alias, entry)
    }
  })
  yield* supervisor.fork("aggregation/relays", Effect.forever(Effect.andThen(Effect.sleep(sweepEvery), sweep)))

  return RelayPool.of({
    ask,
    view: Effect.sync(() => Array.from(entries.values(), ({ url, users }) => ({ url, users })))
  })
})

export const layer: Layer.Layer<
  RelayPool,
  MailboxClosed,
  Settings | Shutdown | Supervisor | Verifier | LearntSocket | Socket.WebSocketConstructor
> = Layer.effect(RelayPool, make())
