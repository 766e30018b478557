/** Pages and API of the real service, over sockets. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { request } from "node:http"
import { npubOf } from "../../src/domain/PublicKey.ts"
import { formulaSaid } from "../../src/domain/Standing.ts"
import { dmRelaysEvent, epoch, keyOf, profileEvent, relayListEvent, signed } from "../support/events.ts"
import * as service from "../support/service.ts"
import * as TestClient from "../support/TestClient.ts"

const html = { accept: "text/html" }

interface Answered {
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

const get = (url: string, headers: Record<string, string> = {}, init: RequestInit = {}) =>
  Effect.promise(async (): Promise<Answered> => {
    const response = await fetch(url, { headers, redirect: "manual", ...init })
    return { status: response.status, headers: response.headers, text: await response.text() }
  })

/** An open relay with forty people in it, one of whom has relays. */
const started = Effect.gen(function*() {
  const running = yield* service.start({
    env: { ADMISSION: "open", RELAY_NAME: "Faces", RELAY_CONTACT: "mailto:op@relay.example" }
  })
  const { http, url } = yield* running.listening
  const client = yield* TestClient.connect(url)
  const events = [
    ...Array.from(
      { length: 40 },
      (_, i) =>
        profileEvent({ name: `person${i}`, display_name: `Person ${i}`, about: `The ${i}th of them.` }, `person ${i}`, {
          created_at: epoch + i
        })
    ),
    relayListEvent({ write: ["wss://relay.example"], read: ["wss://in.example"] }, "person 7"),
    dmRelaysEvent(["wss://dm.example"], "person 7"),
    signed({ content: "a note" }, "person 7")
  ]
  for (const event of events) assert.isTrue((yield* client.publish(event))[2], event.content)
  return { ...running, http, url }
})

const person = (i: number) => keyOf(`person ${i}`).pubkey

