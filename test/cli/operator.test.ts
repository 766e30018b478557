/** Commands that look after the service, as a shell runs them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { hash } from "node:crypto"
import { chmodSync, existsSync, readFileSync, statSync, truncateSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { space as graces } from "../../src/aggregation/admission/Grace.ts"
import { space as moderation } from "../../src/aggregation/admission/Moderation.ts"
import { space as retries } from "../../src/aggregation/admission/RetryQueue.ts"
import type { PictureRecord } from "../../src/aggregation/evidence/PictureStore.ts"
import { space as proofs } from "../../src/aggregation/evidence/Posts.ts"
import { space as pictures } from "../../src/aggregation/evidence/RememberedPictures.ts"
import type { RecordWrite } from "../../src/database/Database.ts"
import { rawOf } from "../../src/domain/Event.ts"
import { npubOf } from "../../src/domain/PublicKey.ts"
import { keyOf, profileEvent, signed } from "../support/events.ts"
import { folder } from "../support/service.ts"
import * as Service from "../support/service.ts"
import { databasePath, events, jsonLines, logged, playing, run, start, until } from "./support.ts"

const keyPath = (home: string) => `${databasePath(home)}.key`

describe("key", () => {
  it.live("show does not make a key, and shows the one the service made", () =>
    Effect.gen(function*() {
      const home = yield* folder
      const before = yield* run(home, ["key", "show"])
      assert.deepStrictEqual([before.code, before.stdout, existsSync(keyPath(home))], [74, [], false])
      const service = yield* Service.start({ folder: home, env: { DATABASE_PATH: databasePath(home) } })
      yield* service.listening
      const { code, stdout } = yield* run(home, ["key", "show"])
      assert.strictEqual(code, 0)
      assert.match(stdout[0] ?? "", /^[0-9a-f]{64}$/)
      assert.deepStrictEqual(stdout.slice(1), [npubOf(stdout[0] ?? "")])
      assert.strictEqual((yield* run(home, ["key", "rotate"])).code, 69)
      yield* service.stop()
    }).pipe(Effect.scoped), 30_000)

  it.live("rotate keeps the old key as .bak, and never writes over one", () =>
    Effect.gen(function*() {
      const home = yield* folder
      yield* Effect.scoped(Effect.gen(function*() {
        const service = yield* Service.start({ folder: home, env: { DATABASE_PATH: databasePath(home) } })
        yield* service.listening
        yield* service.stop()
      }))
      const old = readFileSync(keyPath(home), "utf8")
      const [shown] = (yield* run(home, ["key", "show"])).stdout
      const rotated = yield* run(home, ["key", "rotate"])
      assert.strictEqual(rotated.code, 0)
      assert.notStrictEqual(rotated.stdout[0], shown)
      assert.deepStrictEqual((yield* run(home, ["key", "show"])).stdout, rotated.stdout)
      assert.strictEqual(readFileSync(`${keyPath(home)}.bak`, "utf8"), old)
      assert.strictEqual(statSync(keyPath(home)).mode & 0o777, 0o600)
      assert.strictEqual((yield* run(home, ["key", "rotate"])).code, 74)
      assert.strictEqual(readFileSync(`${keyPath(home)}.bak`, "utf8"), old)
      assert.deepStrictEqual((yield* run(home, ["key", "show"])).stdout, rotated.stdout)
    }), 40_000)

  it.live("one from the environment is shown, and rotated there", () =>
    Effect.gen(function*() {
      const home = yield* folder
      const { pubkey, secret } = keyOf("relay")
      const env = { RELAY_SECRET_KEY: Buffer.from(secret).toString("hex") }
      assert.deepStrictEqual((yield* run(home, ["key", "show"], { env })).stdout, [pubkey, npubOf(pubkey)])
      assert.strictEqual((yield* run(home, ["key", "rotate"], { env })).code, 78)
      assert.isFalse(existsSync(keyPath(home)))
    }), 20_000)
})

/** Writes what a service would have found out. */
const remember = (home: string, records: ReadonlyArray<RecordWrite>) => {
  const db = new DatabaseSync(databasePath(home))
  const insert = db.prepare("INSERT INTO record VALUES (?, ?, ?, ?)")
  for (const { due, key, space, value } of records) insert.run(space, key, value, due)
  db.close()
}

/** Status by subject, in order. */
const upstreams = ({ stdout }: { readonly stdout: ReadonlyArray<string> }) =>
  stdout.filter((line) => line.includes(" upstream "))

