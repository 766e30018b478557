/**
 * Every long-lived fiber has an owner that notices its death.
 *
 * Effect reports nothing when a fiber forked into a scope dies, so each one is forked here: its failure stops the
 * service in order, through one `Deferred` that the root races against.
 */
import { Cause, Context, Deferred, Effect, Exit, type Fiber, Layer, Runtime, type Scope } from "effect"
import { messageOf } from "../observability/messageOf.ts"
import type { Journal } from "./Journal.ts"
import { Shutdown } from "./Shutdown.ts"

/** One line about a failure, for the certificate. */
export const detailOf = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  return messageOf(error).slice(0, 500)
}

/** Enters a failure in the journal, with the exit code it carries; one that several fibers report, once. */
export const record = (journal: Journal, name: string, cause: Cause.Cause<unknown>): void => {
  const detail = detailOf(cause)
  if (journal.causes.some((known) => known.name === name && known.detail === detail)) return
  journal.stop({ name, detail, code: Runtime.getErrorExitCode(Cause.squash(cause)) })
}

export class Supervisor extends Context.Service<Supervisor, {
  /**
   * Forks `effect` into the scope, by name. It may succeed or be interrupted; when it fails or dies the service stops
   * (exit 1, or the code its error carries under `Runtime.errorExitCode`).
   */
  readonly fork: <A, E, R>(
    name: string,
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<Fiber.Fiber<A, E>, never, R | Scope.Scope>

  /** The same watch over a fiber that its owner forks, and awaits, itself. */
  readonly watch: <A, E, R>(name: string, effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

  /**
   * Stops the service for a failure that was noticed elsewhere, such as a thread that cannot be replaced. It is entered in
   * the journal here, so that a failure during the release is in the certificate too.
   */
  readonly fail: (name: string, cause: Cause.Cause<unknown>) => Effect.Effect<void>

  /** Fails with the first failure reported; never succeeds. */
  readonly failed: Effect.Effect<never, unknown>
}>()("profile-aggregator/lifecycle/Supervisor") {
  static readonly layer: Layer.Layer<Supervisor, never, Shutdown> = Layer.effect(
    Supervisor,
    Effect.gen(function*() {
      const { journal } = yield* Shutdown
      const fatal = yield* Deferred.make<never, unknown>()

      const fail = (name: string, cause: Cause.Cause<unknown>) =>
        Effect.logError("component failed", cause).pipe(
          Effect.annotateLogs({ fiber: name }),
          Effect.andThen(Effect.suspend(() => {
            record(journal, "component failed", cause)
            return Deferred.failCause(fatal, cause)
          })),
          Effect.asVoid
        )

      // Masked, so that no interrupt falls between the entry in the list and the promise to take it out again.
      const watch = <A, E, R>(name: string, effect: Effect.Effect<A, E, R>) =>
        Effect.uninterruptibleMask((restore) => {
          const view = { name, since: journal.wallTime() }
          journal.fibers.add(view)
          return Effect.onExit(restore(effect), (exit) => {
            journal.fibers.delete(view)
            return Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause) ? Effect.void : fail(name, exit.cause)
          })
        })

      const fork = <A, E, R>(name: string, effect: Effect.Effect<A, E, R>) =>
        Effect.forkScoped(watch(name, effect), { startImmediately: true })

      return Supervisor.of({ fork, watch, fail, failed: Deferred.await(fatal) })
    })
  )
}
