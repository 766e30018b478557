/** What a client costs that does nothing. */
import { Effect, Option } from "effect"
import * as Load from "./Load.ts"
import type { Measures } from "./Measures.ts"
import { residentBytes } from "./ProcessMeter.ts"
import type { Relay } from "./Relay.ts"
import { connectMany, RelayFailed, reqMessage } from "./RelayClient.ts"
import { type Group, relayWith, type Side } from "./Stage.ts"

/** Connections that are measured, after some that only warm up: so many that free places in the heap do not matter. */
const count = 5000
const warmUp = 300

const memoryOf = Effect.fnUntraced(function*(relay: Relay) {
  if (relay.pid === undefined) return yield* new RelayFailed({ detail: "memory needs --pid" })
  const live = yield* relay.ask("live")
  return { live: Option.getOrUndefined(live), resident: residentBytes(relay.pid).anonymous }
})

type Memory = Effect.Success<ReturnType<typeof memoryOf>>

const difference = (before: Memory, after: Memory): Measures => ({
  resident: (after.resident - before.resident) / 1024 / count,
  ...(before.live === undefined || after.live === undefined ? {} : { live: (after.live - before.live) / 1024 / count })
})

const subscribe = (clients: Effect.Success<ReturnType<typeof connectMany>>) =>
  Load.query(clients, [reqMessage("live", { kinds: [1], authors: ["ab".repeat(32)], limit: 0 })], 0)

/** A relay of its own per round, as what a process once had it does not always give back. */
const prepare = (side: Side) =>
  Effect.succeed([
    {
      name: "memory: an idle connection",
      round: Effect.fnUntraced(function*() {
        const relay = yield* relayWith(side, 0)
        yield* connectMany(relay.url, warmUp)
        const before = yield* memoryOf(relay)
        yield* connectMany(relay.url, count)
        return difference(before, yield* memoryOf(relay))
      })
    },
    {
      name: "memory: a subscription",
      round: Effect.fnUntraced(function*() {
        const relay = yield* relayWith(side, 0)
        yield* subscribe(yield* connectMany(relay.url, warmUp))
        const clients = yield* connectMany(relay.url, count)
        const before = yield* memoryOf(relay)
        yield* subscribe(clients)
        return difference(before, yield* memoryOf(relay))
      })
    },
    {
      name: "memory: resident on 100,000 events",
      round: Effect.fnUntraced(function*() {
        const relay = yield* relayWith(side, 10)
        const clients = yield* connectMany(relay.url, 8)
        yield* Load.query(clients, [reqMessage("q", { kinds: [0], limit: 500 })], 1000)
        const { live, resident } = yield* memoryOf(relay)
        return { resident: resident / 1024, ...(live === undefined ? {} : { live: live / 1024 }) } satisfies Measures
      })
    }
  ])

export const memory: Group = { name: "memory", on: "started", prepare }
