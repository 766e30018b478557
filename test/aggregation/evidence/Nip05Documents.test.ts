import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, type Scope } from "effect"
import { TestClock } from "effect/testing"
import {
  layerWith as nip05DocumentsLayerWith,
  Nip05Documents,
  type Nip05Listing,
  type Options
} from "../../../src/aggregation/evidence/Nip05Documents.ts"
import { nip05NameOf, nip05UrlOf } from "../../../src/domain/Nip05.ts"
import { keyOf } from "../../support/events.ts"
import * as Guarded from "../../support/guarded.ts"
import * as HostileHost from "../../support/HostileHost.ts"
import * as FakeWeb from "../FakeWeb.ts"
import { eventually } from "../world.ts"

const mira = keyOf("mira").pubkey
const bob = keyOf("bob").pubkey
const path = "/.well-known/nostr.json"

const lookUp = (text: string) =>
  Effect.suspend(() => {
    const name = nip05NameOf(text)
    if (name === undefined) return Effect.die(new Error(`${text} is no name`))
    return Effect.flatMap(Nip05Documents, (documents) => documents.lookUp(name))
  })

/** In short: the key, or what else it came to. */
const inShort = (listing: Nip05Listing): string => {
  if (listing._tag === "Listed") return listing.pubkey
  return listing._tag === "Unanswered" ? listing.reason : listing._tag
}
const said = (text: string) => Effect.map(lookUp(text), inShort)

const document = (names: Readonly<Record<string, string>>) => JSON.stringify({ names })

/** The real fetcher, to which every domain is one hostile host. */
const live = (
  title: string,
  test: (host: HostileHost.HostileHost) => Effect.Effect<void, unknown, Nip05Documents | Scope.Scope>,
  options: Partial<Options> = {}
) =>
  it.live(title, () =>
    Effect.gen(function*() {
      const host = yield* HostileHost.make()
      const urlOf: Options["urlOf"] = (name) => nip05UrlOf(name).replace(`https://${name.domain}`, host.origin)
      const layer = nip05DocumentsLayerWith({ urlOf, ...options }).pipe(Layer.provide(Guarded.layer()))
      yield* Effect.provide(test(host), layer)
    }).pipe(Effect.timeout("9 seconds")))

const silence = "NIP-05 domain did not answer"

describe("Nip05Documents.lookUp", () => {
  live("asks for the name, and says whose it is", (host) =>
    Effect.gen(function*() {
      host.script(path, HostileHost.ok(document({ mira })))
      assert.strictEqual(yield* said("Mira@Boats.Example"), mira)
      assert.deepStrictEqual(host.requests.map(({ target }) => target), [`${path}?name=mira`])
    }))

  live("knows a name that is not listed from a domain that does not answer", (host) =>
    Effect.gen(function*() {
      const outcomes: ReadonlyArray<readonly [HostileHost.Script, string]> = [
        [HostileHost.ok(document({ bob })), "Unlisted"],
        [HostileHost.ok("<html>"), "Unlisted"],
        [HostileHost.status(404), "Unlisted"],
        [HostileHost.status(410), "Unlisted"],
        [HostileHost.status(403), silence],
        [HostileHost.status(500), silence],
        [{ _tag: "Hang" }, silence],
        [{ _tag: "HangAfterHeaders" }, silence],
        [{ _tag: "CutAt", at: 120, body: Buffer.from(document({ mira })) }, silence],
        // The last one: its host is left alone from then on.
        [HostileHost.retryAfter(429, "10"), "NIP-05 domain asked for a pause"]
      ]
      for (const [i, [script, outcome]] of outcomes.entries()) {
        host.script(path, script)
        assert.strictEqual(yield* said(`mira@n${i}.example`), outcome, JSON.stringify(script))
      }
      assert.strictEqual(host.requests.length, outcomes.length)
    }))

  live(
    "follows no redirect, not even to the same host, and takes none for a refusal",
    (host) =>
      Effect.gen(function*() {
        host.script("/elsewhere", HostileHost.ok(document({ mira })))
        const targets = ["/elsewhere", "https://", "ftp://files.example/", "http://10.0.0.1/", ""]
        for (const [i, target] of targets.entries()) {
          host.script(path, HostileHost.redirect(target))
          assert.strictEqual(yield* said(`mira@n${i}.example`), silence, target)
        }
        assert.strictEqual(host.requests.length, targets.length)
      })
  )

  live("reads no more of a document than its cap, as sent or decoded", (host) =>
    Effect.gen(function*() {
      const chunk = Buffer.alloc(65_536, " ")
      host.script(path, { _tag: "Endless", chunk })
      assert.strictEqual(yield* said("mira@boats.example"), silence)
      assert.isBelow(host.sent(), 8_000_000)
      host.script(path, { _tag: "Bomb", bytes: 200_000_000 })
      assert.strictEqual(yield* said("mira@tide.example"), silence)
    }), { bytesMax: 100_000 })

  live("takes a document of just its cap, and none of one byte more", (host) =>
    Effect.gen(function*() {
      const text = document({ mira })
      host.script(path, HostileHost.ok(text.padEnd(1000)))
      assert.strictEqual(yield* said("mira@boats.example"), mira)
      host.script(path, HostileHost.ok(text.padEnd(1001)))
      assert.strictEqual(yield* said("mira@tide.example"), silence)
    }), { bytesMax: 1000 })

  it.live("asks nobody at an address that is not public", () =>
    Effect.gen(function*() {
      const host = yield* HostileHost.make()
      const urlOf: Options["urlOf"] = (name) => nip05UrlOf(name).replace(`https://${name.domain}`, host.origin)
      const layer = nip05DocumentsLayerWith({ urlOf }).pipe(Layer.provide(Guarded.layer({ allow: [] })))
      assert.strictEqual(yield* Effect.provide(said("mira@boats.example"), layer), "Refused")
      assert.strictEqual(host.accepted(), 0)
    }))
})