describe("pages and API", () => {
  it.live("show who is here, to people and to programs", () =>
    Effect.gen(function*() {
      const { http, stop } = yield* started

      const home = yield* get(`${http}/`, html)
      assert.strictEqual(home.status, 200)
      assert.include(home.text, "<title>Faces</title>")
      assert.match(String(home.headers.get("content-security-policy")), /^default-src 'none'/u)
      assert.strictEqual(home.headers.get("x-content-type-options"), "nosniff")
      for (const path of home.text.matchAll(/(?:href|src)="(\/-\/[^"]+|\/img\/[^"]+)"/gu)) {
        assert.strictEqual((yield* get(`${http}${path[1]}`)).status, 200, path[1])
      }

      // Two pages of the list hold everybody once.
      const first = yield* get(`${http}/explore`, html)
      const next = /rel="next" href="([^"]+)"/u.exec(first.text)?.[1]?.replaceAll("&amp;", "&")
      assert.isString(next)
      const second = yield* get(`${http}${next}`, html)
      const shown = [...(first.text + second.text).matchAll(/href="\/p\/(npub1[a-z0-9]+)"/gu)].map(([, npub]) => npub)
      assert.lengthOf(shown, 40)
      assert.strictEqual(new Set(shown).size, 40)
      assert.strictEqual(shown[0], npubOf(person(39)))
      assert.notInclude(second.text, "rel=\"next\"")

      const found = yield* get(`${http}/explore?q=${encodeURIComponent("Person 7")}`, html)
      assert.include(found.text, npubOf(person(7)))
      const jumped = yield* get(`${http}/explore?q=${npubOf(person(3))}`, html)
      assert.deepStrictEqual([jumped.status, jumped.headers.get("location")], [303, `/p/${npubOf(person(3))}`])

      const profile = yield* get(`${http}/p/${npubOf(person(7))}`, html)
      for (const text of ["Person 7", "wss://relay.example", "direct messages", "Why it is here", "created_at"]) {
        assert.include(profile.text, text)
      }
      const again = yield* get(`${http}/p/${npubOf(person(7))}`, {
        ...html,
        "if-none-match": String(profile.headers.get("etag"))
      })
      assert.strictEqual(again.status, 304)
      const hex = yield* get(`${http}/p/${person(7)}`, html)
      assert.deepStrictEqual([hex.status, hex.headers.get("location")], [301, `/p/${npubOf(person(7))}`])

      const one = JSON.parse((yield* get(`${http}/api/profiles/${npubOf(person(7))}`)).text)
      assert.strictEqual(one.label, "Person 7")
      assert.strictEqual(one.relayList.kind, 10_002)
      assert.strictEqual(one.messageRelays.kind, 10_050)
      assert.strictEqual(one.event.pubkey, person(7))

      const search = JSON.parse((yield* get(`${http}/api/search?q=person&limit=3`)).text)
      assert.lengthOf(search.profiles, 3)
      const more = JSON.parse((yield* get(`${http}/api/search?q=person&limit=3&after=${search.cursor}`)).text)
      assert.notDeepEqual(more.profiles, search.profiles)

      const batch = yield* get(`${http}/api/profiles`, { "content-type": "application/json" }, {
        method: "POST",
        body: JSON.stringify({ pubkeys: [person(1), person(7), "ab".repeat(32)], relays: true })
      })
      const { missing, profiles } = JSON.parse(batch.text)
      assert.deepStrictEqual(missing, ["ab".repeat(32)])
      assert.deepStrictEqual(profiles.map(({ kind }: { kind: number }) => kind).toSorted(), [0, 0, 10_002, 10_050])

      const explained = JSON.parse((yield* get(`${http}/api/profiles/${person(7)}/explain`)).text)
      assert.isTrue(explained.stored)
      assert.strictEqual(explained.rules[0].rule, "created_at")

      for (const path of ["/relays", "/live", "/stats", "/policy", "/api"]) {
        assert.strictEqual((yield* get(`${http}${path}`, html)).status, 200, path)
      }
      assert.include((yield* get(`${http}/policy`, html)).text, "op@relay.example")
      assert.match((yield* get(`${http}/api/stats.csv`)).text, /^day,profiles,.*\r\n\d{4}-\d\d-\d\d,40,/u)
      assert.lengthOf(JSON.parse((yield* get(`${http}/api/relays`)).text), 0)
      const described = JSON.parse((yield* get(`${http}/api/openapi.json`)).text)
      assert.match(described.openapi, /^3\.1/u)
      assert.includeMembers(Object.keys(described.paths), ["/api/search", "/random", "/api/profiles/{id}"])

      const { certificate, code } = yield* stop()
      assert.strictEqual(code, 0)
      assert.deepStrictEqual(certificate?.released, ["websocket", "web", "aggregation", "crypto", "database"])
    }), 60_000)

  it.live(
    "say how long an account is known here, and how well",
    () =>
      Effect.gen(function*() {
        const folder = yield* service.folder
        const env = { ADMISSION: "open" }
        const first = yield* service.start({ folder, env })
        const client = yield* TestClient.connect((yield* first.listening).url)
        yield* client.publish(profileEvent({}, "person 7"))
        yield* first.stop()
        // Who is who is found out beside everything else, and a start begins with it.
        const { http } = yield* (yield* service.start({ folder, env })).listening
        const one = Effect.map(get(`${http}/api/profiles/${person(7)}`), ({ text }) => JSON.parse(text))
        const known = yield* Effect.repeat(Effect.delay(one, "100 millis"), {
          until: ({ firstSeenAt }) => firstSeenAt !== undefined
        }).pipe(Effect.timeout("20 seconds"))
        assert.isAtMost(Math.abs(known.firstSeenAt - Date.now() / 1000), 60)
        assert.isAtLeast(known.bucket, 0)
        const page = (yield* get(`${http}/p/${npubOf(person(7))}`, html)).text
        assert.include(page, "First seen here")
        assert.include(page, `The account stands at ${known.bucket} of 15 among equal answers to a search`)
        const why = JSON.parse((yield* get(`${http}/api/profiles/${person(7)}/explain`)).text)
        assert.strictEqual(why.bucket, known.bucket)
        assert.match(why.standing, /^The account stands at \d+ of 15 .*: no NIP-05 name of it is verified\.$/u)
        assert.include((yield* get(`${http}/policy`, html)).text, "Who comes first")
        assert.containSubset(JSON.parse((yield* get(http, { accept: "application/nostr+json" })).text), {
          search: { sorts: ["rank", "text", "new"], ranking: formulaSaid }
        })
        assert.match((yield* get(`${http}/explore`, html)).text, /here for (?:a moment|1 minute)/u)
      }),
    60_000
  )

  it.live("answer Open Ranking where the operator wants it, in the order of a search", () =>
    Effect.gen(function*() {
      const { http, stop } = yield* service.start({ env: { ADMISSION: "open", OPEN_RANKING: "on" } }).pipe(
        Effect.flatMap((running) => Effect.map(running.listening, ({ http, url }) => ({ ...running, http, url }))),
        Effect.tap(({ url }) =>
          Effect.gen(function*() {
            const client = yield* TestClient.connect(url)
            yield* client.publish(profileEvent({ name: "mirabelle" }, "person 1", { created_at: epoch + 9 }))
            yield* client.publish(profileEvent({ name: "mira" }, "person 2"))
          })
        )
      )
      const ask = (body: string) =>
        get(`${http}/search/pubkeys`, { "content-type": "application/json" }, { method: "POST", body })
      const found = yield* ask(JSON.stringify({ query: "mira", limit: 5 }))
      assert.strictEqual(found.headers.get("access-control-allow-origin"), "*")
      const { results, ttl } = JSON.parse(found.text)
      assert.deepStrictEqual(results.map(({ pubkey }: { pubkey: string }) => pubkey), [person(2), person(1)])
      for (const result of results) {
        assert.deepStrictEqual(Object.keys(result), ["pubkey", "rank"])
        assert.isTrue(result.rank >= 0 && result.rank <= 1)
      }
      assert.strictEqual(ttl, 60)
      for (const body of [{}, { query: "" }, { query: "a", limit: 51 }, { query: "a", algorithm: "other" }]) {
        const { headers, status } = yield* ask(JSON.stringify(body))
        assert.strictEqual(status, 422, JSON.stringify(body))
        assert.isString(headers.get("x-reason"))
      }
      assert.strictEqual((yield* ask("{")).status, 400)
      const document = JSON.parse((yield* get(`${http}/.well-known/open-ranking`)).text)
      assert.strictEqual(document["/search/pubkeys"][0].id, "rank")
      yield* stop()
    }), 60_000)

  it.live(
    "draw by chance: everybody once in a lap, the same for the same seed, in the predecessor's shape",
    () =>
      Effect.gen(function*() {
        const { http } = yield* started
        const seen: Array<string> = []
        for (let i = 0; i < 4; i++) {
          const page = JSON.parse((yield* get(`${http}/random?count=10`)).text) as ReadonlyArray<
            { profile: { pubkey: string } }
          >
          seen.push(...page.map(({ profile }) => profile.pubkey))
        }
        assert.strictEqual(new Set(seen).size, 40)
        const whole = JSON.parse((yield* get(`${http}/random?count=500&seed=5`)).text)
        assert.lengthOf(whole, 40)
        const withLists = whole.find(({ profile }: { profile: { pubkey: string } }) => profile.pubkey === person(7))
        assert.deepStrictEqual(Object.keys(withLists), ["profile", "relay_list", "dm_relay_list"])
        const some = yield* get(`${http}/random?count=6&seed=5`)
        assert.deepStrictEqual(JSON.parse(some.text), whole.slice(0, 6))
        const link = /<[^>]*(\/random\?[^>]*)>; rel="next"/u.exec(String(some.headers.get("link")))?.[1]
        assert.deepStrictEqual(JSON.parse((yield* get(`${http}${link}`)).text), whole.slice(6, 12))
        assert.deepStrictEqual(JSON.parse((yield* get(`${http}/random?count=0`)).text), [])
        assert.match((yield* get(`${http}/random?count=2`, html)).text, /^<!DOCTYPE html>/u)
      }),
    60_000
  )

  it.live("answer what cannot be asked with one clear error", () =>
    Effect.gen(function*() {
      const { http } = yield* started
      const problems: ReadonlyArray<readonly [path: string, status: number, init?: RequestInit]> = [
        ["/api/search", 400],
        [`/api/search?q=${"x".repeat(101)}`, 400],
        ["/api/search?q=a&limit=51", 400],
        ["/api/search?q=a&sort=best", 400],
        ["/.well-known/open-ranking", 404],
        ["/api/search?q=a&after=nonsense", 400],
        ["/api/profiles/nonsense", 400],
        [`/api/profiles/${"ab".repeat(32)}`, 404],
        ["/random?count=501", 400],
        ["/random?count=x", 400],
        ["/random?after=nonsense", 400],
        ["/api/nothing", 404],
        ["/api/profiles", 400, {
          method: "POST",
          body: "{\"pubkeys\":[1]}",
          headers: { "content-type": "application/json" }
        }],
        ["/api/profiles", 413, {
          method: "POST",
          body: JSON.stringify({ pubkeys: [], more: "x".repeat(30_000_000) }),
          headers: { "content-type": "application/json" }
        }]
      ]
      for (const [path, status, init] of problems) {
        const answer = yield* get(`${http}${path}`, {}, init ?? {})
        assert.strictEqual(answer.status, status, `${path} ${answer.text.slice(0, 200)}`)
        assert.match(String(answer.headers.get("content-type")), /problem\+json/u, path)
        assert.strictEqual(answer.headers.get("access-control-allow-origin"), "*", path)
      }
      const absent = yield* get(`${http}/p/${npubOf("ab".repeat(32))}`, html)
      assert.strictEqual(absent.status, 404)
      assert.include(absent.text, "This profile is not here")
      const nowhere = yield* get(`${http}/nowhere`, html)
      assert.strictEqual(nowhere.status, 404)
      assert.include(nowhere.text, "There is no such page")
      assert.strictEqual((yield* get(`${http}/explore?after=nonsense`, html)).status, 400)
    }), 60_000)

  it.live("say that somebody who has vanished is gone", () =>
    Effect.gen(function*() {
      const { http, url } = yield* started
      const client = yield* TestClient.connect(url)
      const vanish = signed({ kind: 62, created_at: epoch + 100, tags: [["relay", "ALL_RELAYS"]] }, "person 4")
      assert.isTrue((yield* client.publish(vanish))[2])
      assert.strictEqual((yield* get(`${http}/p/${npubOf(person(4))}`, html)).status, 410)
      assert.strictEqual((yield* get(`${http}/api/profiles/${person(4)}`)).status, 410)
      assert.lengthOf(JSON.parse((yield* get(`${http}/random?count=500`)).text), 39)
    }), 60_000)

  it.live("end streams with a goodbye at a stop, and wait for nobody who does not read", () =>
    Effect.gen(function*() {
      const { http, signal, ended } = yield* started
      const chunks: Array<string> = []
      const open = (method: "GET" | "HEAD", read: boolean) =>
        Effect.callback<void>((resume) => {
          const asked = request(`${http}/api/live`, { method, agent: false }, (response) => {
            if (read) response.on("data", (chunk: Buffer) => chunks.push(chunk.toString()))
            else response.pause()
            resume(Effect.void)
          })
          asked.on("error", () => resume(Effect.void))
          asked.end()
        })
      yield* open("GET", true)
      yield* open("GET", false)
      yield* open("HEAD", false)
      const refused = yield* Effect.gen(function*() {
        yield* open("GET", false)
        yield* open("GET", false)
        return yield* get(`${http}/api/live`)
      })
      assert.strictEqual(refused.status, 503)
      yield* Effect.repeat(Effect.sleep("20 millis"), {
        until: () => chunks.join("").includes("data: {\"profiles\":40")
      })
      yield* signal("SIGTERM")
      const { certificate, code } = yield* ended
      assert.strictEqual(code, 0)
      assert.deepStrictEqual(certificate?.forced, [])
      assert.match(chunks.join(""), /event: bye\ndata: \{\}\n\n$/u)
    }), 60_000)

  it.live("keep the record of the day over a restart", () =>
    Effect.gen(function*() {
      const folder = yield* service.folder
      const env = { ADMISSION: "open" }
      const first = yield* service.start({ folder, env })
      const { url } = yield* first.listening
      const client = yield* TestClient.connect(url)
      for (let i = 0; i < 3; i++) yield* client.publish(profileEvent({}, `person ${i}`))
      yield* first.stop()
      const second = yield* service.start({ folder, env })
      const { http } = yield* second.listening
      const [today] = JSON.parse((yield* get(`${http}/api/stats`)).text)
      assert.deepInclude(today, { profiles: 3, accepted: 3, connections: 1 })
    }), 60_000)
})
