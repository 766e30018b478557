/**
 * From what became of an event to the one OK its client gets (NIP-01, "From relay to client"). Pure.
 *
 * The prefix is the first thing in the text, always one of the standard ones, so that programs can act on it.
 */
import type { Cause } from "effect"
import type { AdmissionOutcome } from "../../aggregation/admission/Admission.ts"
import type { Reply } from "../../domain/RelayMessage.ts"

/** `accepted` is the third element of the OK, `reply` the fourth. */
export type Answer =
  | { readonly accepted: true; readonly reply: Reply | "" }
  | { readonly accepted: false; readonly reply: Reply }

const accepted = (reply: Reply | ""): Answer => ({ accepted: true, reply })
const refused = (reply: Reply): Answer => ({ accepted: false, reply })

const saved = accepted("")
const duplicate = accepted("duplicate: already have this event")
// False, as nobody will be served this version: a client whose clock is behind has to hear of it (NIP-01). `invalid`, as for a
// time too far ahead: what is refused is its time, and no other prefix says that trying again is of no use.
const superseded = refused("invalid: a newer version is stored")
const deleted = refused("blocked: its author asked for its removal")
const tooMany = refused("blocked: its author has had as many events removed as are remembered of one")
const expired = refused("invalid: the event has expired")

export const shuttingDown = refused("error: shutting down")
/** For an ephemeral event that no open subscription waited for (NIP-01, "From relay to client: OK"). */
export const unheard = refused("mute: nobody is listening")
export const failed = refused("error: internal error")

export const answerOf = (outcome: AdmissionOutcome): Answer => {
  switch (outcome._tag) {
    case "Saved":
    case "Ephemeral":
      return saved
    case "Duplicate":
      return duplicate
    case "Superseded":
      return superseded
    case "Deleted":
      return deleted
    case "TooManyRemovals":
      return tooMany
    case "Expired":
      return expired
    case "Refused":
      return refused(outcome.reply)
    case "Invalid":
      return refused(`invalid: ${outcome.detail}`)
    case "Rejected":
      // The NIP has its own example for that one.
      return refused(`${outcome.reason === "created_at is too far ahead" ? "invalid" : "blocked"}: ${outcome.reason}`)
    case "Undetermined":
      return refused(`error: ${outcome.reason}, try again later`)
    default:
      return refused(`error: ${outcome.detail}`)
  }
}

/** Would it help to say who one is (NIP-42)? */
export const asksWho = ({ reply }: Answer): boolean => reply.startsWith("auth-required:")

/** A submission that ended without an outcome: its way in was closed or it was interrupted, else we have a bug. */
export const answerOfCause = (cause: Cause.Cause<unknown>): Answer =>
  cause.reasons.some((reason) => reason._tag === "Die") ? failed : shuttingDown
