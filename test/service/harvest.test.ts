/** The real service harvesting from a relay in another process, and a client that nobody here wrote reading from it. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, type Scope } from "effect"
import { existsSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { SimplePool, verifyEvent } from "nostr-tools"
import type { Event } from "../../src/domain/Event.ts"
import * as Child from "../support/child.ts"
import { profileEvent, signed } from "../support/events.ts"
import { make as makeUpstream } from "../support/FakeUpstream.ts"
import * as Service from "../support/service.ts"

const corpus = fileURLToPath(new URL("../../../shared/corpus/real-events.jsonl", import.meta.url))
const hasCorpus = existsSync(corpus)
if (!hasCorpus) console.log("skipped: the corpus of real events is not beside this checkout")

const fakeUpstream = fileURLToPath(new URL("../support/fakeUpstreamProcess.ts", import.meta.url))

/** nostr-tools' pool, closed with the scope. */
const pool: Effect.Effect<SimplePool, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => new SimplePool()),
  (open) => Effect.sync(() => open.destroy())
)

/** Profiles are judged by what they say: nobody is there to be asked. */
const alone = { PICTURES: "off", PROOF: "off" }

describe("a harvest of real events", () => {
  it.live.skipIf(!hasCorpus)(
    "fetches all 250 profiles, verifies every signature, and judges them by the rules",
    () =>
      Effect.gen(function*() {
        const upstream = yield* Child.start(fakeUpstream, ["--events", corpus], { stdin: "open" })
        const { url } = JSON.parse(yield* upstream.line(`"url"`)) as { readonly url: string }
        const service = yield* Service.start({ env: { DISCOVERY_RELAY_URL: url, ...alone } })
        const covered = JSON.parse(yield* service.line("upstream is covered")) as {
          readonly outcomes: Record<string, number>
          readonly rejections: Record<string, number>
        }
        console.log("real events:", JSON.stringify({ outcomes: covered.outcomes, rejections: covered.rejections }))
        const profiles = readFileSync(corpus, "utf8").split("\n").filter(Boolean)
          .map((line) => JSON.parse(line) as Event).filter(({ kind }) => kind === 0)
        assert.strictEqual(profiles.length, 250)
        assert.deepStrictEqual(covered.rejections, {
          "bridged account": 2,
          "no about": 22,
          "no name": 2,
          "no picture": 10,
          "picture is not a URL": 1
        })
        assert.deepStrictEqual(covered.outcomes, { Saved: 213, Rejected: 37 })

        const { url: relay } = yield* service.listening
        const reader = yield* pool
        const served = yield* Effect.promise(() => reader.querySync([relay], { kinds: [0], limit: 500 }))
        assert.strictEqual(served.length, 213)
        assert.isTrue(served.every((event) => verifyEvent(event)))
        assert.strictEqual((yield* service.stop("SIGINT")).code, 0)
      }).pipe(Effect.scoped),
    60_000
  )
})

describe("nostr-tools' SimplePool", () => {
  it.live(
    "reads harvested profiles by author and by kind, sees EOSE, then a new one live, once",
    () =>
      Effect.gen(function*() {
        const now = Math.floor(Date.now() / 1000)
        const known = Array.from(
          { length: 40 },
          (_, n) => profileEvent({ name: `person ${n}` }, `person ${n}`, { created_at: now - 1000 - n })
        )
        const upstream = yield* makeUpstream({ events: known })
        const service = yield* Service.start({ env: { DISCOVERY_RELAY_URL: upstream.url, ...alone } })
        yield* service.line("upstream is covered")
        const { url } = yield* service.listening
        const reader = yield* pool

        const [first] = known
        const byAuthor = yield* Effect.promise(() => reader.querySync([url], { kinds: [0], authors: [first!.pubkey] }))
        assert.deepStrictEqual(byAuthor.map(({ id }) => id), [first!.id])
        const byKind = yield* Effect.promise(() => reader.querySync([url], { kinds: [0], limit: 500 }))
        assert.sameMembers(byKind.map(({ id }) => id), known.map(({ id }) => id))

        const live: Array<string> = []
        const eose = yield* Deferred.make<void>()
        const came = yield* Deferred.make<void>()
        yield* Effect.acquireRelease(
          Effect.sync(() =>
            reader.subscribeMany([url], { kinds: [0], since: now - 500 }, {
              oneose: () => Deferred.doneUnsafe(eose, Exit.void),
              onevent: ({ id }) => {
                live.push(id)
                Deferred.doneUnsafe(came, Exit.void)
              }
            })
          ),
          (subscription) => Effect.sync(() => subscription.close())
        )
        yield* Effect.timeout(Deferred.await(eose), "5 seconds")
        assert.deepStrictEqual(live, [])
        const newcomer = profileEvent({ name: "newcomer" }, "newcomer", { created_at: now })
        upstream.publish(newcomer)
        // The same event again from the upstream, then another: had the first come twice, it would be between them.
        upstream.publish(newcomer)
        const last = profileEvent({ name: "last" }, "last", { created_at: now })
        upstream.publish(last)
        yield* Effect.timeout(Deferred.await(came), "10 seconds")
        yield* Effect.gen(function*() {
          while (!live.includes(last.id)) yield* Effect.sleep(20)
        }).pipe(Effect.timeout("10 seconds"))
        assert.deepStrictEqual(live, [newcomer.id, last.id])
        assert.strictEqual((yield* service.stop("SIGINT")).code, 0)
      }).pipe(Effect.scoped),
    60_000
  )
})