const findings = (lines: ReadonlyArray<string>) => lines.map((line) => line.split(/\s+/).slice(0, 2).join(" "))

/** A profile, and what a look at its picture came to. */
const sized = (name: string, width: number, height: number) => {
  const picture = `https://pics.example/${name}.png`
  const record: PictureRecord = {
    outcome: { _tag: "Known", facts: { type: "png", width, height } },
    checkedAt: 1,
    freshUntil: 2,
    attempts: 0
  }
  return { event: profileEvent({ picture }, name), write: pictures.put(picture, record) }
}

describe("doctor", () => {
  it.live("nothing there yet: warnings, nothing made, 0", () =>
    Effect.gen(function*() {
      const home = yield* folder
      const { code, stdout } = yield* run(home, ["doctor"])
      assert.deepStrictEqual(findings(stdout), [
        "ok config",
        "warn database",
        "ok engines",
        "warn key",
        "warn upstream"
      ])
      assert.deepStrictEqual([code, existsSync(databasePath(home)), existsSync(keyPath(home))], [0, false, false])
    }), 20_000)

  it.live("a service that runs, and another that cannot be reached", () =>
    Effect.gen(function*() {
      const home = yield* folder
      const service = yield* Service.start({
        folder: home,
        env: { DATABASE_PATH: databasePath(home), ADMISSION: "open" }
      })
      const { url } = yield* service.listening
      const { code, stdout } = yield* run(home, ["doctor", "--discovery-relay-url", `${url},ws://127.0.0.1:1`])
      assert.deepStrictEqual(findings(stdout), [
        "ok config",
        "ok database",
        "ok engines",
        "ok key",
        "warn upstream",
        "warn upstream"
      ], stdout.join("\n"))
      assert.match(stdout[1] ?? "", /a service is running on it/)
      assert.match(stdout[4] ?? "", /has no profile/)
      assert.match(stdout[5] ?? "", /ECONNREFUSED/)
      assert.strictEqual(code, 0)
      yield* service.stop()
    }).pipe(Effect.scoped), 30_000)

  it.live(
    "one upstream once, however it is spelled, and who we are where it wants to know",
    () =>
      Effect.gen(function*() {
        const home = yield* folder
        const profile = profileEvent()
        let said = 0
        const url = yield* playing(([type, id], say) => {
          if (type === "AUTH") {
            said++
            return say("OK", (id as { readonly id: string }).id, true, "")
          }
          if (type !== "REQ") return undefined
          if (said === 0) {
            say("AUTH", "challenge of this relay")
            return say("CLOSED", id, "auth-required: who are you?")
          }
          say("EVENT", id, profile)
          return say("EOSE", id)
        })
        const args = ["doctor", "--discovery-relay-url", `${url},${url}/,${url.replace("ws", "WS")}`]
        const [unnamed, ...others] = upstreams(yield* run(home, args))
        assert.match(unnamed ?? "", /^warn .*auth-required/)
        assert.deepStrictEqual([others, said], [[], 0])
        const env = { RELAY_SECRET_KEY: hash("sha256", "a key of this test") }
        const named = upstreams(yield* run(home, args, { env }))
        assert.match(named.join("\n"), /^ok    upstream  ws:\S+ answers in \d+ ms$/)
        assert.strictEqual(said, 1)
      }).pipe(Effect.scoped),
    30_000
  )

  it.live(
    "how many profiles each smallest size of a picture would let in, of those that were looked at",
    () =>
      Effect.gen(function*() {
        const home = yield* folder
        const [portrait, square, late] = [sized("a", 300, 600), sized("b", 400, 400), sized("c", 200, 200)]
        const gone = sized("d", 1, 1)
        const unseen = profileEvent({ picture: "https://pics.example/e.png" }, "e")
        yield* run(home, ["import"], { input: jsonLines([portrait.event, square.event, gone.event, unseen]) })
        remember(home, [
          portrait.write,
          square.write,
          late.write,
          pictures.put("https://pics.example/d.png", {
            outcome: { _tag: "NoImage", reason: "picture is gone", detail: "404" },
            checkedAt: 1,
            freshUntil: 2,
            attempts: 0
          }),
          retries.put(late.event.id, {
            attempts: 1,
            since: 1,
            reason: "outbox relays did not answer",
            event: late.event
          }, 1)
        ])
        const { stdout } = yield* run(home, ["doctor"], { env: { PICTURE_MIN: "250x250" } })
        assert.deepStrictEqual(
          stdout.filter((line) => line.includes(" pictures ")).map((line) => line.replace(/^ok +pictures +/, "")),
          [
            "PICTURE_MIN=250x250: a square picture needs 250 pixels a side; 3 of 4 stored and 1 of 1 waiting profiles have one that was looked at",
            "1x1 lets in 2 stored and 1 waiting profiles",
            "100x100 lets in 2 stored and 1 waiting profiles",
            "200x200 lets in 2 stored and 1 waiting profiles",
            "250x250 lets in 2 stored and 0 waiting profiles",
            "300x300 lets in 2 stored and 0 waiting profiles",
            "300x600 lets in 1 stored and 0 waiting profiles",
            "600x600 lets in 0 stored and 0 waiting profiles"
          ]
        )
      }),
    30_000
  )

  it.live("wrong settings: 78; a truncated database: 74; the other checks go on", () =>
    Effect.gen(function*() {
      const home = yield* folder
      const wrong = yield* run(home, ["doctor"], { env: { PAGE_SIZE: "many" } })
      assert.deepStrictEqual([wrong.code, findings(wrong.stdout)], [78, ["fail config"]])
      yield* run(home, ["import"], { input: jsonLines(events(2000)) })
      truncateSync(databasePath(home), statSync(databasePath(home)).size - 8192 * 20)
      const broken = yield* run(home, ["doctor"])
      assert.deepStrictEqual([broken.code, findings(broken.stdout).slice(0, 3)], [
        74,
        ["ok config", "fail database", "ok engines"]
      ])
      chmodSync(databasePath(home), 0o600)
    }), 30_000)
})

