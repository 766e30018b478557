/**
 * The operator's own program that has a say in what is written: strfry's plugin protocol, JSON lines on stdin and stdout.
 *
 * It is asked after the signature, so that it never sees a forgery, and before anything that costs the network. Deletions and
 * requests to vanish are their authors' right, so nobody is asked about them. Whoever dies, hangs or answers nonsense is
 * killed and started again, later each time; meanwhile `WRITE_POLICY_FAILURE` says what becomes of events. That a plugin
 * failed is no verdict: what is harvested then is read again.
 */
import { Clock, Config, Context, Duration, Effect, Exit, Layer, Metric, Random, Scope, Semaphore } from "effect"
import { Settings } from "../../config/Settings.ts"
import { doubled, spread } from "../../domain/Backoff.ts"
import { isRemoval } from "../../domain/Kinds.ts"
import { ExitCode } from "../../lifecycle/Certificate.ts"
import { Shutdown } from "../../lifecycle/Shutdown.ts"
import { StartError } from "../../lifecycle/StartError.ts"
import { escape } from "../../observability/Escape.ts"
import {
  aggregationPolicyAnswers,
  aggregationPolicyFailures,
  aggregationPolicySeconds
} from "../../observability/Metrics.ts"
import { answer, type Decision, type Entrant } from "./Pipeline.ts"
import * as PluginProcess from "./PluginProcess.ts"
import { answerOf, questionOf } from "./PluginProtocol.ts"

/** Events that wait for their turn. */
const waitingMax = 1024
/** Milliseconds between two starts: the first pause, and the longest. */
const pauses = { first: 1000, max: 60_000 }

/** A step of the pipeline (`Steps.consult`); undefined where there is no plugin. */
interface WritePolicy {
  readonly consult: ((entrant: Entrant) => Effect.Effect<Decision | undefined>) | undefined
}

export const WritePolicy = Context.Reference<WritePolicy>("profile-aggregator/aggregation/admission/WritePolicy", {
  defaultValue: () => ({ consult: undefined })
})

const stopped = answer({ _tag: "Failed", detail: "shutting down" })
const unasked = answer({ _tag: "Failed", detail: "the write policy does not answer" })

const make = Effect.fnUntraced(function*(path: string) {
  const settings = yield* Settings
  const shutdown = yield* Shutdown
  const scope = yield* Effect.scope
  const turn = yield* Semaphore.make(1)
  const alive = { count: 0 }
  const env = {
    PATH: yield* Effect.orDie(Config.String("PATH").pipe(Config.withDefault("/usr/local/bin:/usr/bin:/bin"))),
    LANG: "C.UTF-8"
  }
  let running: { readonly process: PluginProcess.PluginProcess; readonly scope: Scope.Closeable } | undefined
  let failures = 0
  /** Unix milliseconds. */
  let notBefore = 0
  let waiting = 0

  yield* shutdown.prove("policyExited", () => alive.count === 0 || shutdown.journal.forced.length > 0)
  // A stop by force runs no finalizer.
  shutdown.journal.onCertified(() => running?.process.kill())

  const start = Effect.uninterruptible(Effect.gen(function*() {
    const own = yield* Scope.fork(scope)
    const process = yield* PluginProcess.make({ path, env, alive }).pipe(
      Scope.provide(own),
      Effect.onError(() => Scope.close(own, Exit.void))
    )
    running = { process, scope: own }
    yield* Effect.logInfo("write policy started").pipe(Effect.annotateLogs({ pid: process.pid }))
    return process
  }))

  /** Ends the process in hand, and lets some time pass before the next one, but where only the asker was interrupted. */
  const retire = (error: PluginProcess.PluginFailed | undefined) =>
    Effect.gen(function*() {
      const { scope: own } = running ?? {}
      running = undefined
      if (own !== undefined) yield* Scope.close(own, Exit.void)
      if (error === undefined) return
      failures++
      const pause = spread(doubled(pauses.first, failures, pauses.max), yield* Random.next)
      notBefore = (yield* Clock.currentTimeMillis) + pause
      yield* Metric.update(aggregationPolicyFailures[error.reason], 1)
      yield* Effect.logWarning("write policy failed").pipe(
        Effect.annotateLogs({ reason: error.reason, detail: error.detail, failures, againMs: Math.round(pause) })
      )
    })

  const exchange = (entrant: Entrant) =>
    Effect.gen(function*() {
      const now = yield* Clock.currentTimeMillis
      // It may have died since it was asked last.
      const failed = running?.process.failure()
      if (failed !== undefined) yield* retire(failed)
      if (running === undefined && now < notBefore) return undefined
      const process = running?.process ?? (yield* start)
      const line = yield* Effect.timeoutOrElse(process.ask(questionOf(entrant, now)), {
        duration: settings.writePolicyTimeout,
        orElse: () =>
          new PluginProcess.PluginFailed({
            reason: "hung",
            detail: `no answer in ${Duration.format(settings.writePolicyTimeout)}`
          })
      })
      const answered = answerOf(line, entrant.event.id)
      if (typeof answered === "string") {
        return yield* new PluginProcess.PluginFailed({ reason: "nonsense", detail: answered })
      }
      failures = 0
      yield* Metric.update(aggregationPolicySeconds, ((yield* Clock.currentTimeMillis) - now) / 1000)
      return answered
    }).pipe(
      Effect.onInterrupt(() => retire(undefined)),
      Effect.catchTag("PluginFailed", (error) => Effect.as(Effect.uninterruptible(retire(error)), undefined)),
      Effect.annotateLogs({ component: "aggregation" })
    )

  /** Nobody waits for a plugin once the service stops. */
  const stopping = Effect.as(shutdown.draining, "stopping" as const)

  const consult = Effect.fnUntraced(
    function*(entrant: Entrant) {
      const isFull = waiting >= waitingMax
      waiting++
      const answered = isFull
        ? undefined
        : yield* Effect.raceFirst(turn.withPermits(1)(exchange(entrant)), stopping)
      if (answered === "stopping") return stopped
      yield* Metric.update(aggregationPolicyAnswers[answered?.action ?? (isFull ? "full" : "failed")], 1)
      if (answered === undefined) return settings.writePolicyFailure === "accept" ? undefined : unasked
      return answered.refusal === undefined ? undefined : answer(answered.refusal)
    },
    Effect.ensuring(Effect.sync(() => {
      waiting--
    }))
  )

  yield* start.pipe(
    Effect.annotateLogs({ component: "aggregation" }),
    Effect.mapError(({ detail }) =>
      new StartError({
        component: "aggregation",
        message: `WRITE_POLICY cannot be started: ${escape(detail, 300)}; it is the path of a program`,
        exitCode: ExitCode.Configuration
      })
    )
  )
  return {
    consult: (entrant: Entrant) =>
      isRemoval(entrant.event.kind) || entrant.source.by === "queue" ? Effect.undefined : consult(entrant)
  }
})

export const layer: Layer.Layer<never, StartError, Settings | Shutdown> = Layer.effect(
  WritePolicy,
  Settings.use(({ writePolicy }) => {
    const none: Effect.Effect<WritePolicy, StartError, Settings | Shutdown | Scope.Scope> = Effect.succeed({
      consult: undefined
    })
    return writePolicy === "" ? none : make(writePolicy)
  })
)
