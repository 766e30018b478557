/** One upstream on the test clock, and what a test of the harvest asks of it and of the service. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { space } from "../../src/aggregation/harvest/HarvestSession.ts"
import { HarvestStatus, type UpstreamStatus } from "../../src/aggregation/harvest/HarvestStatus.ts"
import { floor, overlap } from "../../src/aggregation/harvest/HarvestWalk.ts"
import type { Event } from "../../src/domain/Event.ts"
import { type Coverage, decodeCoverage } from "../../src/domain/HarvestWindow.ts"
import { epoch, profileEvent } from "../support/events.ts"
import { type FakeSocket, layer as playing, type Relay, type Sent } from "../support/FakeUpstreamSocket.ts"
import { Disk } from "./FakeDatabase.ts"
import { now, type Options, upstreamUrl, within } from "./world.ts"

export const pageSize = 5

/** Good profiles by so many authors, so many seconds apart, the newest first. */
export const profiles = (count: number, secondsApart = 10): ReadonlyArray<Event> =>
  Array.from({ length: count }, (_, n) => profileEvent({}, `author ${n}`, { created_at: epoch - n * secondsApart }))

export const status = Effect.flatMap(
  HarvestStatus,
  ({ upstreams }) => Effect.map(upstreams, ([first]) => first ?? assert.fail("no upstream"))
)

/** Lets fibers run until the status of the upstream satisfies the predicate. */
export const reached = Effect.fnUntraced(function*(isSo: (status: UpstreamStatus) => boolean, turns = 4000) {
  for (let turn = 0; turn < turns; turn++) {
    const seen = yield* status
    if (isSo(seen)) return seen
    yield* Effect.yieldNow
  }
  return assert.fail(`not reached: ${JSON.stringify(yield* status)}`)
})
export const live = reached(({ phase, state }) => phase === "live" && state === "connected")
export const waiting = reached(({ state }) => state === "waiting")

export const harvesting = <A, E>(
  upstream: Relay,
  test: Parameters<typeof within<A, E>>[1],
  options: Options = {}
) =>
  within({
    sockets: playing(upstream.play),
    ...options,
    settings: { upstreams: [upstreamUrl], pageSize, ...options.settings }
  }, test)

/** The relay, but for what `twist` makes of each message before, instead of, or besides handing it on. */
export const twisted =
  (upstream: Relay, twist: (message: Sent, answer: (message: Sent) => void, socket: FakeSocket) => void) =>
  (socket: FakeSocket) => {
    upstream.play(socket)
    const answer = socket.onMessage
    socket.onMessage = (message) => twist(message, (other) => answer?.(other), socket)
  }

/** Whose pages of one kind are a part of what there is, sorted at first, as chance may have it, and then in no order. It has nothing else. */
export const unordered = (events: ReadonlyArray<Event>, kind: number, sortedPages: number) => {
  const asked: Array<number> = []
  const play = (socket: FakeSocket) => {
    socket.onMessage = (message) => {
      const [type, id, filter] = message as readonly [string, string, AskedFilter | undefined]
      if (type !== "REQ") return
      const { authors, kinds, limit = 1, since = 0, until = 0 } = (filter ?? {}) as {
        readonly authors?: ReadonlyArray<string>
        readonly kinds?: ReadonlyArray<number>
        readonly limit?: number
        readonly since?: number
        readonly until?: number
      }
      const isPage = id !== "live" && authors === undefined && JSON.stringify(kinds) === JSON.stringify([kind])
      const inside = isPage ? events.filter((one) => one.created_at >= since && one.created_at <= until) : []
      if (isPage) asked.push(limit)
      // Every other one first, and so the newest are not what a page has.
      const order = [...inside.filter((_, n) => n % 2 === 1), ...inside.filter((_, n) => n % 2 === 0)].slice(0, limit)
      const page = asked.length > sortedPages
        ? [...order.slice(1, 2), ...order.slice(0, 1), ...order.slice(2)]
        : order.toSorted((a, b) => b.created_at - a.created_at)
      for (const one of page) socket.say(["EVENT", id, one])
      socket.say(["EOSE", id])
    }
    queueMicrotask(() => socket.open())
  }
  return { asked, play }
}

/** What a message asks for or counts. */
export type AskedFilter = Readonly<Record<string, unknown>>
export const filterOf = (message: ReadonlyArray<unknown>) => message[2] as AskedFilter

/** Does the message ask for a page of profiles? */
export const isPage = (message: ReadonlyArray<unknown>) =>
  message[0] === "REQ" && message[1] !== "live" && JSON.stringify(filterOf(message)["kinds"]) === "[0]"

/** The pages of profiles asked for, in order; `from` leaves out those before. */
export const pagesOf = ({ asked }: Relay, from = 0) => besides({ asked }, from, true)

/** What else was asked for: removals, and what belongs to authors. */
export const besides = ({ asked }: Pick<Relay, "asked">, from = 0, profiles = false) =>
  asked.slice(from).filter(({ kinds, subscription }) =>
    subscription !== "live" && (JSON.stringify(kinds) === "[0]") === profiles
  )

export const wholeWindow: Coverage = [[floor, now - overlap]]

/** What is on the disk about the upstream. */
export const coverageOf = Effect.map(
  Disk,
  ({ records }) => decodeCoverage(records.get(`${space.name} ${upstreamUrl}`)?.value ?? "") ?? []
)

/** The harvest reaches the present with so many profiles saved, and nothing left out. */
export const savesAll = (count: number) =>
  Effect.gen(function*() {
    const seen = yield* live
    assert.strictEqual(seen.outcomes.Saved, count)
    assert.deepStrictEqual(seen.covered, wholeWindow)
    return seen
  })
