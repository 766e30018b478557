/**
 * One GET to addresses that have been vetted: a connection of its own, an answer, and a body that is read no further than
 * it is wanted. Closing the scope ends the connection, wherever it stands.
 *
 * Built on `node:http`, which lets us say where to connect. Every wait has a deadline: connecting, each pause, and the
 * whole of it, so that a host which sends one byte per second is cut as well.
 */
import { Cause, type Clock, Deferred, Effect, type Pull, Stream } from "effect"
import type { NonEmptyReadonlyArray } from "effect/Array"
import type { LookupAddress } from "node:dns"
import * as http from "node:http"
import * as https from "node:https"
import { pipeline, type Readable, type Transform } from "node:stream"
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from "node:zlib"
import { pinned } from "./AddressGuard.ts"
import { FetchError, fromNodeError } from "./FetchError.ts"

/** Milliseconds. */
export interface Deadlines {
  /** To resolve the name, and again for TCP and TLS. */
  readonly connect: number
  /** For the headers, and between any two pieces of the body. */
  readonly idle: number
  /** From the first packet to the last byte of the body, over all redirects. */
  readonly total: number
}

export interface Caps {
  /** Bytes of the body as sent. */
  readonly encoded: number
  /** Bytes of the body after its encodings have been undone. */
  readonly decoded: number
}

/** Cuts every wait at the end of a fetch's whole time. */
export class Deadline {
  readonly #clock: Clock.Clock
  readonly #endsAt: number

  constructor(clock: Clock.Clock, millis: number) {
    this.#clock = clock
    this.#endsAt = this.#now() + millis
  }

  #now(): number {
    return Number(this.#clock.monotonicTimeNanosUnsafe() / 1_000_000n)
  }

  /** Milliseconds left, at least 0. */
  get left(): number {
    return Math.max(0, this.#endsAt - this.#now())
  }

  /** Fails with `Timeout` when `effect` takes longer than `millis`, or than is left. */
  within<A, E, R>(detail: string, millis: number, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | FetchError, R> {
    return Effect.suspend(() => {
      const { left } = this
      return Effect.timeoutOrElse(effect, {
        duration: Math.min(left, millis),
        orElse: () =>
          Effect.fail(new FetchError({ reason: "Timeout", detail: left < millis ? "took too long in all" : detail }))
      })
    })
  }
}

/** Nobody needs more; an answer with more fails with `Protocol`. */
const headerBytesMax = 16_384

export interface Answer {
  readonly status: number
  /** Lower-case names; repeated ones are joined by a comma, or the first wins (RFC 9110, 5.3). */
  readonly headers: Readonly<Record<string, string>>
  readonly body: (caps: Caps) => Effect.Effect<Stream.Stream<Uint8Array, FetchError>, FetchError>
}

// No keep-alive, so that no socket outlives its scope, and no proxy: an agent of its own does not read the environment.
const agents = { http: new http.Agent({ keepAlive: false }), https: new https.Agent({ keepAlive: false }) }

/** A request under way. Both promises are kept, or broken, whether anybody waits for them or not. */
interface Request {
  readonly connected: Deferred.Deferred<void, FetchError>
  readonly response: Deferred.Deferred<http.IncomingMessage, FetchError>
}

const send = (
  url: URL,
  addresses: ReadonlyArray<LookupAddress>,
  headers: Readonly<Record<string, string>>
): Request & { readonly destroy: () => void } => {
  const isSecure = url.protocol === "https:"
  // `autoSelectFamily` reaches `net.connect`, and is missing from the types.
  const options: https.RequestOptions & { readonly autoSelectFamily: boolean } = {
    method: "GET",
    hostname: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port === "" ? (isSecure ? 443 : 80) : Number(url.port),
    path: url.pathname + url.search,
    headers,
    agent: isSecure ? agents.https : agents.http,
    lookup: pinned(addresses),
    autoSelectFamily: true,
    maxHeaderSize: headerBytesMax,
    insecureHTTPParser: false
  }
  const made = isSecure ? https.request(options) : http.request(options)
  const connected = Deferred.makeUnsafe<void, FetchError>()
  const response = Deferred.makeUnsafe<http.IncomingMessage, FetchError>()
  const fail = (error: FetchError) => {
    Deferred.doneUnsafe(connected, Effect.fail(error))
    Deferred.doneUnsafe(response, Effect.fail(error))
  }
  made.on("error", (error) => fail(fromNodeError(error)))
  made.on("close", () => fail(new FetchError({ reason: "Reset", detail: "no answer" })))
  made.on(
    "socket",
    (socket) => socket.once(isSecure ? "secureConnect" : "connect", () => Deferred.doneUnsafe(connected, Effect.void))
  )
  // Without a listener, an upgrade that nobody asked for would leave its socket behind.
  made.on("upgrade", (_, socket) => {
    fail(new FetchError({ reason: "Protocol", detail: "upgraded" }))
    socket.destroy()
  })
  made.on("response", (incoming) => {
    // It may fail between two reads, when nobody listens.
    incoming.on("error", () => {})
    Deferred.doneUnsafe(response, Effect.succeed(incoming))
  })
  made.end()
  return { connected, response, destroy: () => void made.destroy() }
}

/** Sends the request and waits for the headers. */
export const exchange = Effect.fn("Exchange.exchange")(function*(
  url: URL,
  addresses: ReadonlyArray<LookupAddress>,
  headers: Readonly<Record<string, string>>,
  deadlines: Deadlines,
  deadline: Deadline
) {
  const request = yield* Effect.acquireRelease(
    Effect.sync(() => send(url, addresses, headers)),
    ({ destroy }) => Effect.sync(destroy)
  )
  yield* deadline.within("connecting took too long", deadlines.connect, Deferred.await(request.connected))
  const incoming = yield* deadline.within("no headers", deadlines.idle, Deferred.await(request.response))
  const answer: Answer = {
    status: incoming.statusCode ?? 0,
    headers: headersOf(incoming),
    body: (caps) => bodyOf(incoming, caps, deadlines, deadline)
  }
  return answer
})

const headersOf = ({ headers }: http.IncomingMessage): Readonly<Record<string, string>> => {
  const flat: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) flat[name] = Array.isArray(value) ? value.join(", ") : value
  }
  return flat
}

