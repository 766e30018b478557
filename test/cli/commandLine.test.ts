/** The command line itself: help, completions, what may stand before a verb, and what is kept off stdout. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { rawOf } from "../../src/domain/Event.ts"
import { folder } from "../support/service.ts"
import { databasePath, events, jsonLines, run, start, until } from "./support.ts"

const verbs = [
  "serve",
  "demo",
  "import",
  "export",
  "scan",
  "count",
  "delete",
  "sync",
  "explain",
  "doctor",
  "key",
  "monitor"
]

describe("the command line", () => {
  it.live("lists every command, and each explains itself", () =>
    Effect.gen(function*() {
      const home = yield* folder
      const { code, stdout } = yield* run(home, ["--help"])
      assert.strictEqual(code, 0)
      for (const verb of verbs) assert.match(stdout.join("\n"), new RegExp(`^ +${verb}\\b.* [A-Z].*\\.$`, "mu"))
      for (const verb of ["import", "sync"]) {
        const help = yield* run(home, [verb, "--help"])
        assert.strictEqual(help.code, 0)
        assert.match(help.stdout.join("\n"), /EXAMPLES[^]*profile-aggregator/u)
      }
    }).pipe(Effect.scoped), 60_000)

  for (const shell of ["bash", "zsh", "fish"]) {
    it.live(`writes completions for ${shell}, with every command`, () =>
      Effect.gen(function*() {
        const { code, stdout } = yield* run(yield* folder, ["--completions", shell])
        assert.strictEqual(code, 0)
        for (const verb of [...verbs, "no-verify"]) assert.include(stdout.join("\n"), verb)
      }).pipe(Effect.scoped), 30_000)
  }

  it.live("says on stderr what is wrong with it, and leaves stdout alone", () =>
    Effect.gen(function*() {
      const { code, stderr, stdout } = yield* run(yield* folder, ["export", "--no-such-flag"])
      assert.deepStrictEqual([code, stdout], [64, []])
      assert.match(stderr.join("\n"), /no-such-flag/u)
    }).pipe(Effect.scoped), 20_000)

  it.live("tells a wrong argument before it misses the database", () =>
    Effect.gen(function*() {
      const home = yield* folder
      for (const args of [["count", "{bad"], ["scan", "7"], ["export", "--kinds", "x"], ["explain", "npub1bad"]]) {
        const { code, stdout } = yield* run(home, args)
        assert.deepStrictEqual([args[0], code, stdout], [args[0], 64, []])
      }
      assert.strictEqual((yield* run(home, ["count", "{}"])).code, 74)
    }).pipe(Effect.scoped), 60_000)

  it.live("lists a command's own flags, and says where the service's are", () =>
    Effect.gen(function*() {
      const home = yield* folder
      const own = (yield* run(home, ["doctor", "--help"])).stdout.join("\n")
      assert.notInclude(own, "--picture-min")
      assert.include(own, "profile-aggregator serve --help lists them")
      const all = (yield* run(home, ["serve", "--help"])).stdout.join("\n")
      assert.include(all, "--picture-min")
      assert.notInclude(all, "lists them")
    }).pipe(Effect.scoped), 60_000)

  it.live("takes --config before the verb, and the flags of strfry's dumps", () =>
    Effect.gen(function*() {
      const home = yield* folder
      const all = events(20)
      const fried = all.map((event) => rawOf(event).replace(/\}$/u, ",\"fried\":\"00ff\"}\n")).join("")
      const imported = yield* run(home, ["import", "--fried", "--no-verify"], { input: fried })
      assert.include(imported.stderr, "Done. Processed 20 lines. 20 added, 0 rejected, 0 dups")
      const file = join(home, "settings.env")
      writeFileSync(file, `DATABASE_PATH=${databasePath(home)}\n`)
      for (const config of [["--config", file], [`--config=${file}`]]) {
        const exported = yield* run(home, [...config, "export"], { env: { DATABASE_PATH: "" } })
        assert.strictEqual(exported.code, 0)
        assert.strictEqual(`${exported.stdout.join("\n")}\n`, jsonLines(all))
      }
    }).pipe(Effect.scoped), 60_000)

  it.live("keeps what a process says of itself off a stdout that is data", () =>
    Effect.gen(function*() {
      const home = yield* folder
      yield* run(home, ["import", "--no-verify"], { input: jsonLines(events(5)) })
      const command = yield* start(home, ["monitor"], { stdin: "open", env: { LOG_LEVEL: "Debug" } })
      yield* command.write("[\"REQ\",\"a\",{}]\n")
      yield* until("subscribed", () => command.stderr.some((line) => line.includes("subscription opened")))
      yield* command.signal("SIGUSR2")
      yield* until("reported", () => command.stderr.some((line) => line.startsWith("{\"report\"")))
      yield* command.signal("SIGINT")
      assert.strictEqual((yield* command.ended).code, 0)
      assert.deepStrictEqual(command.stdout, [])
    }).pipe(Effect.scoped), 30_000)
})
