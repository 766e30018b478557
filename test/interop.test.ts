/**
 * Clients that nobody here wrote, as they come from npm: connect, authenticate, publish, read, search, count, sync, manage.
 *
 * They find the relay at the address it goes by, so its port is chosen beforehand.
 */
import { assert, describe, layer } from "@effect/vitest"
import NDK, { NDKEvent, NDKPrivateKeySigner } from "@nostr-dev-kit/ndk"
import { Effect, Layer, type Scope } from "effect"
import { createServer } from "node:net"
import { nip77, nip98, Relay, SimplePool } from "nostr-tools"
import type { Filter } from "nostr-tools/filter"
import { estimateCount, hllDecode } from "nostr-tools/nip45"
import {
  type EventTemplate,
  finalizeEvent,
  generateSecretKey,
  getPublicKey,
  type VerifiedEvent
} from "nostr-tools/pure"
import type { Overrides } from "../src/config/Settings.ts"
import { RelayAddress } from "../src/websocket/RelayServer.ts"
import { excuseTimers } from "./support/leaks.ts"
import { relay } from "./support/relay.ts"

// NDK leaves a timeout behind for each question that was answered in time.
excuseTimers()

const freePort = Effect.callback<number>((resume) => {
  const server = createServer()
  server.listen(0, "127.0.0.1", () => {
    const address = server.address()
    server.close(() => resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0)))
  })
})

const operatorKey = generateSecretKey()

const relayWith = (overrides: Overrides) =>
  Layer.unwrap(Effect.map(freePort, (port) =>
    relay({
      bindAddr: { host: "127.0.0.1", port },
      relayUrl: `ws://127.0.0.1:${port}`,
      operators: [getPublicKey(operatorKey)],
      ...overrides
    })))

const layerRelay = relayWith({})

const url = RelayAddress.useSync(({ url }) => url)

const now = () => Math.floor(Date.now() / 1000)

const note = (content: string, secret: Uint8Array, edit: Partial<EventTemplate> = {}): VerifiedEvent =>
  finalizeEvent({ kind: 1, created_at: now(), tags: [], content, ...edit }, secret)

/** A profile by somebody of their own, that many seconds ago. */
const profile = (name: string, about: string, age: number): VerifiedEvent =>
  note(JSON.stringify({ name, about }), generateSecretKey(), { kind: 0, created_at: now() - age })

const ids = (events: ReadonlyArray<{ readonly id: string }>) => events.map(({ id }) => id).toSorted()

/** The pool of nostr-tools, closed with the scope. */
const pool: Effect.Effect<SimplePool, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => new SimplePool()),
  (open) => Effect.sync(() => open.destroy())
)

/** One relay of nostr-tools. */
const dial = Effect.flatMap(url, (url) =>
  Effect.acquireRelease(
    Effect.promise(() => Relay.connect(url)),
    (open) => Effect.sync(() => open.close())
  ))

/** NDK, connected, and closed with the scope. */
const dialNdk = Effect.flatMap(url, (url) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const ndk = new NDK({
        explicitRelayUrls: [url],
        signer: NDKPrivateKeySigner.generate(),
        enableOutboxModel: false,
        initialValidationRatio: 1,
        lowestValidationRatio: 1
      })
      // With its own `signIn` policy it would not send again what was refused before it had signed in.
      ndk.relayAuthDefaultPolicy = () => Promise.resolve(true)
      await ndk.connect(2000)
      return ndk
    }),
    (ndk) =>
      Effect.sync(() => {
        for (const relay of ndk.pool.relays.values()) relay.disconnect()
      })
  ))

/** How many relays take a protected event that is the first thing its author says (NIP-70). */
const publishProtected = (template: { readonly kind: number; readonly content: string }) =>
  Effect.flatMap(dialNdk, (ndk) =>
    Effect.promise(async () => {
      const event = new NDKEvent(ndk, { ...template, tags: [["-"]], created_at: now(), pubkey: "" })
      await event.sign()
      return (await event.publish(undefined, 3000)).size
    }))

