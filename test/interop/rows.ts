/**
 * What every client library has to be able to do with this relay, as the library comes from npm: one table of rows, which
 * each file of this folder runs with one library. What a library has not is said in `lacks`, and checked: the day it has it,
 * the row is due.
 */
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, type Scope } from "effect"
import { createServer } from "node:net"
import type { Filter } from "nostr-tools/filter"
import {
  type EventTemplate,
  finalizeEvent,
  generateSecretKey,
  getPublicKey,
  type VerifiedEvent
} from "nostr-tools/pure"
import type { Overrides } from "../../src/config/Settings.ts"
import { RelayAddress } from "../../src/websocket/RelayServer.ts"
import { relay } from "../support/relay.ts"

/** Whom a reconciliation leaves with what: ids that only we have, and ids that only the relay has. */
export interface Differences {
  readonly have: ReadonlyArray<string>
  readonly need: ReadonlyArray<string>
}

/** One connection of a library. Every function fails with what the library fails with. */
export interface Client {
  /** Ends once the relay has taken the event; fails with the relay's reason. */
  readonly publish: (event: VerifiedEvent) => Promise<unknown>
  /** Ids of what is stored, as the library gives them. */
  readonly load: (filter: Filter) => Promise<ReadonlyArray<string>>
  /** Content of the next event of a subscription; `opened` is called when the stored ones have come. */
  readonly follow: (filter: Filter, opened: () => void) => Promise<string>
  /** COUNT (NIP-45). */
  readonly count?: (filter: Filter) => Promise<number>
  /** How the relay's events of the filter differ from these (NIP-77). */
  readonly reconcile?: (filter: Filter, held: ReadonlyArray<VerifiedEvent>) => Promise<Differences>
  readonly close: () => unknown
}

/** What a library has not, and a look at it that says so. */
export interface Lack {
  readonly why: string
  readonly isSo: () => boolean
}

export interface Library {
  readonly name: string
  /** A connection that signs in with this key whenever the relay asks. */
  readonly dial: (url: string, secret: Uint8Array) => Promise<Client>
  /** Whether it gives events in the order in which the relay sent them; otherwise it sorts them by time. */
  readonly keepsOrder: boolean
  readonly lacks: { readonly count?: Lack; readonly reconcile?: Lack }
}

const freePort = Effect.callback<number>((resume) => {
  const server = createServer()
  server.listen(0, "127.0.0.1", () => {
    const address = server.address()
    server.close(() => resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0)))
  })
})

/** A relay that clients find at the address it goes by, so its port is chosen beforehand. */
export const relayWith = (overrides: Overrides) =>
  Layer.unwrap(Effect.map(freePort, (port) =>
    relay({
      bindAddr: { host: "127.0.0.1", port },
      relayUrl: `ws://127.0.0.1:${port}`,
      ...overrides
    })))

/** It challenges nobody before it has to: with the refusal that signing in helps against, and ahead of it. */
export const relayOfProfiles = relayWith({ admission: "profiles", proof: "off", pictures: "off" })

export const url = RelayAddress.useSync(({ url }) => url)

export const now = () => Math.floor(Date.now() / 1000)

export const note = (content: string, secret: Uint8Array, edit: Partial<EventTemplate> = {}): VerifiedEvent =>
  finalizeEvent({ kind: 1, created_at: now(), tags: [], content, ...edit }, secret)

/** A profile by somebody of their own. */
const profile = (name: string, about: string, createdAt: number): VerifiedEvent =>
  note(JSON.stringify({ name, about }), generateSecretKey(), { kind: 0, created_at: createdAt })

export const idsOf = (events: ReadonlyArray<{ readonly id: string }>): ReadonlyArray<string> =>
  events.map(({ id }) => id)

/** A client of that library, closed with the scope. */
export const dial = (
  library: Library,
  secret = generateSecretKey()
): Effect.Effect<Client, never, Scope.Scope | RelayAddress> =>
  Effect.flatMap(url, (url) =>
    Effect.acquireRelease(
      Effect.promise(() => library.dial(url, secret)),
      (client) => Effect.promise(async () => client.close())
    ))

const publishAll = (client: Client, events: ReadonlyArray<VerifiedEvent>) =>
  Effect.promise(() => Promise.all(events.map((event) => client.publish(event))))

/** A profile that would pass every rule, for its author only (NIP-70). */
const protectedProfile = (secret: Uint8Array) =>
  note(JSON.stringify({ name: "Mira", about: "sails", picture: "https://images.test/mira.jpg" }), secret, {
    kind: 0,
    tags: [["-"]]
  })

