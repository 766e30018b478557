/**
 * The crypto component: a mailbox in front of a pool of verifier threads, and the relay's own key.
 *
 * Ids are computed on the calling thread, because they are cheap (3 µs for an event of 1 kB) and most forgeries end there;
 * signatures (30 to 800 µs, by engine) go to the threads as packed records. The consumer never waits to fill a batch: an
 * idle relay answers at once, a busy one finds more in the queue each time it comes back.
 *
 * `handle` returns as soon as its batch is handed over and the queue has more, so that hashing and every thread work at
 * the same time. It returns to an empty queue only when nothing is in flight. So the queue's end, which finds the
 * consumer waiting at an empty queue, finds every request answered.
 */
import { Cause, Deferred, type Duration, Effect, Exit, Layer, Metric } from "effect"
import { hash } from "node:crypto"
import { availableParallelism } from "node:os"
import { Settings, type SettingsShape } from "../config/Settings.ts"
import { canonical, type Event, type EventTemplate } from "../domain/Event.ts"
import { ExitCode } from "../lifecycle/Certificate.ts"
import * as Mailbox from "../lifecycle/Mailbox.ts"
import { announce, type Shutdown } from "../lifecycle/Shutdown.ts"
import { StartError } from "../lifecycle/StartError.ts"
import type { Supervisor } from "../lifecycle/Supervisor.ts"
import { messageOf } from "../observability/messageOf.ts"
import { cryptoVerifications } from "../observability/Metrics.ts"
import type { EngineName } from "./engines/Engine.ts"
import { type EnginePreference, selectEngine } from "./engines/EngineSelection.ts"
import * as NodeVerifierThread from "./NodeVerifierThread.ts"
import { pack, verdictValid, verifyRecords, wellFormed } from "./protocol.ts"
import * as RelayKey from "./RelayKey.ts"
import * as ThreadPool from "./ThreadPool.ts"
import { CryptoError, type Verification, Verifier, type VerifierSender } from "./Verifier.ts"
import { inlineThread, type ThreadFailed, type VerifierThread } from "./VerifierThread.ts"

/** What the mailbox carries. The owner completes each reply exactly once. */
type Request =
  | {
    readonly _tag: "Verify"
    readonly events: ReadonlyArray<Event>
    readonly reply: Deferred.Deferred<ReadonlyArray<Verification>, CryptoError>
  }
  | {
    readonly _tag: "Sign"
    readonly template: EventTemplate
    readonly reply: Deferred.Deferred<Event, CryptoError>
  }

/** One event of a request. */
interface Check {
  readonly event: Event
  readonly settle: (verification: Verification) => void
  /** Its request is answered by it. */
  readonly fail: (error: CryptoError) => void
}

/** The events of a request, which is answered when the last of them is. */
const checksOf = ({ events, reply }: Extract<Request, { _tag: "Verify" }>): ReadonlyArray<Check> => {
  const verifications: Array<Verification> = []
  let left = events.length
  const fail = (error: CryptoError) => void Deferred.doneUnsafe(reply, Exit.fail(error))
  return events.map((event, i) => ({
    event,
    settle: (verification) => {
      verifications[i] = verification
      if (--left === 0) Deferred.doneUnsafe(reply, Exit.succeed(verifications))
    },
    fail
  }))
}

/** Requests that may wait; more make their senders wait. */
const capacity = 1024
const batchMax = 256
/** Records per message to a thread: larger ones only make others wait longer. */
const jobRecordsMax = 64
/** Characters of canonical text hashed before the event loop gets its turn: about a millisecond. */
const hashedMax = 256 * 1024
/**
 * So many signatures are checked here when nothing else is queued or in flight and the engine is native. A lone one
 * blocks the event loop for 30 to 50 µs, which is what handing it over and resuming for the answer costs this thread
 * too, and it is answered in 40 µs instead of 110. From two on, handing over costs this thread half as much.
 */
