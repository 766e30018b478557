/** What the relay answers over plain HTTP: NIP-11, a page for people, and an operator's questions. */
import { Effect, Layer } from "effect"
import {
  type HttpMiddleware,
  HttpRouter,
  type HttpServerError,
  HttpServerRequest,
  HttpServerResponse
} from "effect/http"
import type { Journal } from "../../lifecycle/Journal.ts"
import { type ConsoleOptions, consoleRoute } from "./Console.ts"
import { type ManagementOptions, managementRoute } from "./ManagementApi.ts"
import type { RelayInformation } from "./RelayInformation.ts"

/** All three, as NIP-11 demands. */
const crossOrigin = {
  "access-control-allow-origin": "*",
  // A star does not stand for the header of a signed request.
  "access-control-allow-headers": "*, authorization",
  "access-control-allow-methods": "GET, HEAD, OPTIONS, POST"
}

const guarded = { "x-content-type-options": "nosniff", "referrer-policy": "no-referrer" }

/** May the client be given the NIP-11 document? `Accept` is a list, in any case, with parameters. */
const acceptsNostr = (accept: string | undefined): boolean =>
  (accept ?? "").toLowerCase().split(",").some((range) => range.split(";")[0]?.trim() === "application/nostr+json")

const plain = (text: string, status: number) =>
  HttpServerResponse.text(`${text}\n`, { status, headers: { ...guarded, "cache-control": "no-store" } })

export type Others = Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  HttpServerError.HttpServerError,
  HttpServerRequest.HttpServerRequest
>

/** `ready` from the moment everything is up until the moment a stop begins. */
export const routes = (options: {
  /** As it is now: an operator may change what it says. */
  readonly information: () => RelayInformation
  readonly journal: Journal
  readonly management: ManagementOptions
  readonly console: ConsoleOptions
  /** What answers everything that is none of these paths, and browsers at `/`. */
  readonly others: Others
}) => {
  const { information, journal } = options
  const headers = { ...guarded, ...crossOrigin, vary: "accept" }
  const document = () =>
    HttpServerResponse.text(JSON.stringify(information()), {
      contentType: "application/nostr+json",
      headers
    })
  return Layer.mergeAll(
    HttpRouter.add(
      "GET",
      "/",
      (request) => acceptsNostr(request.headers["accept"]) ? Effect.sync(document) : options.others
    ),
    managementRoute(options.management),
    consoleRoute(options.console),
    HttpRouter.add("OPTIONS", "/", HttpServerResponse.empty({ headers })),
    HttpRouter.add("GET", "/health", plain("alive", 200)),
    HttpRouter.add(
      "GET",
      "/ready",
      Effect.sync(() => {
        if (journal.state !== "ready") return plain(`not ready: ${journal.state}`, 503)
        const impairments = [...journal.impairments.values()].flatMap((impairment) => impairment() ?? [])
        return plain(["ready", ...impairments].join(", "), 200)
      })
    )
  )
}

/** While draining only the operator's questions are answered; who else kept a connection is sent away with it. */
export const refuseWhile = (isDraining: () => boolean): HttpMiddleware.HttpMiddleware => (app) =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
    if (!isDraining()) return app
    const isProbe = /^\/(?:health|ready|console)(?:\?|$)/.test(request.url)
    const closing = HttpServerResponse.setHeader("connection", "close")
    return isProbe
      ? Effect.map(app, closing)
      : Effect.succeed(closing(HttpServerResponse.setHeader(plain("shutting down", 503), "retry-after", "5")))
  })
