/**
 * What outsiders rely on, as it was when the files in `golden/` were written: flags and their defaults, the words of the
 * wire, the certificate, the files that are left, the exit codes. Each may grow. What changes on purpose changes the
 * golden file in the same commit: `UPDATE_GOLDEN=1 npx vitest run test/golden.test.ts`.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as child from "./support/child.ts"
import { deletionEvent, epoch, profileEvent, signed, withForgedSignature } from "./support/events.ts"
import * as service from "./support/service.ts"
import * as TestClient from "./support/TestClient.ts"

const entry = join(import.meta.dirname, "../src/entry.js")

/** Lists to which something may be added, at any place. */
const growing = /\.(?:released|supported_nips)$/u

/** All of `golden` is in `present`: objects and growing lists may have more, what was there has its order; the rest is the same. */
const missing = (golden: unknown, present: unknown, path: string): ReadonlyArray<string> => {
  if (growing.test(path) && Array.isArray(golden) && Array.isArray(present)) {
    return missing(golden, present.filter((entry) => golden.includes(entry)), `${path}, of what was there`)
  }
  if (Array.isArray(golden) || typeof golden !== "object" || golden === null) {
    return JSON.stringify(golden) === JSON.stringify(present)
      ? []
      : [`${path}: ${JSON.stringify(golden)} became ${JSON.stringify(present)}`]
  }
  if (typeof present !== "object" || present === null || Array.isArray(present)) return [`${path} is gone`]
  const there = present as Record<string, unknown>
  const order = Object.keys(there).filter((key) => key in golden)
  return [
    ...(order.join() === Object.keys(golden).filter((key) => key in there).join() ? [] : [`${path} has another order`]),
    ...Object.entries(golden).flatMap(([key, value]) =>
      key in there ? missing(value, there[key], `${path}.${key}`) : [`${path}.${key} is gone`]
    )
  ]
}

const grown = (name: string, present: unknown): void => {
  const file = join(import.meta.dirname, "golden", `${name}.json`)
  if (process.env["UPDATE_GOLDEN"] === "1" || !existsSync(file)) {
    writeFileSync(file, `${JSON.stringify(present, null, 2)}\n`)
  }
  assert.deepStrictEqual(missing(JSON.parse(readFileSync(file, "utf8")), present, name), [])
}

/** Runs the program to its end in a folder of its own. */
const run = Effect.fnUntraced(function*(args: ReadonlyArray<string>, env: Record<string, string> = {}) {
  const cwd = yield* service.folder
  const process = yield* child.start(entry, args, { cwd, env })
  const { code } = yield* process.ended
  return { code, stdout: process.stdout }
}, Effect.scoped)

/** `{ "--flag": "default" }`, of the lines of `--help` that begin with a flag. */
const flagsOf = (help: ReadonlyArray<string>): Record<string, string> =>
  Object.fromEntries(help.flatMap((line): ReadonlyArray<readonly [string, string]> => {
    const [, flag] = /^\s+(--[a-z0-9-]+)/u.exec(line) ?? []
    return flag === undefined ? [] : [[flag, /default: (.*)\)$/u.exec(line)?.[1] ?? ""]]
  }))

/** Names of the commands in `--help`. */
const commandsOf = (help: ReadonlyArray<string>): Record<string, boolean> => {
  const from = help.findIndex((line) => line.startsWith("SUBCOMMANDS"))
  return Object.fromEntries(
    help.slice(from + 1).flatMap((line) => /^ {2}([a-z][a-z0-9-]*)/u.exec(line)?.[1] ?? []).map((name) => [name, true])
  )
}

/** Figures that differ from run to run, by what they are. */
const shapeOf = (value: unknown): unknown => {
  if (typeof value === "number") return "a number"
  if (Array.isArray(value) || typeof value !== "object" || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shapeOf(inner)]))
}