describe("explain", () => {
  it.live("says what every rule makes of a stored profile", () =>
    Effect.gen(function*() {
      const home = yield* folder
      const good = profileEvent({}, "good")
      const silent = profileEvent({ about: undefined, name: "evil\u001b[2J" }, "silent")
      yield* run(home, ["import"], { input: jsonLines([good, silent]) })
      const accepted = yield* run(home, ["explain", npubOf(good.pubkey)])
      assert.strictEqual(accepted.code, 0)
      assert.match(accepted.stdout.join("\n"), /verdict {5}accepted/)
      const rejected = (yield* run(home, ["explain", silent.pubkey])).stdout.join("\n")
      assert.match(rejected, /NO {2}about {8,}none: no about/)
      assert.match(rejected, /verdict {5}rejected: no about/)
      assert.notInclude(rejected, "\u001b")
      const env = { NIP05: "require", ABOUT_MIN: "1000" }
      const strict = (yield* run(home, ["explain", good.pubkey], { env })).stdout.join("\n")
      assert.match(strict, /NO {2}about .*: about is too short/)
      assert.match(strict, /NO {2}NIP-05 name {3}none: no NIP-05 name/)
      const nobody = yield* run(home, ["explain", keyOf("nobody").pubkey])
      assert.match(nobody.stdout.join("\n"), /none is stored/)
      assert.strictEqual((yield* run(home, ["explain", "npub1xyz"])).code, 64)
    }), 30_000)

  it.live(
    "knows what the operator has decided, a grace, what waits, and what was found out, without asking anybody",
    () =>
      Effect.gen(function*() {
        const home = yield* folder
        const served = profileEvent({}, "served")
        const { pubkey } = served
        const waiting = profileEvent({}, "served", { created_at: served.created_at - 10 })
        yield* run(home, ["import"], { input: jsonLines([served]) })
        const due = 4_102_444_800_000
        const records: ReadonlyArray<RecordWrite> = [
          moderation.put(`pubkey ${pubkey}`, { state: "banned", text: "sells spam", by: pubkey, at: 1 }),
          graces.put(pubkey, { served: served.id, created_at: served.created_at + 1, removed: false }, due),
          retries.put(
            waiting.id,
            { attempts: 2, since: 1, reason: "picture host did not answer", event: waiting },
            due
          ),
          proofs.put(pubkey, { kinds: [1], found: true }, due)
        ]
        remember(home, records)
        const { code, stdout } = yield* run(home, ["explain", pubkey])
        const said = stdout.join("\n")
        assert.strictEqual(code, 0, said)
        assert.match(said, /operator {4}this pubkey is banned: sells spam/)
        assert.match(said, /grace {7}a newer version was rejected; this one is served until 2100-01-01/)
        assert.match(
          said,
          new RegExp(`older {7}${waiting.id}, waiting: picture host did not answer, 2 attempts, next check 2100`)
        )
        assert.match(said, /ok {2}posts {9,}1 found/)
        // Found out by another question, which says nothing about this one.
        const other = yield* run(home, ["explain", pubkey], { env: { PROOF_KINDS: "1,20" } })
        assert.match(other.stdout.join("\n"), /- {3}posts {9,}nobody was asked/)
      }),
    30_000
  )

  it.live("--ask finds a profile where it is, and writes nothing", () =>
    Effect.gen(function*() {
      const [home, elsewhere] = [yield* folder, yield* folder]
      yield* run(home, ["import"], { input: jsonLines([signed()]) })
      const profile = profileEvent({}, "found")
      yield* run(elsewhere, ["import"], { input: jsonLines([profile, signed({ content: "hello" }, "found")]) })
      const upstream = yield* Service.start({
        folder: elsewhere,
        env: { DATABASE_PATH: databasePath(elsewhere), ADMISSION: "open" }
      })
      const { url } = yield* upstream.listening
      const env = { DISCOVERY_RELAY_URL: url, PICTURES: "off" }
      const { code, stdout } = yield* run(home, ["explain", profile.pubkey, "--ask"], { env })
      assert.strictEqual(code, 0)
      assert.match(stdout.join("\n"), new RegExp(`${profile.id}, at ${url}`))
      assert.match(stdout.join("\n"), /ok {2}posts {9,}1 found/)
      assert.match(stdout.join("\n"), /verdict {5}accepted/)
      assert.deepStrictEqual((yield* run(home, ["count", "{}"])).stdout, ["1"])
      yield* upstream.stop()
    }).pipe(Effect.scoped), 30_000)
})

