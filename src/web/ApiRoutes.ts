/** The API's answers. What is stored as JSON is sent as it is stored: decoding and encoding 500 events would cost four times as much. */
import { Effect, Layer, Random } from "effect"
import { HttpRouter, type HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiBuilder, HttpApiMiddleware } from "effect/http-api"
import { Api, BadKey, BadQuery, batchMax, Gone, NotHere, Unavailable } from "../api/Api.ts"
import { textOf } from "../database/Database.ts"
import type { Event } from "../domain/Event.ts"
import { keptKinds, messageRelaysKind, profileKind, relayListKind } from "../domain/Kinds.ts"
import { pubkeyOf } from "../domain/PublicKey.ts"
import { standingSaid, type Why } from "../domain/Standing.ts"
import type { Person } from "../pages/Person.ts"
import { percentOf } from "../pages/Plot.ts"
import type { WebContext } from "./Context.ts"
import { prefersHtml } from "./Encoding.ts"
import type * as PageRoutes from "./PageRoutes.ts"
import * as Responses from "./Responses.ts"
import { csvOf } from "./Statistics.ts"
import { WebClient } from "./WebApp.ts"

const some = <K extends string, A>(name: K, value: A | undefined | "" | false): { readonly [N in K]?: A } =>
  (value === undefined || value === "" || value === false ? {} : { [name]: value }) as { readonly [N in K]?: A }

/** Why somebody stands where they do; what nobody knows is left out. */
const whyOf = (why: Why): { readonly [K in keyof Why]?: NonNullable<Why[K]> } =>
  Object.fromEntries(Object.entries(why).filter(([, value]) => value !== undefined))

/** One field more of an object, by its JSON. */
const part = (name: string, raw: string | undefined): string => raw === undefined ? "" : `,"${name}":${raw}`

const keyOf = (id: string) => {
  const pubkey = pubkeyOf(id)
  return pubkey === undefined
    ? Effect.fail(new BadKey({ detail: "expected npub1…, nprofile1… or 64 hex digits" }))
    : Effect.succeed(pubkey)
}

const unavailable = () => Effect.fail(new Unavailable({}))

