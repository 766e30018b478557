/**
 * Runs a service's layers until a stop is asked for or a component fails, and releases them, whatever happens.
 *
 * There is one path for a signal, a failure and a defect, at start-up and later: the scope of the components is closed
 * here, last acquired first, and what its finalizers did wrong is seen.
 */
import { Cause, Effect, Exit, Layer, Runtime, Scope } from "effect"
import { ExitCode } from "./Certificate.ts"
import type { ProcessHost } from "./process.ts"
import { Shutdown } from "./Shutdown.ts"
import { detailOf, record, Supervisor } from "./Supervisor.ts"

/**
 * Acquires `app`, reports `ready`, and never succeeds while it is well. Ends when a component fails (recorded, not
 * raised), or when it is interrupted; either way after the release. A defect of a finalizer is raised.
 */
export const launch = Effect.fnUntraced(function*<A, E, R>(app: Layer.Layer<A, E, R>) {
  const { journal } = yield* Shutdown
  const supervisor = yield* Supervisor
  const live = (scope: Scope.Scope) =>
    Layer.buildWithScope(app, scope).pipe(
      Effect.tapCause((cause) =>
        Effect.suspend(() => {
          if (Cause.hasInterruptsOnly(cause)) return Effect.void
          record(journal, "start failed", cause)
          return Effect.logError(detailOf(cause))
        })
      ),
      Effect.andThen(Effect.sync(() => journal.transition("ready"))),
      Effect.andThen(Effect.never)
    )

  // The scope outlives the race, so that its finalizers are neither lost with a loser nor run inside one.
  yield* Effect.acquireUseRelease(
    Scope.make(),
    (scope) =>
      Effect.raceFirst(live(scope), supervisor.failed).pipe(
        Effect.catchCause((cause) => Cause.hasInterruptsOnly(cause) ? Effect.interrupt : Effect.void)
      ),
    (scope, exit) => Scope.close(scope, exit)
  )
})

/** Makes a stop request of the process interrupt the fiber that runs `program`, and a second signal cut its waits short. */
export const attach = Effect.fnUntraced(function*<A, E, R>(host: ProcessHost, program: Effect.Effect<A, E, R>) {
  const shutdown = yield* Shutdown
  yield* Effect.withFiber((fiber) =>
    Effect.sync(() => {
      host.onStop(() => fiber.interruptUnsafe(fiber.id))
      host.onHurry(() => void Effect.runFork(shutdown.hurry))
    })
  )
  return yield* program
})

/**
 * The end of `NodeRuntime.runMain`: hands over to the event loop, which ends the process once it is empty. The code comes
 * from the certificate, not from the exit value; only a finalizer's defect is news to it.
 */
export const teardown = (host: ProcessHost): Runtime.Teardown => (exit) => {
  if (Exit.isFailure(exit) && Cause.hasDies(exit.cause)) {
    host.journal.stop({ name: "finalizer defect", detail: detailOf(exit.cause), code: ExitCode.ProofFailed })
  }
  const failed = Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)
  host.finish(failed ? Runtime.getErrorExitCode(Cause.squash(exit.cause)) : ExitCode.Clean)
}
