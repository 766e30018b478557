/** Verifier threads: slow as the plan says, and now and then one crashes. */
import { Deferred, Effect, Exit } from "effect"
import { verifyRecords } from "../../../src/crypto/protocol.ts"
import { ThreadFailed, type VerifierThread } from "../../../src/crypto/VerifierThread.ts"
import { run } from "../Run.ts"
import { engine } from "./engineSelection.ts"

export const spawn = (): Effect.Effect<VerifierThread, ThreadFailed> =>
  Effect.gen(function*() {
    const { plan, world } = run()
    const died = Deferred.makeUnsafe<never, ThreadFailed>()
    yield* Effect.sleep(world.dice.between(0, 20))
    return {
      engine: engine.name,
      refused: [],
      verify: (records) =>
        Effect.callback<Uint8Array, ThreadFailed>((resume) => {
          const crashes = ++run().jobs === plan.threads.crashAt
          world.later(world.dice.between(0, plan.threads.millis), "verified", () => {
            run().reach("verified")
            if (!crashes) return resume(Effect.sync(() => verifyRecords(engine, records)))
            world.note(() => "a verifier thread crashes")
            const error = new ThreadFailed({ reason: "crashed", detail: "planned" })
            resume(Effect.fail(error))
            return void Deferred.doneUnsafe(died, Exit.fail(error))
          })
        }),
      failed: Deferred.await(died),
      stop: Effect.suspend(() => Effect.sleep(world.dice.between(0, 5))),
      kill: Effect.suspend(() => Effect.sleep(world.dice.between(0, 5)))
    }
  })
