/** One connection to a relay that is synced with: what it says, in order, with a bound on how long it says nothing. */
import { type Duration, Effect, Option, Runtime, Schema } from "effect"
import * as RelayLink from "../aggregation/upstream/RelayLink.ts"
import type { UpstreamError } from "../aggregation/upstream/UpstreamError.ts"
import type { UpstreamMessage } from "../aggregation/upstream/UpstreamMessage.ts"
import { ExitCode } from "../lifecycle/Certificate.ts"

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

export interface SyncConnection {
  readonly send: (message: ReadonlyArray<unknown>) => Effect.Effect<void, SyncFailed>
  /** A message that is JSON already. */
  readonly sendText: (message: string) => Effect.Effect<void, SyncFailed>
  /** What has come, in order; waits for the first, at most that long, and is empty when nothing comes. */
  readonly receive: (atMost: Duration.Duration) => Effect.Effect<ReadonlyArray<UpstreamMessage>, SyncFailed>
  /** Says who we are (NIP-42), where the relay has asked and there is a key; otherwise fails with what it said. */
  readonly introduce: (because: UpstreamError) => Effect.Effect<void, UpstreamError | SyncFailed>
}

/** Dials; the connection ends with the scope. */
export const connect = Effect.fn("SyncConnection.connect")(function*(options: RelayLink.Options) {
  const failed = (error: UpstreamError) => new SyncFailed({ url: options.url, detail: error.message })
  const link = yield* Effect.mapError(RelayLink.connect(options), failed)
  const { introduction } = link
  /** What came while somebody waited for something else. */
  let waiting: Array<UpstreamMessage> = []

  /** One read of the socket; what belongs to an introduction goes no further. */
  const read = Effect.gen(function*() {
    const messages: Array<UpstreamMessage> = []
    for (const { message } of yield* Effect.mapError(link.receive, failed)) {
      if (message._tag === "Auth") introduction.onChallenge(message.challenge)
      else if (message._tag === "Garbage") {
        const error = link.offend()
        if (error !== undefined) return yield* failed(error)
      } else if (message._tag !== "Ok" || !introduction.onOk(message)) messages.push(message)
    }
    return messages
  })

  const receive = (atMost: Duration.Duration) =>
    Effect.suspend((): Effect.Effect<ReadonlyArray<UpstreamMessage>, SyncFailed> => {
      if (waiting.length > 0) {
        const messages = waiting
        waiting = []
        return Effect.succeed(messages)
      }
      const next = Effect.repeat(read, { until: (messages) => messages.length > 0 })
      return Effect.map(Effect.timeoutOption(next, atMost), Option.getOrElse((): ReadonlyArray<UpstreamMessage> => []))
    })

  /** Its answer is read here: nobody else does meanwhile. */
  const introduce = (because: UpstreamError) =>
    Effect.raceFirst(
      introduction.introduce(because),
      Effect.forever(Effect.map(read, (messages) => void waiting.push(...messages)))
    )

  return {
    send: (message) => Effect.mapError(link.send(message), failed),
    sendText: (message) => Effect.mapError(link.sendText(message), failed),
    receive,
    introduce
  } satisfies SyncConnection
})
