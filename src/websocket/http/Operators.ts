/** Who may ask for what only an operator may: a request that one of them has signed (NIP-98). */
import { Effect } from "effect"
import type { VerifierSender } from "../../crypto/Verifier.ts"
import { type Event, type EventLimits, eventOf } from "../../domain/Event.ts"
import { authorizationOf, httpAuthProblem, ReplayGuard, type SignedRequest } from "../../domain/HttpAuth.ts"
import { secondsOf } from "../../domain/Time.ts"
import { nowSeconds } from "../../lifecycle/Now.ts"

const decodeBase64 = (text: string): string => Buffer.from(text, "base64").toString()

/** Tells who signed a request by its `Authorization` header, or why that does not count; each event counts once. */
export type Operators = (
  header: string | undefined,
  request: SignedRequest
) => Effect.Effect<Event | string, Effect.Error<ReturnType<VerifierSender["verify"]>>>

export const make = (options: {
  /** Pubkeys of those who may, at the moment. */
  readonly operators: () => ReadonlyArray<string>
  readonly limits: EventLimits
  readonly verify: VerifierSender["verify"]
  /** When this process began, in Unix milliseconds. */
  readonly since: number
}): Operators => {
  const replays = new ReplayGuard(secondsOf(options.since))
  return Effect.fnUntraced(function*(header, request) {
    const authorization = authorizationOf(header, decodeBase64)
    if (typeof authorization === "string") return authorization
    const event = eventOf(authorization.value, options.limits)
    if (typeof event === "string") return "authorization is no event"
    const now = yield* nowSeconds
    const problem = httpAuthProblem(event, request, now)
    if (problem !== undefined) return problem
    if (!options.operators().includes(event.pubkey)) return "not an operator of this relay"
    if ((yield* options.verify(event)) !== "Valid") return "authorization is not signed"
    return replays.use(event, now) ? event : "authorization was used before"
  })
}
