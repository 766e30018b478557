/**
 * What should become of one event: cheap rejects, signature, rules, in the order of their cost. Nothing is written here.
 *
 * The decision says what to write and what to answer, so that a client's event can be written alone, and a harvested page
 * in one transaction with the coverage it proves. Until the signature has been checked nothing is remembered that could
 * shield another event: a forgery must not be able to poison what follows it.
 *
 * Whoever cannot wait for the network leaves the event to the retry queue: that, too, is something to write.
 */
import { Cause, Clock, Context, Effect, Layer } from "effect"
import { Settings } from "../../config/Settings.ts"
import { type Verification, Verifier } from "../../crypto/Verifier.ts"
import { Database, type DatabaseError, type Operation, type Preview } from "../../database/Database.ts"
import type { Event } from "../../domain/Event.ts"
import { refusalOf, type Source } from "../../domain/Gate.ts"
import { deletesKept, deletionKind, profileKind, vanishKind } from "../../domain/Kinds.ts"
import { Rejected, type RejectionReason, Undetermined } from "../../domain/Quality.ts"
import type { MailboxClosed } from "../../lifecycle/Mailbox.ts"
import { type Examination, Examiner, type ExaminerError, withoutFacts } from "../evidence/Examiner.ts"
import * as Space from "../Space.ts"
import type { AdmissionOutcome } from "./Admission.ts"
import { Grace } from "./Grace.ts"
import { Moderation } from "./Moderation.ts"
import { RetryQueue, type Waiting } from "./RetryQueue.ts"
import * as SharedChecks from "./SharedChecks.ts"
import { Verdicts } from "./Verdicts.ts"

/** What to write for one event, in one transaction, and what its sender is told. */
export interface Decision {
  readonly operations: ReadonlyArray<Operation>
  /** The answer; undefined when it is the outcome of the first operation, which is its `Save` then. */
  readonly outcome: AdmissionOutcome | undefined
  /** It was decided without a check of its signature, or by that of the same event from elsewhere. */
  readonly isUnverified?: true
}

/** Why somebody stops waiting for the network. */
export type Impatience = "late" | "stopping"

export interface Circumstances {
  readonly source: Source
  /** Ends the waiting for the network; without it there is none. */
  readonly patience: Effect.Effect<Impatience> | undefined
}

/** One of many. */
export interface Entrant {
  readonly event: Event
  readonly source: Source
}

export class Judgement extends Context.Service<Judgement, {
  /**
   * Never fails: what is broken on our side is an outcome too. Waits for the network, where there is anything to ask, no
   * longer than `patience`; without one, not at all.
   */
  readonly judge: (event: Event, circumstances: Circumstances) => Effect.Effect<Decision>
  /**
   * The same for many events at once, on a relay that keeps any: nothing about them takes the network, so what an event
   * costs is a look at the store and its signature, and both are cheaper in numbers. Undefined where there are rules.
   */
  readonly judgeAll: ((entrants: ReadonlyArray<Entrant>) => Effect.Effect<ReadonlyArray<Decision>>) | undefined
  /** The same for a profile from the retry queue, for as long as it takes. Fails where our side is broken. */
  readonly resume: (waiting: Waiting) => Effect.Effect<Decision, ExaminerError>
}>()("profile-aggregator/aggregation/admission/Judgement") {
  static readonly layer: Layer.Layer<
    Judgement,
    MailboxClosed,
    Database | Verifier | Examiner | Moderation | Settings | Verdicts | Grace | RetryQueue
  > = Layer.effect(Judgement, Effect.suspend(() => make()))
}

const answer = (outcome: AdmissionOutcome): Decision => ({ operations: [], outcome })
const rejected = (reason: RejectionReason): Decision => answer(Rejected(reason))
const failed = (detail: string): Decision => answer({ _tag: "Failed", detail })
const save = (event: Event): Operation => ({ _tag: "Save", event })
const keep = (event: Event): Decision => ({ operations: [save(event)], outcome: undefined })

