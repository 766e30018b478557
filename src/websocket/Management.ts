/**
 * The operator's way in: signed JSON over HTTP, on the address of the relay (NIP-86, authorized by NIP-98).
 *
 * A request counts when its `Authorization` is the event of a configured operator, about this address, this method and
 * exactly this body, of this minute, and for the first time. Whatever it changes is on disk before it is answered, and in
 * the log with who asked.
 */
import { ByteSize, Clock, Effect } from "effect"
import { HttpIncomingMessage, HttpRouter, type HttpServerRequest, HttpServerResponse } from "effect/http"
import { hash } from "node:crypto"
import type { Change, Moderation } from "../aggregation/Moderation.ts"
import type { VerifierSender } from "../crypto/Verifier.ts"
import { type Event, type EventLimits, eventOf } from "../domain/Event.ts"
import { authorizationOf, httpAuthProblem, ReplayGuard } from "../domain/HttpAuth.ts"
import { listed, type ManagementRequest, managementRequestOf, supportedMethods } from "../domain/Management.ts"

export const contentType = "application/nostr+json+rpc"

/** Of one request. */
const bodyBytesMax = 65_536

export interface ManagementOptions {
  /** Pubkeys of those who may. */
  readonly operators: ReadonlyArray<string>
  /** Public address of this relay, as in its NIP-11 document. */
  readonly relayUrl: string
  readonly limits: EventLimits
  readonly moderation: Moderation["Service"]
  readonly verify: VerifierSender["verify"]
  /** A change holds: what it concerns besides the rules themselves has to follow. */
  readonly onChange: (change: Change) => Effect.Effect<void>
}

const answer = (status: number, body: { readonly result: unknown } | { readonly error: string }) =>
  HttpServerResponse.text(JSON.stringify(body), {
    status,
    contentType,
    headers: { "access-control-allow-origin": "*", "cache-control": "no-store", "x-content-type-options": "nosniff" }
  })

const isManagement = (type: string | undefined): boolean =>
  (type ?? "").split(";")[0]?.trim().toLowerCase() === contentType

/** JSON, or undefined, which no JSON is. */
const parsed = (body: Buffer): unknown => {
  try {
    return JSON.parse(body.toString())
  } catch {
    return undefined
  }
}

const decodeBase64 = (text: string): string => Buffer.from(text, "base64").toString()

/** Answers POST requests at `/`. */
export const managementRoute = (options: ManagementOptions) => {
  const { limits, moderation, operators, relayUrl } = options
  const replays = new ReplayGuard()

  /** Who signed the request, or why it does not count. */
  const operatorOf = Effect.fnUntraced(function*(header: string | undefined, body: Buffer) {
    const authorization = authorizationOf(header, decodeBase64)
    if (typeof authorization === "string") return authorization
    const event = eventOf(authorization.value, limits)
    if (typeof event === "string") return "authorization is no event"
    const now = Math.floor((yield* Clock.currentTimeMillis) / 1000)
    const request = { url: relayUrl, method: "POST", payload: hash("sha256", body) }
    const problem = httpAuthProblem(event, request, now)
    if (problem !== undefined) return problem
    if (!operators.includes(event.pubkey)) return "not an operator of this relay"
    if ((yield* options.verify(event)) !== "Valid") return "authorization is not signed"
    return replays.use(event, now) ? event : "authorization was used before"
  })

  const apply = Effect.fnUntraced(function*(change: Change, by: Event) {
    yield* moderation.apply(change, by.pubkey)
    yield* options.onChange(change)
    const { method } = change
    const name = change._tag === "Put" ? change.rule.name : change.name
    yield* Effect.logInfo("management").pipe(
      Effect.annotateLogs({ component: "websocket", method, name, operator: by.pubkey, eventId: by.id })
    )
    return answer(200, { result: true })
  })

  const perform = (request: ManagementRequest, by: Event) => {
    if (request._tag === "Methods") return Effect.succeed(answer(200, { result: supportedMethods }))
    if (request._tag !== "List") return apply(request, by)
    return Effect.sync(() => {
      const rules = moderation.rules(request.subject, request.state)
      return answer(200, { result: listed(request.method, rules) })
    })
  }

  const handle = Effect.fnUntraced(function*(request: HttpServerRequest.HttpServerRequest) {
    if (!isManagement(request.headers["content-type"])) return answer(415, { error: `expected ${contentType}` })
    const body = Buffer.from(yield* request.arrayBuffer)
    const operator = yield* operatorOf(request.headers["authorization"], body)
    if (typeof operator === "string") return answer(401, { error: operator })
    const asked = managementRequestOf(parsed(body))
    return typeof asked === "string" ? answer(400, { error: asked }) : yield* perform(asked, operator)
  })

  return HttpRouter.add("POST", "/", (request) =>
    handle(request).pipe(
      Effect.catchTags({
        HttpServerError: () => Effect.succeed(answer(413, { error: `a body has at most ${bodyBytesMax} bytes` })),
        DatabaseError: () => Effect.succeed(answer(500, { error: "storage is unavailable" })),
        CryptoError: () => Effect.succeed(answer(500, { error: "signature could not be checked" })),
        MailboxClosed: () => Effect.succeed(answer(503, { error: "shutting down" }))
      }),
      Effect.provideService(HttpIncomingMessage.MaxBodySize, ByteSize.bytes(bodyBytesMax))
    ))
}
