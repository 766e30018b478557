/** How answers of this component look on the wire: headers, encoding, problems. */
import { Stream } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import { hash } from "node:crypto"
import { STATUS_CODES } from "node:http"
import type { Event } from "../domain/Event.ts"
import { contentSecurityPolicy } from "../pages/Layout.ts"
import type { Person } from "../pages/Person.ts"
import { encode, type Encoded } from "./Encoding.ts"

/** On everything. */
export const guarded = { "x-content-type-options": "nosniff", "referrer-policy": "no-referrer" }

/** On what programs of other sites may read. */
export const crossOrigin = {
  "access-control-allow-origin": "*",
  "access-control-allow-headers": "*",
  "access-control-allow-methods": "GET, HEAD, POST, OPTIONS"
}

export interface ResponseOptions {
  readonly status?: number
  readonly type: string
  /** `cache-control`. */
  readonly cache: string
  readonly headers?: Readonly<Record<string, string>>
}

const encoded = ({ body, encoding }: Encoded, { cache, headers, status = 200, type }: ResponseOptions) =>
  HttpServerResponse.uint8Array(body, {
    status,
    contentType: type,
    headers: {
      ...guarded,
      "cache-control": cache,
      vary: "accept, accept-encoding",
      ...(encoding === undefined ? {} : { "content-encoding": encoding }),
      ...headers
    }
  })

type Request = Pick<HttpServerRequest.HttpServerRequest, "headers">

/** Text that is made for this request. */
export const text = (request: Request, body: string, options: ResponseOptions) =>
  encoded(encode(Buffer.from(body), request.headers["accept-encoding"]), options)

/** What was encoded before. */
export const ready = (body: Encoded, options: ResponseOptions) => encoded(body, options)

export const html = (request: Request, body: string, options: Omit<ResponseOptions, "type">) =>
  text(request, body, {
    ...options,
    type: "text/html; charset=utf-8",
    headers: { "content-security-policy": contentSecurityPolicy, ...options.headers }
  })

export const json = (request: Request, body: string, options: Omit<ResponseOptions, "type">) =>
  text(request, body, { ...options, type: "application/json", headers: { ...crossOrigin, ...options.headers } })

/** RFC 9457. `type` is a place on `/api` that says more. */
export const problem = (status: number, title: string, detail?: string) =>
  HttpServerResponse.text(
    JSON.stringify({ type: "about:blank", status, title, ...(detail === undefined ? {} : { detail }) }),
    {
      status,
      contentType: "application/problem+json",
      headers: { ...guarded, ...crossOrigin, "cache-control": "no-store" }
    }
  )

/** Whether what the client has is still this (RFC 9110 §13.1.2). */
export const isSame = (request: Request, etag: string): boolean =>
  (request.headers["if-none-match"] ?? "").split(",").some((tag) => tag.trim().replace(/^W\//u, "") === etag)

export const notModified = (etag: string, cache: string) =>
  HttpServerResponse.empty({ status: 304, headers: { ...guarded, ...crossOrigin, etag, "cache-control": cache } })

/** Server-sent events, which go on until the client leaves or the relay stops. */
export const eventStream = (frames: Stream.Stream<string>) =>
  HttpServerResponse.stream(Stream.encodeText(frames), {
    contentType: "text/event-stream",
    headers: { ...guarded, ...crossOrigin, "cache-control": "no-store", "x-accel-buffering": "no" }
  })

/** Answers of the API, as everything here leaves: readable from any site, and encoded. */
export const finished = (
  request: HttpServerRequest.HttpServerRequest,
  response: HttpServerResponse.HttpServerResponse
): HttpServerResponse.HttpServerResponse => {
  if (!/^\/(?:api\/|random)/u.test(request.url) || response.headers["vary"] !== undefined) return response
  const shared = HttpServerResponse.setHeaders(response, { ...guarded, ...crossOrigin })
  const { body } = shared
  // What the platform refuses, such as a body that is too long, comes without a word.
  const isProblem = /problem\+json/u.test("contentType" in body ? String(body.contentType) : "")
  if (response.status >= 400 && !isProblem) return problem(response.status, STATUS_CODES[response.status] ?? "Refused")
  if (body._tag !== "Uint8Array") return shared
  const made = encode(body.body, request.headers["accept-encoding"])
  const headers = {
    "cache-control": "no-store",
    vary: "accept-encoding",
    ...response.headers,
    ...guarded,
    ...crossOrigin
  }
  return HttpServerResponse.uint8Array(made.body, {
    status: response.status,
    contentType: body.contentType,
    headers: made.encoding === undefined ? headers : { ...headers, "content-encoding": made.encoding }
  })
}

/** The validator of what is said of somebody: it changes with the profile, its NIP-05 name and why they stand where they do. */
export const personTag = ({ nip05, why }: Person, { id }: Pick<Event, "id">): string =>
  `"${id.slice(0, 16)}-${nip05?.checkedAt ?? 0}-${hash("sha256", JSON.stringify(why), "hex").slice(0, 8)}"`
