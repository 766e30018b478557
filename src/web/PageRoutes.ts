/** The pages: each gathers its facts, and hands them to a pure function that draws it. */
import { Effect, Layer, Random } from "effect"
import { HttpRouter, type HttpServerRequest, HttpServerResponse } from "effect/http"
import { OpenApi } from "effect/http-api"
import { Api } from "../api/Api.ts"
import type { DatabaseError } from "../database/Database.ts"
import { npubOf, pubkeyOf } from "../domain/PublicKey.ts"
import { apiPage } from "../pages/ApiPage.ts"
import { errorPage } from "../pages/ErrorPage.ts"
import { explorePage } from "../pages/ExplorePage.ts"
import { homePage } from "../pages/HomePage.ts"
import { identicon } from "../pages/Identicon.ts"
import { livePage } from "../pages/LivePage.ts"
import { type PolicyFacts, policyPage } from "../pages/PolicyPage.ts"
import { absentPage, profilePage } from "../pages/ProfilePage.ts"
import { randomPage } from "../pages/RandomPage.ts"
import { relaysPage } from "../pages/RelaysPage.ts"
import { spans, statsPage } from "../pages/StatsPage.ts"
import type { WebContext } from "./Context.ts"
import { type Encoded, kept } from "./Encoding.ts"
import { isNameOf, relayUsesOf } from "./People.ts"
import * as Responses from "./Responses.ts"

type Request = HttpServerRequest.HttpServerRequest
type Response = HttpServerResponse.HttpServerResponse

/** Characters of a search. */
const queryMax = 100

/** Faces on the first page. */
const facesOnHome = 6

/** Names what is in the query, each as it came first. */
const parametersOf = ({ url }: Pick<Request, "url">): URLSearchParams =>
  new URLSearchParams(url.slice(0, 4096).split("?")[1] ?? "")

const policyOf = (
  { admission, nip05, pictureMin, pictures, profileGrace, proof, proofMin, rules }: WebContext["settings"]
): PolicyFacts => ({
  isOpen: admission === "open",
  createdAtMin: rules.createdAtMin,
  nameMin: rules.nameMin,
  aboutMin: rules.aboutMin,
  picture: pictures === "on" ? pictureMin : undefined,
  posts: proof === "on" ? { min: proofMin } : undefined,
  nip05,
  graceDays: Math.round(Number(profileGrace) || 0)
})

