/**
 * One socket to one relay: dialled when its scope opens, decoded without trust, left politely when its scope closes.
 *
 * What is asked over it is its holder's business; what breaks the protocol, whoever asks, is here. Whatever a relay
 * sends, the worst that follows is that this connection ends.
 */
import { Duration, Effect } from "effect"
import { Socket } from "effect/socket"
import type { VerifierSender } from "../../crypto/Verifier.ts"
import type { EventLimits } from "../../domain/Event.ts"
import { Shutdown } from "../../lifecycle/Shutdown.ts"
import { escape } from "../../observability/Escape.ts"
import * as Introduction from "./Introduction.ts"
import { UpstreamError } from "./UpstreamError.ts"
import { decode, type UpstreamMessage } from "./UpstreamMessage.ts"

/** From dialling to open. */
export const openTimeout = Duration.seconds(10)

/** Frames that are no message, or answer nothing that was asked, before the connection is given up. */
const offencesMax = 1000

export interface Options {
  readonly url: string
  readonly limits: EventLimits
  /** Signs as this relay, for one that wants to know who asks (NIP-42); undefined: it is not to know. */
  readonly sign: VerifierSender["sign"] | undefined
}

/** A message, and how much of a frame it was: UTF-16 units. */
export interface Received {
  readonly message: UpstreamMessage
  readonly units: number
}

export interface RelayLink {
  readonly send: (message: ReadonlyArray<unknown>) => Effect.Effect<void, UpstreamError>
  /** A message that is JSON already. */
  readonly sendText: (message: string) => Effect.Effect<void, UpstreamError>
  /** Waits for what comes next: all messages of one read of the socket, in order. */
  readonly receive: Effect.Effect<ReadonlyArray<Received>, UpstreamError>
  /** Subscriptions that are open, which are closed by name in the end. */
  readonly subscriptions: Set<string>
  readonly introduction: Introduction.Introduction
  /** Counts a frame that answers nothing; the error, if any, ends the connection. */
  readonly offend: () => UpstreamError | undefined
}

/** What `ws` and the operating system say about a socket that failed, on one line. */
const describe = (error: Socket.SocketError): string => {
  const { reason } = error
  if (reason._tag === "SocketCloseError") {
    const why = reason.closeReason === undefined || reason.closeReason === ""
      ? ""
      : ` ${escape(reason.closeReason, 100)}`
    return `closed with ${reason.code}${why}`
  }
  const event = "cause" in reason ? reason.cause : undefined
  if (typeof event !== "object" || event === null) return reason.message
  const { error: inner, message, reason: text } = event as {
    readonly message?: unknown
    readonly reason?: unknown
    readonly error?: { readonly code?: unknown } | null
  }
  // Several addresses of one name fail together without a message, but with a code.
  const found = [message, text, inner?.code].find((part) => typeof part === "string" && part !== "")
  return escape(typeof found === "string" ? found : reason.message, 200)
}

const socketError = (reason: "unreachable" | "lost") => (error: Socket.SocketError) =>
  new UpstreamError({ reason, detail: describe(error) })

interface Terminable {
  terminate(): void
}
const isTerminable = (ws: object): ws is Terminable => "terminate" in ws && typeof ws.terminate === "function"

/** A relay may still answer our Close frame. A silent one is not our fault. */
const closeMillis = 500

/** An open socket is closed politely, within a budget; every other one at once. */
const goodbye = Effect.fnUntraced(function*(ws: Socket.WebSocketLike, subscriptions: ReadonlySet<string>) {
  if (ws.readyState === 1) {
    const { impatient } = yield* Shutdown
    const closed = Effect.callback<void>((resume) => {
      ws.addEventListener("close", () => resume(Effect.void), { once: true })
      for (const subscription of subscriptions) ws.send(JSON.stringify(["CLOSE", subscription]))
      ws.close(1000)
    })
    yield* Effect.raceFirst(closed, impatient).pipe(
      Effect.timeoutOption(closeMillis),
      Effect.catchDefect((defect) => Effect.logDebug("upstream not closed", defect))
    )
  }
  if (ws.readyState === 3) return
  if (isTerminable(ws)) ws.terminate()
  else ws.close()
})

/** Dials; the connection ends with the scope. */
export const connect = Effect.fn("RelayLink.connect")(function*({ limits, sign, url }: Options) {
  const construct = yield* Socket.WebSocketConstructor
  const subscriptions = new Set<string>()
  const socket = yield* Socket.fromWebSocket(
    Effect.acquireRelease(Effect.sync(() => construct(url)), (ws) => goodbye(ws, subscriptions)),
    { openTimeout }
  )
  const { pull } = yield* Effect.mapError(socket.reader, socketError("unreachable"))
  const writer = yield* socket.writer
  const sendText = (message: string) => Effect.mapError(writer.write(message), socketError("lost"))
  const send = (message: ReadonlyArray<unknown>) => sendText(JSON.stringify(message))
  let offences = 0
  return {
    send,
    sendText,
    receive: Effect.map(
      Effect.mapError(pull, socketError("lost")),
      (frames) => frames.map((frame): Received => ({ message: decode(frame, limits), units: frame.length }))
    ),
    subscriptions,
    introduction: Introduction.make({ url, sign, send }),
    offend: () =>
      ++offences > offencesMax
        ? new UpstreamError({ reason: "misbehaved", detail: `${offences} frames that answer nothing` })
        : undefined
  } satisfies RelayLink
})
