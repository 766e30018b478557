/** Mutants that no test is meant to notice, and why. One that is noticed after all, or is no mutant any more, is an error. */
import { type Module, modules } from "../support/modules.ts"
import type { Mutant } from "./Mutations.ts"

export interface Reason {
  readonly file: Module
  /** What the mutant did, or how it begins. */
  readonly what: string
  /** Part of the line that it did it to. */
  readonly at: string
  readonly why: string
}

const of = (file: Module, ...all: ReadonlyArray<readonly [what: string, at: string, why: string]>) =>
  all.map(([what, at, why]): Reason => ({ file, what, at, why }))

export const reasons: ReadonlyArray<Reason> = [
  ...of(modules.Ingester, [
    "never: if (operation._tag !== \"Save\")",
    "if (operation._tag !== \"Save\") return",
    "only an event is ever saved or ephemeral, which the next two lines ask; this one tells the compiler"
  ]),
  ...of(modules.Launch, [
    "never: if (Cause.hasInterruptsOnly(cause))",
    "if (Cause.hasInterruptsOnly(cause)) return Effect.void",
    "an interrupt from outside passes by this handler, and no component interrupts its own start"
  ]),
  ...of(modules.Mailbox, [
    "never: if (Option.isSome(drained))",
    "if (Option.isSome(drained))",
    "a consumer that has ended leaves an empty queue, and is not interrupted by an interrupt"
  ], [
    "without: consumer.interruptUnsafe()",
    "consumer.interruptUnsafe()",
    "the queue is shut down next, which ends the consumer's wait as well"
  ], [
    "startImmediately: true is startImmediately: false",
    "supervisor.watch(name, consume)",
    "the consumer begins a turn later; what is sent meanwhile waits for it"
  ], [
    "> is >=",
    "orphans.add(this)",
    "memory only: a lease without requests has nobody to be told"
  ], [
    "without: Effect.annotateLogs({ mailbox: name, holder: lease.holder",
    "Effect.annotateLogs({ mailbox: name, holder: lease.holder",
    "logging only"
  ], [
    "never: if (Queue.offerUnsafe(queue, message))",
    "if (Queue.offerUnsafe(queue, message)) return Effect.void",
    "the slower way to the same queue"
  ], [
    "never: if (this.#isReleased && this.inFlight === 0)",
    "orphans.delete(this)",
    "memory only: its requests are gone from it one by one"
  ]),
  ...of(modules.Output, [
    "< is <=",
    "offset < bytes.length",
    "a try more at most, after all that there is time for or with nothing left to write"
  ]),
  ...of(modules.Shutdown, [
    "forkDetach is forkChild",
    "Effect.forkDetach(Effect.interruptible(effect)",
    "a release is not interrupted, so it takes no child with it; and no fiber waits for its children"
  ], [
    "raceFirst is race",
    "const cut = Effect.raceFirst(",
    "neither side fails, so the first to end is the first to succeed"
  ], [
    "raceFirst is race",
    "const exit = yield* Effect.raceFirst(",
    "neither side fails, so the first to end is the first to succeed"
  ], [
    "without: yield* Effect.logWarning(\"budget expired\")",
    "Effect.logWarning(\"budget expired\")",
    "logging only: the certificate has the budget's name"
  ])
]

/** The reason that is meant for a mutant. */
export const reasonOf = (file: string, mutant: Mutant): Reason | undefined =>
  reasons.find((reason) =>
    reason.file === file && mutant.what.startsWith(reason.what) && mutant.text.includes(reason.at)
  )