const inlineMax = 1

const jobDeadline: Duration.Input = "5 seconds"
const spawnDeadline: Duration.Input = "10 seconds"

export interface Options {
  /** Makes one thread; it should use this engine, or the next best if that does not load there. */
  readonly spawn: (engine: EngineName) => Effect.Effect<VerifierThread, ThreadFailed>
  /** At least 1. */
  readonly threads: number
  readonly preference: EnginePreference
}

const startError = (cause: unknown) =>
  new StartError({
    component: "crypto",
    message: `cannot start the verifier: ${messageOf(cause)}`,
    exitCode: ExitCode.Unavailable
  })

/** Chooses an engine and says which, and why not a better one. */
const chooseEngine = Effect.fnUntraced(function*(preference: EnginePreference) {
  const { engine, refused } = yield* Effect.tryPromise({ try: () => selectEngine(preference), catch: startError })
  for (const { name, reason } of refused) {
    // An engine that was asked for by name is missed; otherwise a missing one is the ordinary case.
    const log = preference === name ? Effect.logWarning : Effect.logInfo
    yield* log("engine not used").pipe(Effect.annotateLogs({ engine: name, reason }))
  }
  return engine
})

/** The id an event has to have (NIP-01, "Events and signatures"). */
const idOf = (text: string): string => hash("sha256", text, "hex")

/** An event of this relay. */
export const signed = (key: RelayKey.RelayKey, template: EventTemplate): Exit.Exit<Event, CryptoError> => {
  const { created_at, kind, tags, content } = template
  const { pubkey } = key
  try {
    const id = idOf(canonical({ pubkey, created_at, kind, tags, content }))
    const sig = key.sign(Buffer.from(id, "hex"))
    return Exit.succeed({ id, pubkey, created_at, kind, tags, content, sig })
  } catch (cause) {
    return Exit.fail(new CryptoError({ operation: "sign", cause }))
  }
}

/** Settles checks, and counts them. */
const conclude = Effect.fnUntraced(function*(
  checks: ReadonlyArray<Check>,
  verificationOf: (index: number) => Verification
) {
  const counts = { Valid: 0, InvalidId: 0, InvalidSignature: 0 }
  checks.forEach(({ settle }, index) => {
    const verification = verificationOf(index)
    counts[verification]++
    settle(verification)
  })
  if (counts.Valid > 0) yield* Metric.update(cryptoVerifications.Valid, counts.Valid)
  if (counts.InvalidId > 0) yield* Metric.update(cryptoVerifications.InvalidId, counts.InvalidId)
  if (counts.InvalidSignature > 0) yield* Metric.update(cryptoVerifications.InvalidSignature, counts.InvalidSignature)
})

const verificationsOf = (verdicts: Uint8Array) => (index: number): Verification =>
  verdicts[index] === verdictValid ? "Valid" : "InvalidSignature"

const jobOf = (checks: ReadonlyArray<Check>): ThreadPool.PoolJob => ({
  pack: () => pack(checks.map(({ event }) => event)),
  answer: (exit) => {
    if (Exit.isSuccess(exit)) return conclude(checks, verificationsOf(exit.value))
    const failure = new CryptoError({ operation: "verify", cause: Cause.squash(exit.cause) })
    for (const { fail } of checks) fail(failure)
    return Metric.update(cryptoVerifications.Failed, checks.length)
  }
})

