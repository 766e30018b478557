/** Asking for stored events, on a store of 100,000. */
import { Effect } from "effect"
import { idOfRaw, pubkeyOfRaw } from "../../src/database/sqlite/rawEvent.ts"
import { make as makeDice } from "../../src/demo/Dice.ts"
import { newest, oldest, storedNotes, storedProfiles } from "./Corpus.ts"
import * as Load from "./Load.ts"
import { under } from "./Measures.ts"
import { connect, connectMany, countMessage, reqMessage } from "./RelayClient.ts"
import { type Group, relayWith, type Side, type Stage, storeBlocks } from "./Stage.ts"

const clients = 8
/** Milliseconds of one round. */
const duration = 1500
const letters = "abcdefghijklmnopqrstuvwxyz".split("")

/** Different questions per stage. */
const questions = 2000

export const blocks = 10

const prepare = Effect.fnUntraced(function*(side: Side) {
  const relay = yield* relayWith(side, blocks)
  const store = storeBlocks(blocks)
  const ids = store.flat().map(idOfRaw)
  const profiles = store.flatMap(storedProfiles).map(pubkeyOfRaw)
  const writers = [...new Set(store.flatMap(storedNotes).map(pubkeyOfRaw))]
  const dice = makeDice(7)
  const any = (list: ReadonlyArray<string>) => list[dice.between(0, list.length - 1)] as string
  const some = (list: ReadonlyArray<string>, count: number) => Array.from({ length: count }, () => any(list))

  const asking = (name: string, filter: () => object): Stage => {
    const messages = Array.from({ length: questions }, () => reqMessage("q", filter()))
    return {
      name: `REQ: ${name}`,
      round: Effect.fnUntraced(function*() {
        return yield* under(relay, Load.query(yield* connectMany(relay.url, clients), messages, duration))
      })
    }
  }

  /** What takes a relay longest: many ranges, and many rows to count. */
  const busyQuestions = Array.from({ length: 64 }, (_, i) => {
    const authors = some(i % 2 === 0 ? profiles : writers, 500)
    const kinds = [i % 2]
    switch (i % 8) {
      case 5:
        return countMessage("q", { authors, kinds })
      case 6:
        return countMessage("q", { kinds: [0, 1], since: dice.between(oldest, newest) })
      case 7:
        return countMessage("q", { since: dice.between(oldest, newest) })
      default:
        return reqMessage("q", { authors, kinds, limit: 500 })
    }
  })
  const beside = (name: string, filter: () => object): Stage => {
    const messages = Array.from({ length: questions }, () => reqMessage("q", filter()))
    return {
      name: `REQ: ${name}, beside 8 clients with 500 authors or COUNT`,
      round: Effect.fnUntraced(function*() {
        const busy = { clients: yield* connectMany(relay.url, clients), questions: busyQuestions }
        return yield* under(relay, Load.beside(yield* connect(relay.url), messages, busy, duration))
      })
    }
  }

  return [
    asking("one id", () => ({ ids: [any(ids)] })),
    ...[1, 10, 100, 500].map((count) =>
      asking(`kind 0 by ${count} author${count === 1 ? "" : "s"}`, () => ({
        kinds: [0],
        authors: some(profiles, count)
      }))
    ),
    asking("kind 0, until, limit 500", () => ({
      kinds: [0],
      until: dice.between(oldest + Math.floor((newest - oldest) / 10), newest),
      limit: 500
    })),
    asking("kind 1 by 1 author, limit 20", () => ({ kinds: [1], authors: [any(writers)], limit: 20 })),
    beside("kind 0 by 1 author", () => ({ kinds: [0], authors: [any(profiles)] })),
    beside("kind 1 by 1 author, limit 20", () => ({ kinds: [1], authors: [any(writers)], limit: 20 })),
    beside("kind 0 by 100 authors", () => ({ kinds: [0], authors: some(profiles, 100) })),
    beside("search", () => ({ kinds: [0], search: `${any(letters)}${any(letters)}`, limit: 20 }))
  ]
})

export const reading: Group = { name: "REQ", on: "any", prepare }
