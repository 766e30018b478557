/**
 * What a relay means that does not answer a question: by CLOSED (NIP-01), by NEG-ERR (NIP-77), or by a NOTICE, where it knows
 * no better. The words are the relay's; most have no prefix that a machine could read.
 */
import { escape } from "../../observability/Escape.ts"
import { UpstreamError } from "./UpstreamError.ts"

export const refused = (detail: string) => new UpstreamError({ reason: "refused", detail: escape(detail, 100) })
export const forbidden = (detail: string) => new UpstreamError({ reason: "forbidden", detail: escape(detail, 100) })

/** A relay that says `restricted` knows who we are, or would not change its mind: it is not to be asked again for long. */
export const errorOf = (reason: string): UpstreamError =>
  reason.startsWith("restricted:") ? forbidden(reason) : refused(reason)

/** It would answer somebody who says who they are, or may (NIP-42). */
export const wantsIntroduction = (reason: string): boolean => /^(?:auth-required|restricted):/.test(reason)

/** What a relay says that knows who we are, and would still have us say it. */
export const inVain = (error: UpstreamError): UpstreamError =>
  wantsIntroduction(error.detail) ? forbidden(error.detail) : error

/** Another question at once could not mend it, and would only make it worse. */
export const isFinal = (reason: string): boolean => /^(?:auth-required|restricted|rate-limited):/.test(reason)

/** What was asked is too large, rather than not understood. */
export const isTooMuch = (reason: string): boolean => /too (?:big|many|large|much)/i.test(reason)

const bound = /\b(?:(?:too (?:big|many|large|much|long)|at most|max(?:imum)?|only|one|single)\b|exceed|limit)/i
const bounded = /\b(?:filters?|authors?|pubkeys?)\b/i

/** It says how much may be asked for at a time: a NOTICE that says so is the answer to what was asked last. */
export const isAboutBounds = (reason: string): boolean => {
  const beginning = reason.slice(0, 300)
  return bound.test(beginning) && bounded.test(beginning)
}

/** Another question for less may be welcome: it says so, or does not say that it is about something else. */
export const mayWantFewer = (reason: string): boolean =>
  !isFinal(reason) && (isAboutBounds(reason) || isTooMuch(reason) || !reason.startsWith("blocked:"))