export const make = (web: WebContext, pages: ReturnType<typeof PageRoutes.make>) => {
  const { figures, live, people, site, statistics } = web

  const summaryOf = (person: Person) => ({
    pubkey: person.pubkey,
    npub: person.npub,
    label: person.label,
    ...some("name", person.name),
    ...some("about", person.about),
    ...some("website", person.website),
    ...some("lud16", person.lightning),
    picture: `${site().address}/img/${person.pubkey}`,
    ...some(
      "nip05",
      person.nip05 && {
        text: person.nip05.text,
        ...some("verified", person.nip05.verified as true | undefined),
        ...(person.nip05.verified === false ? { verified: false } : {}),
        ...some("checkedAt", person.nip05.checkedAt)
      }
    ),
    ...some("bot", person.bot),
    updatedAt: person.updatedAt,
    ...whyOf(person.why),
    ...some("firstSeenAt", person.firstSeenAt)
  })

  const profiles = HttpApiBuilder.group(Api, "profiles", (handlers) =>
    handlers.handleAll({
      profile: ({ params, request }) =>
        Effect.gen(function*() {
          const pubkey = yield* keyOf(params.id)
          const found = yield* people.profile(pubkey)
          if (found === undefined) {
            if (yield* people.isVanished(pubkey)) return yield* new Gone({})
            return yield* new NotHere({
              detail: `there is no profile of ${pubkey}`,
              explain: `${site().address}/api/profiles/${pubkey}/explain`
            })
          }
          const etag = Responses.personTag(found.person, found.event)
          const cache = "public, max-age=60"
          if (Responses.isSame(request, etag)) return Responses.notModified(etag, cache)
          const { event, messageRelays, person, relayList } = found
          return Responses.json(
            request,
            JSON.stringify({
              ...summaryOf(person),
              event,
              ...some("relayList", relayList),
              ...some("messageRelays", messageRelays)
            }),
            { cache, headers: { etag } }
          )
        }).pipe(Effect.catchTag("DatabaseError", unavailable)),

      explain: ({ params }) =>
        Effect.gen(function*() {
          const pubkey = yield* keyOf(params.id)
          const { decided, memories, profile, rules, verdict } = yield* people.explain(pubkey)
          const person = (yield* people.profile(pubkey))?.person
          return {
            pubkey,
            stored: profile?.isStored ?? false,
            ...some(
              "verdict",
              verdict && (verdict._tag === "Accepted" ? "accepted" : `${verdict._tag.toLowerCase()}: ${verdict.reason}`)
            ),
            ...(person === undefined ? {} : { ...whyOf(person.why), standing: standingSaid(person.why) }),
            rules: rules.map(({ fact, reason, rule, status }) => ({ rule, status, fact, ...some("reason", reason) })),
            notes: [
              ...(profile === undefined ? ["no profile is stored, and none waits to be checked"] : [profile.from]),
              ...decided,
              ...memories.map(([about, text]) => `${about}: ${text}`)
            ]
          }
        }).pipe(Effect.catchTag("DatabaseError", unavailable)),

      batch: ({ payload, request }) =>
        Effect.gen(function*() {
          const wanted = [...new Set(payload.pubkeys)]
          const kinds = payload.relays === true ? keptKinds : [profileKind]
          const raws = wanted.length === 0
            ? []
            : (yield* people.read({ kinds, authors: wanted }, batchMax * kinds.length)).map(textOf)
          const there = new Set(raws.flatMap((raw) => {
            const { kind, pubkey } = JSON.parse(raw) as Event
            return kind === profileKind ? [pubkey] : []
          }))
          const missing = wanted.filter((pubkey) => !there.has(pubkey))
          return Responses.json(request, `{"profiles":[${raws.join(",")}],"missing":${JSON.stringify(missing)}}`, {
            cache: "no-store"
          }) as never
        }).pipe(Effect.catchTag("DatabaseError", unavailable)),

      search: ({ query }) =>
        Effect.gen(function*() {
          const listing = yield* people.found(
            query.sort === "rank" ? query.q : `${query.q} sort:${query.sort}`,
            query.limit,
            query.after
          )
          if (listing === undefined) return yield* new BadQuery({ detail: "after is no cursor of ours" })
          return { profiles: listing.people.map(summaryOf), ...some("cursor", listing.next) }
        }).pipe(Effect.catchTag("DatabaseError", unavailable)),

      random: ({ query, request }) =>
        Effect.gen(function*() {
          if (prefersHtml(request.headers["accept"], false)) {
            return (yield* pages.random(request, query.count, query.seed, query.after)) as never
          }
          const drawn = yield* people.draw(query.count, {
            seed: query.seed,
            after: query.after,
            random: yield* Random.nextIntBetween(0, 0xffffffff)
          })
          if (drawn === undefined) return yield* new BadQuery({ detail: "after is no cursor of ours" })
          const authors = drawn.events.map((raw) => (JSON.parse(raw) as Event).pubkey)
          const lists = yield* people.listsOf(authors)
          const body = drawn.events.map((raw, i) =>
            `{"profile":${raw}${part("relay_list", lists.get(`${authors[i]} ${relayListKind}`))}${
              part("dm_relay_list", lists.get(`${authors[i]} ${messageRelaysKind}`))
            }}`
          )
          const next = `${site().address}/random?${
            new URLSearchParams({ count: String(query.count), after: drawn.next }).toString()
          }`
          return Responses.json(request, `[${body.join(",")}]`, {
            cache: query.seed === undefined ? "no-store" : "public, max-age=60",
            headers: { link: `<${next}>; rel="next"` }
          }) as never
        }).pipe(Effect.catchTag("DatabaseError", unavailable))
    }))

  const relay = HttpApiBuilder.group(Api, "relay", (handlers) =>
    handlers.handleAll({
      relays: () =>
        Effect.map(figures.upstreams, ({ now, since, upstreams }) =>
          upstreams.map(({ problem, ...upstream }) => ({
            ...upstream,
            coveredShare: percentOf([since, now], upstream.covered) / 100,
            ...some("problem", problem)
          }))),
      stats: ({ query }) => Effect.catchTag(statistics.days(query.days), "DatabaseError", unavailable),
      live: () =>
        Effect.map(Effect.flatMap(WebClient, live.open), (stream) =>
          (stream === undefined
            ? Responses.problem(
              503,
              "Too many streams are open",
              "try again in a minute, or ask /api/relays and /api/stats"
            )
            : Responses.eventStream(stream)) as never)
    }))

  const csv = HttpRouter.add(
    "GET",
    "/api/stats.csv",
    (request) =>
      Effect.map(statistics.days(3660), (records) =>
        Responses.text(request, csvOf(records), {
          type: "text/csv; charset=utf-8",
          cache: "public, max-age=300",
          headers: Responses.crossOrigin
        })).pipe(
          Effect.catchTag("DatabaseError", () => Effect.succeed(Responses.problem(503, "The store cannot be read now")))
        )
  )

  /** Everything else: a page for a browser, a problem for a program, and leave to ask from elsewhere (CORS). */
  const unknown = (request: HttpServerRequest.HttpServerRequest) =>
    Effect.sync(() => {
      if (request.method === "OPTIONS") {
        return HttpServerResponse.empty({ headers: { ...Responses.guarded, ...Responses.crossOrigin } })
      }
      return !request.url.startsWith("/api/") && prefersHtml(request.headers["accept"], true)
        ? pages.failed(request, 404)
        : Responses.problem(404, "There is no such path", `paths are described at ${site().address}/api/openapi.json`)
    })
  // By name, as a route for any method would also take the HEAD of those that have a GET.
  const methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const

  return Layer.mergeAll(
    HttpApiBuilder.layer(Api).pipe(
      Layer.provide([profiles, relay]),
      Layer.provide(HttpApiMiddleware.layerProblemDetails({ includeDetails: true }))
    ),
    csv,
    ...methods.map((method) => HttpRouter.add(method, "/*", unknown))
  )
}
