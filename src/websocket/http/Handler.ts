/** What the server does with a request that is no upgrade: the relay's own routes, and those of others. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Effect, Layer, Option, type Scope } from "effect"
import { HttpRouter, HttpServerRequest } from "effect/http"
import type { BlockList } from "node:net"
import { type Change, Moderation } from "../../aggregation/admission/Moderation.ts"
import { Settings } from "../../config/Settings.ts"
import { Verifier, type VerifierSender } from "../../crypto/Verifier.ts"
import { secondsOf } from "../../domain/Time.ts"
import { Shutdown } from "../../lifecycle/Shutdown.ts"
import { WebApp, WebClient } from "../../web/WebApp.ts"
import { metricsRoute } from "./MetricsRoute.ts"
import * as Operators from "./Operators.ts"
import { relayInformation } from "./RelayInformation.ts"
import { type Others, refuseWhile, routes } from "./Routes.ts"

/** By name, as a route for any method would also take the HEAD of those that have a GET. */
const methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const

export interface Options {
  /** Of the requests: closed when none is answered any more. */
  readonly scope: Scope.Scope
  readonly proxies: () => BlockList
  readonly verify: VerifierSender["verify"]
  readonly isDraining: () => boolean
  /** A change of an operator holds: what it concerns besides the rules themselves has to follow. */
  readonly onChange: (change: Change) => void
  /** Networks that may read the metrics. */
  readonly metricsAllowed: () => BlockList
  /** Whom a request is counted under, by its remote address and what a proxy says (X-Forwarded-For). */
  readonly clientBehind: (remoteAddress: string | undefined, forwardedFor: string | undefined) => string
  /** Why a client is not answered now; undefined where it is, and then it has paid. */
  readonly refusalOf: (client: string, cost: number) => 403 | 429 | undefined
}

export const make = Effect.fnUntraced(
  function*({ clientBehind, isDraining, metricsAllowed, onChange, proxies, refusalOf, scope, verify }: Options) {
    const settings = yield* Settings
    const moderation = yield* Moderation
    const { pubkey } = yield* Verifier
    const { journal } = yield* Shutdown
    const { limits, relayUrl } = settings
    const operatorOf = Operators.make({
      operators: () => settings.operators,
      limits,
      verify,
      since: journal.wallTime() - journal.now()
    })
    const web = yield* WebApp
    const own = (others: Others) =>
      routes({
        others,
        information: () => relayInformation(settings, pubkey, moderation.text, secondsOf(journal.wallTime())),
        journal,
        management: {
          operatorOf,
          relayUrl,
          moderation,
          onChange: (change) => Effect.sync(() => onChange(change))
        },
        console: { journal, relayUrl, operatorOf, proxies, site: web.site }
      })
    /** Whatever is none of the relay's own paths, as far as the client has something left. */
    const others = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
      const { accept, "x-forwarded-for": forwarded } = request.headers
      const client = clientBehind(Option.getOrUndefined(request.remoteAddress), forwarded)
      const refused = refusalOf(client, web.costOf(request.method, request.url))
      return refused === undefined
        ? Effect.provideService(web.answer, WebClient, client)
        : Effect.succeed(web.refusal(refused, accept))
    })
    const metrics = yield* metricsRoute({
      journal,
      settings,
      proxies,
      allowed: metricsAllowed,
      clientBehind
    })
    const app = yield* HttpRouter.toHttpEffect(
      Layer.mergeAll(own(others), metrics, ...methods.map((method) => HttpRouter.add(method, "/*", others)))
    )
    return yield* NodeHttpServer.makeHandler(app, { scope, middleware: refuseWhile(isDraining) })
  }
)
