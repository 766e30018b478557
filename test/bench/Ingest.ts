/** Publishing: what an event costs that is new, and one that is not. */
import { Effect } from "effect"
import { block, blockEvents, type Set } from "./Corpus.ts"
import * as Load from "./Load.ts"
import { under } from "./Measures.ts"
import type { Relay } from "./Relay.ts"
import { connectMany } from "./RelayClient.ts"
import { type Group, publicationsOf, relayWith, type Side, type Stage } from "./Stage.ts"

/** Connections, and unanswered events of each. */
const clients = 8
const window = 32
const aloneCount = 400

/** Rounds that never meet an event again; the first of them warms up. */
const fresh = (set: Set, round: number) => publicationsOf(block(set, round + 1))

const publishing = (relay: Relay, name: string, set: Set): Stage => ({
  name,
  round: Effect.fnUntraced(function*(index) {
    const publications = fresh(set, index)
    return yield* under(relay, Load.publish(yield* connectMany(relay.url, clients), publications, window))
  })
})

/** Notes of these blocks are sent one by one; no other stage gets so far. */
const aloneBlock = 900

const prepare = Effect.fnUntraced(function*(side: Side) {
  const relay = yield* relayWith(side, 0)
  const stages: ReadonlyArray<Stage> = [
    publishing(relay, "ingest: kind 0, 8 × 32 unanswered", "profiles"),
    publishing(relay, "ingest: kind 1, 8 × 32 unanswered", "notes"),
    publishing(relay, "ingest: kind 0 with 65 words about the author", "essays"),
    {
      name: "ingest: one at a time",
      round: Effect.fnUntraced(function*(index) {
        const at = (index + 1) * aloneCount
        const all = block("notes", aloneBlock + Math.floor(at / blockEvents))
        const publications = publicationsOf(all.slice(at % blockEvents, at % blockEvents + aloneCount))
        return yield* under(relay, Load.publish(yield* connectMany(relay.url, 1), publications, 1))
      })
    },
    {
      name: "ingest: duplicates",
      round: Effect.fnUntraced(function*(index) {
        const publications = fresh("profiles", index)
        // Stored already, unless this stage is run alone.
        const open = yield* connectMany(relay.url, clients)
        yield* Load.publish(open, publications, window)
        return yield* under(relay, Load.publish(open, publications, window))
      })
    }
  ]
  return stages
})

export const ingest: Group = { name: "ingest", on: "any", prepare }

/** The same on a store of a million. */
export const growth: Group = {
  name: "growth",
  on: "started",
  prepare: Effect.fnUntraced(function*(side) {
    const small = yield* relayWith(side, 2)
    const large = yield* relayWith(side, 100)
    return [
      publishing(small, "growth: kind 0 into 20,000", "profiles"),
      publishing(large, "growth: kind 0 into 1,000,000", "profiles")
    ]
  })
}
