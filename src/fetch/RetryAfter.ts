/** The `Retry-After` header (RFC 9110, 10.2.3). Pure. */

/** The three notations of an HTTP date (RFC 9110, 5.6.7), all of which `Date.parse` reads as UTC once it says so. */
const dates: ReadonlyArray<RegExp> = [
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/,
  /^(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, \d{2}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2} GMT$/,
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/
]

/**
 * Milliseconds from `now` (Unix milliseconds) that a host asks to be left alone; undefined when the header is missing or
 * says nothing. Never negative, and without a cap: whoever obeys it has one.
 */
export const retryAfterMillis = (header: string | undefined, now: number): number | undefined => {
  const text = header?.trim()
  if (text === undefined) return undefined
  if (/^\d{1,15}$/.test(text)) return Number(text) * 1000
  if (!dates.some((date) => date.test(text))) return undefined
  const at = Date.parse(text.endsWith("GMT") ? text : `${text} GMT`)
  return Number.isNaN(at) ? undefined : Math.max(0, at - now)
}
