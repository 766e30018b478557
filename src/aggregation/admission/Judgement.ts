/**
 * What should become of events: the steps of the pipeline (`Pipeline`) that this relay takes. Nothing is written here.
 *
 * The decision says what to write and what to answer, so that a client's event can be written alone, and a harvested page
 * in one transaction with the coverage it proves. Until the signature has been checked nothing is remembered that could
 * shield another event: a forgery must not be able to poison what follows it.
 *
 * Whoever cannot wait for the network leaves the event to the retry queue: that, too, is something to write.
 */
import { Cause, Clock, Context, Effect, Layer } from "effect"
import { Settings } from "../../config/Settings.ts"
import { Verifier } from "../../crypto/Verifier.ts"
import { Database, type DatabaseError, reasonOf } from "../../database/Database.ts"
import type { Event } from "../../domain/Event.ts"
import { type Policy, refusalOf, type Source } from "../../domain/Gate.ts"
import { deletesKept, deletionKind, kindsWith, profileKind, vanishKind } from "../../domain/Kinds.ts"
import { Rejected, type RejectionReason, Undetermined } from "../../domain/Quality.ts"
import type { MailboxClosed } from "../../lifecycle/Mailbox.ts"
import { nowSeconds } from "../../lifecycle/Now.ts"
import { type Examination, Examiner, type ExaminerError, withoutFacts } from "../evidence/Examiner.ts"
import * as Space from "../Space.ts"
import type { AdmissionOutcome } from "./Admission.ts"
import { Grace } from "./Grace.ts"
import { Moderation } from "./Moderation.ts"
import { answer, type Decision, decisionsOf, type Entrant, judgeMany, keep, save, type Steps } from "./Pipeline.ts"
import { Quarantine } from "./Quarantine.ts"
import { RetryQueue, space as waitingSpace, type Waiting } from "./RetryQueue.ts"
import * as SharedChecks from "./SharedChecks.ts"
import { Verdicts } from "./Verdicts.ts"
import { WritePolicy } from "./WritePolicy.ts"

/** Why somebody stops waiting for the network. */
export type Impatience = "late" | "stopping"

/** One of many; or a profile from the retry queue, with what is known of its waiting. */
interface Case extends Entrant {
  readonly waiting?: Waiting
}

export class Judgement extends Context.Service<Judgement, {
  /**
   * Never fails: what is broken on our side is an outcome too. Waits for the network, where there is anything to ask, no
   * longer than `patience`; without one, not at all.
   */
  readonly judgeMany: (
    entrants: ReadonlyArray<Entrant>,
    patience?: Effect.Effect<Impatience>
  ) => Effect.Effect<ReadonlyArray<Decision>>
  /** Nothing about any event takes the network: any is kept. So many may be judged, and wait, together. */
  readonly asksNobody: boolean
  /** The same for a profile from the retry queue, for as long as it takes. Fails where our side is broken. */
  readonly resume: (waiting: Waiting) => Effect.Effect<Decision, ExaminerError>
}>()("profile-aggregator/aggregation/admission/Judgement") {}

const rejected = (reason: RejectionReason): Decision => answer(Rejected(reason))
/** Of an event that has ended a process (`Quarantine`). */
const spared = rejected("set aside after a crash")
const failed = (detail: string): Decision => answer({ _tag: "Failed", detail })

/** A request to vanish takes what we have noted about the author along. */
const forgetAuthor = (event: Event): Decision => ({
  operations: [save(event), ...Space.forgetAuthor(event.pubkey)],
  outcome: undefined
})

/** Said to whoever waits for an answer that a stop has made impossible. */
export const shuttingDown = { _tag: "Failed", detail: "shutting down" } as const satisfies AdmissionOutcome

/** Our side failed: never a rejection. */
const blame = (error: ExaminerError) => {
  if (error._tag === "MailboxClosed") return Effect.succeed(answer(shuttingDown))
  const detail = error._tag === "DatabaseError" ? reasonOf(error) : "signature could not be checked"
  return Effect.as(Effect.logDebug("event not judged", Cause.fail(error)), failed(detail))
}

