/**
 * Figures as they change, one frame a second, for as many readers as there are, by server-sent events (WHATWG HTML §9.2).
 *
 * The frame is made once for all, and only while somebody reads. A reader that does not keep up has the newest frame to come
 * and none before it; one that takes nothing for half a minute is let go. A stop ends each stream with `event: bye`.
 */
import { type Cause, Clock, Effect, Queue, Schedule, type Scope, Stream } from "effect"
import type { Shutdown } from "../lifecycle/Shutdown.ts"
import type { Supervisor } from "../lifecycle/Supervisor.ts"
import { Tally } from "../lifecycle/Tally.ts"

const interval = "1 second"
/** Frames after which a comment keeps a silent connection open through proxies. */
const stalledMillis = 30_000

interface Reader {
  readonly client: string
  readonly queue: Queue.Queue<string, Cause.Done>
  /** Monotonic milliseconds at which it last took a frame. */
  takenAt: number
}

export interface Live {
  /**
   * Undefined when there are too many readers. It counts as one from here on, for as long as the scope of the request lives, so
   * that a HEAD, which reads nothing, is one for a moment only.
   */
  readonly open: (client: string) => Effect.Effect<Stream.Stream<string> | undefined, never, Scope.Scope>
  /** Waits for the streams to end, which they do once the stop has begun. */
  readonly ended: Effect.Effect<void>
}

export interface Options {
  /** JSON of the figures now. */
  readonly frame: Effect.Effect<string>
  readonly readersMax: () => number
  readonly readersPerClientMax: () => number
  readonly shutdown: Pick<Shutdown["Service"], "draining">
  readonly supervisor: Supervisor["Service"]
}

export const make = Effect.fnUntraced(function*(options: Options) {
  const readers = new Set<Reader>()
  const open = new Tally()
  const byClient = new Map<string, number>()
  const clock = yield* Clock.Clock
  const now = () => clock.currentTimeMillisUnsafe()

  const tick = Effect.suspend(() => {
    if (readers.size === 0) return Effect.void
    return Effect.flatMap(options.frame, (frame) =>
      Effect.sync(() => {
        for (const reader of readers) {
          if (now() - reader.takenAt > stalledMillis) Queue.endUnsafe(reader.queue)
          else Queue.offerUnsafe(reader.queue, `data: ${frame}\n\n`)
        }
      }))
  })
  yield* options.supervisor.fork("web/live figures", Effect.repeat(tick, Schedule.spaced(interval)))

  const leave = (reader: Reader) =>
    Effect.sync(() => {
      if (!readers.delete(reader)) return
      const { client } = reader
      const left = (byClient.get(client) ?? 1) - 1
      if (left > 0) byClient.set(client, left)
      else byClient.delete(client)
      open.done()
    })

  const isFull = (client: string) =>
    readers.size >= options.readersMax() || (byClient.get(client) ?? 0) >= options.readersPerClientMax()

  const enter = Effect.fnUntraced(function*(client: string) {
    // local queue: what one reader has not taken yet
    const queue = yield* Queue.sliding<string, Cause.Done>(1)
    const reader: Reader = { client, queue, takenAt: now() }
    // Without a pause from here on: two who come at once are counted one after the other.
    if (isFull(client)) return undefined
    readers.add(reader)
    byClient.set(client, (byClient.get(client) ?? 0) + 1)
    open.add()
    return reader
  })

  const streamOf = (reader: Reader): Stream.Stream<string> =>
    Stream.unwrap(Effect.gen(function*() {
      Queue.offerUnsafe(reader.queue, `retry: 5000\ndata: ${yield* options.frame}\n\n`)
      return Stream.fromQueue(reader.queue).pipe(
        Stream.tap(() => Effect.sync(() => void (reader.takenAt = now()))),
        Stream.interruptWhen(options.shutdown.draining),
        Stream.concat(Stream.make("event: bye\ndata: {}\n\n")),
        Stream.ensuring(leave(reader))
      )
    }))

  /** At a stop: who has not taken the last frame will not take a goodbye either, and nobody waits for it. */
  const ended = Effect.suspend(() => {
    const mute = [...readers].filter(({ queue }) => Queue.sizeUnsafe(queue) > 0)
    return Effect.andThen(Effect.forEach(mute, leave, { discard: true }), open.zero)
  })

  return {
    ended,
    open: (client) =>
      Effect.map(
        Effect.acquireRelease(enter(client), (reader) => reader === undefined ? Effect.void : leave(reader)),
        (reader) => reader === undefined ? undefined : streamOf(reader)
      )
  } satisfies Live
})