describe("what was removed before the service was there", () => {
  const day = 86_400
  const then = Math.floor(Date.now() / 1000) - 400 * day
  const persons = ["kept", "vanished", "deleted by address", "deleted by id", "deleted without a word of it"]
  const people = persons.map((person) => profileEvent({ name: person }, person, { created_at: then }))
  const [, , byAddress, byId, silently] = people
  const removals = [
    signed({ kind: 62, created_at: then + day, tags: [["relay", "ALL_RELAYS"]] }, "vanished"),
    signed(
      { kind: 5, created_at: then + day, tags: [["a", `0:${byAddress!.pubkey}:`], ["k", "0"]] },
      "deleted by address"
    ),
    signed({ kind: 5, created_at: then + day, tags: [["e", byId!.id], ["k", "0"]] }, "deleted by id"),
    signed({ kind: 5, created_at: then + day, tags: [["e", silently!.id]] }, "deleted without a word of it"),
    // Nobody can have others removed.
    signed({ kind: 5, created_at: then + day, tags: [["e", people[0]!.id], ["k", "0"]] }, "stranger")
  ]

  it.live(
    "is undone when one upstream has the profiles and the other the removals, and does not come back",
    () =>
      Effect.gen(function*() {
        const folder = yield* Service.folder
        // One that honours nothing, and one that holds the removals, and learns of profiles late.
        const forgetful = yield* makeUpstream({ events: people })
        const faithful = yield* makeUpstream({ events: removals })
        const env = { DISCOVERY_RELAY_URL: `${forgetful.url},${faithful.url}`, ...alone }
        const reader = yield* pool
        const namesAt = (url: string) =>
          Effect.map(
            Effect.promise(() => reader.querySync([url], { kinds: [0] })),
            (events) => events.map(({ content }) => (JSON.parse(content) as { name: string }).name).toSorted()
          )
        const isByAuthor = ({ requests }: typeof faithful) =>
          requests().some((request) =>
            request._tag === "Req" && request.filters.some((filter) => Array.isArray(filter["authors"]))
          )

        const first = yield* Service.start({ folder, env })
        const { url } = yield* first.listening
        yield* Effect.gen(function*() {
          while (String(yield* namesAt(url)) !== "kept" || !isByAuthor(faithful)) yield* Effect.sleep(50)
        }).pipe(Effect.timeout("20 seconds"))
        reader.close([url])
        assert.strictEqual((yield* first.stop()).code, 0)

        // The next harvest brings them all again, live and as history that is new to the service.
        const again = yield* makeUpstream({ events: people })
        const asked = faithful.requests().length
        const second = yield* Service.start({
          folder,
          env: { ...env, DISCOVERY_RELAY_URL: `${again.url},${faithful.url}` }
        })
        const { url: secondUrl } = yield* second.listening
        yield* Effect.gen(function*() {
          while (second.stdout.filter((line) => line.includes("upstream is covered")).length < 2) {
            yield* Effect.sleep(50)
          }
        }).pipe(Effect.timeout("20 seconds"))
        for (const person of people) again.publish(person)
        const last = profileEvent({ name: "last" }, "last", { created_at: then })
        again.publish(last)
        yield* Effect.gen(function*() {
          while (!(yield* namesAt(secondUrl)).includes("last")) yield* Effect.sleep(50)
        }).pipe(Effect.timeout("20 seconds"))
        assert.deepStrictEqual(yield* namesAt(secondUrl), ["kept", "last"])
        // What was read of removals is not read again.
        const walked = faithful.requests().slice(asked).flatMap((request) =>
          request._tag === "Req" && request.subscription !== "live" ? request.filters : []
        ).filter(({ authors, kinds }) => authors === undefined && String(kinds) !== "0")
        assert.deepStrictEqual(walked, [])
        reader.close([secondUrl])
        assert.strictEqual((yield* second.stop()).code, 0)
      }).pipe(Effect.scoped),
    90_000
  )
})