/** What was decided, or what our failure comes to for whoever waits for an answer. */
const blameOr = (judged: Decision | Cause.Cause<ExaminerError>): Effect.Effect<Decision> => {
  if (!Cause.isCause(judged)) return Effect.succeed(judged)
  return Effect.failCause(judged).pipe(
    Effect.catch(blame),
    Effect.catchCauseIf(
      Cause.hasDies,
      (cause) => Effect.as(Effect.logError("judging died", cause), failed("internal error"))
    )
  )
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
  const quarantine = yield* Quarantine
  const { consult } = yield* WritePolicy
  const signatures = SharedChecks.make(yield* (yield* Verifier).sender("aggregation/admission"))

  const policy = (): Policy => {
    const { admission, limits, listKinds, relayUrl, rules } = settings
    return { admission, limits, listKinds, relayUrl, rules, stateOf: moderation.stateOf }
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
    if (event.kind === deletionKind && deletesKept(event, kindsWith(settings.listKinds).kept)) return undefined
    if (yield* isHeld(event.pubkey)) return undefined
    return queue.hasAuthor(event.pubkey) ? answer(unchecked) : rejected("author has no accepted profile")
  })

  /** What the rules have already made of exactly this event, or of its author, where the store has nothing to say of it. */
  const known = Effect.fnUntraced(function*({ event, waiting }: Case) {
    if (waiting === undefined) {
      const unanswered = yield* queue.find(event.id)
      if (unanswered !== undefined) return answer(unanswered)
    } else if (isUnruled(event.pubkey)) return undefined
    if (event.kind === profileKind && (yield* grace.isOutlived(event))) return rejected("a newer version was rejected")
    return waiting === undefined ? yield* refuseStranger(event) : undefined
  })

  /** A rejection that was found out before. */
  const recall = ({ event, waiting }: Case) =>
    waiting !== undefined || isUnruled(event.pubkey)
      ? Effect.undefined
      : Effect.map(verdicts.recall(event), (remembered) => remembered === undefined ? undefined : answer(remembered))

  /** An open relay has no rules to remember. */
  const memory = { recall, known }

  /** The event goes to the queue, to be checked at once, and its sender is told `outcome`. */
  const handOver = Effect.fnUntraced(function*(event: Event, outcome: AdmissionOutcome) {
    const since = yield* Clock.currentTimeMillis
    const record = yield* queue.later({ event, attempts: 0, since }, undefined)
    if (record !== undefined) return { operations: [record], outcome } satisfies Decision
    return failed("too many profiles wait to be checked")
  })

  const accept = Effect.fnUntraced(function*(event: Event, { companions, onceStored, operations }: Examination) {
    const now = yield* nowSeconds
    const passed = companions.filter((companion) =>
      refusalOf(companion, { source: found, now, policy: policy() }) === undefined
    )
    const kept = consult === undefined
      ? passed
      : yield* Effect.filter(
        passed,
        (companion) => Effect.map(consult({ event: companion, source: found }), (decision) => decision === undefined)
      )
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

  /** What the rules say of a profile. */
  const examine = Effect.fnUntraced(function*(
    waiting: Waiting,
    patience: Effect.Effect<Impatience> | undefined
  ) {
    const { event } = waiting
    const glance = yield* examiner.glance(event)
    if (glance._tag !== "Accepted") return yield* conclude(waiting, withoutFacts(glance), false)
    if (!examiner.asks) return yield* conclude(waiting, yield* examiner.examine(event), false)
    if (patience === undefined) return yield* handOver(event, unchecked)
    const examination = yield* Effect.raceFirst(examiner.examine(event), patience)
    if (examination === "stopping") return yield* handOver(event, shuttingDown)
    if (examination === "late") return yield* handOver(event, unchecked)
    return yield* conclude(waiting, examination, true)
  })

  /** The profile is settled, and waits no more, unless its check says that it has to. */
  const settle = ({ event }: Waiting, { operations, outcome }: Decision): Decision => {
    const staysIn = operations.some((operation) => waitingSpace.written(operation) !== undefined)
    return { operations: staysIn ? operations : [...operations, queue.forget(event)], outcome }
  }

  /** What follows once the signature was checked. `since`: Unix milliseconds. */
  const judgeChecked =
    (patience: Effect.Effect<Impatience> | undefined) => ({ event, waiting }: Case, since: number) => {
      if (event.kind === vanishKind) return vanish(event)
      if (event.kind !== profileKind) return keep(event)
      if (isUnruled(event.pubkey)) return keepUnruled(event)
      if (waiting === undefined) return examine({ event, attempts: 0, since }, patience)
      return Effect.flatMap(examiner.examine(event), (examination) => conclude(waiting, examination, true))
    }

  /** Which steps there are, as the settings stand. */
  const steps = (patience?: Effect.Effect<Impatience>): Steps<Case, ExaminerError> => ({
    policy: policy(),
    memory: settings.admission === "open" ? undefined : memory,
    previewAll: database.previewAll,
    verifyAll: signatures.verifyAll,
    consult,
    conclude: judgeChecked(patience)
  })

  const judgeAll = (entrants: ReadonlyArray<Entrant>, patience?: Effect.Effect<Impatience>) =>
    Effect.flatMap(judgeMany(entrants, steps(patience)), (judged) =>
      judged.some(Cause.isCause)
        ? Effect.forEach(judged, blameOr)
        : Effect.succeed(judged as ReadonlyArray<Decision>))

  const isSpared = ({ event }: Entrant) => quarantine.holds(event.id)

  return Judgement.of({
    judgeMany: (entrants, patience) => {
      if (!quarantine.holdsAny || !entrants.some(isSpared)) return judgeAll(entrants, patience)
      return Effect.map(judgeAll(entrants.filter((entrant) => !isSpared(entrant)), patience), (judged) => {
        const others = judged.values()
        return entrants.map((entrant) => isSpared(entrant) ? spared : others.next().value ?? spared)
      })
    },
    asksNobody: settings.admission === "open",
    resume: Effect.fn("Judgement.resume")(function*(waiting: Waiting) {
      if (quarantine.holds(waiting.event.id)) return settle(waiting, spared)
      const entrant: Case = { event: waiting.event, source: { by: "queue" }, waiting }
      const [decision] = yield* Effect.flatMap(judgeMany([entrant], steps()), decisionsOf)
      return settle(waiting, decision as Decision)
    })
  })
})

export const layer: Layer.Layer<
  Judgement,
  MailboxClosed,
  Database | Verifier | Examiner | Moderation | Settings | Verdicts | Grace | RetryQueue
> = Layer.effect(Judgement, make())