layer(layerRelay, { excludeTestServices: true })("unmodified clients", (it) => {
  describe("nostr-tools", () => {
    it.effect("publishes, reads and follows with its pool", () =>
      Effect.gen(function*() {
        const relays = [yield* url]
        const client = yield* pool
        const secret = generateSecretKey()
        const newest = now()
        const events = Array.from({ length: 20 }, (_, i) => note(`note ${i}`, secret, { created_at: newest - i }))
        yield* Effect.promise(() => Promise.all(events.flatMap((event) => client.publish(relays, event))))
        const authors = [getPublicKey(secret)]
        const read = yield* Effect.promise(() => client.querySync(relays, { authors }))
        assert.deepStrictEqual(read.map(({ id }) => id), events.map(({ id }) => id))
        const live = yield* Effect.promise(() =>
          new Promise<string>((resolve) => {
            const later = note("live", secret, { created_at: now() + 1 })
            client.subscribe(relays, { authors, since: now() + 1 }, {
              onevent: ({ content }) => resolve(content),
              oneose: () => void client.publish(relays, later)
            })
          })
        )
        assert.strictEqual(live, "live")
      }))

    it.effect("is told why an event is refused", () =>
      Effect.gen(function*() {
        const client = yield* dial
        const forged = { ...note("forged", generateSecretKey()), content: "other" }
        const reason = yield* Effect.promise(() => client.publish(forged).then(() => "", String))
        assert.match(reason, /invalid: /u)
      }))

    it.effect("authenticates when it is asked to (nip42)", () =>
      Effect.gen(function*() {
        const relays = [yield* url]
        const client = yield* pool
        const secret = generateSecretKey()
        const sign = (template: EventTemplate) => Promise.resolve(finalizeEvent(template, secret))
        const secretNote = note("protected", secret, { tags: [["-"]] })
        const refused = yield* Effect.promise(() =>
          Promise.all(client.publish(relays, secretNote)).then(() => "", String)
        )
        assert.match(refused, /auth-required: /u)
        yield* Effect.promise(() => Promise.all(client.publish(relays, secretNote, { onauth: sign })))

        const message = note("?iv=", generateSecretKey(), { kind: 4, tags: [["p", getPublicKey(secret)]] })
        yield* Effect.promise(() => Promise.all(client.publish(relays, message)))
        const content = yield* Effect.promise(() =>
          new Promise<string>((resolve, reject) => {
            client.subscribe(relays, { kinds: [4], "#p": [getPublicKey(secret)] }, {
              onauth: sign,
              onevent: (event) => resolve(event.content),
              onclose: (reasons) => reject(new Error(JSON.stringify(reasons)))
            })
          })
        )
        assert.strictEqual(content, "?iv=")
      }))

    it.effect("counts, with registers that estimate as much (nip45)", () =>
      Effect.gen(function*() {
        const client = yield* dial
        const target = getPublicKey(generateSecretKey())
        const followers = Array.from({ length: 50 }, () =>
          note("", generateSecretKey(), { kind: 3, tags: [["p", target]] }))
        yield* Effect.promise(() =>
          Promise.all(followers.map((event) => client.publish(event)))
        )
        const filter = { kinds: [3], "#p": [target] }
        assert.strictEqual(yield* Effect.promise(() => client.count([filter], {})), 50)
        const { count, hll } = yield* Effect.promise(() => client.countWithHLL([filter], {}))
        assert.strictEqual(count, 50)
        assert.approximately(estimateCount(hllDecode(hll ?? "") ?? new Uint8Array(256)), 50, 10)
      }))

    it.effect("searches with its pool, and is given the most relevant first (nip50)", () =>
      Effect.gen(function*() {
        const relays = [yield* url]
        const client = yield* pool
        const people = [
          profile("heron", "", 30),
          profile("heronry", "", 20),
          profile("wader", "A heron, not a crane", 10),
          profile("crane", "", 0)
        ]
        yield* Effect.promise(() => Promise.all(people.flatMap((event) => client.publish(relays, event))))
        const search = (filter: Filter) =>
          Effect.map(Effect.promise(() => client.querySync(relays, filter)), (found) => found.map(({ id }) => id))
        assert.deepStrictEqual(yield* search({ search: "heron" }), people.slice(0, 3).map(({ id }) => id))
        assert.deepStrictEqual(yield* search({ kinds: [0], search: "HERON", limit: 1 }), [people[0]?.id])
        assert.deepStrictEqual(yield* search({ kinds: [1], search: "heron" }), [])
        const live = yield* Effect.promise(() =>
          new Promise<string>((resolve) => {
            const later = profile("Heron Two", "", 0)
            client.subscribe(relays, { search: "heron", limit: 0 }, {
              onevent: ({ content }) => resolve(content),
              oneose: () => void client.publish(relays, later)
            })
          })
        )
        assert.include(live, "Heron Two")
      }))

    it.effect("reconciles (nip77)", () =>
      Effect.gen(function*() {
        const client = yield* dial
        const secret = generateSecretKey()
        const events = Array.from({ length: 300 }, (_, i) => note(`${i}`, secret, { created_at: now() - i }))
        yield* Effect.promise(() => Promise.all(events.slice(0, 290).map((event) => client.publish(event))))
        const storage = new nip77.NegentropyStorageVector()
        for (const { created_at, id } of events.slice(5)) storage.insert(created_at, id)
        storage.seal()
        const have: Array<string> = []
        const need: Array<string> = []
        yield* Effect.promise(() =>
          new Promise<void>((resolve, reject) => {
            void new nip77.NegentropySync(client, storage, { authors: [getPublicKey(secret)] }, {
              onhave: (id) => void have.push(id),
              onneed: (id) => void need.push(id),
              onclose: (reason) => reason === undefined ? resolve() : reject(new Error(reason))
            }).start()
          })
        )
        assert.deepStrictEqual(have.toSorted(), ids(events.slice(290)))
        assert.deepStrictEqual(need.toSorted(), ids(events.slice(0, 5)))
      }))

    it.effect("manages, with its token (nip98)", () =>
      Effect.gen(function*() {
        const address = (yield* url).replace("ws:", "http:")
        const payload = { method: "supportedmethods", params: [] }
        const answer = yield* Effect.promise(async () => {
          const token = await nip98.getToken(
            address,
            "POST",
            (event) => finalizeEvent(event, operatorKey),
            true,
            payload
          )
          const response = await fetch(address, {
            method: "POST",
            body: JSON.stringify(payload),
            headers: { authorization: token, "content-type": "application/nostr+json+rpc" }
          })
          return await response.json() as { readonly result?: unknown }
        })
        assert.include(answer.result as ReadonlyArray<string>, "banpubkey")
      }))
  })

  describe("NDK", () => {
    it.effect("connects, authenticates, publishes, reads and counts", () =>
      Effect.gen(function*() {
        const ndk = yield* dialNdk
        const pubkey = (yield* Effect.promise(async () => ndk.signer?.user()))?.pubkey ?? ""
        const published = yield* Effect.promise(async () => {
          const event = new NDKEvent(ndk, { kind: 1, content: "from NDK", tags: [], created_at: now(), pubkey })
          await event.sign()
          const relays = await event.publish(undefined, 2000)
          return { id: event.id, relays: relays.size }
        })
        assert.strictEqual(published.relays, 1)
        const read = yield* Effect.promise(() => ndk.fetchEvents({ authors: [pubkey] }))
        assert.deepStrictEqual([...read].map(({ id }) => id), [published.id])
        const { count } = yield* Effect.promise(() => ndk.count({ authors: [pubkey] }))
        assert.strictEqual(count, 1)
      }))

    it.effect("searches, and is given the most relevant first", () =>
      Effect.gen(function*() {
        const ndk = yield* dialNdk
        const people = [profile("egret", "", 40), profile("egretta", "", 30), profile("white bird", "an egret", 20)]
        const read = yield* Effect.promise(async () => {
          for (const event of people) await new NDKEvent(ndk, event).publish(undefined, 2000)
          return ndk.fetchEvents({ kinds: [0], search: "egret" })
        })
        assert.deepStrictEqual([...read].map(({ id }) => id), people.map(({ id }) => id))
      }))

    it.effect("publishes a protected event, which takes authentication", () =>
      Effect.flatMap(
        publishProtected({ kind: 1, content: "protected" }),
        (relays) => Effect.sync(() => assert.strictEqual(relays, 1))
      ))
  })
})

// Such a relay challenges nobody before it has to: with the refusal that signing in helps against, and ahead of it.
layer(relayWith({ admission: "profiles", proof: "off", pictures: "off" }), { excludeTestServices: true })(
  "unmodified clients of a relay of profiles",
  (it) => {
    it.effect("publish a protected profile at the first attempt (NDK)", () =>
      Effect.gen(function*() {
        const content = JSON.stringify({ name: "Mira", about: "sails", picture: "https://images.test/mira.jpg" })
        assert.strictEqual(yield* publishProtected({ kind: 0, content }), 1)
      }))
  }
)
