/** Delivering new events to those who wait for them. */
import { Effect } from "effect"
import { block, blockEvents } from "./Corpus.ts"
import * as Load from "./Load.ts"
import { under } from "./Measures.ts"
import type { Relay } from "./Relay.ts"
import { connect, connectMany, type RelayClient, reqMessage } from "./RelayClient.ts"
import { type Group, publicationsOf, relayWith, type Side, type Stage } from "./Stage.ts"

/** Deliveries of one round. */
const deliveries = 150_000
/** Unanswered events of the publisher. */
const window = 16
/** `["EVENT","live",{"id":"` */
const idOffset = 23

/** Waits until every reader has heard EOSE, so that it is live. */
const subscribed = (readers: ReadonlyArray<RelayClient>) =>
  Load.query(readers, [reqMessage("live", { kinds: [1], limit: 0 })], 0)

const delivering = (relay: Relay, count: number, firstBlock: number): Stage => ({
  name: `fan-out: to ${count.toLocaleString("en")}`,
  round: Effect.fnUntraced(function*(index) {
    const events = Math.floor(deliveries / count)
    const at = (index + 1) * events
    const notes = block("notes", firstBlock + Math.floor(at / blockEvents)).slice(at % blockEvents)
    const readers = yield* connectMany(relay.url, count)
    yield* subscribed(readers)
    const publisher = yield* connect(relay.url)
    const publications = publicationsOf(notes.slice(0, events))
    return yield* under(relay, Load.fanOut(publisher, readers, publications, { window, idOffset }))
  })
})

const prepare = Effect.fnUntraced(function*(side: Side) {
  const relay = yield* relayWith(side, 0)
  return [delivering(relay, 500, 910), delivering(relay, 5000, 920)]
})

export const fanOut: Group = { name: "fan-out", on: "any", prepare }
