/**
 * Sockets to the upstreams that the operator configured, over `ws`.
 *
 * Those are trusted to be where they are, a loopback or private address included; relays learnt from events are not, and
 * must not be dialled through this.
 */
import * as NodeWS from "@effect/platform-node/NodeWS"
import { Layer } from "effect"
import { Socket } from "effect/socket"

/** Bytes of one frame: the largest event that a page may bring, its escapes included. Beyond it `ws` closes with 1009. */
export const frameBytesMax = 2 * 1024 * 1024

/** Milliseconds for TCP, TLS and the upgrade; the socket's own open timeout ends the wait as well. */
const handshakeTimeout = 10_000

/** A socket that has failed already: a constructor must not throw, whatever it is given. */
const refused = (cause: unknown): Socket.WebSocketLike => ({
  readyState: 0,
  addEventListener: (type, listener) => {
    if (type === "error") queueMicrotask(() => listener({ type: "error", reason: String(cause) }))
  },
  removeEventListener: () => {},
  close: () => {},
  send: () => {}
})

const construct = (url: string): Socket.WebSocketLike => {
  try {
    return new NodeWS.WebSocket(url, {
      maxPayload: frameBytesMax,
      handshakeTimeout,
      perMessageDeflate: false,
      followRedirects: false
    })
  } catch (cause) {
    return refused(cause)
  }
}

export const layer: Layer.Layer<Socket.WebSocketConstructor> = Layer.succeed(Socket.WebSocketConstructor, construct)
