import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { keyOf, sign } from "../../../src/demo/Signer.ts"
import * as Load from "../Load.ts"
import { peers } from "../Program.ts"
import * as Relay from "../Relay.ts"
import { connect, reqMessage } from "../RelayClient.ts"
import { publicationsOf } from "../Stage.ts"

const eventOf = (author: string) =>
  sign({ kind: 0, created_at: 1_767_225_600, tags: [["t", "boats"]], content: "{\"name\":\"Ada\"}" }, keyOf(author))

describe("the peer of the benchmark", () => {
  it.live("takes an event, delivers it, and answers for what was in its file before", () =>
    Effect.gen(function*() {
      const [stored, published] = [eventOf("stored"), eventOf("published")]
      const program = peers.get("nostr-relay")
      assert.isDefined(program)
      const database = `${yield* Relay.folder}/events.db`
      yield* program.write(database, [[JSON.stringify(stored)]])
      const relay = yield* Relay.start({ program, database })

      const reader = yield* connect(relay.url)
      yield* Load.query([reader], [reqMessage("live", { kinds: [0], limit: 0 })], 0)
      const load = { window: 1, idOffset: "[\"EVENT\",\"live\",{\"id\":\"".length }
      const publications = publicationsOf([JSON.stringify(published)])
      const { latencies } = yield* Load.fanOut(yield* connect(relay.url), [reader], publications, load)
      assert.isBelow(latencies[0] ?? Infinity, 10_000)

      const said = yield* Effect.callback<ReadonlyArray<string>>((resume) => {
        const messages: Array<string> = []
        reader.listener = {
          message: (verb, bytes, start, end) => {
            messages.push(bytes.toString("utf8", start, end))
            if (verb === "EOSE") resume(Effect.succeed(messages))
          }
        }
        reader.write(reqMessage("q", { kinds: [0], "#t": ["boats"] }))
      })
      const events = said.flatMap((text) => JSON.parse(text)[2] ?? [])
      assert.sameDeepMembers(events, [stored, published])
    }).pipe(Effect.scoped))
})
