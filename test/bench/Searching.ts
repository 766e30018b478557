/** Searching a million events by what people type (NIP-50); `search.ts` has more kinds of questions, on a lifelike vocabulary. */
import { Effect } from "effect"
import * as Load from "./Load.ts"
import { under } from "./Measures.ts"
import { connect, reqMessage } from "./RelayClient.ts"
import { type Group, relayWith, type Side, type Stage } from "./Stage.ts"

/** Milliseconds of one round. */
const duration = 1500

const letters = "abcdefghilmnoprstw".split("")
/** Words of the made-up profiles: each is in most of them. */
const words = "wooden boats harbour letters evening garden music maps north river painted window".split(" ")

const searches: Readonly<Record<string, ReadonlyArray<string>>> = {
  "one letter": letters,
  "two letters": letters.flatMap((a) => ["a", "e", "o"].map((b) => a + b)),
  "a common word": words,
  "two common words": words.map((word, i) => `${word} ${words[(i + 5) % words.length]}`),
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