describe("golden", () => {
  it.live("flags of the service keep their names and defaults", () =>
    Effect.gen(function*() {
      const { stdout } = yield* run(["serve", "--help"])
      grown("flags", flagsOf(stdout))
    }), 20_000)

  it.live("commands keep their names", () =>
    Effect.gen(function*() {
      const { stdout } = yield* run(["--help"])
      grown("commands", commandsOf(stdout))
    }), 20_000)

  it.live("exit codes of a start that fails", () =>
    Effect.gen(function*() {
      const quiet = { BIND_ADDR: "127.0.0.1:0", DISCOVERY_RELAY_URL: "none", OUTBOX_RELAY_URLS: "none" }
      const codes = {
        unknownFlag: (yield* run(["--no-such-flag"])).code,
        badSetting: (yield* run([], { ...quiet, PAGE_SIZE: "many" })).code,
        noFolder: (yield* run([], { ...quiet, DATABASE_PATH: "/proc/nowhere/events.db" })).code
      }
      grown("exitCodes", codes)
    }), 30_000)

  it.live(
    "a conversation, the document about the relay, the files that are left, and the certificate",
    () =>
      Effect.gen(function*() {
        const running = yield* service.start({ env: { ADMISSION: "open", CREATED_AT_MIN: "2020-01-01" } })
        const { http, url } = yield* running.listening
        const information = yield* Effect.promise(() =>
          fetch(http, { headers: { accept: "application/nostr+json" } }).then((response) => response.json())
        )
        const { pubkey: _pubkey, self: _self, version: _version, ...document } = information as Record<string, unknown>
        const statuses: Record<string, number> = {}
        for (const path of ["/health", "/ready", "/no-such-page"]) {
          statuses[path] = yield* Effect.promise(() => fetch(`${http}${path}`).then(({ status }) => status))
        }

        const client = yield* TestClient.connect(url)
        const note = signed({ content: "a note", created_at: epoch })
        const profile = profileEvent()
        const older = profileEvent({ name: "earlier" }, "author", { created_at: epoch - 1 })
        const wire: Record<string, unknown> = {
          saved: yield* client.publish(note),
          duplicate: yield* client.publish(note),
          profile: yield* client.publish(profile),
          superseded: yield* client.publish(older),
          forged: yield* client.publish(withForgedSignature(signed({ content: "another" }))),
          future: yield* client.publish(signed({ created_at: 4_000_000_000 })),
          ancient: yield* client.publish(signed({ created_at: 1 })),
          deletion: yield* client.publish(deletionEvent([note.id])),
          deleted: yield* client.publish(note),
          protected: (yield* client.publish(signed({ tags: [["-"]], content: "mine" }))).slice(0, 3)
        }
        const { end, events } = yield* client.req("s", { kinds: [0], authors: [profile.pubkey] })
        wire["stored"] = events
        wire["end"] = end
        yield* client.send(["COUNT", "c", { kinds: [0] }])
        wire["count"] = yield* client.next(["COUNT", "c"])
        yield* client.send(["CLOSE", "s"])
        yield* client.sendRaw("{")
        wire["noJson"] = yield* client.next("NOTICE")
        yield* client.send(["WHAT"])
        wire["unknown"] = yield* client.next("NOTICE")
        yield* client.send(["REQ", "bad", { kinds: ["0"] }])
        wire["badFilter"] = yield* client.next(["CLOSED", "bad"])
        yield* client.req("open", { kinds: [1] })

        const { certificate, code } = yield* running.stop()
        wire["closed"] = yield* client.next(["CLOSED", "open"])
        wire["goodbye"] = yield* client.closed()
        grown("wire", wire)
        grown("information", document)
        grown("http", statuses)
        grown("certificate", { code, stopped: shapeOf(certificate) })
        assert.strictEqual(Object.keys(JSON.parse(running.stdout.at(-1) ?? "{}"))[0], "stopped")
        grown("files", Object.fromEntries(readdirSync(running.folder).toSorted().map((name) => [name, true])))
      }),
    30_000
  )
})
