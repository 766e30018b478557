/** One connection to a relay that is synced with: NIP-01 and NIP-77 messages, one frame after the other. */
import { Duration, Effect, Option, Runtime, Schema } from "effect"
import { Socket } from "effect/socket"
import { goodbye, openTimeout, socketError } from "../aggregation/upstream/PagedConnection.ts"
import * as UpstreamMessage from "../aggregation/upstream/UpstreamMessage.ts"
import type { EventLimits } from "../domain/Event.ts"
import { ExitCode } from "../lifecycle/Certificate.ts"
import { escape } from "../observability/Escape.ts"

/** The relay cannot be reached, went away, fell silent, or breaks the protocol. */
export class SyncFailed extends Schema.TaggedError<SyncFailed>()("SyncFailed", {
  url: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `${this.url}: ${this.detail}`
  }
  override get [Runtime.errorExitCode](): number {
    return ExitCode.Unavailable
  }
}

export type SyncMessage =
  | UpstreamMessage.UpstreamMessage
  | { readonly _tag: "NegMsg"; readonly message: Uint8Array }
  | { readonly _tag: "NegErr"; readonly reason: string }

/** Silence after which a relay that owes an answer is given up. */
const silence = Duration.seconds(60)

/** Undefined for what is no message of NIP-77. */
const negentropyMessage = (frame: string): SyncMessage | undefined => {
  if (!frame.startsWith("[\"NEG-")) return undefined
  try {
    const [type, , value] = JSON.parse(frame) as ReadonlyArray<unknown>
    if (type === "NEG-ERR") return { _tag: "NegErr", reason: typeof value === "string" ? value : "no reason given" }
    if (type === "NEG-MSG" && typeof value === "string" && value.length % 2 === 0 && /^[0-9a-f]+$/.test(value)) {
      return { _tag: "NegMsg", message: Buffer.from(value, "hex") }
    }
  } catch {
    // Garbage, as below.
  }
  return { _tag: "Garbage" }
}

export interface SyncConnection {
  readonly send: (message: string) => Effect.Effect<void, SyncFailed>
  /** What has come, in order; waits for the first, at most `silence`. */
  readonly receive: Effect.Effect<ReadonlyArray<SyncMessage>, SyncFailed>
}

/** Dials; the connection ends with the scope. */
export const connect = Effect.fn("SyncConnection.connect")(function*(url: string, limits: EventLimits) {
  const construct = yield* Socket.WebSocketConstructor
  const failed = (reason: "unreachable" | "lost") => (error: Socket.SocketError) =>
    new SyncFailed({ url, detail: socketError(reason)(error).message })
  const socket = yield* Socket.fromWebSocket(
    Effect.acquireRelease(Effect.sync(() => construct(url)), (ws) => goodbye(ws, new Set())),
    { openTimeout }
  )
  const { pull } = yield* Effect.mapError(socket.reader, failed("unreachable"))
  const writer = yield* socket.writer
  const decode = (frame: string | Uint8Array): SyncMessage =>
    typeof frame === "string" ? negentropyMessage(frame) ?? UpstreamMessage.decode(frame, limits) : { _tag: "Garbage" }
  return {
    send: (message) => Effect.mapError(writer.write(message), failed("lost")),
    receive: Effect.timeoutOption(Effect.mapError(pull, failed("lost")), silence).pipe(
      Effect.flatMap((frames) =>
        Option.isSome(frames)
          ? Effect.succeed(frames.value.map(decode))
          : Effect.fail(new SyncFailed({ url, detail: `silent for ${Duration.format(silence)}` }))
      )
    )
  } satisfies SyncConnection
})

/** What a stranger gives as a reason, on one line. */
export const reasonOf = (text: string): string => escape(text, 200)