/** What undoes an encoding (RFC 9110, 8.4.1; RFC 8878 for zstd). */
const decoders: ReadonlyMap<string, () => Transform> = new Map<string, () => Transform>([
  ["gzip", () => createGunzip()],
  ["x-gzip", () => createGunzip()],
  ["deflate", () => createInflate()],
  ["br", () => createBrotliDecompress()],
  ["zstd", () => createZstdDecompress()]
])

const encodingsMax = 2

/** In the order in which they were applied. */
export const encodingsOf = (header: string | undefined): ReadonlyArray<string> =>
  (header ?? "").split(",").map((name) => name.trim().toLowerCase()).filter((name) =>
    name !== "" && name !== "identity"
  )

/** The body without its encodings. Node reads ahead by some 64 KiB, so nothing is decoded that nobody asks for. */
const decoded = (incoming: http.IncomingMessage): Readable | FetchError => {
  const encodings = encodingsOf(incoming.headers["content-encoding"])
  if (encodings.length > encodingsMax) return new FetchError({ reason: "Encoding", detail: "too many encodings" })
  const chain: Array<Transform> = []
  for (const name of encodings.toReversed()) {
    const decoder = decoders.get(name)
    if (decoder === undefined) return new FetchError({ reason: "Encoding", detail: "unknown encoding" })
    chain.push(decoder())
  }
  const last = chain.at(-1)
  if (last === undefined) return incoming
  // A decoder whose input is cut fails, when nobody may be reading any more; unheard, that would end the process.
  for (const decoder of chain) decoder.on("error", () => {})
  // The last one gets every error of those before it, and passes it on to whoever reads.
  pipeline([incoming, ...chain], () => {})
  return last
}

const bodyOf = Effect.fnUntraced(
  function*(incoming: http.IncomingMessage, caps: Caps, deadlines: Deadlines, deadline: Deadline) {
    const readable = decoded(incoming)
    if (readable instanceof FetchError) return yield* readable
    const { socket } = incoming
    // The headers, and what of the body came with them, have been counted already; so much slack does no harm.
    const readBefore = socket.bytesRead
    let bytes = 0
    const next = Effect.flatMap(
      deadline.within("idle", deadlines.idle, read(readable)),
      (chunk): Pull.Pull<NonEmptyReadonlyArray<Uint8Array>, FetchError> => {
        if (chunk === undefined) return Cause.done()
        bytes += chunk.length
        if (bytes > caps.decoded) return Effect.fail(new FetchError({ reason: "TooLarge", detail: "decoded body" }))
        if (socket.bytesRead - readBefore > caps.encoded) {
          return Effect.fail(new FetchError({ reason: "TooLarge", detail: "encoded body" }))
        }
        return Effect.succeed([chunk])
      }
    )
    return Stream.fromPull(Effect.succeed(next))
  }
)

/** What is there, as soon as anything is; undefined at the end. */
const read = (readable: Readable) =>
  Effect.callback<Uint8Array | undefined, FetchError>((resume) => {
    const settle = (result: Effect.Effect<Uint8Array | undefined, FetchError>) => {
      stop()
      resume(result)
    }
    const onReadable = () => {
      const chunk = readable.read() as Buffer | null
      if (chunk !== null) settle(Effect.succeed(chunk))
    }
    const onEnd = () => settle(Effect.undefined)
    const onError = (error: unknown) => settle(Effect.fail(fromNodeError(error)))
    const onClose = () =>
      settle(
        readable.readableEnded
          ? Effect.undefined
          : Effect.fail(new FetchError({ reason: "Reset", detail: "closed early" }))
      )
    const stop = () => {
      readable.off("readable", onReadable).off("end", onEnd).off("error", onError).off("close", onClose)
    }
    readable.on("readable", onReadable).on("end", onEnd).on("error", onError).on("close", onClose)
    if (readable.errored !== null) onError(readable.errored)
    else if (readable.readableEnded || readable.destroyed) onClose()
    else onReadable()
    return Effect.sync(stop)
  })
