/**
 * Small reads beside heavy ones, over real sockets on a file: eight clients always have a REQ of 500 authors or a COUNT under
 * way, and a small read never waits for them to end.
 *
 * What a machine does besides shows in times, so they are only printed. In which order answers come, it does not change.
 */
import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { join } from "node:path"
import { epoch } from "../support/events.ts"
import { addEvents, madeAuthor, madeEvent } from "../support/madeStore.ts"
import * as Service from "../support/service.ts"
import { connect } from "../support/TestClient.ts"
import { assertShortTurns, probed } from "../support/turns.ts"

const stored = 30_000
const authors = 3000
const busyClients = 8
/** Small reads, one after the other. */
const reads = 100

class Relay extends Context.Service<Relay, { readonly url: string; readonly process: Service.Service }>()(
  "test/service/Relay"
) {
  static readonly layer = Layer.effect(
    Relay,
    Effect.gen(function*() {
      const home = yield* Service.folder
      yield* addEvents(
        join(home, "profiles.db"),
        Array.from({ length: stored }, (_, n) => madeEvent(n, Math.floor(n / (stored / authors))))
      )
      const process = yield* Service.start({
        ...probed,
        folder: home,
        env: { ADMISSION: "open", LOG_LEVEL: "Info", RATE_PER_CONNECTION: "0", RATE_PER_ADDRESS: "0" }
      })
      const { url } = yield* process.listening
      return { url, process }
    })
  )
}

const authorsFrom = (first: number, count: number) =>
  Array.from({ length: count }, (_, i) => madeAuthor((first * 37 + i) % authors))

/** Tens of milliseconds of work each. */
const heavy = (turn: number): ReadonlyArray<unknown> => {
  switch (turn % 3) {
    case 0:
      return ["REQ", "heavy", { kinds: [1], authors: authorsFrom(turn, 500), limit: 500 }]
    case 1:
      return ["COUNT", "heavy", { authors: authorsFrom(turn, 500) }]
    default:
      return ["COUNT", "heavy", { since: epoch + turn }]
  }
}

/** Keeps clients busy until the scope closes; says how many answers they had. */
const keepBusy = Effect.fnUntraced(function*(url: string) {
  let answers = 0
  for (let i = 0; i < busyClients; i++) {
    const client = yield* connect(url)
    let turn = i
    const ask = () => client.socket.send(JSON.stringify(heavy(turn++)))
    client.socket.on("message", (data) => {
      // Not parsed: the client under test shares this thread.
      const head = (data as Buffer).toString("latin1", 0, 9)
      if (head.startsWith("[\"EVENT") || head.startsWith("[\"AUTH")) return
      if (head.startsWith("[\"CLOSED")) throw new Error((data as Buffer).toString())
      answers++
      ask()
    })
    ask()
  }
  return () => answers
})

layer(Relay.layer, { excludeTestServices: true, timeout: 20_000 })("beside 500-author REQs and COUNTs", (it) => {
  describe("a small read is answered before heavy ones that came first:", () => {
    for (
      const [name, filterOf] of [
        ["one author", (i: number) => ({ authors: authorsFrom(i, 1), kinds: [1], limit: 20 })],
        ["100 profiles", (i: number) => ({ authors: authorsFrom(i, 100), kinds: [0] })],
        ["a search", (i: number) => ({ search: `person ${i % 9}`, limit: 20 })]
      ] as const
    ) {
      it.effect(name, () =>
        Effect.gen(function*() {
          const { process, url } = yield* Relay
          const client = yield* connect(url)
          const answers = yield* keepBusy(url)
          while (answers() < busyClients) yield* Effect.sleep("10 millis")
          const before = answers()
          const millis: Array<number> = []
          yield* assertShortTurns(
            process,
            Effect.gen(function*() {
              for (let i = 0; i < reads; i++) {
                const since = performance.now()
                const { end } = yield* client.req("small", filterOf(i))
                millis.push(performance.now() - since)
                assert.strictEqual(end[0], "EOSE")
              }
            })
          )
          const others = answers() - before
          millis.sort((a, b) => a - b)
          console.log(
            `${name}: p50 ${millis[reads / 2]?.toFixed(1)} ms, p99 ${millis[reads - 1]?.toFixed(1)} ms;` +
              ` ${others} heavy answers meanwhile`
          )
          // In the order of asking, there would be eight for each; on a quiet machine there is one for two.
          assert.isBelow(others, reads)
        }).pipe(Effect.scoped), 30_000)
    }
  })
})
