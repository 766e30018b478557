/**
 * The Open Ranking protocol, as far as it asks for profiles by a text: POST `/search/pubkeys`, and the document at
 * `/.well-known/open-ranking` that says so. A draft of others, so it is a setting (`OPEN_RANKING`), and no part of our API.
 */
import { Effect, Layer, Schema } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { bucketMax } from "../domain/Standing.ts"
import type { WebContext } from "./Context.ts"
import * as Responses from "./Responses.ts"

/** Seconds for which an answer holds: who is looked at moves within a minute. */
const ttl = 60

const Asked = Schema.Struct({
  query: Schema.NonEmptyString.pipe(Schema.check(Schema.isMaxLength(100))),
  limit: Schema.optionalKey(Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 1, maximum: 50 })))),
  /** There is one. */
  algorithm: Schema.optionalKey(Schema.Literal("rank"))
})

const capabilities = {
  "/search/pubkeys": [{
    id: "rank",
    name: "By text and standing",
    description: "How well a profile answers the text, and how well known its author is to this relay.",
    pov: false,
    topic: false
  }]
}

const headers = { ...Responses.guarded, ...Responses.crossOrigin }

/** The protocol has a reason in a header, and 422 for what cannot be asked. */
const refused = (status: number, reason: string) =>
  HttpServerResponse.empty({ status, headers: { ...headers, "cache-control": "no-store", "x-reason": reason } })

const json = (value: unknown, cache: string) =>
  HttpServerResponse.text(JSON.stringify(value), {
    contentType: "application/json",
    headers: { ...headers, "cache-control": cache }
  })

export const make = ({ people, settings }: WebContext) => {
  const whenOn = <E, R>(answer: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>) =>
    Effect.suspend(() =>
      settings.openRanking ? answer : Effect.succeed(Responses.problem(404, "This relay does not do Open Ranking"))
    )

  const search = HttpRouter.add(
    "POST",
    "/search/pubkeys",
    whenOn(
      HttpServerRequest.schemaBodyJson(Asked).pipe(
        Effect.flatMap(({ limit = 10, query }) => people.found(query, limit, undefined)),
        Effect.map((listing) => {
          const results = (listing?.people ?? []).map(({ pubkey, why }) => ({
            pubkey,
            // In the order of answers, which the text decides too; the figure is how well known the author is.
            rank: (why.bucket ?? 0) / bucketMax
          }))
          return json({ results, ttl }, "no-store")
        }),
        Effect.catchTags({
          SchemaError: () => Effect.succeed(refused(422, "expected query, and limit from 1 to 50")),
          HttpServerError: () => Effect.succeed(refused(400, "the body is no JSON")),
          DatabaseError: () => Effect.succeed(refused(503, "the store cannot be read now"))
        })
      )
    )
  )

  const document = HttpRouter.add(
    "GET",
    "/.well-known/open-ranking",
    whenOn(Effect.sync(() => json(capabilities, "public, max-age=300")))
  )
  return Layer.mergeAll(search, document)
}
