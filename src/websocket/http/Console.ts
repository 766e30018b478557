/**
 * The live console: `GET /console`, as a page or as JSON, the same report that SIGUSR2 writes.
 *
 * It names holders and call sites, which is nobody's business but the operator's: it answers somebody on this very machine,
 * or a request that an operator has signed (NIP-98).
 */
import { Effect, Option } from "effect"
import { HttpRouter, type HttpServerRequest, HttpServerResponse } from "effect/http"
import { BlockList, isIP } from "node:net"
import { isLoopbackAuthority, isOnLoopback, withoutEndSlashes } from "../../domain/RelayUrl.ts"
import type { Journal } from "../../lifecycle/Journal.ts"
import { report } from "../../lifecycle/Report.ts"
import { consolePage } from "../../pages/ConsolePage.ts"
import { errorPage } from "../../pages/ErrorPage.ts"
import { contentSecurityPolicy } from "../../pages/Layout.ts"
import type { Site } from "../../pages/Site.ts"
import type { Operators } from "./Operators.ts"

export interface ConsoleOptions {
  /** What its page shares with the others. */
  readonly site: () => Site
  readonly journal: Journal
  readonly relayUrl: string
  readonly operatorOf: Operators
  /** They send `X-Forwarded-For` (`TRUSTED_PROXIES`). */
  readonly proxies: () => BlockList
}

const loopback = new BlockList()
loopback.addSubnet("127.0.0.0", 8, "ipv4")
loopback.addAddress("::1", "ipv6")

export const isListed = (list: BlockList, address: string): boolean => {
  const version = isIP(address)
  return version !== 0 && list.check(address, version === 4 ? "ipv4" : "ipv6")
}

/** A proxy that stands between says so in one of these. */
const proxyHeaders = ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"]

interface Asking {
  readonly remoteAddress: string | undefined
  readonly headers: Readonly<Record<string, string | undefined>>
}

/**
 * Does it look like somebody on this machine who asks for this machine? A name that a stranger's page can have resolve to
 * this machine is not this machine's (DNS rebinding).
 */
const seemsLocal = ({ headers, remoteAddress }: Asking): boolean =>
  isListed(loopback, remoteAddress ?? "") && proxyHeaders.every((name) => headers[name] === undefined) &&
  isLoopbackAuthority(headers["host"] ?? "")

/**
 * Is it? A relay with a public address has a proxy in front of it, which may be on this machine and pass on whatever `Host` a
 * stranger wrote. It can be told from this machine only where it is known to name whom it stands for.
 */
export const isLocal = (
  asking: Asking,
  { proxies, relayUrl }: { readonly proxies: BlockList; readonly relayUrl: string }
): boolean =>
  seemsLocal(asking) &&
  (isOnLoopback(relayUrl) || isListed(proxies, asking.remoteAddress ?? ""))

const headers = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "content-security-policy": contentSecurityPolicy,
  vary: "accept"
}

const refusedJson = (status: 401 | 403 | 500 | 503, error: string) =>
  HttpServerResponse.text(`${JSON.stringify({ error })}\n`, { status, contentType: "application/json", headers })

const strangers = "the console is for this machine, and for operators who sign their request (NIP-98)"
const unsure =
  "this may be a proxy: set TRUSTED_PROXIES to its address if it sends X-Forwarded-For, or sign the request (NIP-98)"

/** A program asks for JSON; a person's browser lists HTML. */
const wantsJson = (request: HttpServerRequest.HttpServerRequest): boolean =>
  new URLSearchParams(request.url.split("?")[1] ?? "").get("format") === "json" ||
  !/\b(?:text\/html|text\/\*)/i.test(request.headers["accept"] ?? "")

export const consoleRoute = ({ journal, operatorOf, proxies, relayUrl, site }: ConsoleOptions) => {
  /** A proxy may serve the relay under a path, and then it serves this page under it, too. */
  const besideRelay = `${withoutEndSlashes(relayUrl)}/`
  const refused = (request: HttpServerRequest.HttpServerRequest, status: 401 | 403 | 500 | 503, error: string) =>
    wantsJson(request) ? refusedJson(status, error) : HttpServerResponse.text(
      errorPage(site(), { status, detail: `${error[0]?.toUpperCase()}${error.slice(1)}.` }),
      { status, contentType: "text/html; charset=utf-8", headers }
    )
  const show = (request: HttpServerRequest.HttpServerRequest) => {
    const now = report(journal)
    return wantsJson(request)
      ? HttpServerResponse.text(`${JSON.stringify(now, undefined, 2)}\n`, { contentType: "application/json", headers })
      : HttpServerResponse.text(consolePage(site(), now), { contentType: "text/html; charset=utf-8", headers })
  }

  const handle = Effect.fnUntraced(function*(request: HttpServerRequest.HttpServerRequest) {
    const asking = { remoteAddress: Option.getOrUndefined(request.remoteAddress), headers: request.headers }
    if (isLocal(asking, { proxies: proxies(), relayUrl })) return show(request)
    const authorization = request.headers["authorization"]
    if (authorization === undefined) {
      return refused(request, 403, seemsLocal(asking) ? unsure : strangers)
    }
    const url = URL.parse(request.url.slice(1), besideRelay)?.href ?? ""
    const operator = yield* operatorOf(authorization, { url, method: "GET", payload: undefined })
    return typeof operator === "string" ? refused(request, 401, operator) : show(request)
  })

  return HttpRouter.add("GET", "/console", (request) =>
    handle(request).pipe(
      Effect.catchTags({
        CryptoError: () => Effect.succeed(refused(request, 500, "signature could not be checked")),
        MailboxClosed: () => Effect.succeed(refused(request, 503, "shutting down"))
      })
    ))
}
