/**
 * Writes what was decided: one way for harvested pages, clients' events and the retry queue's, so that each of them
 * answers by what is on disk, and the queue hears of everything that was committed.
 */
import { Effect, Exit } from "effect"
import {
  DatabaseError,
  type DatabaseSender,
  type Outcome,
  reasonOf,
  type RecordWrite
} from "../../database/Database.ts"
import type { MailboxClosed } from "../../lifecycle/Mailbox.ts"
import type { AdmissionOutcome } from "./Admission.ts"
import { shuttingDown } from "./Judgement.ts"
import type { Decision } from "./Pipeline.ts"
import type { RetryQueue } from "./RetryQueue.ts"

/** The outcome of each decision, given those of all their operations in one write. */
const outcomesOf = (
  decisions: ReadonlyArray<Decision>,
  written: ReadonlyArray<Outcome>
): ReadonlyArray<AdmissionOutcome> => {
  let at = 0
  return decisions.map(({ operations, outcome }) => {
    const first = written[at]
    at += operations.length
    return outcome ?? (first === undefined || first._tag === "Done" ? shuttingDown : first)
  })
}

/** Said where the disk refused, or is full. */
export const unwritten = (error: DatabaseError): AdmissionOutcome => ({ _tag: "Failed", detail: reasonOf(error) })

/**
 * Each decision by itself, in order: one that cannot be written takes no other along. One outcome per decision. `queued` as
 * in `DatabaseSender.writeAll`.
 */
export const commitEach = Effect.fnUntraced(function*(
  sender: DatabaseSender,
  queue: RetryQueue["Service"],
  decisions: ReadonlyArray<Decision>,
  queued: () => void
): Effect.fn.Return<ReadonlyArray<AdmissionOutcome>, MailboxClosed> {
  const writes = decisions.filter(({ operations }) => operations.length > 0).map(({ operations }) => operations)
  const written = yield* sender.writeAll(writes, queued)
  let at = 0
  return decisions.map((decision) => {
    if (decision.operations.length === 0) return decision.outcome ?? shuttingDown
    const outcomes = written[at++]
    if (outcomes instanceof DatabaseError) return unwritten(outcomes)
    if (outcomes === undefined) return shuttingDown
    queue.observe(decision.operations)
    return outcomesOf([decision], outcomes)[0] ?? shuttingDown
  })
})

/** All decisions, and `records` with them, in one transaction; one outcome per decision, in order. */
export const commit = Effect.fnUntraced(function*(
  sender: DatabaseSender,
  queue: RetryQueue["Service"],
  decisions: ReadonlyArray<Decision>,
  records: ReadonlyArray<RecordWrite> = []
): Effect.fn.Return<ReadonlyArray<AdmissionOutcome>, DatabaseError | MailboxClosed> {
  const operations = [...decisions.flatMap((decision) => decision.operations), ...records]
  const written = operations.length === 0 ? [] : yield* sender.write(operations).pipe(
    // A write that was accepted is done whether its caller still waits or not.
    Effect.onExit((exit) =>
      Exit.isSuccess(exit) || Exit.hasInterrupts(exit) ? Effect.sync(() => queue.observe(operations)) : Effect.void
    )
  )
  return outcomesOf(decisions, written)
})
