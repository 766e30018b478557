/**
 * How components take part in an orderly stop: they announce themselves, they bound their waits, and they can ask
 * whether the operator has lost patience. The promise itself is in `docs/shutdown.md`.
 */
import { Context, Deferred, Effect, type Exit, Fiber, Layer, Option, type Scope } from "effect"
import type { ProofName, Statement } from "./Certificate.ts"
import { Journal } from "./Journal.ts"

/** A wait that a release may contain, declared by the component that waits (`docs/shutdown.md`, "Time"). */
export interface Budget {
  /** As `forced` of the certificate shows it when it has expired. */
  readonly name: string
  readonly millis: number
  /** Milliseconds after the second signal at which it is cut: 0 for at once, `fastMillis` when it is not given. */
  readonly cut?: number
  /** Nobody is to blame when it expires, or nothing is lost: the exit code stays what it is. */
  readonly isHarmless?: boolean
}

/** What is left of every budget, in total, after the second signal. */
const fastMillis = 1000

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
   * leaves the budget as much as its `cut`.
   */
  readonly bounded: <A, R>(
    budget: Budget,
    effect: Effect.Effect<A, never, R>
  ) => Effect.Effect<Option.Option<A>, never, R>

  /**
   * Promises something under a name of `proofs`; the exit code is 70 where it does not hold. A function is asked when the
   * certificate is written, which a third signal may do at any moment.
   */
  readonly prove: <Name extends string>(
    name: ProofName<Name>,
    holds: boolean | (() => boolean)
  ) => Effect.Effect<void>
  /** States something in a field of the certificate's top level; asked for when it is written. */
  readonly state: <Field extends string>(field: Field, value: () => Statement<Field>) => Effect.Effect<void>

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
      const end = (hurriedAt ?? journal.now()) + (budget.cut ?? fastMillis)
      return Effect.sleep(Math.max(0, end - journal.now()))
    })
    const cut = Effect.raceFirst(
      Effect.sleep(budget.millis),
      Effect.andThen(Deferred.await(impatience), hurried)
    )
    const exit = yield* Effect.raceFirst(
      Effect.asSome(Fiber.await(fiber)),
      Effect.as(cut, Option.none<Exit.Exit<A>>())
    )
    if (Option.isNone(exit)) {
      fiber.interruptUnsafe()
      journal.expire(budget.name, budget.isHarmless)
      yield* Effect.logWarning("budget expired").pipe(
        Effect.annotateLogs({ budget: budget.name, millis: budget.millis })
      )
      return Option.none<A>()
    }
    return Option.some(yield* exit.value)
  })

  return Shutdown.of({
    journal,
    announce,
    bounded,
    prove: (name, holds) =>
      Effect.sync(() => void journal.proofs.set(name, typeof holds === "function" ? holds : () => holds)),
    state: (field, value) => Effect.sync(() => void journal.statements.set(field, value)),
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
