/** A verifier thread of `node:worker_threads`. */
import { Deferred, Effect, Exit } from "effect"
import { MessageChannel, Worker } from "node:worker_threads"
import { threadEnv } from "../lifecycle/compileCache.js"
import { messageOf } from "../observability/messageOf.ts"
import type { EnginePreference } from "./engines/EngineSelection.ts"
import type { Answer, Job, Ready, ThreadData } from "./protocol.ts"
import { ThreadFailed, type VerifierThread } from "./VerifierThread.ts"

export interface SpawnOptions {
  readonly preference: EnginePreference
  /** Another entry, for tests of what a broken thread does. */
  readonly entry?: URL
}

/** MiB. A thread holds an engine and two jobs at a time; the precomputed tables of noble are the largest thing in it. */
const resourceLimits = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 16 }

/**
 * Resolves once the thread has chosen its engine and is ready for jobs. Interrupted before, it ends the thread. Whoever
 * spawns a thread stops or kills it.
 */
export const spawn = (options: SpawnOptions): Effect.Effect<VerifierThread, ThreadFailed> =>
  Effect.callback<VerifierThread, ThreadFailed>((resume) => {
    const { port1: port, port2 } = new MessageChannel()
    let worker: Worker
    try {
      worker = new Worker(options.entry ?? new URL("./worker.ts", import.meta.url), {
        name: "verifier",
        workerData: { port: port2, preference: options.preference } satisfies ThreadData,
        transferList: [port2],
        // It needs neither the process's flags nor its secrets.
        execArgv: [],
        env: threadEnv(),
        resourceLimits
      })
    } catch (error) {
      port.close()
      return resume(Effect.fail(new ThreadFailed({ reason: "crashed", detail: String(error) })))
    }

    const jobs = new Map<number, (exit: Exit.Exit<Uint8Array, ThreadFailed>) => void>()
    const failed = Deferred.makeUnsafe<never, ThreadFailed>()
    const exited = Deferred.makeUnsafe<void>()
    let nextJob = 0
    let ending = false
    let thrown: string | undefined
    let failure: ThreadFailed | undefined

    const settle = (error: ThreadFailed) => {
      failure = error
      port.close()
      const waiting = [...jobs.values()]
      jobs.clear()
      for (const answer of waiting) answer(Exit.fail(error))
      resume(Effect.fail(error))
      if (!ending) Deferred.doneUnsafe(failed, Exit.fail(error))
    }

    worker.on("error", (error) => {
      thrown = messageOf(error)
    })
    worker.on("exit", (code) => {
      const reason = ending ? "stopped" : "crashed"
      settle(new ThreadFailed({ reason, detail: thrown ?? `exit code ${code}` }))
      Deferred.doneUnsafe(exited, Exit.void)
    })

    port.on("message", (message: Ready | Answer) => {
      if ("job" in message) {
        const answer = jobs.get(message.job)
        jobs.delete(message.job)
        answer?.(Exit.succeed(message.verdicts))
        return
      }
      resume(Effect.succeed(
        {
          engine: message.engine,
          refused: message.refused,
          verify,
          failed: Deferred.await(failed),
          stop,
          kill
        } satisfies VerifierThread
      ))
    })

    const verify = (records: Uint8Array<ArrayBuffer>) =>
      Effect.callback<Uint8Array, ThreadFailed>((resume) => {
        if (failure !== undefined) return resume(Effect.fail(failure))
        const job = nextJob++
        jobs.set(job, resume)
        port.postMessage({ job, records } satisfies Job, [records.buffer])
        return Effect.sync(() => jobs.delete(job))
      })

    const stop = Effect.suspend(() => {
      ending = true
      port.close()
      return Deferred.await(exited)
    })

    const kill = Effect.suspend(() => {
      ending = true
      void worker.terminate()
      return Deferred.await(exited)
    })

    return kill
  })
