/**
 * WebSockets to relays that were learnt from events: the guard's rules, and bounds on what the other side may send.
 *
 * Relays that the operator configured are trusted to be where they are, and do not come this way.
 */
import * as NodeWS from "@effect/platform-node/NodeWS"
import { Effect, Layer, Result } from "effect"
import { Socket } from "effect/socket"
import type { ClientRequestArgs } from "node:http"
import type { LookupFunction } from "node:net"
import { AddressGuard } from "./AddressGuard.ts"

export interface Options {
  /** Bytes of one message; a longer one closes the socket with 1009. */
  readonly payloadBytesMax: number
  /** From the first packet to the end of the upgrade, in milliseconds. */
  readonly handshakeMillis: number
  /** For our Close frame to be answered, in milliseconds. */
  readonly closeMillis: number
  readonly userAgent: string
}

const defaults: Options = {
  payloadBytesMax: 1 << 20,
  handshakeMillis: 5000,
  closeMillis: 500,
  userAgent: "profile-aggregator/1"
}

/** A host that is never looked up: `refusing` stands in for the resolver. */
const nowhere = "ws://refused.invalid/"

const refusing = (reason: string): LookupFunction => (_, _options, done) => done(new Error(reason), "", 0)

/**
 * Opens sockets to what the guard passes. A URL that it refuses gives a socket that fails to open, with the guard's reason
 * as the cause, because throwing here would be a defect; nothing is sent in that case.
 */
export const make = Effect.fnUntraced(function*(options: Partial<Options> = {}) {
  const guard = yield* AddressGuard
  const { closeMillis, handshakeMillis, payloadBytesMax, userAgent } = { ...defaults, ...options }
  // `closeTimeout` is missing from the types of `ws`.
  const shared: NodeWS.ClientOptions & ClientRequestArgs & { readonly closeTimeout: number } = {
    maxPayload: payloadBytesMax,
    handshakeTimeout: handshakeMillis,
    closeTimeout: closeMillis,
    perMessageDeflate: false,
    followRedirects: false,
    headers: { "user-agent": userAgent }
  }
  const open = (url: string, lookup: LookupFunction, protocols: ReadonlyArray<string>) =>
    new NodeWS.WebSocket(url, [...protocols], { ...shared, lookup }) as unknown as Socket.WebSocketLike

  return ((text, given) => {
    const protocols = typeof given === "string" ? [given] : Array.isArray(given) ? given : []
    const url = guard.check(text, "websocket")
    return Result.isSuccess(url)
      ? open(url.success.href, guard.lookup(url.success), protocols)
      : open(nowhere, refusing(url.failure.reason), [])
  }) satisfies Socket.WebSocketConstructor["Service"]
})

export const layer: Layer.Layer<Socket.WebSocketConstructor, never, AddressGuard> = Layer.effect(
  Socket.WebSocketConstructor,
  make()
)