const make = Effect.fnUntraced(function*(options: Options) {
  yield* announce("crypto")
  const key = yield* RelayKey.make
  const engine = yield* chooseEngine(options.preference)
  const { pool, threads } = yield* ThreadPool.make({
    threads: options.threads,
    spawn: options.spawn(engine.name),
    jobDeadline,
    spawnDeadline
  }).pipe(Effect.mapError(startError))
  yield* Effect.logInfo("verifier ready").pipe(
    Effect.annotateLogs({ engine: engine.name, threads: threads.map((thread) => thread.engine).join(" ") })
  )

  /** Signs, checks ids, and hands what passed to the threads in jobs. Returns what is left over: less than one job. */
  const dispatch = Effect.fnUntraced(function*(batch: ReadonlyArray<Request>) {
    let rest: Array<Check> = []
    let hashed = 0
    for (const request of batch) {
      if (request._tag === "Sign") {
        Deferred.doneUnsafe(request.reply, signed(key, request.template))
        yield* Effect.yieldNow
        continue
      }
      for (const check of checksOf(request)) {
        const text = canonical(check.event)
        hashed += text.length
        if (idOf(text) !== check.event.id) yield* conclude([check], () => "InvalidId")
        else if (!wellFormed(check.event)) yield* conclude([check], () => "InvalidSignature")
        else rest.push(check)

        if (rest.length === jobRecordsMax) {
          yield* pool.submit(jobOf(rest))
          rest = []
        }
        if (hashed > hashedMax) {
          hashed = 0
          yield* Effect.yieldNow
        }
      }
    }
    return rest
  })

  const handle = Effect.fnUntraced(function*(batch: ReadonlyArray<Request>): Effect.fn.Return<void> {
    const rest = yield* dispatch(batch)
    if (rest.length > 0) {
      if (engine.inline && batch.length === 1 && rest.length <= inlineMax && pool.inFlight() === 0) {
        yield* conclude(rest, verificationsOf(verifyRecords(engine, pack(rest.map(({ event }) => event)))))
      } else yield* pool.submit(jobOf(rest))
    }
    for (;;) {
      const seen = pool.changes()
      if (pool.inFlight() === 0 || (yield* mailbox.depth) > 0) return
      yield* pool.changedSince(seen)
    }
  })

  const { mailbox } = yield* Mailbox.make<Request, never>({
    name: "crypto",
    capacity,
    batchMax,
    handle,
    budget: ThreadPool.threadStop
  })

  /** Once the message is in the queue, `handle` may have to stop waiting for answers. */
  const noticed = <A extends Request>(request: A): A => {
    if (pool.inFlight() > 0) queueMicrotask(pool.poke)
    return request
  }
  const senderOf = (sender: Mailbox.Sender<Request>): VerifierSender => {
    const verifyAll = (events: ReadonlyArray<Event>) =>
      events.length === 0
        ? Effect.succeed([])
        : sender.ask<ReadonlyArray<Verification>, CryptoError>((reply) => noticed({ _tag: "Verify", events, reply }))
    return {
      verifyAll,
      verify: (event) => Effect.map(verifyAll([event]), ([verification]) => verification as Verification),
      sign: (template) => sender.ask<Event, CryptoError>((reply) => noticed({ _tag: "Sign", template, reply }))
    }
  }

  return Verifier.of({
    sender: mailbox.senderAs("Verifier.sender", senderOf),
    pubkey: key.pubkey,
    engine: engine.name
  })
}, Effect.annotateLogs({ component: "crypto" }))

/** With other threads than Node's: what tests inject. */
export const layerWith = (
  options: (settings: SettingsShape) => Options
): Layer.Layer<Verifier, StartError, Settings | Shutdown | Supervisor> =>
  Layer.effect(Verifier, Effect.flatMap(Settings, (settings) => make(options(settings))))

/** On threads of their own: as many as are set, or one per core but the one the sockets need. */
export const layer = layerWith((settings) => ({
  spawn: (preference) => NodeVerifierThread.spawn({ preference }),
  threads: settings.verifierThreads > 0 ? settings.verifierThreads : Math.max(1, availableParallelism() - 1),
  preference: settings.verifierEngine
}))

/** All on the calling thread, in the step that asks: deterministic under a test clock. */
export const layerInline = layerWith((settings) => ({
  spawn: (name) => Effect.orDie(Effect.map(chooseEngine(name), inlineThread)),
  threads: 1,
  preference: settings.verifierEngine
}))
