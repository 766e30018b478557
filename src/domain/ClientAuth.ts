/** A client that proves who it is: the event of an AUTH message, against the challenge it was given (NIP-42). */
import { type Event, tagValue } from "./Event.ts"
import { isThisRelay } from "./RelayUrl.ts"

/** Of the event of an AUTH message, which is never published (NIP-42, "Canonical authentication event"). */
export const authenticationKind = 22_242

/** Seconds that the clocks of client and relay may be apart. */
export const authenticationWindow = 600

export interface Challenge {
  /** The last one this connection was given. */
  readonly challenge: string
  /** Public address of this relay. */
  readonly relayUrl: string
}

export type AuthenticationProblem =
  | "authentication is kind 22242"
  | "challenge is not the one of this connection"
  | "relay is not this one"
  | "created_at is too far from now"

/**
 * Why an event authenticates nobody; undefined where it does, provided that its signature is valid, which is for the
 * caller to check afterwards. `now` in Unix seconds.
 */
export const authenticationProblem = (
  event: Event,
  expected: Challenge,
  now: number
): AuthenticationProblem | undefined => {
  if (event.kind !== authenticationKind) return "authentication is kind 22242"
  if (Math.abs(event.created_at - now) > authenticationWindow) return "created_at is too far from now"
  if (tagValue(event, "challenge") !== expected.challenge) return "challenge is not the one of this connection"
  return isThisRelay(tagValue(event, "relay") ?? "", expected.relayUrl) ? undefined : "relay is not this one"
}
