/**
 * NIP-77 with a hundred thousand events on each side and 1 % of difference each way, over a real socket: our relay and the
 * client of nostr-tools, then our relay and our own client. Nobody else waits meanwhile.
 */
import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Layer, type Scope } from "effect"
import { hash } from "node:crypto"
import { copyFileSync } from "node:fs"
import { join } from "node:path"
import { nip77, Relay } from "nostr-tools"
import { type Event, rawOf } from "../../src/domain/Event.ts"
import { databasePath, run } from "../cli/support.ts"
import { epoch, keyOf, signed } from "../support/events.ts"
import { addEvents, madeEvent } from "../support/madeStore.ts"
import * as Service from "../support/service.ts"
import { assertShortTurns, probed } from "../support/turns.ts"

/** Events that both sides have, and those that each has alone. */
const shared = 99_000
const alone = 1000

/** Events of one side that the other one has to be able to check. */
const own = (side: string): ReadonlyArray<Event> => {
  const keys = Array.from({ length: 20 }, (_, i) => keyOf(`${side} ${i}`))
  return Array.from(
    { length: alone },
    (_, i) =>
      signed(
        { created_at: epoch + Math.floor((i * shared) / alone / 3), content: `${side} ${i}` },
        keys[i % keys.length]
      )
  )
}

/** Raw events that every side has, and a file with them. */
class Common extends Context.Service<Common, { readonly path: string; readonly events: ReadonlyArray<string> }>()(
  "test/service/Common"
) {
  static readonly layer = Layer.effect(
    Common,
    Effect.gen(function*() {
      const events = Array.from({ length: shared }, (_, n) => madeEvent(n))
      const path = join(yield* Service.folder, "common.db")
      yield* addEvents(path, events)
      return { path, events }
    })
  )
}

/** A folder with the common events and some more. */
const storeWith = Effect.fnUntraced(function*(events: ReadonlyArray<Event>) {
  const home = yield* Service.folder
  const { path } = yield* Common
  yield* Effect.sync(() => copyFileSync(path, databasePath(home)))
  yield* addEvents(databasePath(home), events.map(rawOf))
  return home
})

const relayOver = Effect.fnUntraced(function*(home: string) {
  const relay = yield* Service.start({
    folder: home,
    ...probed,
    env: { DATABASE_PATH: databasePath(home), ADMISSION: "open", LOG_LEVEL: "Info" }
  })
  const { url } = yield* relay.listening
  return { relay, url }
})

/** All of a store in one order, and what it is. */
const exported = Effect.fnUntraced(function*(home: string) {
  const { stdout } = yield* run(home, ["export"])
  return stdout.toSorted()
})

const digest = (lines: ReadonlyArray<string>) => ({ count: lines.length, sha256: hash("sha256", lines.join("\n")) })

/** The client of nostr-tools, closed with the scope. */
const dial = (url: string): Effect.Effect<Relay, never, Scope.Scope> =>
  Effect.acquireRelease(Effect.promise(() => Relay.connect(url)), (open) => Effect.sync(() => open.close()))

const reconcile = (client: Relay, storage: nip77.NegentropyStorageVector) =>
  Effect.promise(() =>
    new Promise<{ readonly have: ReadonlySet<string>; readonly need: ReadonlySet<string> }>((resolve, reject) => {
      const have = new Set<string>()
      const need = new Set<string>()
      void new nip77.NegentropySync(client, storage, {}, {
        onhave: (id) => void have.add(id),
        onneed: (id) => void need.add(id),
        onclose: (reason) => reason === undefined ? resolve({ have, need }) : reject(new Error(reason))
      }).start()
    })
  )

const fetchIds = (client: Relay, ids: ReadonlyArray<string>) =>
  Effect.promise(() =>
    new Promise<ReadonlyArray<Event>>((resolve) => {
      const events: Array<Event> = []
      const subscription = client.subscribe([{ ids: [...ids] }], {
        onevent: (event) => void events.push(event),
        oneose: () => {
          subscription.close()
          resolve(events)
        }
      })
    })
  )

layer(Common.layer, { excludeTestServices: true, timeout: 30_000 })("a hundred thousand events", (it) => {
  describe("NIP-77", () => {
    it.effect("against the client of nostr-tools: both end with the same bytes", () =>
      Effect.gen(function*() {
        const [ours, theirs] = [own("client"), own("relay")]
        const home = yield* storeWith(theirs)
        const { relay, url } = yield* relayOver(home)
        const kept = new Map((yield* Common).events.map((raw) => [raw.slice(7, 71), raw]))
        for (const event of ours) kept.set(event.id, rawOf(event))
        const storage = new nip77.NegentropyStorageVector()
        for (const raw of kept.values()) {
          const { created_at, id } = JSON.parse(raw) as Event
          storage.insert(created_at, id)
        }
        storage.seal()

        const client = yield* dial(url)
        yield* assertShortTurns(
          relay,
          Effect.gen(function*() {
            const { have, need } = yield* reconcile(client, storage)
            assert.deepStrictEqual([have.size, need.size], [alone, alone])
            const wanted = [...need]
            for (let i = 0; i < wanted.length; i += 250) {
              for (const event of yield* fetchIds(client, wanted.slice(i, i + 250))) kept.set(event.id, rawOf(event))
            }
            const sent = ours.filter(({ id }) => have.has(id)).map((event) => ({
              ...event,
              tags: event.tags.map((tag) => [...tag])
            }))
            for (let i = 0; i < sent.length; i += 100) {
              const some = sent.slice(i, i + 100)
              yield* Effect.promise(() => Promise.all(some.map((event) => client.publish(event))))
            }
          })
        )
        yield* relay.stop()
        assert.deepStrictEqual(digest(yield* exported(home)), digest([...kept.values()].toSorted()))
        assert.strictEqual(kept.size, shared + 2 * alone)
      }).pipe(Effect.scoped), 60_000)

    it.effect("against our own client: both end with the same bytes", () =>
      Effect.gen(function*() {
        const theirs = yield* storeWith(own("relay"))
        const ours = yield* storeWith(own("client"))
        const { relay, url } = yield* relayOver(theirs)
        const { code, stderr } = yield* assertShortTurns(relay, run(ours, ["sync", url]))
        assert.strictEqual(code, 0, stderr.join("\n"))
        assert.match(stderr.join("\n"), new RegExp(`Have ${alone}, need ${alone}\\.`, "u"))
        yield* relay.stop()
        const all = digest(yield* exported(theirs))
        assert.strictEqual(all.count, shared + 2 * alone)
        assert.deepStrictEqual(digest(yield* exported(ours)), all)
      }).pipe(Effect.scoped), 60_000)
  })
})
