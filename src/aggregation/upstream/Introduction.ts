/**
 * Says who we are to a relay that wants to know (NIP-42), with the relay's own key.
 *
 * Only to relays that the operator configured. One that was learnt from an event was named by a stranger, who may have put
 * it there to find out which service, behind which address, comes to look: what it hides from strangers it hides from us.
 */
import { Deferred, Effect } from "effect"
import type { VerifierSender } from "../../crypto/Verifier.ts"
import { authenticationKind } from "../../domain/ClientAuth.ts"
import { nowSeconds } from "../../lifecycle/Now.ts"
import { forbidden } from "./Refusal.ts"
import { UpstreamError } from "./UpstreamError.ts"
import type { UpstreamMessage } from "./UpstreamMessage.ts"

/** UTF-16 units of a challenge that we sign; 36 are usual. */
const challengeMax = 256

/** Challenges answered on one connection: each costs a signature. */
const answersMax = 8

export interface Options {
  /** As it was dialled: a relay takes the answer only if it names that relay. */
  readonly url: string
  /** Undefined: it is not to know who we are. */
  readonly sign: VerifierSender["sign"] | undefined
  readonly send: (message: ReadonlyArray<unknown>) => Effect.Effect<void, UpstreamError>
}

export interface Introduction {
  /** Takes note of a challenge. */
  readonly onChallenge: (challenge: string) => void
  /** Whether the OK was an answer to us. */
  readonly onOk: (message: Extract<UpstreamMessage, { readonly _tag: "Ok" }>) => boolean
  /** Nobody needs to wait for its answer any more. */
  readonly end: (error: UpstreamError) => void
  /**
   * Says who we are, once per challenge, however many need it. Fails with `because` where the relay has not asked, or is not
   * to know; with `forbidden` where it does not want us.
   */
  readonly introduce: (because: UpstreamError) => Effect.Effect<void, UpstreamError>
  /** Why it does not want us, once it has said so. A relay may answer nothing any more from then on. */
  readonly refusal: () => UpstreamError | undefined
}

/** Our answer to a challenge. */
interface Answer {
  /** Undefined until it is signed. */
  id: string | undefined
  readonly done: Deferred.Deferred<void, UpstreamError>
}

/** For one connection. */
export const make = ({ send, sign, url }: Options): Introduction => {
  let challenge: string | undefined
  let answer: Answer | undefined
  let answers = 0
  let refusal: UpstreamError | undefined

  const onChallenge = (next: string) => {
    if (next === challenge || next.length > challengeMax) return
    challenge = next
    // Whoever waits for what was said to the one before goes on waiting.
    answer = undefined
  }

  const settle = ({ done }: Answer, error: UpstreamError | undefined) =>
    void Deferred.doneUnsafe(done, error === undefined ? Effect.void : Effect.fail(error))

  let waiting: Answer | undefined
  const onOk: Introduction["onOk"] = ({ accepted, id, reason }) => {
    if (waiting?.id !== id) return false
    if (!accepted) refusal = forbidden(reason)
    settle(waiting, refusal)
    waiting = undefined
    return true
  }

  const say = Effect.fnUntraced(function*(to: string, own: Answer, signed: VerifierSender["sign"]) {
    const created_at = yield* nowSeconds
    const tags = [["relay", url], ["challenge", to]]
    const event = yield* Effect.mapError(
      signed({ kind: authenticationKind, created_at, tags, content: "" }),
      () => new UpstreamError({ reason: "ours", detail: "could not be signed" })
    )
    own.id = event.id
    waiting = own
    yield* send(["AUTH", event])
  })

  const introduce: Introduction["introduce"] = (because) =>
    Effect.suspend(() => {
      if (refusal !== undefined) return Effect.fail(refusal)
      if (answer !== undefined) return Deferred.await(answer.done)
      if (challenge === undefined || sign === undefined || answers >= answersMax) return Effect.fail(because)
      const own: Answer = { id: undefined, done: Deferred.makeUnsafe() }
      answer = own
      answers++
      return say(challenge, own, sign).pipe(
        Effect.tapError((error) => Effect.sync(() => settle(own, error))),
        // Who is interrupted leaves the others with nothing to wait for.
        Effect.onInterrupt(() => Effect.sync(() => settle(own, because))),
        Effect.andThen(Deferred.await(own.done))
      )
    })

  return {
    onChallenge,
    onOk,
    end: (error) => {
      if (answer !== undefined) settle(answer, error)
      if (waiting !== undefined) settle(waiting, error)
    },
    introduce,
    refusal: () => refusal
  }
}