/** Runs the rows with a library, each on a connection of its own. */
export const suite = (library: Library): void => {
  layer(relayWith({}), { excludeTestServices: true })(`${library.name}, unmodified`, (it) => {
    it.effect("loads a batch of profiles with one question", () =>
      Effect.gen(function*() {
        const client = yield* dial(library)
        // Each a second older than the one before, however long it takes to sign them.
        const newest = now()
        const people = Array.from({ length: 60 }, (_, i) => profile(`person ${i}`, "", newest - i))
        yield* publishAll(client, people)
        const authors = people.map(({ pubkey }) => pubkey)
        const loaded = yield* Effect.promise(() => client.load({ kinds: [0], authors }))
        assert.deepStrictEqual(loaded, idsOf(people))
      }))

    it.effect("is told why an event is refused", () =>
      Effect.gen(function*() {
        const client = yield* dial(library)
        const old = note("from the future", generateSecretKey(), { created_at: now() + 1_000_000 })
        const reason = yield* Effect.promise(() => client.publish(old).then(() => "", String))
        assert.match(reason, /invalid: /u)
      }))

    it.effect("searches, and gets the most relevant (NIP-50)", () =>
      Effect.gen(function*() {
        const client = yield* dial(library)
        const newest = now()
        const people = [
          profile("egret", "", newest - 40),
          profile("egretta", "", newest - 30),
          profile("white bird", "an egret", newest - 20)
        ]
        yield* publishAll(client, [...people, profile("heron", "", newest - 10)])
        const found = yield* Effect.promise(() => client.load({ kinds: [0], search: "Egret" }))
        assert.deepStrictEqual(found, idsOf(library.keepsOrder ? people : people.toReversed()))
        const best = yield* Effect.promise(() => client.load({ kinds: [0], search: "egret", limit: 1 }))
        assert.deepStrictEqual(best, idsOf(people.slice(0, 1)))
      }))

    it.effect("follows what comes after the stored events", () =>
      Effect.gen(function*() {
        const client = yield* dial(library)
        const writer = yield* dial(library)
        const secret = generateSecretKey()
        const authors = [getPublicKey(secret)]
        const since = now() - 10
        const content = yield* Effect.promise(() =>
          client.follow({ authors, since }, () => void writer.publish(note("live", secret)))
        )
        assert.strictEqual(content, "live")
      }))

    const { count, reconcile } = library.lacks
    if (count !== undefined) it(`cannot count (NIP-45): ${count.why}`, () => assert.isTrue(count.isSo()))
    else {
      it.effect("counts (NIP-45)", () =>
        Effect.gen(function*() {
          const client = yield* dial(library)
          const secret = generateSecretKey()
          yield* publishAll(client, Array.from({ length: 7 }, (_, i) => note(`${i}`, secret)))
          const counted = yield* Effect.promise(async () => client.count?.({ authors: [getPublicKey(secret)] }))
          assert.strictEqual(counted, 7)
        }))
    }

    if (reconcile !== undefined) {
      it(`cannot reconcile (NIP-77): ${reconcile.why}`, () => assert.isTrue(reconcile.isSo()))
    } else {
      it.effect("reconciles (NIP-77)", () =>
        Effect.gen(function*() {
          const client = yield* dial(library)
          const secret = generateSecretKey()
          const events = Array.from({ length: 100 }, (_, i) => note(`${i}`, secret, { created_at: now() - i }))
          yield* publishAll(client, events.slice(0, 90))
          const filter = { authors: [getPublicKey(secret)] }
          const differences = yield* Effect.promise(async () => client.reconcile?.(filter, events.slice(5)))
          assert.deepStrictEqual(differences?.have.toSorted(), idsOf(events.slice(90)).toSorted())
          assert.deepStrictEqual(differences?.need.toSorted(), idsOf(events.slice(0, 5)).toSorted())
        }))
    }

    it.effect("signs in and reads what is for it alone (NIP-42)", () =>
      Effect.gen(function*() {
        const secret = generateSecretKey()
        const client = yield* dial(library, secret)
        const other = yield* dial(library)
        const message = note("?iv=", generateSecretKey(), { kind: 4, tags: [["p", getPublicKey(secret)]] })
        yield* publishAll(other, [message])
        const read = yield* Effect.promise(() => client.load({ kinds: [4], "#p": [getPublicKey(secret)] }))
        assert.deepStrictEqual(read, [message.id])
      }))
  })

  layer(relayOfProfiles, { excludeTestServices: true })(`${library.name}, with a relay of profiles`, (it) => {
    it.effect("signs in when it is refused, and publishes a protected profile at the first attempt (NIP-42)", () =>
      Effect.gen(function*() {
        const secret = generateSecretKey()
        const client = yield* dial(library, secret)
        const event = protectedProfile(secret)
        yield* Effect.promise(() => client.publish(event))
        const read = yield* Effect.promise(() => client.load({ kinds: [0], authors: [event.pubkey] }))
        assert.deepStrictEqual(read, [event.id])
      }))
  })
}
