/**
 * What is served to browsers and programs over HTTP, besides what a Nostr relay owes its clients.
 *
 * The server asks it for whatever is none of its own paths, and for `/` where a browser asks. Without a component that
 * provides it, there are no pages.
 */
import { Context, Effect } from "effect"
import { type HttpServerError, type HttpServerRequest, HttpServerResponse } from "effect/http"
import type { Site } from "../pages/Site.ts"

export interface WebApp {
  /** What all pages share, the operator's console included. */
  readonly site: () => Site
  /** Answers every request, with a page or a problem where there is nothing. */
  readonly answer: Effect.Effect<
    HttpServerResponse.HttpServerResponse,
    HttpServerError.HttpServerError,
    HttpServerRequest.HttpServerRequest
  >
  /** What the request costs, in the units of `domain/Work`: known before anything is done for it. */
  readonly costOf: (method: string, path: string) => number
  /** A refusal that a browser shows as a page, and a program reads as a problem (RFC 9457). */
  readonly refusal: (status: 403 | 429 | 503, accept: string | undefined) => HttpServerResponse.HttpServerResponse
  /** Loads what answers need, once the server listens; a request that comes sooner waits for it. */
  readonly loaded: Effect.Effect<void>
  /** Waits until no answer goes on that would do so for ever; once the stop has begun, they come to an end by themselves. */
  readonly streamsEnded: Effect.Effect<void>
}

/** Who asks, as connections are counted: an address, or the network that one client can have all addresses of. */
export const WebClient = Context.Reference<string>("profile-aggregator/web/WebClient", { defaultValue: () => "" })

const plain = (status: number, text: string) =>
  HttpServerResponse.text(`${text}\n`, { status, headers: { "x-content-type-options": "nosniff" } })

export const WebApp = Context.Reference<WebApp>("profile-aggregator/web/WebApp", {
  defaultValue: () => ({
    site: () => ({
      name: "profile-aggregator",
      description: "",
      version: "",
      relayUrl: "ws://localhost",
      base: "",
      address: "http://localhost",
      assets: { style: "/-/none.css", script: "/-/none.js", icon: "/-/none.svg" },
      contact: undefined
    }),
    answer: Effect.succeed(plain(404, "not found")),
    costOf: () => 1,
    refusal: (status) => plain(status, "refused"),
    loaded: Effect.void,
    streamsEnded: Effect.void
  })
})
