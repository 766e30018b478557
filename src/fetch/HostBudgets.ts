/**
 * How often, and how many at a time, one host is asked.
 *
 * A token bucket per host sets the pace, a host that asks for a pause gets it, and its rate is halved; every request that
 * goes well afterwards gives one per minute back. One reservation is one request. Whoever comes back later may ask when: those
 * who do so get times as far apart as the host's pace, instead of all coming at once.
 */
import { Clock, Context, Effect, Layer, Schema, type Scope, Semaphore } from "effect"
import { madeOf, Settings, type SettingsShape } from "../config/Settings.ts"
import { doubled } from "../domain/Backoff.ts"

export interface Options {
  /** A host's pace: so many requests at once when it has been idle, and so many per minute. */
  readonly perMinuteOf: (host: string) => number
  /** Requests under way, to one host and to all. */
  readonly concurrency: number
  readonly concurrencyTotal: number
  /** Milliseconds that a reservation may wait for its turn. */
  readonly waitMillisMax: number
  /** Longest pause that a host can ask for, in milliseconds. */
  readonly pauseMillisMax: number
  /** First and longest pause after a refusal that names none; each in a row doubles it. In milliseconds. */
  readonly refusalMillis: number
  readonly refusalMillisMax: number
  /** Refusals further apart than this are not in a row, in milliseconds. */
  readonly refusalMemoryMillis: number
  /** Hosts that are remembered; the one that was asked longest ago is forgotten first. */
  readonly hostsMax: number
}

const defaults: Omit<Options, "perMinuteOf"> = {
  concurrency: 2,
  concurrencyTotal: 64,
  waitMillisMax: 5000,
  pauseMillisMax: 24 * 3_600_000,
  refusalMillis: 30_000,
  refusalMillisMax: 600_000,
  refusalMemoryMillis: 300_000,
  hostsMax: 10_000
}

/**
 * The turn would come too late. `paused`: the host asked to be left alone; `rate`: its bucket is empty; `busy`: all its
 * places, or all of ours, stayed taken. Nothing was spent.
 */
export class BudgetExhausted extends Schema.TaggedError<BudgetExhausted>()("BudgetExhausted", {
  reason: Schema.Literals(["paused", "rate", "busy"]),
  /** Milliseconds after which asking again makes sense. */
  retryAfter: Schema.Finite
}) {}

/** The right to send one request, for as long as the scope it was taken in is open. */
export interface Reservation {
  /** The host served it. */
  readonly succeeded: Effect.Effect<void>
  /** The host asked for a pause, of so many milliseconds where it said so; succeeds with how long it will be left alone. */
  readonly refused: (pause: number | undefined) => Effect.Effect<number>
}

/** A host as it stands, for pages and logs. */
export interface HostView {
  readonly host: string
  readonly perMinute: number
  readonly inFlight: number
  /** Milliseconds for which it is still left alone. */
  readonly paused: number
}

/** How often a host may be asked, by the settings as they are whenever it is. */
const perMinuteOf = (settings: Pick<SettingsShape, "hostPerMinute" | "hostQuotas">) => {
  const quotas = madeOf(
    () => settings.hostQuotas,
    (all) => new Map(all.map(({ host, perMinute }) => [host, perMinute]))
  )
  return (host: string): number => quotas().get(host) ?? settings.hostPerMinute
}

export class HostBudgets extends Context.Service<HostBudgets, {
  /** Waits for the host's turn, at most `waitMillis`, or as long as the service allows. Interrupting it costs nothing. */
  readonly reserve: (
    host: string,
    waitMillis?: number
  ) => Effect.Effect<Reservation, BudgetExhausted, Scope.Scope>
  /** Milliseconds until a time at which nobody else was told to come back, at least `atLeast`. Reserves nothing. */
  readonly later: (host: string, atLeast: number) => Effect.Effect<number>
  readonly hosts: Effect.Effect<ReadonlyArray<HostView>>
}>()("profile-aggregator/fetch/HostBudgets") {}

/** Times are monotonic milliseconds: a step of the wall clock neither ends a pause nor makes one endless. */
interface Host {
  perMinuteMax: number
  perMinute: number
  /** May be negative: turns that are waited for. Counts from `refilledAt`, which lies ahead during a pause. */
  tokens: number
  refilledAt: number
  pausedUntil: number
  /** From when on nobody has been told to come back. */
  unclaimedFrom: number
  refusals: number
  refusedAt: number
  inFlight: number
  /** Reservations, and those who wait for one. A host with any is not forgotten. */
  users: number
  readonly places: Semaphore.Semaphore
}

const now = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos / 1000n) / 1000)

const refill = (host: Host, at: number): void => {
  if (at <= host.refilledAt) return
  host.tokens = Math.min(host.perMinute, host.tokens + (at - host.refilledAt) * host.perMinute / 60_000)
  host.refilledAt = at
}

/** Milliseconds until the next turn, and why it is not at once. */
const turn = (host: Host, at: number): { readonly wait: number; readonly reason: "paused" | "rate" } => {
  refill(host, at)
  const pause = Math.max(0, host.refilledAt - at)
  const missing = Math.max(0, 1 - host.tokens)
  const wait = Math.ceil(pause + missing * 60_000 / host.perMinute)
  return { wait, reason: host.pausedUntil > at ? "paused" : "rate" }
}