describe("monitor", () => {
  it.live(
    "announces what another process commits, to the subscriptions it matches, until it is stopped",
    () =>
      Effect.gen(function*() {
        const home = yield* folder
        const [before, ...after] = events(60)
        yield* run(home, ["import"], { input: jsonLines([before!]) })
        const monitor = yield* start(home, ["monitor"], { stdin: "open", env: { LOG_LEVEL: "Debug" } })
        yield* monitor.write(
          "[\"REQ\",\"profiles\",{\"kinds\":[0]}]\n[\"REQ\",\"notes\",{\"kinds\":[1]},{\"kinds\":[1]}]\n"
        )
        yield* monitor.write("[\"REQ\",\"gone\",{}]\n[\"CLOSE\",\"gone\"]\n")
        yield* until("subscribed", () => monitor.stderr.some((line) => line.includes("subscription closed")))
        yield* run(home, ["import"], { input: jsonLines(after) })
        yield* until("announced", () => monitor.stdout.length >= after.length)
        assert.deepStrictEqual(
          monitor.stdout,
          after.map((event) => `["EVENT","${event.kind === 0 ? "profiles" : "notes"}",${rawOf(event)}]`)
        )
        yield* monitor.signal("SIGINT")
        assert.strictEqual((yield* monitor.ended).code, 0)
      }).pipe(Effect.scoped),
    60_000
  )

  it.live("replays the log to the interest of a test suite, and ends", () =>
    Effect.gen(function*() {
      const home = yield* folder
      const all = events(700)
      yield* run(home, ["import"], { input: jsonLines(all) })
      const input = [
        ["sub", 1, "a", { kinds: [1] }],
        ["sub", 2, "b", [{ kinds: [0] }, { "#t": ["topic 3"] }]],
        ["sub", 2, "c", {}],
        ["interest", 2, "b"],
        ["removeSub", 2, "c"],
        ["closeConn", 1]
      ].map((line) => JSON.stringify(line)).join("\n")
      const { code, stdout } = yield* run(home, ["monitor"], { input })
      const expected = all.filter(({ kind, tags }) => kind === 0 || tags.some(([, value]) => value === "topic 3"))
      assert.deepStrictEqual([code, stdout], [0, expected.map(rawOf)])
    }), 30_000)

  it.live("names the line that is no message: 64", () =>
    Effect.gen(function*() {
      const home = yield* folder
      yield* run(home, ["import"], { input: jsonLines([signed()]) })
      const result = yield* run(home, ["monitor"], { input: "[\"REQ\",\"a\",{}]\n\n[\"HELLO\",1]\n" })
      assert.strictEqual(result.code, 64)
      assert.match(String(logged(result, "error")[0]?.["message"]), /line 3 /)
    }), 20_000)
})
