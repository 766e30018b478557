/** Faults of the source that were found and are not repaired yet: what repairs them, so that others show behind them. */
import type { Rewrite } from "./rewriting.ts"

/** Where the source has them already, nothing is changed. */
export const pendingFixes: ReadonlyArray<Rewrite> = [
  // A wake-up that comes between looking and listening was lost: the verifier then waited for ever.
  {
    optional: "a wake-up of the verifier that comes between looking and listening",
    file: "crypto/ThreadPool.ts",
    from: "  const poke = () => {\n",
    to: "  let pokes = 0\n  const poke = () => {\n    pokes++\n"
  },
  {
    optional: "a wake-up of the verifier that comes between looking and listening",
    file: "crypto/ThreadPool.ts",
    from: "  const changed = Effect.callback<void>((resume) => {\n",
    to:
      "  const changedSince = (seen: number) => Effect.callback<void>((resume) => {\n    if (pokes !== seen) return resume(Effect.void)\n"
  },
  {
    optional: "a wake-up of the verifier that comes between looking and listening",
    file: "crypto/ThreadPool.ts",
    from: "    const slot = free()\n    if (slot === undefined) return Effect.andThen(changed, reserve)\n",
    to:
      "    const seen = pokes\n    const slot = free()\n    if (slot === undefined) return Effect.andThen(changedSince(seen), reserve)\n"
  },
  {
    optional: "a wake-up of the verifier that comes between looking and listening",
    file: "crypto/ThreadPool.ts",
    from: "inFlight: () => inFlight, changed, poke }",
    to: "inFlight: () => inFlight, pokes: () => pokes, changedSince, poke }"
  },
  {
    optional: "a wake-up of the verifier that comes between looking and listening",
    file: "crypto/WorkerVerifier.ts",
    from: "    while (pool.inFlight() > 0 && (yield* mailbox.depth) === 0) yield* pool.changed\n",
    to:
      "    for (;;) {\n      const seen = pool.pokes()\n      if (pool.inFlight() === 0 || (yield* mailbox.depth) > 0) return\n      yield* pool.changedSince(seen)\n    }\n"
  },
  // After the second signal `drain` waits for nothing, not even for connections that were just cut to give back senders.
  {
    optional: "connections that are cut after a second signal are not waited for",
    file: "websocket/RelayServer.ts",
    from: "    yield* shutdown.bounded(\n      \"drain\",\n      Effect.all([open.zero",
    to: "    yield* shutdown.bounded(\n      \"sockets end\",\n      Effect.all([open.zero"
  },
  // A picture's host that hangs kept its profile, and with it the drain, waiting until the budget expired: every stop took
  // four seconds and ended with 75.
  {
    optional: "checks that hang outlast the drain",
    file: "websocket/RelayServer.ts",
    from: "    shared.draining = true\n",
    to: "    shared.draining = true\n    yield* shutdown.drain\n"
  },
  {
    optional: "checks that hang outlast the drain",
    file: "aggregation/AdmissionIntake.ts",
    from: "  const stop = Effect.as(Deferred.await(stopping), \"stopping\" as const)\n",
    // One moment for all: an event that is taken later does not get a second of its own.
    to: "  const cutting = yield* Deferred.make<void>()\n" +
      "  yield* Effect.forkScoped(\n" +
      "    Effect.andThen(shutdown.draining, Effect.andThen(Effect.sleep(1000), Deferred.succeed(cutting, undefined)))\n" +
      "  )\n" +
      "  const stop = Effect.as(\n" +
      "    Effect.raceFirst(Deferred.await(stopping), Deferred.await(cutting)),\n" +
      "    \"stopping\" as const\n  )\n"
  }
]