const make = Effect.fnUntraced(function*(options: Options) {
  const hosts = new Map<string, Host>()
  const placesTotal = yield* Semaphore.make(options.concurrencyTotal)

  /** Least recently used first; a pause that is still on outlives hosts that could be asked, while there are any. */
  const forget = (at: number) => {
    const idle: Array<string> = []
    for (const [name, host] of hosts) {
      if (host.users > 0) continue
      if (host.pausedUntil <= at) return hosts.delete(name)
      idle.push(name)
      if (idle.length === 64) break
    }
    return idle[0] !== undefined && hosts.delete(idle[0])
  }

  const find = (name: string, at: number): Host => {
    const known = hosts.get(name)
    if (known !== undefined) {
      const perMinuteMax = options.perMinuteOf(name)
      if (perMinuteMax !== known.perMinuteMax) {
        known.perMinute = Math.min(perMinuteMax, known.perMinute + Math.max(0, perMinuteMax - known.perMinuteMax))
        known.perMinuteMax = perMinuteMax
      }
      hosts.delete(name)
      hosts.set(name, known)
      return known
    }
    if (hosts.size >= options.hostsMax) forget(at)
    const perMinute = options.perMinuteOf(name)
    const host: Host = {
      perMinuteMax: perMinute,
      perMinute,
      tokens: perMinute,
      refilledAt: at,
      pausedUntil: at,
      unclaimedFrom: at,
      refusals: 0,
      refusedAt: at,
      inFlight: 0,
      users: 0,
      places: Semaphore.makeUnsafe(options.concurrency)
    }
    hosts.set(name, host)
    return host
  }

  const refused = (host: Host, at: number, asked: number | undefined): number => {
    host.refusals = at - host.refusedAt > options.refusalMemoryMillis ? 1 : host.refusals + 1
    host.refusedAt = at
    const own = doubled(options.refusalMillis, host.refusals, options.refusalMillisMax)
    const pause = Math.min(asked === undefined || asked === 0 ? own : asked, options.pauseMillisMax)
    refill(host, at)
    host.perMinute = Math.max(1, host.perMinute / 2)
    host.pausedUntil = Math.max(host.pausedUntil, at + pause)
    // One request may go when the pause is over, to see whether it is; saved-up turns would be the next offence.
    host.tokens = Math.min(host.tokens + 1, 1)
    host.refilledAt = Math.max(host.refilledAt, host.pausedUntil)
    return host.pausedUntil - at
  }

  const reservationOf = (host: Host): Reservation => ({
    succeeded: Effect.sync(() => {
      host.perMinute = Math.min(host.perMinuteMax, host.perMinute + 1)
    }),
    refused: (pause) => Effect.map(now, (at) => refused(host, at, pause))
  })

  /** From here on a turn has been spent, which is given back unless all goes well. */
  const wait = Effect.fnUntraced(function*(host: Host, first: number, waitMax: number) {
    yield* Effect.sleep(first)
    yield* Effect.andThen(host.places.takeScoped(1), placesTotal.takeScoped(1)).pipe(
      Effect.timeoutOrElse({
        duration: waitMax - first,
        orElse: () => Effect.fail(new BudgetExhausted({ reason: "busy", retryAfter: options.waitMillisMax }))
      })
    )
    // Somebody else's request may have met a refusal in the meantime.
    const pause = host.pausedUntil - (yield* now)
    return yield* pause > 0
      ? new BudgetExhausted({ reason: "paused", retryAfter: Math.ceil(pause) })
      : Effect.void
  })

  const reserve = Effect.fnUntraced(function*(name: string, waitMillis: number = options.waitMillisMax) {
    const at = yield* now
    const host = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const found = find(name, at)
        found.users += 1
        return found
      }),
      (found) => Effect.sync(() => void (found.users -= 1))
    )
    const waitMax = Math.min(waitMillis, options.waitMillisMax)
    const first = turn(host, at)
    if (first.wait > waitMax) {
      return yield* new BudgetExhausted({ reason: first.reason, retryAfter: first.wait })
    }
    host.tokens -= 1
    yield* wait(host, first.wait, waitMax).pipe(
      Effect.onError(() => Effect.sync(() => void (host.tokens += 1)))
    )
    yield* Effect.acquireRelease(
      Effect.sync(() => void (host.inFlight += 1)),
      () => Effect.sync(() => void (host.inFlight -= 1))
    )
    return reservationOf(host)
  })

  const later = (name: string, atLeast: number) =>
    Effect.map(now, (at) => {
      const host = find(name, at)
      const from = Math.max(at + Math.max(atLeast, turn(host, at).wait), host.unclaimedFrom)
      host.unclaimedFrom = from + 60_000 / host.perMinute
      return Math.ceil(from - at)
    })

  return HostBudgets.of({
    reserve,
    later,
    hosts: Effect.map(now, (at) =>
      Array.from(hosts, ([host, { inFlight, pausedUntil, perMinute }]) => ({
        host,
        perMinute,
        inFlight,
        paused: Math.max(0, Math.ceil(pausedUntil - at))
      })))
  })
})

export const layerWith = (options: Pick<Options, "perMinuteOf"> & Partial<Options>): Layer.Layer<HostBudgets> =>
  Layer.effect(HostBudgets, make({ ...defaults, ...options }))

export const layer: Layer.Layer<HostBudgets, never, Settings> = Layer.unwrap(
  Effect.map(Settings, (settings) => layerWith({ perMinuteOf: perMinuteOf(settings) }))
)
