/**
 * The two sides of a reconciliation (NIP-77): `respond` for the relay, `Initiator` for the client.
 *
 * Both work in slices: every `next()` of a generator is well under a millisecond of work, whatever the message asks for.
 */
import type { MessageProblem } from "./Message.ts"
import { protocolVersion } from "./Message.ts"
import { type Differences, type Limits, opening, reconcile } from "./Reconciler.ts"
import type { SortedItems } from "./SortedItems.ts"

export { frameBytesMin, type Limits } from "./Reconciler.ts"

/** What to send, or why the session is over. */
export type Reply<Problem = MessageProblem> =
  | { readonly _tag: "Message"; readonly bytes: Uint8Array }
  | { readonly _tag: "Problem"; readonly problem: Problem }

/**
 * The relay's answer to a NEG-OPEN's message, or to a NEG-MSG's. It remembers nothing from one to the next; `items` is
 * what the filter of NEG-OPEN finds, the same for the whole session.
 *
 * A client of another version of the protocol is told ours, which is the message of a single byte.
 */
export function* respond(items: SortedItems, message: Uint8Array, limits: Limits): Generator<undefined, Reply> {
  const answer = yield* reconcile(message, items, limits)
  if (typeof answer !== "string") return { _tag: "Message", bytes: answer }
  return answer === "unsupported protocol version"
    ? { _tag: "Message", bytes: Uint8Array.of(protocolVersion) }
    : { _tag: "Problem", problem: answer }
}

/** Ids, lower-case hex: what we hold and the other side does not, and the other way round. */
export interface Found {
  readonly have: ReadonlyArray<string>
  readonly need: ReadonlyArray<string>
}

export interface InitiatorLimits extends Limits {
  /** Messages of the other side. Each of ours tells more than the one before, so an honest one needs few. */
  readonly roundsMax: number
  /** Ids found, of both kinds together; it is passed by one slice at most. Each is remembered, in about 150 bytes. */
  readonly foundMax: number
}

export type InitiatorProblem = MessageProblem | "too many rounds" | "too many differences"

/** What to send, or how the session ended: `Done` when all differences have been told. */
export type Turn = Reply<InitiatorProblem> | { readonly _tag: "Done" }

/** The client of one session. */
export class Initiator {
  /** Messages received. */
  rounds = 0
  /** A relay whose message was full forgets what we had settled behind it, and lets us find it again. */
  readonly #told = new Set<string>()
  readonly #items: SortedItems
  readonly #limits: InitiatorLimits

  constructor(items: SortedItems, limits: InitiatorLimits) {
    this.#items = items
    this.#limits = limits
  }

  /** The message of NEG-OPEN. */
  open(): Uint8Array {
    return opening(this.#items, this.#limits)
  }

  /**
   * Takes the message of a NEG-MSG, yields what it tells about differences as it is found out, each id once in a session,
   * and returns what comes next. Ids that were yielded before a problem are still worth a try.
   */
  *receive(message: Uint8Array): Generator<Found, Turn> {
    this.rounds += 1
    if (this.rounds > this.#limits.roundsMax) return { _tag: "Problem", problem: "too many rounds" }
    const found: Differences = { have: [], need: [] }
    const slices = reconcile(message, this.#items, this.#limits, found)
    for (;;) {
      const { done, value } = slices.next()
      yield { have: this.#untold(found.have.splice(0)), need: this.#untold(found.need.splice(0)) }
      if (this.#told.size > this.#limits.foundMax) return { _tag: "Problem", problem: "too many differences" }
      if (done !== true) continue
      if (typeof value === "string") return { _tag: "Problem", problem: value }
      return value.length === 1 ? { _tag: "Done" } : { _tag: "Message", bytes: value }
    }
  }

  #untold(ids: ReadonlyArray<string>): ReadonlyArray<string> {
    return ids.filter((id) => {
      const known = this.#told.size
      return this.#told.add(id).size > known
    })
  }
}
