/**
 * What an upstream says beforehand of how much it takes at a time: `limitation` of its information document (NIP-11).
 *
 * A courtesy to it, and fewer refusals for us. Nothing depends on it: a document that does not come, or says nonsense, says nothing, and
 * what the upstream refuses is found out then.
 */
import { Context, Effect, Layer, Option, Schema, Stream } from "effect"
import { FetchHttpClient, HttpClient } from "effect/http"

export interface RelayLimits {
  /** Events of one answer. */
  readonly limitMax?: number
  /** Filters of one REQ. */
  readonly filtersMax?: number
}

/** From the dial to the last byte. */
const deadline = "3 seconds"
/** Bytes of a document. */
const bytesMax = 65_536

const Count = Schema.optional(Schema.Unknown)
const Document = Schema.fromJsonString(Schema.Struct({
  limitation: Schema.Struct({ max_limit: Count, max_filters: Count })
}))
const decode = Schema.decodeUnknownOption(Document)

const countOf = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isSafeInteger(value) && value > 0 ? value : undefined

/** What the document says, as far as it can be believed. */
export const limitsIn = (text: string): RelayLimits => {
  const { max_filters, max_limit } = Option.match(decode(text), {
    onNone: () => ({ max_filters: undefined, max_limit: undefined }),
    onSome: ({ limitation }) => limitation
  })
  const limitMax = countOf(max_limit)
  const filtersMax = countOf(max_filters)
  return { ...limitMax !== undefined && { limitMax }, ...filtersMax !== undefined && { filtersMax } }
}

const read = Effect.fnUntraced(function*(client: HttpClient.HttpClient, url: string) {
  const response = yield* client.get(url.replace(/^ws/, "http"), {
    headers: { accept: "application/nostr+json", connection: "close" }
  })
  if (response.status !== 200) return ""
  const parts: Array<Uint8Array> = []
  let bytes = 0
  yield* Stream.runForEachWhile(response.stream, (part) =>
    Effect.sync(() => {
      parts.push(part)
      bytes += part.length
      return bytes <= bytesMax
    }))
  return bytes > bytesMax ? "" : Buffer.concat(parts).toString()
})

/** By the address of a relay; never fails. Without the layer nobody is asked. */
export const Limits = Context.Reference<(url: string) => Effect.Effect<RelayLimits>>(
  "profile-aggregator/aggregation/upstream/RelayLimits",
  { defaultValue: () => () => Effect.succeed({}) }
)

const make = Effect.map(HttpClient.HttpClient, (client) => (url: string) =>
  Effect.scoped(read(client, url)).pipe(
    Effect.timeout(deadline),
    Effect.map(limitsIn),
    Effect.catch((error) =>
      Effect.as(
        Effect.logDebug("no information document").pipe(Effect.annotateLogs({ upstream: url, reason: error.message })),
        {}
      )
    )
  ))

/** Asks the upstreams that the operator has named, over the platform's own `fetch`. */
export const layer: Layer.Layer<never> = Layer.effect(Limits, make).pipe(
  Layer.provide(FetchHttpClient.layer),
  Layer.provide(Layer.succeed(FetchHttpClient.RequestInit, { redirect: "error" }))
)