export const make = (web: WebContext) => {
  const { assets, figures, people, settings, site, statistics, turns } = web

  const failed = (request: Request, status: number, detail?: string): Response =>
    Responses.html(request, errorPage(site(), { status, ...(detail === undefined ? {} : { detail }) }), {
      status,
      cache: "no-store",
      headers: status === 429 || status === 503 ? { "retry-after": "5" } : {}
    })

  const inTurn = <R>(request: Request, answer: Effect.Effect<Response, DatabaseError, R>) =>
    turns.take(answer).pipe(
      Effect.map((response) => response ?? failed(request, 503, "Too many pages are asked for right now.")),
      Effect.catchTag("DatabaseError", () => Effect.succeed(failed(request, 500)))
    )

  /** What only depends on what the site is called is drawn again when that has changed. */
  const drawnOnce = (draw: () => string) => {
    let last: { readonly key: string; readonly drawn: string } | undefined
    return () => {
      const { description, name } = site()
      const key = JSON.stringify([name, description])
      last = last?.key === key ? last : { key, drawn: draw() }
      return last.drawn
    }
  }

  /** What is the same for everybody is drawn once a second at most, as the stream of figures is. */
  const eachSecond = <E, R>(draw: Effect.Effect<string, E, R>) => {
    let last: { readonly at: number; readonly drawn: string } | undefined
    return Effect.flatMap(people.seconds, (at) =>
      last?.at === at
        ? Effect.succeed(last.drawn)
        : Effect.tap(draw, (drawn) => Effect.sync(() => void (last = { at, drawn }))))
  }

  /** A page within the share of the thread that pages have. */
  const page = (
    path: `/${string}`,
    answer: (request: Request) => Effect.Effect<Response, DatabaseError, HttpRouter.RouteContext>
  ) => HttpRouter.add("GET", path, (request) => inTurn(request, answer(request)))

  const home = page("/", (request) =>
    Effect.gen(function*() {
      const now = yield* people.seconds
      const drawn = yield* people.draw(facesOnHome, { seed: Math.floor(now / 10), after: undefined, random: 0 })
      const faces = yield* people.peopleIn(drawn?.events ?? [])
      const { clients } = yield* figures.live
      const { upstreams } = yield* figures.upstreams
      return Responses.html(
        request,
        homePage(site(), {
          people: faces,
          figures: {
            profiles: yield* people.total,
            events: yield* people.events,
            upstreams: upstreams.length,
            clients
          },
          policy: policyOf(settings),
          example: faces[0]?.pubkey ?? "32e1827635450ebb3c5a7d12c1f8e7b2b514439ac10a67eef3d9fd9c5c68e245",
          now
        }),
        { cache: "public, max-age=10" }
      )
    }))

  /** Where a search leads that names exactly one profile; undefined for any other. */
  const jump = Effect.fnUntraced(function*(query: string) {
    const pubkey = pubkeyOf(query.replace(/^nostr:/u, ""))
    if (pubkey !== undefined) return `${site().base}/p/${npubOf(pubkey)}`
    if (!query.includes("@")) return undefined
    const [first] = (yield* people.found(query, 1, undefined))?.people ?? []
    return first !== undefined && isNameOf(query, first) ? `${site().base}/p/${first.npub}` : undefined
  })

  const explore = page("/explore", (request) =>
    Effect.gen(function*() {
      const parameters = parametersOf(request)
      const query = (parameters.get("q") ?? "").trim()
      const after = parameters.get("after") ?? undefined
      if (query.length > queryMax) return failed(request, 400, `A search has at most ${queryMax} characters.`)
      const to = query === "" ? undefined : yield* jump(query)
      if (to !== undefined) return HttpServerResponse.redirect(to, { status: 303 })
      const listing = yield* query === "" ? people.newest(after) : people.found(query, 24, after)
      if (listing === undefined) {
        return failed(request, 400, "The cursor in this address is not one of ours. Begin anew.")
      }
      return Responses.html(
        request,
        explorePage(site(), { ...listing, query, total: yield* people.total, now: yield* people.seconds }),
        { cache: "public, max-age=30" }
      )
    }))

  const profile = page("/p/:id", (request) =>
    Effect.gen(function*() {
      const { id = "" } = yield* HttpRouter.params
      const pubkey = pubkeyOf(id)
      if (pubkey === undefined) {
        return failed(request, 404, "That is no public key: npub1…, nprofile1… or 64 hex digits.")
      }
      const npub = npubOf(pubkey)
      if (id !== npub) return HttpServerResponse.redirect(`${site().base}/p/${npub}`, { status: 301 })
      const found = yield* people.profile(pubkey)
      const explanation = yield* people.explain(pubkey)
      if (found === undefined) {
        if (yield* people.isVanished(pubkey)) return failed(request, 410)
        const reasons = [
          ...explanation.decided,
          ...(explanation.profile === undefined
            ? []
            : [`A profile of this key is known here, but not served: ${explanation.profile.from}.`]),
          ...explanation.memories.map(([, text]) => text)
        ]
        return Responses.html(request, absentPage(site(), { npub, reasons, rules: explanation.rules }), {
          status: 404,
          cache: "public, max-age=30"
        })
      }
      const { event, messageRelays, person, profile, relayList } = found
      const etag = Responses.personTag(person, event)
      if (Responses.isSame(request, etag)) return Responses.notModified(etag, "public, max-age=60")
      return Responses.html(
        request,
        profilePage(site(), {
          person,
          rules: explanation.rules,
          picture: yield* people.pictureOf(profile.picture),
          relays: relayUsesOf(relayList, messageRelays),
          ...(yield* people.namesakesOf(person, profile.picture)),
          event,
          now: yield* people.seconds
        }),
        { cache: "public, max-age=60", headers: { etag } }
      )
    }))

  const relaysNow = eachSecond(Effect.map(figures.upstreams, (facts) => relaysPage(site(), facts)))
  const relays = page(
    "/relays",
    (request) => Effect.map(relaysNow, (drawn) => Responses.html(request, drawn, { cache: "public, max-age=10" }))
  )

  const liveNow = eachSecond(Effect.map(figures.live, (facts) => livePage(site(), facts)))
  const live = page(
    "/live",
    (request) => Effect.map(liveNow, (drawn) => Responses.html(request, drawn, { cache: "no-store" }))
  )

  const stats = page("/stats", (request) =>
    Effect.gen(function*() {
      const asked = Number(parametersOf(request).get("days") ?? 90)
      const days = spans.find((span) => span === asked)
      if (days === undefined) return failed(request, 400, `Days are one of ${spans.join(", ")}.`)
      const records = yield* statistics.days(days)
      return Responses.html(request, statsPage(site(), { days, records }), { cache: "public, max-age=300" })
    }))

  const policyNow = drawnOnce(() => policyPage(site(), policyOf(settings)))
  const policy = page(
    "/policy",
    (request) => Effect.sync(() => Responses.html(request, policyNow(), { cache: "public, max-age=10" }))
  )

  const openApi = OpenApi.fromApi(Api)
  const described = kept(Buffer.from(JSON.stringify(openApi)))
  const apiNow = drawnOnce(() => apiPage(site(), openApi))
  const api = page(
    "/api",
    (request) => Effect.sync(() => Responses.html(request, apiNow(), { cache: "public, max-age=300" }))
  )

  const encodings = new Map<string, (accept: string | undefined) => Encoded>()
  const asset = HttpRouter.add("GET", "/-/:name", (request) =>
    Effect.sync(() => {
      const path = request.url.split("?")[0] ?? ""
      const found = assets.find(path)
      if (found === undefined) return failed(request, 404)
      const encode = encodings.get(path) ?? kept(found.body)
      encodings.set(path, encode)
      return Responses.ready(encode(request.headers["accept-encoding"]), {
        type: found.type,
        cache: "public, max-age=31536000, immutable"
      })
    }))

  const picture = HttpRouter.add(
    "GET",
    "/img/:pubkey",
    (request) =>
      Effect.map(HttpRouter.params, ({ pubkey = "" }) =>
        pubkeyOf(pubkey) !== pubkey
          ? failed(request, 404)
          : Responses.text(request, identicon(pubkey), {
            type: "image/svg+xml",
            cache: "public, max-age=86400",
            headers: {
              "content-security-policy": "default-src 'none'; sandbox",
              "cross-origin-resource-policy": "cross-origin"
            }
          }))
  )

  const icon = HttpRouter.add(
    "GET",
    "/favicon.ico",
    () =>
      Effect.succeed(
        HttpServerResponse.redirect(site().assets.icon, {
          status: 302,
          headers: { "cache-control": "public, max-age=86400" }
        })
      )
  )

  const robots = HttpRouter.add("GET", "/robots.txt", (request) =>
    Effect.succeed(Responses.text(
      request,
      `User-agent: *\n${["/img", "/api/", "/random", "/dump"].map((path) => `Disallow: ${path}\n`).join("")}`,
      { type: "text/plain; charset=utf-8", cache: "public, max-age=86400" }
    )))

  const openApiRoute = HttpRouter.add(
    "GET",
    "/api/openapi.json",
    (request) =>
      Effect.sync(() =>
        Responses.ready(described(request.headers["accept-encoding"]), {
          type: "application/json",
          cache: "public, max-age=300",
          headers: Responses.crossOrigin
        })
      )
  )

  return {
    failed,
    /** `/random` where a browser asks; programs get JSON from the API. */
    random: (request: Request, count: number, seed: number | undefined, after: string | undefined) =>
      inTurn(
        request,
        Effect.gen(function*() {
          const drawn = yield* people.draw(count, { seed, after, random: yield* Random.nextIntBetween(0, 0xffffffff) })
          if (drawn === undefined) {
            return failed(request, 400, "The cursor in this address is not one of ours. Begin anew.")
          }
          const link = (cursor: string) =>
            `${site().base}/random?${new URLSearchParams({ count: String(count), after: cursor }).toString()}`
          return Responses.html(
            request,
            randomPage(site(), {
              people: yield* people.peopleIn(drawn.events),
              again: link(drawn.here),
              next: link(drawn.next),
              now: yield* people.seconds
            }),
            { cache: "no-store" }
          )
        })
      ),
    layer: Layer.mergeAll(
      home,
      explore,
      profile,
      relays,
      live,
      stats,
      policy,
      api,
      asset,
      picture,
      icon,
      robots,
      openApiRoute
    )
  }
}
