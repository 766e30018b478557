/** The main thread's side of a database thread: numbered requests, and an end that somebody waits for. */
import { Deferred, Effect, Schema, type Scope } from "effect"
import { Worker } from "node:worker_threads"
import { ExitCode } from "../../../lifecycle/Certificate.ts"
import { threadEnv } from "../../../lifecycle/compileCache.js"
import { StartError } from "../../../lifecycle/StartError.ts"
import { messageOf } from "../../../observability/messageOf.ts"
import { AnswerBuffers } from "./AnswerBuffers.ts"
import type { FromThread, ToThread } from "./threadProtocol.ts"

/** The thread could not do what it was asked, or is gone. */
export class ThreadFailed extends Schema.TaggedError<ThreadFailed>()("ThreadFailed", {
  thread: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `${this.thread} thread: ${this.detail}`
  }
}

export interface DatabaseThread<A, B> {
  /** Interrupting the caller lets the thread drop work that can be dropped. */
  readonly request: (payload: A) => Effect.Effect<B, ThreadFailed>
  /** Memory of answers that were read, which goes back with the next request. */
  readonly buffers: AnswerBuffers
  /** Asks the thread to finish and close its connections; succeeds with what it says at the end. */
  readonly close: Effect.Effect<string, ThreadFailed>
  /** Resolves once the thread is gone. */
  readonly exited: Effect.Effect<void>
  /** Fails if the thread ends without having been asked to. */
  readonly died: Effect.Effect<never, ThreadFailed>
  readonly terminate: Effect.Effect<void>
}

/** Starts a thread and waits until it has opened the file. A thread that is still there when the scope closes is cut. */
export const make = Effect.fnUntraced(function*<A, B>(options: {
  readonly name: string
  readonly entry: URL
  readonly workerData: unknown
}): Effect.fn.Return<DatabaseThread<A, B>, StartError, Scope.Scope> {
  const { name } = options
  const ready = Deferred.makeUnsafe<void, ThreadFailed>()
  const closed = Deferred.makeUnsafe<string, ThreadFailed>()
  const exited = Deferred.makeUnsafe<void>()
  const died = Deferred.makeUnsafe<never, ThreadFailed>()
  const pending = new Map<number, (answer: Effect.Effect<B, ThreadFailed>) => void>()
  let asked = 0
  let isClosing = false
  let isGone = false
  let lastError: string | undefined

  const worker = yield* Effect.acquireRelease(
    Effect.sync(() => new Worker(options.entry, { name, workerData: options.workerData, env: threadEnv() })),
    (worker) => isGone ? Effect.void : Effect.promise(() => worker.terminate())
  )
  const failed = (detail: string) => new ThreadFailed({ thread: name, detail })
  const settle = (id: number, answer: Effect.Effect<B, ThreadFailed>) => {
    const resume = pending.get(id)
    pending.delete(id)
    resume?.(answer)
  }
  const buffers = new AnswerBuffers()
  const post = (message: ToThread<A>, handedOver: Array<ArrayBuffer> = []) => worker.postMessage(message, handedOver)

  worker.on("message", (message: FromThread<B>) => {
    switch (message._tag) {
      case "Ready":
        return Deferred.doneUnsafe(ready, Effect.void)
      case "Answer":
        return settle(message.id, Effect.succeed(message.payload))
      case "Failed":
        return settle(message.id, Effect.fail(failed(message.detail)))
      case "Closed":
        return Deferred.doneUnsafe(closed, Effect.succeed(message.detail))
    }
  })
  worker.on("error", (error) => {
    lastError = messageOf(error)
  })
  worker.on("exit", (code) => {
    isGone = true
    const failure = failed(lastError ?? `ended with code ${code}`)
    for (const id of pending.keys()) settle(id, Effect.fail(failure))
    Deferred.doneUnsafe(ready, Effect.fail(failure))
    Deferred.doneUnsafe(closed, Effect.fail(failure))
    if (!isClosing) Deferred.doneUnsafe(died, Effect.fail(failure))
    Deferred.doneUnsafe(exited, Effect.void)
  })

  const request = (payload: A): Effect.Effect<B, ThreadFailed> =>
    Effect.callback((resume) => {
      if (isGone || isClosing) return resume(Effect.fail(failed("is closed")))
      const id = ++asked
      pending.set(id, resume)
      const handedOver = buffers.takeAll()
      post({ _tag: "Request", id, payload, buffers: handedOver }, handedOver)
      return Effect.sync(() => {
        if (pending.delete(id) && !isGone) post({ _tag: "Cancel", id })
      })
    })

  yield* Deferred.await(ready).pipe(
    Effect.mapError((error) =>
      new StartError({ component: "database", message: error.message, exitCode: ExitCode.Storage, cause: error })
    )
  )
  return {
    request,
    buffers,
    close: Effect.suspend(() => {
      if (!isClosing && !isGone) post({ _tag: "Close" })
      isClosing = true
      return Deferred.await(closed)
    }),
    exited: Deferred.await(exited),
    died: Deferred.await(died),
    terminate: Effect.promise(() => worker.terminate())
  }
})
