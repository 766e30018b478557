/**
 * Who may bring which event: every refusal that needs neither network nor store, in the order in which they are given.
 *
 * What is refused here costs no signature. What an event is worth is judged later (`Quality`), and what the store holds against
 * it later still.
 */
import { authenticationKind } from "./ClientAuth.ts"
import { type Event, isProtected, repostsProtected, tagValue } from "./Event.ts"
import { isRemoval, kindsWith, vanishKind } from "./Kinds.ts"
import type { Subject } from "./Management.ts"
import { proofProblem } from "./ProofOfWork.ts"
import { Rejected, type Verdict } from "./Quality.ts"
import type { Reply } from "./RelayMessage.ts"
import { isVanishFor } from "./RelayUrl.ts"

/** By whose hand an event comes, and from which address. */
export type Source =
  /** Its author, who has proved it on this connection (NIP-42). */
  | { readonly by: "author"; readonly address: string }
  /** Anybody else who publishes. `isKnown`: they have proved to be somebody. */
  | { readonly by: "client"; readonly address: string; readonly isKnown: boolean }
  /** A relay that is harvested; its address is its URL. */
  | { readonly by: "upstream"; readonly address: string }
  /** Our own queue: it was let in before, whoever brought it then. */
  | { readonly by: "queue" }
  /** The operator, who imports: what they want is kept. */
  | { readonly by: "operator" }

/** What this relay takes, as it stands at this moment. */
export interface Policy {
  readonly admission: "profiles" | "open"
  /** Kept of authors whose profile is kept. */
  readonly listKinds: ReadonlyArray<number>
  /** Public address of this relay. */
  readonly relayUrl: string
  readonly limits: {
    /** Bits (NIP-13). */
    readonly powMin: number
    /** Seconds. */
    readonly createdAtFutureMax: number
  }
  readonly rules: {
    /** Unix seconds. */
    readonly createdAtMin: number
  }
  /** What the operator has said of an author, an event or a kind (NIP-86). */
  readonly stateOf: (subject: Subject, name: string) => "banned" | "allowed" | "changed" | undefined
}

/** An answer to whoever publishes, about how they did it; nothing that a rule of admission says. */
export interface Refused {
  readonly _tag: "Refused"
  readonly reply: Reply
}

type Rejection = Extract<Verdict, { readonly _tag: "Rejected" }>

export type Refusal = Refused | Rejection

/** One event at the gate. `now`: Unix seconds. */
export interface Arrival {
  readonly source: Source
  readonly now: number
  readonly policy: Policy
}

const refused = (reply: Reply): Refused => ({ _tag: "Refused", reply })

const authentication = refused("invalid: authentication events are not published")
// For an author who has not said who they are, and may yet (NIP-70).
const anonymous = refused("auth-required: protected events are accepted from their author only")
const notAuthor = refused("restricted: protected events are accepted from their author only")
const reposted = refused("blocked: it reposts a protected event")
const unnamed = refused("invalid: a request to vanish names a relay")

const isTaken = (kind: number, { admission, listKinds, stateOf }: Policy): boolean => {
  const state = stateOf("kind", `${kind}`)
  if (state !== undefined) return state === "allowed"
  return admission === "open" || isRemoval(kind) || kindsWith(listKinds).kept.includes(kind)
}

/** How something may be published at all, whatever it is worth. */
const publishing = (event: Event, source: Source, policy: Policy): Refused | undefined => {
  if (source.by !== "author" && source.by !== "client") return undefined
  // An authentication event is a secret between one client and one relay (NIP-42).
  if (event.kind === authenticationKind) return authentication
  if (source.by === "client" && isProtected(event)) return source.isKnown ? notAuthor : anonymous
  if (repostsProtected(event)) return reposted
  if (event.kind === vanishKind && tagValue(event, "relay") === undefined) return unnamed
  const problem = isRemoval(event.kind) ? undefined : proofProblem(event, policy.limits.powMin)
  return problem === undefined ? undefined : refused(`pow: ${problem}`)
}

/** Why the operator wants none of it; authors may remove what is theirs all the same. */
const banning = ({ id, kind, pubkey }: Event, policy: Policy): Rejection | undefined => {
  if (!isTaken(kind, policy)) return Rejected("kind is not kept here")
  if (isRemoval(kind)) return undefined
  return policy.stateOf("pubkey", pubkey) === "banned" || policy.stateOf("event", id) === "banned"
    ? Rejected("banned by the operator")
    : undefined
}

/** Why an event is not even looked at; undefined where it may go on. */
export const refusalOf = (event: Event, { now, policy, source }: Arrival): Refusal | undefined => {
  // Nobody may take a request for done that will not be, not even the operator (NIP-62).
  const isOthers = event.kind === vanishKind && !isVanishFor(event, policy.relayUrl)
  if (source.by === "operator") return isOthers ? Rejected("kind is not kept here") : undefined
  const refusal = publishing(event, source, policy) ?? banning(event, policy)
  if (refusal !== undefined) return refusal
  if (event.created_at > now + policy.limits.createdAtFutureMax) return Rejected("created_at is too far ahead")
  if (source.by === "upstream" && isProtected(event)) return Rejected("protected event")
  if (isOthers) return Rejected("kind is not kept here")
  if (policy.admission === "open") return undefined
  return event.created_at < policy.rules.createdAtMin ? Rejected("created_at is too old") : undefined
}
