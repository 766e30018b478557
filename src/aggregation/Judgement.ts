/**
 * What should become of one event: cheap rejects, signature, rules, in the order of their cost. Nothing is written here.
 *
 * The decision says what to write and what to answer, so that a client's event can be written alone, and a harvested page
 * in one transaction with the coverage it proves. Until the signature has been checked nothing is remembered that could
 * shield another event: a forgery must not be able to poison what follows it.
 */
import { Cause, Clock, Context, Effect, Layer } from "effect"
import { Settings, type SettingsShape } from "../Config.ts"
import { type CryptoError, Verifier } from "../crypto/Verifier.ts"
import { Database, type DatabaseError, type Operation } from "../database/Database.ts"
import { type Event, isProtected } from "../domain/Event.ts"
import { Rejected, type RejectionReason, thresholds } from "../domain/Quality.ts"
import type { MailboxClosed } from "../lifecycle/Mailbox.ts"
import type { AdmissionOutcome } from "./Admission.ts"
import { Examiner } from "./Examiner.ts"
import { RecentRejections } from "./RecentRejections.ts"

/** What to write for one event, in one transaction, and what its sender is told. */
export interface Decision {
  /** An event that is kept has its `Save` first; what is to be remembered about it follows, and may come alone. */
  readonly operations: ReadonlyArray<Operation>
  /** The answer; undefined when it is the outcome of the `Save`. */
  readonly outcome: AdmissionOutcome | undefined
}

export class Judgement extends Context.Service<Judgement, {
  /**
   * Never fails: what is broken on our side is an outcome too. Waits for the network only where `Examiner` does, and not
   * beyond `giveUp`, which answers the event with `shuttingDown`.
   */
  readonly judge: (event: Event, giveUp: Effect.Effect<void>) => Effect.Effect<Decision>
}>()("profile-aggregator/aggregation/Judgement") {
  static readonly layer: Layer.Layer<Judgement, MailboxClosed, Database | Verifier | Examiner | Settings> = Layer
    .effect(
      Judgement,
      Effect.suspend(() => make())
    )
}

const answer = (outcome: AdmissionOutcome): Decision => ({ operations: [], outcome })
const rejected = (reason: RejectionReason): Decision => answer(Rejected(reason))
const failed = (detail: string): Decision => answer({ _tag: "Failed", detail })
const keep = (event: Event): Decision => ({ operations: [{ _tag: "Save", event }], outcome: undefined })

/** Said to whoever waits for an answer that a stop has made impossible. */
export const shuttingDown = { _tag: "Failed", detail: "shutting down" } as const satisfies AdmissionOutcome

/** Kinds kept in `profiles` mode: profiles, relay lists (NIP-65), DM relays (NIP-17). */
const profileKinds: ReadonlyArray<number> = [0, 10_002, 10_050]

/** Addresses that a deletion may name in `profiles` mode, whether the author is known here or not. */
const deletesProfile = (event: Event): boolean =>
  event.tags.some(([name, value]) =>
    name === "a" &&
    profileKinds.some((kind) => value === `${kind}:${event.pubkey}:` || value === `${kind}:${event.pubkey}`)
  )

const sameRelay = (a: string, b: string): boolean => {
  const [left, right] = [URL.parse(a), URL.parse(b)]
  return left !== null && right !== null && left.host === right.host &&
    left.pathname.replace(/\/+$/, "") === right.pathname.replace(/\/+$/, "")
}

/** A request to vanish counts where it names this relay, or all (NIP-62). */
const isForUs = (event: Event, relayUrl: string): boolean =>
  event.tags.some(([name, value]) =>
    name === "relay" && value !== undefined && (value === "ALL_RELAYS" || sameRelay(value, relayUrl))
  )

/** What can be said without asking anyone. `now`: Unix seconds. */
const refuse = (event: Event, settings: SettingsShape, now: number): Decision | undefined => {
  if (event.created_at > now + settings.limits.createdAtFutureMax) {
    return rejected("created_at is too far ahead")
  }
  if (isProtected(event)) return rejected("protected event")
  if (event.kind === 62 && !isForUs(event, settings.relayUrl)) return rejected("kind is not kept here")
  if (settings.admission === "open") return undefined
  if (event.created_at < thresholds.createdAtMin) return rejected("created_at is too old")
  if (event.kind === 5 || event.kind === 62 || profileKinds.includes(event.kind)) return undefined
  return rejected("kind is not kept here")
}

/** Our side failed: never a rejection. */
const blame = (error: DatabaseError | CryptoError | MailboxClosed) => {
  if (error._tag === "MailboxClosed") return Effect.succeed(answer(shuttingDown))
  const detail = error._tag === "DatabaseError" ? "storage is unavailable" : "signature could not be checked"
  return Effect.as(Effect.logDebug("event not judged", Cause.fail(error)), failed(detail))
}

const make = Effect.fnUntraced(function*() {
  const settings = yield* Settings
  const database = yield* Database
  const examiner = yield* Examiner
  const verifier = yield* (yield* Verifier).sender("aggregation/admission")
  const recent = new RecentRejections()

  const isHeld = (pubkey: string) =>
    Effect.map(
      database.query([{ authors: [pubkey], kinds: [0], limit: 1 }], { limitMax: 1 }),
      ({ events }) => events.length > 0
    )

  /** Lists and deletions are worth keeping for the authors we keep; a refusal here costs one look-up. */
  const refuseStranger = Effect.fnUntraced(function*(event: Event) {
    if (settings.admission === "open" || event.kind === 0 || event.kind === 62) return undefined
    if (event.kind === 5 && deletesProfile(event)) return undefined
    return (yield* isHeld(event.pubkey)) ? undefined : rejected("author has no accepted profile")
  })

  const judgeStepwise = Effect.fnUntraced(function*(event: Event, giveUp: Effect.Effect<void>) {
    const now = Math.floor((yield* Clock.currentTimeMillis) / 1000)
    const refused = refuse(event, settings, now)
    if (refused !== undefined) return refused
    const remembered = recent.get(event.id)
    if (remembered !== undefined) return answer(remembered)
    const preview = yield* database.preview(event)
    if (preview !== "New") return answer({ _tag: preview })
    const stranger = yield* refuseStranger(event)
    if (stranger !== undefined) return stranger

    const verification = yield* verifier.verify(event)
    if (verification === "InvalidId") return answer({ _tag: "Invalid", detail: "id does not match the event" })
    if (verification === "InvalidSignature") return answer({ _tag: "Invalid", detail: "signature does not match" })

    if (settings.admission === "open" || event.kind !== 0) return keep(event)
    const verdict = yield* Effect.raceFirst(examiner.examine(event), Effect.as(giveUp, shuttingDown))
    if (verdict._tag === "Accepted") return keep(event)
    // An undetermined profile goes to the retry queue: a `Record` beside this outcome, once there is one.
    if (verdict._tag === "Rejected") recent.add(event.id, verdict)
    return answer(verdict)
  })

  const judge = (event: Event, giveUp: Effect.Effect<void>) =>
    judgeStepwise(event, giveUp).pipe(
      Effect.catch(blame),
      Effect.catchCauseIf(Cause.hasDies, (cause) =>
        Effect.as(Effect.logError("judging died", cause), failed("internal error")))
    )
  return Judgement.of({ judge })
})
