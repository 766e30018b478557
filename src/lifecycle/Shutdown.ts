/**
 * How components take part in an orderly stop: they announce themselves, they bound their waits, and they can ask
 * whether the operator has lost patience. The promise itself is in `docs/shutdown.md`.
 */
import { Context, Deferred, Effect, type Exit, Fiber, Layer, Option, type Scope } from "effect"
import { ExitCode } from "./Certificate.ts"
import { Journal } from "./Journal.ts"

/** Waits that releasing may contain, with their defaults in milliseconds (`docs/shutdown.md`, "Time"). */
export const budgets = {
  /** In-flight events may still be answered. */
  drain: 4000,
  /** Peers may still answer our Close frame. A silent one is not our fault. */
  "close handshakes": 1000,
  /** Sockets that were cut may still be seen to end, so that what was held for them is given back. */
  "sockets end": 1000,
  /** Upstream relays may still answer our Close frame. */
  "upstream close": 500,
  /** Threads may still finish the job in hand. */
  "worker stop": 1000,
  /** Accepted writes may still be committed. */
  "ingester drain": 2000,
  /** The WAL is folded into the database file; the next start does it otherwise. */
  checkpoint: 1000
} as const
export type Budget = keyof typeof budgets

/** What is left of every budget, in total, after the second signal. */
const fastMillis = 1000
/** What strangers may have of that: a client that does not say goodbye must not cost us the last commit. */
const fastHandshakeMillis = 250

export class Shutdown extends Context.Service<Shutdown, {
  readonly journal: Journal

  /**
   * Registers a component: call it first in a layer, so that its release is recorded last, once all else the component
   * opened is gone.
   */
  readonly announce: (component: string) => Effect.Effect<void, never, Scope.Scope>

  /**
   * Waits for `effect` at most the budget's time: `None` when it was cut short, which is recorded. The effect is
   * detached, so that even an uninterruptible one cannot hold the release; it is interrupted when cut. A second signal
   * cuts `drain` at once and leaves the others one second in total, a quarter of it for `close handshakes`.
   */
  readonly bounded: <A, R>(
    budget: Budget,
    effect: Effect.Effect<A, never, R>
  ) => Effect.Effect<Option.Option<A>, never, R>

  /** Says that nothing new is taken any more: whoever waits for the world should come to an end. */
  readonly drain: Effect.Effect<void>
  /** Resolves once that was said. */
  readonly draining: Effect.Effect<void>

  /** Resolves at the second signal. */
  readonly impatient: Effect.Effect<void>
  /** The operator's second signal. */
  readonly hurry: Effect.Effect<void>
}>()("profile-aggregator/lifecycle/Shutdown") {
  /** Over a journal that exists already: the process's own, whose first lines came before Effect was loaded. */
  static readonly layer = (journal: Journal): Layer.Layer<Shutdown> => Layer.effect(Shutdown, make(journal))

  /** Over a journal of its own, on the fiber's clock. */
  static readonly layerTest: Layer.Layer<Shutdown> = Layer.effect(
    Shutdown,
    Effect.clockWith((clock) => {
      const now = () => clock.currentTimeMillisUnsafe()
      return make(new Journal({ now, wallTime: now, emit: () => {} }))
    })
  )
}

const make = Effect.fnUntraced(function*(journal: Journal) {
  const impatience = yield* Deferred.make<void>()
  const drained = yield* Deferred.make<void>()
  let hurriedAt: number | undefined

  const announce = (component: string) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        journal.acquired.push(component)
      }),
      () =>
        Effect.suspend(() => {
          // A component that failed to start is released without anybody having asked for a stop.
          journal.transition("releasing")
          journal.released.push(component)
          return Effect.logInfo("released")
        }).pipe(Effect.annotateLogs({ component }))
    )

  const bounded = Effect.fnUntraced(function*<A, R>(budget: Budget, effect: Effect.Effect<A, never, R>) {
    const fiber = yield* Effect.forkDetach(Effect.interruptible(effect), { startImmediately: true })
    const hurried = Effect.suspend(() => {
      if (budget === "drain") return Effect.void
      const millis = budget === "close handshakes" ? fastHandshakeMillis : fastMillis
      return Effect.sleep(Math.max(0, (hurriedAt ?? journal.now()) + millis - journal.now()))
    })
    const cut = Effect.raceFirst(
      Effect.sleep(budgets[budget]),
      Effect.andThen(Deferred.await(impatience), hurried)
    )
    const exit = yield* Effect.raceFirst(
      Effect.asSome(Fiber.await(fiber)),
      Effect.as(cut, Option.none<Exit.Exit<A>>())
    )
    if (Option.isNone(exit)) {
      fiber.interruptUnsafe()
      journal.forced.push(budget)
      yield* Effect.logWarning("budget expired").pipe(Effect.annotateLogs({ budget, millis: budgets[budget] }))
      return Option.none<A>()
    }
    return Option.some(yield* exit.value)
  })

  return Shutdown.of({
    journal,
    announce,
    bounded,
    drain: Effect.asVoid(Deferred.succeed(drained, undefined)),
    draining: Deferred.await(drained),
    impatient: Deferred.await(impatience),
    hurry: Effect.suspend(() => {
      hurriedAt ??= journal.now()
      return Effect.asVoid(Deferred.succeed(impatience, undefined))
    })
  })
})

/** Announces a component to whatever stop will come (`Shutdown.announce`). */
export const announce = (component: string): Effect.Effect<void, never, Scope.Scope | Shutdown> =>
  Shutdown.use((shutdown) => shutdown.announce(component))

/** Records a defect of a finalizer or a broken promise: the certificate's code becomes 70. */
export const proofFailed = (name: string, detail?: string): Effect.Effect<void, never, Shutdown> =>
  Shutdown.use(({ journal }) =>
    Effect.sync(() => {
      journal.causes.push({ name, ...(detail === undefined ? {} : { detail }), code: ExitCode.ProofFailed })
    })
  )
