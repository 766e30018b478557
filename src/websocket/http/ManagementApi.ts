/**
 * The operator's way in: signed JSON over HTTP, on the address of the relay (NIP-86, authorized by NIP-98).
 *
 * A request counts when its `Authorization` is the event of a configured operator, about this address, this method and
 * exactly this body, of this minute, and for the first time. Whatever it changes is on disk before it is answered, and in
 * the log with who asked.
 */
import { ByteSize, Effect } from "effect"
import { HttpIncomingMessage, HttpRouter, type HttpServerRequest, HttpServerResponse } from "effect/http"
import { hash } from "node:crypto"
import type { Change, Moderation } from "../../aggregation/admission/Moderation.ts"
import { reasonOf } from "../../database/Database.ts"
import type { Event } from "../../domain/Event.ts"
import { listed, type ManagementRequest, managementRequestOf, supportedMethods } from "../../domain/Management.ts"
import type { Operators } from "./Operators.ts"

const contentType = "application/nostr+json+rpc"

/** Of one request. */
const bodyBytesMax = 65_536

export interface ManagementOptions {
  readonly operatorOf: Operators
  /** Public address of this relay, as in its NIP-11 document. */
  readonly relayUrl: string
  readonly moderation: Moderation["Service"]
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

/** Answers POST requests at `/`. */
export const managementRoute = (options: ManagementOptions) => {
  const { moderation, operatorOf, relayUrl } = options

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
    const operator = yield* operatorOf(request.headers["authorization"], {
      url: relayUrl,
      method: "POST",
      payload: hash("sha256", body)
    })
    if (typeof operator === "string") return answer(401, { error: operator })
    const asked = managementRequestOf(parsed(body))
    return typeof asked === "string" ? answer(400, { error: asked }) : yield* perform(asked, operator)
  })

  return HttpRouter.add("POST", "/", (request) =>
    handle(request).pipe(
      Effect.catchTags({
        HttpServerError: () => Effect.succeed(answer(413, { error: `a body has at most ${bodyBytesMax} bytes` })),
        DatabaseError: (error) => Effect.succeed(answer(500, { error: reasonOf(error) })),
        CryptoError: () => Effect.succeed(answer(500, { error: "signature could not be checked" })),
        MailboxClosed: () => Effect.succeed(answer(503, { error: "shutting down" }))
      }),
      Effect.provideService(HttpIncomingMessage.MaxBodySize, ByteSize.bytes(bodyBytesMax))
    ))
}