const url = (domain: string, name: string) => `https://${domain}${path}?name=${name}`
const answer = (names: Readonly<Record<string, string>>): FakeWeb.Answer => ({
  status: 200,
  body: Buffer.from(document(names))
})

/** A web on the test clock. */
const web = (
  title: string,
  test: (web: FakeWeb.FakeWeb) => Effect.Effect<void, unknown, Nip05Documents>,
  options: Partial<Options> = {}
) =>
  it.effect(title, () => {
    const fake = FakeWeb.make()
    return Effect.provide(test(fake), nip05DocumentsLayerWith(options).pipe(Layer.provide(fake.fetch)))
  })

describe("what is kept of a domain", () => {
  web("answers all names of one document with one request, for ten minutes", (fake) =>
    Effect.gen(function*() {
      fake.set(url("boats.example", "mira"), answer({ mira, bob }))
      assert.strictEqual(yield* said("mira@boats.example"), mira)
      assert.strictEqual(yield* said("bob@boats.example"), bob)
      assert.strictEqual(fake.requests.length, 1)
      yield* TestClock.adjust("8 minutes")
      yield* said("bob@boats.example")
      assert.strictEqual(fake.requests.length, 1)
      yield* TestClock.adjust("4 minutes")
      yield* said("mira@boats.example")
      assert.strictEqual(fake.requests.length, 2)
    }))

  web("asks by name where the document has another name only, once", (fake) =>
    Effect.gen(function*() {
      fake.set(url("boats.example", "mira"), answer({ mira }))
      fake.set(url("boats.example", "bob"), answer({ bob }))
      fake.set(url("boats.example", "eve"), answer({}))
      yield* said("mira@boats.example")
      assert.strictEqual(yield* said("bob@boats.example"), bob)
      assert.strictEqual(yield* said("eve@boats.example"), "Unlisted")
      assert.strictEqual(yield* said("eve@boats.example"), "Unlisted")
      assert.strictEqual(fake.requests.length, 3)
    }))

  web("is asked for once by all who want to know at the same time", (fake) =>
    Effect.gen(function*() {
      const names = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`n${i}`, mira]))
      fake.set(url("boats.example", "n0"), answer(names))
      const all = yield* Effect.forEach(Object.keys(names), (name) => said(`${name}@boats.example`), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(new Set(all), new Set([mira]))
      assert.strictEqual(fake.requests.length, 1)
    }))

  web("goes to the next who waits when the first one leaves", (fake) =>
    Effect.gen(function*() {
      fake.set(url("boats.example", "mira"), "hang")
      fake.set(url("boats.example", "bob"), answer({ bob }))
      const first = yield* Effect.forkChild(said("mira@boats.example"), { startImmediately: true })
      yield* eventually(() => fake.requests.length === 1)
      const second = yield* Effect.forkChild(said("bob@boats.example"), { startImmediately: true })
      yield* Fiber.interrupt(first)
      assert.strictEqual(yield* Fiber.join(second), bob)
    }))

  web(
    "is one silence for all of its names, twice as long each time, and ends with an answer",
    (fake) =>
      Effect.gen(function*() {
        const at = url("boats.example", "mira")
        fake.set(at, { status: 500 })
        const first = yield* lookUp("mira@boats.example")
        assert.strictEqual(yield* said("bob@boats.example"), silence)
        assert.strictEqual(fake.requests.length, 1)
        yield* TestClock.adjust("6 minutes")
        const second = yield* lookUp("mira@boats.example")
        assert.strictEqual(fake.requests.length, 2)
        if (first._tag !== "Unanswered" || second._tag !== "Unanswered") return assert.fail("an answer")
        for (const [retryAfter, pause] of [[first.retryAfter, 300_000], [second.retryAfter, 600_000]] as const) {
          assert.isAtLeast(retryAfter, 0.8 * pause)
          assert.isAtMost(retryAfter, 1.2 * pause)
        }
        fake.set(at, answer({ mira }))
        yield* TestClock.adjust("12 minutes")
        assert.strictEqual(yield* said("mira@boats.example"), mira)
        return undefined
      })
  )

  web("honours the pause that its host asked for", (fake) =>
    Effect.gen(function*() {
      const at = url("boats.example", "mira")
      fake.set(at, { status: 429, retryAfter: "7200" })
      const listing = yield* lookUp("mira@boats.example")
      assert.strictEqual(listing._tag === "Unanswered" ? listing.retryAfter : 0, 7_200_000)
      fake.set(at, answer({ mira }))
      yield* TestClock.adjust(7_199_999)
      assert.strictEqual(yield* said("mira@boats.example"), "NIP-05 domain asked for a pause")
      assert.strictEqual(fake.requests.length, 1)
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* said("mira@boats.example"), mira)
    }))

  web("takes a host at its word that asks for a second, three times in a row", (fake) =>
    Effect.gen(function*() {
      const at = url("boats.example", "mira")
      fake.set(at, { status: 429, retryAfter: "1" })
      for (let n = 1; n <= 3; n++) {
        assert.strictEqual(yield* said("mira@boats.example"), "NIP-05 domain asked for a pause")
        assert.strictEqual(fake.requests.length, n)
        yield* TestClock.adjust(1000)
      }
      yield* said("mira@boats.example")
      yield* TestClock.adjust("10 minutes")
      yield* said("mira@boats.example")
      assert.strictEqual(fake.requests.length, 4)
    }))

  web("ends a look in its time, as our own pace", (fake) =>
    Effect.gen(function*() {
      fake.set(url("boats.example", "mira"), "hang in the body")
      const look = yield* Effect.forkChild(said("mira@boats.example"), { startImmediately: true })
      yield* eventually(() => fake.requests.length === 1)
      yield* TestClock.adjust(15_000)
      assert.strictEqual(yield* Fiber.join(look), "not checked in time")
    }))

  web("is bounded: the domain that was asked longest ago is forgotten first", (fake) =>
    Effect.gen(function*() {
      for (const domain of ["a.example", "b.example", "c.example"]) fake.set(url(domain, "mira"), answer({ mira }))
      yield* said("mira@a.example")
      yield* said("mira@b.example")
      yield* said("mira@a.example")
      yield* said("mira@c.example")
      assert.strictEqual(fake.requests.length, 3)
      yield* said("mira@a.example")
      assert.strictEqual(fake.requests.length, 3)
      yield* said("mira@b.example")
      assert.strictEqual(fake.requests.length, 4)
    }), { domainsMax: 2 })

  web("is bounded in names as well", (fake) =>
    Effect.gen(function*() {
      const names = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`n${i}`, mira]))
      for (const domain of ["a.example", "b.example"]) fake.set(url(domain, "n0"), answer(names))
      yield* said("n0@a.example")
      yield* said("n0@b.example")
      yield* said("n0@b.example")
      assert.strictEqual(fake.requests.length, 2)
      yield* said("n0@a.example")
      assert.strictEqual(fake.requests.length, 3)
    }), { namesMax: 100 })
})