/** A request to vanish takes what we have noted about the author along. */
const forgetAuthor = (event: Event): Decision => ({
  operations: [save(event), ...Space.forgetAuthor(event.pubkey)],
  outcome: undefined
})

/** Said to whoever waits for an answer that a stop has made impossible. */
export const shuttingDown = { _tag: "Failed", detail: "shutting down" } as const satisfies AdmissionOutcome

const refuseForged = (verification: Verification): Decision | undefined => {
  if (verification === "Valid") return undefined
  const detail = verification === "InvalidId" ? "id does not match the event" : "signature does not match"
  return answer({ _tag: "Invalid", detail })
}

/** Our side failed: never a rejection. */
const blame = (error: ExaminerError) => {
  if (error._tag === "MailboxClosed") return Effect.succeed(answer(shuttingDown))
  const detail = error._tag === "DatabaseError" ? "storage is unavailable" : "signature could not be checked"
  return Effect.as(Effect.logDebug("event not judged", Cause.fail(error)), failed(detail))
}

/** Where lists come from that were found with a profile. */
const found: Source = { by: "upstream", address: "" }

/** Said of a profile that nobody has looked at yet, and of what depends on it; with a time to ask again, in milliseconds. */
const unchecked = Undetermined("not checked yet", 30_000)

const make = Effect.fnUntraced(function*() {
  const settings = yield* Settings
  const database = yield* Database
  const examiner = yield* Examiner
  const moderation = yield* Moderation
  const verdicts = yield* Verdicts
  const grace = yield* Grace
  const queue = yield* RetryQueue
  const signatures = SharedChecks.make(yield* (yield* Verifier).sender("aggregation/admission"))

  /** What is refused without asking anybody. `now`: Unix seconds. */
  const refuse = (event: Event, source: Source, now: number): Decision | undefined => {
    const { admission, limits, relayUrl, rules } = settings
    const policy = { admission, limits, relayUrl, rules, stateOf: moderation.stateOf }
    const refusal = refusalOf(event, { source, now, policy })
    return refusal === undefined ? undefined : answer(refusal)
  }

  /** Is a profile of the author's kept, signed then or later? `since`: Unix seconds. */
  const isHeld = (pubkey: string, since = 0) =>
    Effect.map(
      database.query([{ authors: [pubkey], kinds: [profileKind], since, limit: 1 }], { limitMax: 1 }),
      ({ events }) => events.length > 0
    )

  /** What is noted about an author who has come back since belongs to the profile that is kept. */
  const vanish = (event: Event) =>
    Effect.map(
      isHeld(event.pubkey, event.created_at + 1),
      (hasReturned) => hasReturned ? keep(event) : forgetAuthor(event)
    )

  /** Does the operator take the author's profile as it is? */
  const isUnruled = (pubkey: string) => settings.admission === "open" || moderation.isTrusted(pubkey)

  /** Lists and deletions are worth keeping for the authors we keep; a refusal here costs one look-up. */
  const refuseStranger = Effect.fnUntraced(function*(event: Event) {
    if (event.kind === profileKind || event.kind === vanishKind) return undefined
    if (moderation.isTrusted(event.pubkey)) return undefined
    if (event.kind === deletionKind && deletesKept(event)) return undefined
    if (yield* isHeld(event.pubkey)) return undefined
    return queue.hasAuthor(event.pubkey) ? answer(unchecked) : rejected("author has no accepted profile")
  })

  /** What the rules have already made of exactly this event, or of its author. */
  const ruled = Effect.fnUntraced(function*(event: Event) {
    const waiting = yield* queue.find(event.id)
    if (waiting !== undefined) return answer(waiting)
    if (event.kind === profileKind && (yield* grace.isOutlived(event))) return rejected("a newer version was rejected")
    return yield* refuseStranger(event)
  })

  /** What is known about exactly this event, from the store or from before. An open relay has no rules to remember. */
  const known = Effect.fnUntraced(function*(event: Event) {
    const isRuled = settings.admission === "profiles"
    const remembered = isUnruled(event.pubkey) ? undefined : yield* verdicts.recall(event)
    if (remembered !== undefined) return answer(remembered)
    const preview = yield* database.preview(event)
    if (preview !== "New") return answer({ _tag: preview })
    return isRuled ? yield* ruled(event) : undefined
  })

  /** The event goes to the queue, to be checked at once, and its sender is told `outcome`. */
  const handOver = Effect.fnUntraced(function*(event: Event, outcome: AdmissionOutcome) {
    const since = yield* Clock.currentTimeMillis
    const record = yield* queue.later({ event, attempts: 0, since }, undefined)
    if (record !== undefined) return { operations: [record], outcome } satisfies Decision
    return failed("too many profiles wait to be checked")
  })

  const accept = Effect.fnUntraced(function*(event: Event, { companions, onceStored, operations }: Examination) {
    const now = Math.floor((yield* Clock.currentTimeMillis) / 1000)
    const kept = companions.filter((companion) => refuse(companion, found, now) === undefined)
    // The author was gone by then: a profile that is saved all the same would be announced, and removed at once.
    const request = kept.find(({ created_at, kind }) => kind === vanishKind && created_at >= event.created_at)
    if (request !== undefined) {
      return { operations: forgetAuthor(request).operations, outcome: { _tag: "Deleted" } } satisfies Decision
    }
    return {
      operations: [
        save(event),
        ...kept.map(save),
        ...operations,
        ...onceStored,
        ...(yield* grace.onAccepted(event))
      ],
      outcome: undefined
    } satisfies Decision
  })

  /** What follows from an examination of a profile whose signature is valid. `asked`: it took a network. */
  const conclude = Effect.fnUntraced(
    function*(waiting: Waiting, examination: Examination, asked: boolean): Effect.fn.Return<Decision, DatabaseError> {
      const { event } = waiting
      const { operations, verdict } = examination
      if (verdict._tag === "Accepted") {
        // A newer version may have been accepted while this one was being checked: what is noted is about that one then.
        const preview = asked ? yield* database.preview(event) : "New"
        return preview === "New" ? yield* accept(event, examination) : { operations, outcome: { _tag: preview } }
      }
      if (verdict._tag === "Rejected") {
        return {
          operations: [
            ...operations,
            ...(yield* verdicts.remember(event, verdict, asked)),
            ...(yield* grace.onRejected(event))
          ],
          outcome: verdict
        }
      }
      // Our own pace says nothing about the world, so it does not count as an attempt.
      const attempts = waiting.attempts + (verdict.reason === "not checked in time" ? 0 : 1)
      const record = yield* queue.later({ ...waiting, attempts }, verdict)
      return { operations: record === undefined ? operations : [...operations, record], outcome: verdict }
    }
  )

  /** What to write for a profile that no rule is asked about. */
  const keepUnruled = (event: Event): Effect.Effect<Decision, DatabaseError> =>
    examiner.onStored === undefined
      ? Effect.succeed(keep(event))
      : Effect.map(
        examiner.onStored(event),
        (records) => ({ operations: [save(event), ...records], outcome: undefined })
      )

  /** What follows once the signature was checked. `since`: Unix milliseconds. */
  const judgeChecked = Effect.fnUntraced(function*(
    event: Event,
    verification: Verification,
    since: number,
    patience: Effect.Effect<Impatience> | undefined
  ) {
    const forged = refuseForged(verification)
    if (forged !== undefined) return forged
    if (event.kind === vanishKind) return yield* vanish(event)
    if (event.kind !== profileKind) return keep(event)
    if (isUnruled(event.pubkey)) return yield* keepUnruled(event)

    const waiting: Waiting = { event, attempts: 0, since }
    const glance = yield* examiner.glance(event)
    if (glance._tag !== "Accepted") return yield* conclude(waiting, withoutFacts(glance), false)
    if (!examiner.asks) return yield* conclude(waiting, yield* examiner.examine(event), false)
    if (patience === undefined) return yield* handOver(event, unchecked)
    const examination = yield* Effect.raceFirst(examiner.examine(event), patience)
    if (examination === "stopping") return yield* handOver(event, shuttingDown)
    if (examination === "late") return yield* handOver(event, unchecked)
    return yield* conclude(waiting, examination, true)
  })

  const judgeStepwise = Effect.fnUntraced(function*(event: Event, { patience, source }: Circumstances) {
    const since = yield* Clock.currentTimeMillis
    const settled = refuse(event, source, Math.floor(since / 1000)) ?? (yield* known(event))
    if (settled !== undefined) return { ...settled, isUnverified: true } satisfies Decision

    const { isShared, verification } = yield* signatures.verify(event)
    const decision = yield* judgeChecked(event, verification, since, patience)
    return isShared ? { ...decision, isUnverified: true } satisfies Decision : decision
  })

  const judge = (event: Event, circumstances: Circumstances) =>
    judgeStepwise(event, circumstances).pipe(
      Effect.catch(blame),
      Effect.catchCauseIf(Cause.hasDies, (cause) =>
        Effect.as(Effect.logError("judging died", cause), failed("internal error")))
    )

  /** `judge` without what an open relay never does, over all events at each step. */
  const judgeOpen = Effect.fnUntraced(function*(entrants: ReadonlyArray<Entrant>) {
    const now = Math.floor((yield* Clock.currentTimeMillis) / 1000)
    const previews = yield* database.previewAll(entrants.map(({ event }) => event))
    const decisions = entrants.map(({ event, source }, i): Decision | undefined => {
      const refusal = refuse(event, source, now)
      if (refusal !== undefined) return refusal
      const preview = previews[i] as Preview
      return preview === "New" ? undefined : answer({ _tag: preview })
    })
    const fresh = entrants.filter((_, i) => decisions[i] === undefined).map(({ event }) => event)
    const checks = fresh.length === 0 ? [] : yield* signatures.verifyAll(fresh)
    const kept = yield* Effect.forEach(fresh, (event, i): Effect.Effect<Decision, DatabaseError> => {
      const { verification } = checks[i] as SharedChecks.Checked
      const forged = refuseForged(verification)
      if (forged !== undefined) return Effect.succeed(forged)
      if (event.kind === profileKind) return keepUnruled(event)
      return event.kind === vanishKind ? vanish(event) : Effect.succeed(keep(event))
    })
    let next = 0
    return decisions.map((decision) => decision ?? (kept[next++] as Decision))
  })

  const judgeAll = (entrants: ReadonlyArray<Entrant>) => {
    const all = (decision: Decision) => entrants.map(() => decision)
    return judgeOpen(entrants).pipe(
      Effect.catch((error) => Effect.map(blame(error), all)),
      Effect.catchCauseIf(
        Cause.hasDies,
        (cause) => Effect.as(Effect.logError("judging died", cause), all(failed("internal error")))
      )
    )
  }

  const resume = Effect.fn("Judgement.resume")(function*(waiting: Waiting) {
    const { event } = waiting
    const forget = queue.forget(event)
    const preview = yield* database.preview(event)
    if (preview !== "New") return { operations: [forget], outcome: { _tag: preview } } satisfies Decision
    const now = Math.floor((yield* Clock.currentTimeMillis) / 1000)
    const refusal = refuse(event, { by: "queue" }, now)
    if (refusal !== undefined) return { ...refusal, operations: [forget] } satisfies Decision
    if (isUnruled(event.pubkey)) {
      const { operations } = yield* keepUnruled(event)
      return { operations: [...operations, forget], outcome: undefined } satisfies Decision
    }
    if (yield* grace.isOutlived(event)) {
      return { operations: [forget], outcome: Rejected("a newer version was rejected") } satisfies Decision
    }
    const examination = yield* examiner.examine(event)
    const { operations, outcome } = yield* conclude(waiting, examination, true)
    const staysIn = operations.some((operation) => operation._tag === "Record" && operation.space === forget.space)
    return { operations: staysIn ? operations : [...operations, forget], outcome } satisfies Decision
  })

  return Judgement.of({ judge, judgeAll: settings.admission === "open" ? judgeAll : undefined, resume })
})
