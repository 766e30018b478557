/** How a fetch can fail, and whether asking again can help. */
import { Schema } from "effect"

/** The answer will not change by itself: the host has spoken, or we will not ask. */
const permanent = [
  /** The URL, or one that it was redirected to, is not one we ask (`detail` says why); nothing was sent there. */
  "Refused",
  /** 404 or 410. */
  "Gone",
  /** The body is, or claims to be, longer than the caller's cap, as sent or decoded. */
  "TooLarge",
  /** More encodings than anybody needs, or an unknown one. */
  "Encoding"
] as const

/** The world did not answer, or not usefully. */
const transient = [
  /** The name could not be resolved. */
  "Name",
  /** No connection: refused, unreachable. */
  "Connect",
  /** Certificate or handshake. */
  "Tls",
  /** A deadline passed: connect, idle or total. */
  "Timeout",
  /** The connection ended before the answer did. */
  "Reset",
  /** The answer was no HTTP, or not an answer to what was asked. */
  "Protocol",
  /** 416: not that part. */
  "Range",
  /** Any other 4xx: the host would not tell us, which says nothing about the picture. */
  "Denied",
  /** 5xx. */
  "ServerError",
  /** 429, or 503 with a time: the host asked for a pause. */
  "Paused",
  /** More hops than allowed. */
  "TooManyRedirects",
  /** Our own budget for this host is spent; nothing was sent. */
  "Budget"
] as const

export const FetchReason = Schema.Literals([...permanent, ...transient])
export type FetchReason = typeof FetchReason.Type

export class FetchError extends Schema.TaggedError<FetchError>()("FetchError", {
  reason: FetchReason,
  /** One of our own fixed phrases, or an error code; never text of the other side. */
  detail: Schema.String,
  /** HTTP status, where there was one. */
  status: Schema.optional(Schema.Finite),
  /** Milliseconds to wait, where the host or its budget says so; already capped. */
  retryAfter: Schema.optional(Schema.Finite)
}) {
  get isPermanent(): boolean {
    const reasons: ReadonlyArray<string> = permanent
    return reasons.includes(this.reason)
  }
}

/** What a Node error says, by its code. */
export const fromNodeError = (error: unknown): FetchError => {
  const code = typeof error === "object" && error !== null && "code" in error ? String(error.code) : "unknown"
  return new FetchError({ reason: reasonOf(code), detail: code.slice(0, 64) })
}

const reasonOf = (code: string): FetchReason => {
  if (/^(?:ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|EADDRNOTAVAIL|EACCES|EPERM|EINVAL)$/.test(code)) {
    return "Connect"
  }
  if (/^(?:HPE_|ERR_HTTP|ERR_INVALID|Z_|ERR_ZLIB|ERR_BROTLI|ERR__ERROR|ERR_PADDING|ERR_ZSTD|ZSTD_)/.test(code)) {
    return "Protocol"
  }
  if (/CERT|SSL|TLS|EPROTO|SELF_SIGNED|UNABLE_TO/.test(code)) return "Tls"
  return "Reset"
}
