/** One thread that checks signatures, as the pool sees it; real ones are `NodeVerifierThread.spawn`. */
import { Effect, Schema } from "effect"
import type { Engine, EngineName } from "./engines/Engine.ts"
import type { Refusal } from "./engines/EngineSelection.ts"
import { verifyRecords } from "./protocol.ts"

/**
 * The thread cannot be trusted with another job. `crashed`: it threw, exited or ran out of memory. `hung`: a deadline
 * passed. `confused`: its answer does not fit the job. `stopped`: we ended it ourselves.
 */
export class ThreadFailed extends Schema.TaggedError<ThreadFailed>()("ThreadFailed", {
  reason: Schema.Literals(["crashed", "hung", "confused", "stopped"]),
  detail: Schema.String
}) {
  override get message() {
    return `verifier thread ${this.reason}: ${this.detail}`
  }
}

export interface VerifierThread {
  readonly engine: EngineName
  /** Engines that were tried before. */
  readonly refused: ReadonlyArray<Refusal>
  /**
   * One byte per record, in order (`protocol.ts`). The buffer is given away. Jobs are done in the order they come, and
   * interrupting the caller takes none back.
   */
  readonly verify: (records: Uint8Array<ArrayBuffer>) => Effect.Effect<Uint8Array, ThreadFailed>
  /** Fails when the thread ends and nobody had asked it to; never succeeds. */
  readonly failed: Effect.Effect<never, ThreadFailed>
  /** Lets it finish what it was given, and resolves once it is gone. Waits as long as that takes. */
  readonly stop: Effect.Effect<void>
  /** Ends it in the middle of whatever it does; jobs in hand fail. */
  readonly kill: Effect.Effect<void>
}

/** No thread at all: the calling one does the work, in the same step. Deterministic, for tests and tiny machines. */
export const inlineThread = (engine: Engine): VerifierThread => ({
  engine: engine.name,
  refused: [],
  verify: (records) => Effect.sync(() => verifyRecords(engine, records)),
  failed: Effect.never,
  stop: Effect.void,
  kill: Effect.void
})
