/**
 * What people and programs see over HTTP, as a component of its own: between the aggregation, whose contracts it reads, and the
 * server, which hands it requests.
 *
 * Acquired, it holds a sender to the database for the record of each day, and nothing else. Its routes are loaded in the
 * background once the service is ready, so that they cost the start nothing; a request that comes sooner waits for them.
 * Released after the server, when nobody can ask any more, it writes today's record and gives the sender back.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { ByteSize, Context, Effect, Exit, Layer, Scope } from "effect"
import { HttpIncomingMessage, HttpRouter, HttpServerRequest, HttpServerRespondable } from "effect/http"
import manifest from "../../package.json" with { type: "json" }
import { Moderation } from "../aggregation/admission/Moderation.ts"
import { Settings } from "../config/Settings.ts"
import { announce, Shutdown } from "../lifecycle/Shutdown.ts"
import { Supervisor } from "../lifecycle/Supervisor.ts"
import { errorPage } from "../pages/ErrorPage.ts"
import { placeOf, type Site } from "../pages/Site.ts"
import * as Assets from "./Assets.ts"
import type { WebContext } from "./Context.ts"
import { prefersHtml } from "./Encoding.ts"
import * as Figures from "./Figures.ts"
import * as Live from "./Live.ts"
import * as People from "./People.ts"
import * as Responses from "./Responses.ts"
import * as Statistics from "./Statistics.ts"
import * as Turns from "./Turns.ts"
import { WebApp } from "./WebApp.ts"

/** Of one request. */
const bodyBytesMax = 65_536

/** Units (`domain/MessageWork`, about 0.1 ms each) of a path, for the most that it may ask for: 500 profiles cost what a REQ of them does. */
const costs: ReadonlyArray<readonly [path: RegExp, units: number]> = [
  [/^\/(?:-\/|img\/|favicon|robots)/u, 2],
  [/^\/(?:api\/(?:search|profiles)|random|search\/)/u, 35],
  [/^\/(?:explore|p\/|\?|$)/u, 40]
]

const costOf: WebApp["costOf"] = (_method, path) => costs.find(([pattern]) => pattern.test(path))?.[1] ?? 10

/** The site as it is called now: NIP-86 can change its name and description. */
const siteWith = Effect.gen(function*() {
  const settings = yield* Settings
  const { text } = yield* Moderation
  const assets = Assets.load()
  const place = placeOf(settings.relayUrl)
  const paths = {
    style: `${place.base}${assets.paths.style}`,
    script: `${place.base}${assets.paths.script}`,
    icon: `${place.base}${assets.paths.icon}`
  }
  const site = (): Site => ({
    ...place,
    name: text("name") ?? settings.relayName,
    description: text("description") ?? settings.relayDescription,
    version: manifest.version,
    relayUrl: settings.relayUrl,
    assets: paths,
    contact: settings.relayContact === "" ? undefined : settings.relayContact
  })
  return { assets, site }
})

/** Everything that takes time to load, once: the router with pages and API. */
const load = Effect.fnUntraced(function*(web: WebContext, scope: Scope.Scope) {
  const [pages, api, openRanking] = yield* Effect.promise(() =>
    Promise.all([import("./PageRoutes.ts"), import("./ApiRoutes.ts"), import("./OpenRanking.ts")])
  )
  const routes = pages.make(web)
  return yield* Scope.provide(
    HttpRouter.toHttpEffect(Layer.mergeAll(routes.layer, api.make(web, routes), openRanking.make(web))),
    scope
  )
}, Effect.provide(NodeHttpServer.layerHttpServices))

const make = Effect.gen(function*() {
  yield* announce("web")
  const settings = yield* Settings
  const shutdown = yield* Shutdown
  const supervisor = yield* Supervisor
  const { assets, site } = yield* siteWith
  const people = yield* People.make
  const figures = yield* Figures.make(people)
  const { limits } = settings
  const live = yield* Live.make({
    frame: figures.frame,
    readersMax: () => limits.liveReadersMax,
    readersPerClientMax: () => limits.liveReadersPerAddressMax,
    shutdown,
    supervisor
  })
  const web: WebContext = {
    site,
    settings,
    assets,
    people,
    figures,
    statistics: yield* Statistics.make(people),
    live,
    turns: yield* Turns.make
  }
  const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
  const app = yield* Effect.cached(load(web, scope))

  const context = yield* Effect.context()
  const answer = Effect.flatMap(app, (answer) => answer).pipe(
    // A body that is too long, above all.
    Effect.catchTag("HttpServerError", HttpServerRespondable.toResponse),
    Effect.catchDefect((defect) =>
      HttpServerRespondable.isRespondable(defect) ? HttpServerRespondable.toResponse(defect) : Effect.die(defect)
    ),
    Effect.flatMap((response) =>
      Effect.map(HttpServerRequest.HttpServerRequest, (request) => Responses.finished(request, response))
    ),
    Effect.provideService(HttpIncomingMessage.MaxBodySize, ByteSize.bytes(bodyBytesMax))
  ) as WebApp["answer"]
  return WebApp.of({
    site,
    answer: Effect.updateContext(
      answer,
      (own: Context.Context<HttpServerRequest.HttpServerRequest>) => Context.merge(context, own)
    ),
    costOf,
    refusal: (status, accept) =>
      prefersHtml(accept, false)
        ? Responses.html({ headers: {} as never }, errorPage(site(), { status }), { status, cache: "no-store" })
        : Responses.problem(status, status === 429 ? "Too many requests" : "Not now"),
    loaded: Effect.asVoid(app),
    streamsEnded: live.ended
  })
})

export const layer = Layer.effect(WebApp, make)
