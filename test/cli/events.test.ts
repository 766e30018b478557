/** Commands over the stored events, as a shell runs them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { type Event, newestFirst } from "../../src/domain/Event.ts"
import { npubOf } from "../../src/domain/PublicKey.ts"
import { deletionEvent, signed, withForgedSignature, withWrongId } from "../support/events.ts"
import { folder } from "../support/service.ts"
import * as Service from "../support/service.ts"
import { committed, committedAtLeast, databasePath, events, jsonLines, logged, run, start, until } from "./support.ts"

const idsOf = (lines: ReadonlyArray<string>) => lines.map((line) => (JSON.parse(line) as { readonly id: string }).id)

describe("import and export", () => {
  it.live("a few thousand events come out byte for byte as they went in, oldest first", () =>
    Effect.gen(function*() {
      const [first, second] = [yield* folder, yield* folder]
      const input = jsonLines(events(4000))
      const imported = yield* run(first, ["import"], { input })
      assert.deepStrictEqual([imported.code, imported.stdout], [0, []])
      assert.include(imported.stderr, "Done. Processed 4000 lines. 4000 added, 0 rejected, 0 dups")
      const exported = yield* run(first, ["export"])
      assert.strictEqual(exported.code, 0)
      assert.isTrue(`${exported.stdout.join("\n")}\n` === input)

      // The other way round, into a store that trusts: the same again.
      const reversed = yield* run(first, ["export", "--reverse"])
      assert.isTrue(reversed.stdout.toReversed().join("\n") === exported.stdout.join("\n"))
      const trusted = yield* run(second, ["import", "--no-verify", "--write-batch", "300"], {
        input: `${reversed.stdout.join("\n")}\n`
      })
      assert.strictEqual(trusted.code, 0)
      assert.include(trusted.stderr, "Done. Processed 4000 lines. 4000 added, 0 rejected, 0 dups")
      assert.isTrue((yield* run(second, ["export"])).stdout.join("\n") === exported.stdout.join("\n"))
    }), 40_000)

  it.live("names bad lines by their number, counts them, and keeps the rest", () =>
    Effect.gen(function*() {
      const home = yield* folder
      const [one, two, three] = events(3) as [never, never, never]
      const lines = [
        jsonLines([one]).trim(),
        "not json",
        "",
        jsonLines([withForgedSignature(signed({ content: "forged" }))]).trim(),
        jsonLines([withWrongId(signed({ content: "edited" }))]).trim(),
        "{\"id\":1}",
        "x".repeat(200_000),
        jsonLines([one]).trim(),
        jsonLines([signed({ kind: 20_001 })]).trim(),
        jsonLines([two]).trim(),
        // Without a newline at its end.
        jsonLines([three]).trim()
      ]
      const result = yield* run(home, ["import"], { input: lines.join("\n") })
      assert.strictEqual(result.code, 0)
      assert.deepStrictEqual(
        logged(result, "warn").map(({ line, reason }) => [line, reason]),
        [
          [2, "line is not JSON"],
          [4, "signature is wrong"],
          [5, "id is wrong"],
          [6, "id must be 64 lower-case hex characters"],
          [7, "line is too long"],
          [9, "events of its kind are not stored"]
        ]
      )
      assert.include(result.stderr, "Done. Processed 10 lines. 3 added, 6 rejected, 1 dups")
      assert.strictEqual(committed(home), 3)
    }), 20_000)

  it.live("--no-verify does not look at signatures", () =>
    Effect.gen(function*() {
      const home = yield* folder
      const input = jsonLines([withForgedSignature(signed({ content: "forged" }))])
      const result = yield* run(home, ["import", "--no-verify"], { input })
      assert.match(JSON.stringify(logged(result, "warn")), /not verifying/)
      assert.strictEqual(committed(home), 1)
    }), 20_000)

  it.live(
    "what its author has deleted stays out, and a newer version replaces an older one in any order",
    () =>
      Effect.gen(function*() {
        const home = yield* folder
        const note = signed({ content: "regretted" })
        const [older, newer] = [1, 2].map((n) => signed({ kind: 0, content: `{"name":"${n}"}`, created_at: n }))
        const input = jsonLines([deletionEvent([note.id]), note, newer!, older!])
        const result = yield* run(home, ["import"], { input })
        assert.include(result.stderr, "Done. Processed 4 lines. 2 added, 2 rejected, 0 dups")
        const kept = (yield* run(home, ["export", "--kinds", "0,1"])).stdout
        assert.deepStrictEqual(idsOf(kept), [newer!.id])
      }),
    20_000
  )

  it.live(
    "SIGINT in the middle: what it says is what is stored, 75, and the same input goes on from there",
    () =>
      Effect.gen(function*() {
        const home = yield* folder
        const all = events(3000)
        const command = yield* start(home, ["import", "--write-batch", "100", "--debounce-millis", "50"], {
          stdin: "open"
        })
        yield* command.write(jsonLines(all.slice(0, 2000)))
        yield* committedAtLeast(home, 500)
        yield* command.signal("SIGINT")
        const ended = yield* command.ended
        assert.deepStrictEqual(
          [ended.code, ended.signal, command.stdout.length],
          [75, null, 0],
          command.stderr.join("\n")
        )
        const said = command.stderr.map((line) => /^Stopped after line (\d+), /.exec(line)?.[1]).find((line) => line)
        assert.strictEqual(committed(home), Number(said))
        assert.isTrue(command.stderr.some((line) => line.includes("Ingester thread exited")))

        const again = yield* run(home, ["import"], { input: jsonLines(all) })
        assert.include(
          again.stderr,
          `Done. Processed 3000 lines. ${3000 - Number(said)} added, 0 rejected, ${said} dups`
        )
        assert.isTrue(`${(yield* run(home, ["export"])).stdout.join("\n")}\n` === jsonLines(all))
      }).pipe(Effect.scoped),
    40_000
  )

  it.live("SIGTERM while nothing comes in ends it at once", () =>
    Effect.gen(function*() {
      const home = yield* folder
      const command = yield* start(home, ["import"], { stdin: "open" })
      yield* command.write(jsonLines(events(1)))
      yield* committedAtLeast(home, 1)
      yield* command.signal("SIGTERM")
      assert.strictEqual((yield* command.ended).code, 75)
    }).pipe(Effect.scoped), 20_000)

  it.live("SIGKILL in the middle loses nothing that a later import does not find", () =>
    Effect.gen(function*() {
      const home = yield* folder
      const all = events(2000)
      const command = yield* start(home, ["import", "--write-batch", "50"], { stdin: "open" })
      yield* command.write(jsonLines(all))
      yield* committedAtLeast(home, 200)
      yield* command.signal("SIGKILL")
      yield* command.ended
      const again = yield* run(home, ["import"], { input: jsonLines(all) })
      assert.strictEqual(again.code, 0)
      assert.isTrue(`${(yield* run(home, ["export"])).stdout.join("\n")}\n` === jsonLines(all))
    }).pipe(Effect.scoped), 40_000)
})

describe("a store to read", () => {
  it.live("export | head: the reader goes away, and that is no failure", () =>
    Effect.gen(function*() {
      const home = yield* folder
      yield* run(home, ["import", "--no-verify"], { input: jsonLines(events(3000)) })
      const command = yield* start(home, ["export"])
      yield* command.line("\"id\"")
      yield* command.closeStdout
      const ended = yield* command.ended
      assert.strictEqual(ended.code, 0)
      assert.deepStrictEqual(command.stderr, [])
    }).pipe(Effect.scoped), 30_000)

  it.live("a reader that stalls does not hold a stop", () =>
    Effect.gen(function*() {
      const home = yield* folder
      yield* run(home, ["import", "--no-verify"], { input: jsonLines(events(3000)) })
      const command = yield* start(home, ["export"], { stdout: "stall", env: { LOG_LEVEL: "Debug" } })
      // More than a pipe holds has been read of the store by then, and nobody takes it.
      yield* until("blocked", () => command.stderr.some((line) => line.includes("writing begins")))
      yield* command.signal("SIGINT")
      const ended = yield* command.ended
      assert.strictEqual(ended.code, 75)
      assert.isTrue(command.stderr.some((line) => /^Stopped after \d+ events/.test(line)), command.stderr.join("\n"))
    }).pipe(Effect.scoped), 30_000)

  it.live("export takes a filter in parts, or whole, or both", () =>
    Effect.gen(function*() {
      const home = yield* folder
      const all = events(400)
      yield* run(home, ["import"], { input: jsonLines(all) })
      const { pubkey } = all[7]!
      const since = all[100]!.created_at
      const expected = all.filter((event) => event.pubkey === pubkey && event.kind === 1 && event.created_at >= since)
      const parts = yield* run(home, ["export", "--authors", pubkey, "--kinds", "1", "--since", String(since)])
      assert.deepStrictEqual(idsOf(parts.stdout), expected.map(({ id }) => id))
      const mixed = yield* run(home, ["export", "--kinds", "1", JSON.stringify({ authors: [pubkey], since, limit: 2 })])
      assert.deepStrictEqual(idsOf(mixed.stdout), expected.slice(-2).map(({ id }) => id))
      const twice = yield* run(home, ["export", "--kinds", "1", "{\"kinds\":[0]}"])
      assert.deepStrictEqual([twice.code, twice.stdout], [64, []])
    }), 30_000)

  it.live("scan and count answer as a REQ and a COUNT would, without the relay's limits", () =>
    Effect.gen(function*() {
      const home = yield* folder
      const all = events(1200)
      yield* run(home, ["import", "--no-verify"], { input: jsonLines(all) })
      const notes = all.filter(({ kind }) => kind === 1).toSorted(newestFirst)
      const whole = yield* run(home, ["scan", "{\"kinds\":[1]}"])
      assert.deepStrictEqual(idsOf(whole.stdout), notes.map(({ id }) => id))
      const two = yield* run(home, [
        "scan",
        "[{\"kinds\":[0],\"limit\":3},{\"kinds\":[1],\"limit\":4},{\"kinds\":[0],\"limit\":1}]"
      ])
      const profiles = all.filter(({ kind }) => kind === 0).toSorted(newestFirst)
      assert.deepStrictEqual(idsOf(two.stdout), [...notes.slice(0, 4), ...profiles.slice(0, 3)].map(({ id }) => id))
      assert.deepStrictEqual((yield* run(home, ["count", "{\"kinds\":[1],\"limit\":4}"])).stdout, ["1150"])
      assert.deepStrictEqual((yield* run(home, ["scan", "--count", "{\"kinds\":[1],\"limit\":4}"])).stdout, ["4"])
    }), 30_000)

  it.live("names people as they are shown", () =>
    Effect.gen(function*() {
      const home = yield* folder
      const all = events(20)
      yield* run(home, ["import", "--no-verify"], { input: jsonLines(all) })
      const { pubkey } = all[3] as Event
      const theirs = all.filter((event) => event.pubkey === pubkey).length
      const filter = JSON.stringify({ authors: [npubOf(pubkey)] })
      assert.deepStrictEqual((yield* run(home, ["count", filter])).stdout, [`${theirs}`])
      assert.strictEqual((yield* run(home, ["scan", filter])).stdout.length, theirs)
      const cut = yield* run(home, ["count", filter.replace("\"]", "x\"]")])
      assert.deepStrictEqual([cut.code, cut.stdout], [64, []])
    }).pipe(Effect.scoped), 30_000)

  it.live("wrong filters: 64, one line on stderr, nothing on stdout", () =>
    Effect.gen(function*() {
      const home = yield* folder
      yield* run(home, ["import"], { input: jsonLines(events(1)) })
      for (const filter of ["{", "7", "[]", "{\"kindss\":[1]}", "{\"ids\":[\"abc\"]}", "{\"search\":\"x\"}"]) {
        const { code, stderr, stdout } = yield* run(home, ["scan", filter])
        assert.deepStrictEqual([code, stdout, stderr.length], [64, [], 1], filter)
      }
    }), 30_000)

  it.live("a database that is missing is not made: 74", () =>
    Effect.gen(function*() {
      const home = yield* folder
      const result = yield* run(home, ["count", "{}"])
      assert.deepStrictEqual([result.code, result.stdout], [74, []])
      assert.match(String(logged(result, "error")[0]?.["message"]), /does not exist/)
      assert.strictEqual(committed(home), undefined)
    }), 20_000)
})

describe("beside a running service", () => {
  it.live("writing is refused with 69, reading works, and the service does not notice", () =>
    Effect.gen(function*() {
      const home = yield* folder
      yield* run(home, ["import"], { input: jsonLines(events(300)) })
      const service = yield* Service.start({ folder: home, env: { DATABASE_PATH: databasePath(home) } })
      yield* service.listening
      const refused = yield* run(home, ["import"], { input: jsonLines(events(300)) })
      assert.deepStrictEqual([refused.code, refused.stdout], [69, []])
      assert.match(String(logged(refused, "error")[0]?.["message"]), /in use by another instance/)
      assert.strictEqual((yield* run(home, ["delete", "{}", "--yes"])).code, 69)
      assert.deepStrictEqual((yield* run(home, ["count", "{}"])).stdout, ["300"])
      assert.strictEqual((yield* run(home, ["export"])).stdout.length, 300)
      assert.strictEqual((yield* run(home, ["delete", "{}"])).code, 0)
      const { certificate, code } = yield* service.stop()
      assert.deepStrictEqual([code, certificate?.wal], [0, "checkpointed"])
    }).pipe(Effect.scoped), 40_000)

  it.live("--config names settings before and after the command; relay is serve", () =>
    Effect.gen(function*() {
      const home = yield* folder
      yield* run(home, ["import"], { input: jsonLines(events(10)) })
      const config = `${home}/relay.conf`
      writeFileSync(config, `BIND_ADDR=127.0.0.1:0\nDATABASE_PATH=${databasePath(home)}\n`)
      const env = { DATABASE_PATH: "" }
      assert.deepStrictEqual((yield* run(home, ["--config", config, "count", "{}"], { env })).stdout, ["10"])
      assert.deepStrictEqual((yield* run(home, ["count", "--config", config, "{}"], { env })).stdout, ["10"])
      const relay = yield* start(home, ["--config", config, "relay"], { env })
      yield* relay.line("\"listening\"")
      yield* relay.signal("SIGTERM")
      assert.strictEqual((yield* relay.ended).code, 0)
    }).pipe(Effect.scoped), 40_000)
})

describe("delete", () => {
  it.live("shows what would go, then removes exactly that", () =>
    Effect.gen(function*() {
      const home = yield* folder
      const all = events(600)
      yield* run(home, ["import"], { input: jsonLines(all) })
      const dry = yield* run(home, ["delete", "{\"kinds\":[0]}"])
      assert.deepStrictEqual([dry.code, dry.stdout.length], [0, 50])
      assert.include(dry.stderr, "Would delete 50 events. Nothing is deleted without --yes.")
      assert.strictEqual(committed(home), 600)
      const done = yield* run(home, ["delete", "--filter", "{\"kinds\":[0]}", "--yes"])
      assert.deepStrictEqual([done.code, done.stdout], [0, []])
      assert.include(done.stderr, "Deleted 50 events")
      const left = (yield* run(home, ["export"])).stdout
      assert.deepStrictEqual(idsOf(left), all.filter(({ kind }) => kind === 1).map(({ id }) => id))
    }), 30_000)

  it.live("asks what to delete, and --age counts from now", () =>
    Effect.gen(function*() {
      const home = yield* folder
      const recent = signed({ created_at: Math.floor(Date.now() / 1000) - 60 })
      yield* run(home, ["import"], { input: jsonLines([...events(5), recent]) })
      assert.strictEqual((yield* run(home, ["delete", "--yes"])).code, 64)
      assert.strictEqual((yield* run(home, ["delete", "--age", "3600", "{\"until\":5}", "--yes"])).code, 64)
      assert.strictEqual((yield* run(home, ["delete", "--age", "3600", "--yes"])).code, 0)
      assert.deepStrictEqual(idsOf((yield* run(home, ["export"])).stdout), [recent.id])
    }), 30_000)
})
