/**
 * A client that publishes as fast as it is answered, and keeps account of every answer: what a stop under load owes its
 * clients is checked against this.
 */
import { NodeWS } from "@effect/platform-node"
import { Effect, type Scope } from "effect"
import type { Event } from "../../src/domain/Event.ts"
import { keyOf, signed } from "./events.ts"

export interface Flood {
  /** Every OK that came, by event id: true, false, or both when it was answered twice. */
  readonly answers: ReadonlyMap<string, ReadonlyArray<boolean>>
  /** What came with `OK false`, by event id. */
  readonly refusals: ReadonlyMap<string, string>
  /** Ids that were sent, answered or not. */
  readonly sent: ReadonlyArray<string>
  /** Subscriptions that were ended with CLOSED, with its reason. */
  readonly closedSubscriptions: ReadonlyMap<string, string>
  /** Has it ever been let in? */
  readonly wasOpen: () => boolean
  /** Waits until it is let in, or the socket is gone. */
  readonly opened: Effect.Effect<void>
  /** Close code, once the socket is gone. */
  readonly closeCode: () => number | undefined
  /** Waits for an answer after which it is so, or until the socket is gone. */
  readonly until: (isSo: () => boolean) => Effect.Effect<void>
  /** Waits until so many OKs came, or the socket is gone. */
  readonly answered: (count: number) => Effect.Effect<void>
  /** Waits until the socket is gone. */
  readonly ended: Effect.Effect<void>
}

/** Distinct signed text notes of one author; lazily, as signing costs. */
export function* noteStream(author: string): Generator<Event, never> {
  const key = keyOf(author)
  for (let n = 0;; n++) yield signed({ kind: 1, content: `note ${n} of ${author}`, created_at: 1_700_000_000 + n }, key)
}

/** Connects, subscribes as `live`, and publishes `events`, `window` of them without an answer at a time. */
export const start = Effect.fnUntraced(
  function*(url: string, events: Iterator<Event>, window: number): Effect.fn.Return<Flood, never, Scope.Scope> {
    const answers = new Map<string, Array<boolean>>()
    const refusals = new Map<string, string>()
    const sent: Array<string> = []
    const closedSubscriptions = new Map<string, string>()
    const watchers = new Set<() => void>()
    let wasOpen = false
    let closeCode: number | undefined
    let oks = 0
    const socket = yield* Effect.acquireRelease(
      Effect.sync(() => new NodeWS.WebSocket(url, { perMessageDeflate: false })),
      (open) => Effect.sync(() => open.terminate())
    )
    const publish = () => {
      const { done, value } = events.next()
      if (done === true || socket.readyState !== 1) return
      sent.push(value.id)
      socket.send(`["EVENT",${JSON.stringify(value)}]`)
    }
    const look = () => {
      for (const watcher of watchers) watcher()
    }
    socket.on("open", () => {
      wasOpen = true
      look()
      socket.send(`["REQ","live",{"kinds":[1],"limit":0}]`)
      for (let i = 0; i < window; i++) publish()
    })
    socket.on("message", (data) => {
      const [type, id, ...rest] = JSON.parse((data as Buffer).toString()) as [string, string, ...Array<unknown>]
      if (type === "CLOSED") closedSubscriptions.set(id, String(rest[0]))
      if (type !== "OK") return
      oks++
      const accepted = rest[0] === true
      if (!accepted) refusals.set(id, String(rest[1]))
      const before = answers.get(id)
      if (before === undefined) answers.set(id, [accepted])
      else before.push(accepted)
      publish()
      look()
    })
    socket.on("error", () => {})
    socket.on("close", (code) => {
      closeCode = code
      look()
    })
    const until = (isSo: () => boolean) =>
      Effect.callback<void>((resume) => {
        const watch = () => {
          if (isSo()) resume(Effect.void)
        }
        watchers.add(watch)
        watch()
        return Effect.sync(() => void watchers.delete(watch))
      })
    return {
      answers,
      refusals,
      sent,
      closedSubscriptions,
      wasOpen: () => wasOpen,
      opened: until(() => wasOpen || closeCode !== undefined),
      closeCode: () => closeCode,
      until: (isSo) => until(() => isSo() || closeCode !== undefined),
      answered: (count) => until(() => oks >= count || closeCode !== undefined),
      ended: until(() => closeCode !== undefined)
    }
  }
)

/** Milliseconds in which one of several floods has its answers, or the service is taken to be stuck. */
const patience = 20_000

/** What is to be said then. */
export const silence = `no client had its answers within ${patience} ms`

/** Waits until the first of them has so many answers, or is gone; false when none is after twenty seconds. */
export const firstAnswered = (floods: ReadonlyArray<Flood>, count: number): Effect.Effect<boolean> =>
  Effect.raceAllFirst(floods.map((flood) => flood.answered(count))).pipe(
    Effect.as(true),
    Effect.timeoutOrElse({ duration: patience, orElse: () => Effect.succeed(false) })
  )
