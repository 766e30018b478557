/** Searching a million events by what people type (NIP-50); `search.ts` has more kinds of questions. */
import { Effect } from "effect"
import * as Load from "./Load.ts"
import { under } from "./Measures.ts"
import * as People from "./People.ts"
import { connect, reqMessage } from "./RelayClient.ts"
import { type Group, relayWith, type Side, type Stage } from "./Stage.ts"

/** Milliseconds of one round. */
const duration = 1500

const letters = "abcdefghijklmnopqrstuvwxyz".split("")
const ranks = Array.from({ length: 60 }, (_, rank) => rank)

/** By rank, 0 the commonest. */
const searches: Readonly<Record<string, ReadonlyArray<string>>> = {
  "one letter": letters,
  "two letters": letters.flatMap((a) => ["a", "e", "o"].map((b) => a + b)),
  "a common word": ranks.slice(0, 20).map(People.words),
  "two common words": ranks.map((rank) => `${People.words(rank % 20)} ${People.words((rank * 7 + 3) % 60)}`),
  "two words of the middle": ranks.map((rank) => `${People.words(300 + rank)} ${People.words(700 + rank)}`),
  "first and last name": ranks.map((rank) => `${People.names(rank)} ${People.surnames(rank)}`),
  "eight common words": ranks.map((rank) =>
    Array.from({ length: 8 }, (_, i) => People.words((rank + 3 * i) % 40)).join(" ")
  ),
  "nobody's name": letters.map((letter) => `qx${letter}zz`)
}

const prepare = Effect.fnUntraced(function*(side: Side) {
  const relay = yield* relayWith(side, 100)
  return Object.entries(searches).map(([name, texts]): Stage => {
    const messages = texts.map((search) => reqMessage("q", { kinds: [0], search, limit: 20 }))
    return {
      name: `search: ${name}`,
      round: Effect.fnUntraced(function*() {
        return yield* under(relay, Load.query([yield* connect(relay.url)], messages, duration))
      })
    }
  })
})

export const search: Group = { name: "search", on: "service", prepare }
