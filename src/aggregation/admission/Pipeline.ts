/**
 * The one way of events from their arrival to what is decided of them, many at a time: gate, memory, store, signature,
 * the operator's plugin, rules, in the order of their cost. One event is a case of many.
 *
 * Each step is taken for all that are still undecided: a look at the store and a check of signatures are cheaper in numbers,
 * and on an open relay they are all that an event costs. What fails for one event fails for no other, unless it failed for
 * all. Who judges brings the steps that it has: an import has no rules, and a relay of profiles has all of them.
 */
import { Cause, Clock, Effect, Exit } from "effect"
import type { Verification } from "../../crypto/Verifier.ts"
import type { Operation, Preview } from "../../database/Database.ts"
import type { Event } from "../../domain/Event.ts"
import { type Policy, refusalOf, type Source } from "../../domain/Gate.ts"
import { secondsOf } from "../../domain/Time.ts"
import type { AdmissionOutcome } from "./Admission.ts"
import type { Checked } from "./SharedChecks.ts"

/** What to write for one event, in one transaction, and what its sender is told. */
export interface Decision {
  readonly operations: ReadonlyArray<Operation>
  /** The answer; undefined when it is the outcome of the first operation, which is its `Save` then. */
  readonly outcome: AdmissionOutcome | undefined
  /** It was decided without a check of its signature, or by that of the same event from elsewhere. */
  readonly isUnverified?: true
}

/** One of many. */
export interface Entrant {
  readonly event: Event
  readonly source: Source
}

export const save = (event: Event): Operation => ({ _tag: "Save", event })
export const keep = (event: Event): Decision => ({ operations: [save(event)], outcome: undefined })
export const answer = (outcome: AdmissionOutcome): Decision => ({ operations: [], outcome })
const unseen = (outcome: AdmissionOutcome): Decision => ({ operations: [], outcome, isUnverified: true })

const invalidId = answer({ _tag: "Invalid", detail: "id does not match the event" })
const invalidSignature = answer({ _tag: "Invalid", detail: "signature does not match" })

const refuseForged = (verification: Verification): Decision | undefined => {
  if (verification === "Valid") return undefined
  return verification === "InvalidId" ? invalidId : invalidSignature
}

/** A step for one event: a decision, or undefined where the next step has to be taken. */
type Step<T extends Entrant, A, E> = (entrant: T) => Effect.Effect<A, E>

/** What a relay of profiles asks besides. */
export interface Memory<T extends Entrant, E> {
  /** Before the store is asked. */
  readonly recall: Step<T, Decision | undefined, E>
  /** Of what is new to the store. */
  readonly known: Step<T, Decision | undefined, E>
}

export interface Steps<T extends Entrant, E> {
  readonly policy: Policy
  readonly memory: Memory<T, E> | undefined
  readonly previewAll: (events: ReadonlyArray<Event>) => Effect.Effect<ReadonlyArray<Preview>, E>
  /** Undefined where ids and signatures are trusted; then the store is not asked either, as the write will tell. */
  readonly verifyAll: ((events: ReadonlyArray<Event>) => Effect.Effect<ReadonlyArray<Checked>, E>) | undefined
  /** Of one whose signature is valid: a decision of somebody else's (`WritePolicy`). Undefined where nobody is asked. */
  readonly consult?: Step<T, Decision | undefined, E> | undefined
  /** Of one whose signature is valid. `since`: Unix milliseconds of its arrival here. Most take no effect to conclude. */
  readonly conclude: (entrant: T, since: number) => Decision | Effect.Effect<Decision, E>
}

/** One place for each entrant: a decision, or why there is none. */
export type Judged<E> = ReadonlyArray<Decision | Cause.Cause<E>>

/** Fails as the first of those that have failed does. */
export const decisionsOf = <E>(judged: Judged<E>): Effect.Effect<ReadonlyArray<Decision>, E> => {
  const failure = judged.find(Cause.isCause) as Cause.Cause<E> | undefined
  return failure === undefined ? Effect.succeed(judged as ReadonlyArray<Decision>) : Effect.failCause(failure)
}

/** Never fails, and answers in the order of the entrants. */
export const judgeMany = Effect.fnUntraced(function*<T extends Entrant, E>(
  entrants: ReadonlyArray<T>,
  { conclude, consult, memory, policy, previewAll, verifyAll }: Steps<T, E>
): Effect.fn.Return<Judged<E>> {
  const since = yield* Clock.currentTimeMillis
  const now = secondsOf(since)
  const judged: Array<Decision | Cause.Cause<E> | undefined> = entrants.map(({ event, source }) => {
    const refusal = refusalOf(event, { source, now, policy })
    return refusal === undefined ? undefined : unseen(refusal)
  })
  /** Their places. Plain loops, as this is walked through for every event of an open relay. */
  const undecided = (): ReadonlyArray<number> => {
    const places: Array<number> = []
    for (let i = 0; i < judged.length; i++) if (judged[i] === undefined) places.push(i)
    return places
  }
  const at = (i: number): T => entrants[i] as T

  const settle = (i: number, exit: Exit.Exit<Decision | undefined, E>) => {
    judged[i] = Exit.isSuccess(exit) ? exit.value : exit.cause
  }
  /** For each by itself, side by side. */
  const each = (step: Step<T, Decision | undefined, E>) =>
    Effect.forEach(
      undecided(),
      (i) => Effect.map(Effect.exit(step(at(i))), (exit) => settle(i, exit)),
      { concurrency: "unbounded", discard: true }
    )
  /** For all at once. */
  const all = Effect.fnUntraced(function*<A>(
    left: ReadonlyArray<number>,
    ask: (events: ReadonlyArray<Event>) => Effect.Effect<ReadonlyArray<A>, E>,
    decide: (answered: A) => Decision | undefined
  ) {
    if (left.length === 0) return []
    const exit = yield* Effect.exit(ask(left.map((i) => at(i).event)))
    left.forEach((i, nth) => {
      judged[i] = Exit.isFailure(exit) ? exit.cause : decide(exit.value[nth] as A)
    })
    return Exit.isSuccess(exit) ? exit.value : []
  })

  const shared: Array<number> = []
  if (memory !== undefined) yield* each((entrant) => Effect.map(memory.recall(entrant), unverified))
  if (verifyAll !== undefined) {
    yield* all(undecided(), previewAll, (preview) => preview === "New" ? undefined : unseen({ _tag: preview }))
    if (memory !== undefined) yield* each((entrant) => Effect.map(memory.known(entrant), unverified))
    // What waited in our queue was checked before it got there.
    const unchecked = undecided().filter((i) => at(i).source.by !== "queue")
    const checks = yield* all(unchecked, verifyAll, ({ verification }) => refuseForged(verification))
    checks.forEach(({ isShared }, nth) => {
      if (isShared) shared.push(unchecked[nth] as number)
    })
  }

  if (consult !== undefined) yield* each(consult)

  const waiting: Array<Effect.Effect<void>> = []
  for (const i of undecided()) {
    const concluded = conclude(at(i), since)
    if (!Effect.isEffect(concluded)) judged[i] = concluded
    else waiting.push(Effect.map(Effect.exit(concluded), (exit) => settle(i, exit)))
  }
  if (waiting.length > 0) yield* Effect.all(waiting, { concurrency: "unbounded", discard: true })
  for (const i of shared) judged[i] = unverified(judged[i])
  return judged as Judged<E>
})

/** The same decision, which took no check of its own. */
const unverified = <A extends Decision | Cause.Cause<unknown> | undefined>(judged: A): A =>
  judged === undefined || Cause.isCause(judged) ? judged : { ...judged, isUnverified: true }
