/**
 * Nothing is missed, doubled or stale between what is read and what is committed meanwhile, over real sockets on a file:
 * reads of the main thread share a snapshot for as long as nothing is written.
 *
 * `ROUNDS=n` publishes n times as many events and opens n times as many subscriptions.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { notes } from "../support/events.ts"
import * as Service from "../support/service.ts"
import { connect, type TestClient } from "../support/TestClient.ts"

const rounds = Number(process.env["ROUNDS"] ?? 1)
const events = 300 * rounds
const subscriptions = 150 * rounds
/** Of one connection. */
const subscriptionsEach = 15

/** Seconds apart, so that each of them is new. */
const published = notes(events, "author")
const author = published[0]!.pubkey

describe("reads beside commits", () => {
  it.live("see each event once, whenever they were opened, and whatever was answered OK", () =>
    Effect.gen(function*() {
      const home = yield* Service.folder
      const relay = yield* Service.start({
        folder: home,
        env: { ADMISSION: "open", LOG_LEVEL: "Info", RATE_PER_CONNECTION: "0", RATE_PER_ADDRESS: "0" }
      })
      const { url } = yield* relay.listening
      const publisher = yield* connect(url)
      const reader = yield* connect(url)
      const seen = Array.from({ length: subscriptions }, () => new Map<string, number>())
      const stale: Array<string> = []
      let asked: { readonly id: string; readonly done: (found: boolean) => void } | undefined

      const listen = (data: unknown) => {
        const [verb, subscription, event] = JSON.parse((data as Buffer).toString()) as [string, string, { id: string }]
        if (subscription === "again") {
          if (verb === "EVENT" || verb === "EOSE") {
            asked?.done(verb === "EVENT")
            asked = undefined
          }
          return
        }
        const found = seen[Number(subscription)]
        if (verb === "EVENT" && found !== undefined) found.set(event.id, (found.get(event.id) ?? 0) + 1)
      }
      reader.socket.on("message", listen)
      const subscribers: Array<TestClient> = []
      for (let n = 0; n < subscriptions; n += subscriptionsEach) {
        const subscriber = yield* connect(url)
        subscriber.socket.on("message", listen)
        subscribers.push(subscriber)
      }
      const subscribe = (n: number) =>
        subscribers[Math.floor(n / subscriptionsEach)]!.socket.send(
          JSON.stringify(["REQ", String(n), { kinds: [1], authors: [author], limit: 500 * rounds }])
        )
      const isThere = (id: string) =>
        Effect.promise(() =>
          new Promise<boolean>((done) => {
            asked = { id, done }
            reader.socket.send(JSON.stringify(["REQ", "again", { ids: [id] }]))
          })
        )
      const isTaken = (index: number) =>
        Effect.promise(() =>
          new Promise<void>((resolve) => {
            const { id } = published[index]!
            const onMessage = (data: unknown) => {
              if (!(data as Buffer).toString().startsWith(`["OK","${id}",true`)) return
              publisher.socket.off("message", onMessage)
              resolve()
            }
            publisher.socket.on("message", onMessage)
            publisher.socket.send(JSON.stringify(["EVENT", published[index]]))
          })
        )

      for (let i = 0; i < events; i++) {
        // Before the commit, while it is under way, and, at every third, from a snapshot that was kept since the last read.
        if (i % 2 === 0) subscribe(i / 2)
        yield* isTaken(i)
        if (i % 3 === 0 && !(yield* isThere(published[i]!.id))) stale.push(published[i]!.id)
      }
      // What has been handed to everybody has arrived once each has been answered anew.
      assert.isTrue(yield* isThere(published[events - 1]!.id))
      for (const subscriber of subscribers) yield* subscriber.req("last", { ids: [published[0]!.id] })

      assert.deepStrictEqual(stale, [])
      const wrong = seen.flatMap((found, n) => {
        const missed = published.filter(({ id }) => !found.has(id)).length
        const doubled = [...found.values()].filter((times) => times > 1).length
        return missed + doubled === 0 ? [] : [`subscription ${n}: ${missed} missed, ${doubled} doubled`]
      })
      assert.deepStrictEqual(wrong, [])
      const { code } = yield* relay.stop()
      assert.strictEqual(code, 0)
    }).pipe(Effect.scoped), 120_000)
})
