import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Redacted, Schema } from "effect"
import { escape, escapeLines } from "../../src/observability/Escape.ts"
import * as Logging from "../../src/observability/Logging.ts"

/** What `effect` logs, entry by entry. */
const logged = <E>(effect: Effect.Effect<unknown, E>, options?: Partial<Logging.LoggingOptions>) =>
  Effect.suspend(() => {
    const lines: Array<string> = []
    return effect.pipe(
      Effect.provide(Logging.layer({
        sink: (line) => void lines.push(line),
        level: () => "Info",
        format: "json",
        isTerminal: false,
        ...options
      })),
      Effect.as(lines)
    )
  })

const loggedJson = <E>(effect: Effect.Effect<unknown, E>) =>
  Effect.map(logged(effect), (lines) => lines.map((line) => JSON.parse(line) as Record<string, unknown>))

describe("escape", () => {
  it("spells out what could drive a terminal or break a line", () => {
    assert.strictEqual(escape("a\u001b[31mb\r\n\u0007", 100), "a\\u001b[31mb\\u000d\\u000a\\u0007")
    assert.strictEqual(escape("\u009b2J\u007f", 100), "\\u009b2J\\u007f")
    assert.strictEqual(escape("\u202etxt\u2066\u2028", 100), "\\u202etxt\\u2066\\u2028")
  })

  it("leaves every other script and emoji alone", () => {
    assert.strictEqual(escape("Ünï 漢字 🙂 نص", 100), "Ünï 漢字 🙂 نص")
  })

  it("spells out half of a surrogate pair", () => {
    assert.strictEqual(escape("a\ud83d", 100), "a\\ud83d")
  })

  it("keeps a text of the bound, and cuts one unit more", () => {
    assert.strictEqual(escape("abcd", 4), "abcd")
    assert.strictEqual(escape("abcde", 4), "abcd… (+1)")
  })

  it("never cuts through a character", () => {
    assert.strictEqual(escape("ab🙂c", 3), "ab… (+3)")
    assert.strictEqual(escape("ab🙂c", 4), "ab🙂… (+1)")
  })

  it.effect.prop(
    "never lets a control character through, and never grows beyond six times the bound",
    { text: Schema.String, max: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 20 })) },
    ({ max, text }) =>
      Effect.sync(() => {
        const hostile = `${text}\u0000\u001b[0m\u009b${text}\ud800`
        const escaped = escape(hostile, max)
        assert.isFalse(/[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]/u.test(escaped), escaped)
        assert.isAtMost(escaped.length, 6 * max + "… (+999)".length)
      }),
    { arbitrary: { runs: 300 } }
  )

  it("keeps the lines of a stack trace and escapes the rest", () => {
    assert.strictEqual(escapeLines("Error: \u001b[0m\n    at x", 100), "Error: \\u001b[0m\n    at x")
    assert.strictEqual(escapeLines("ab\ncd", 4), "ab\nc… (+1)")
  })
})

describe("Logging, JSON lines", () => {
  it.effect("gives time, level, message, component, then the fields", () =>
    Effect.gen(function*() {
      const lines = yield* logged(
        Effect.logInfo("event saved").pipe(Effect.annotateLogs({ kind: 0, component: "database", fresh: true }))
      )
      assert.deepStrictEqual(lines, [
        "{\"time\":\"1970-01-01T00:00:00.000Z\",\"level\":\"info\",\"message\":\"event saved\",\"component\":\"database\",\"kind\":0,\"fresh\":true}"
      ])
    }))

  it.effect("puts a cause into a field of its own, without losing the message", () =>
    Effect.gen(function*() {
      const [line] = yield* loggedJson(Effect.logError("component failed", Cause.die(new Error("disk \u001b[2J full"))))
      assert.strictEqual(line?.["message"], "component failed")
      assert.match(String(line?.["cause"]), /disk \\u001b\[2J full/)
    }))

  it.effect("is one line whatever a stranger wrote", () =>
    Effect.gen(function*() {
      const lines = yield* logged(
        Effect.logWarning("upstream closed").pipe(
          Effect.annotateLogs({ reason: "bye\n{\"level\":\"error\"}\u001b[31m" })
        )
      )
      assert.strictEqual(lines.length, 1)
      assert.isFalse(/\p{Cc}/u.test(lines.join("")))
    }))

  it.effect("cuts a long field, and lists and objects too", () =>
    Effect.gen(function*() {
      const [line] = yield* loggedJson(
        Effect.logInfo("x").pipe(Effect.annotateLogs({
          reason: "r".repeat(1_000_000),
          list: Array.from({ length: 1000 }, (_, i) => i),
          deep: { a: { b: { c: { d: 1 } } } }
        }))
      )
      assert.strictEqual(line?.["reason"], `${"r".repeat(256)}… (+${1_000_000 - 256})`)
      assert.strictEqual((line?.["list"] as Array<unknown> | undefined)?.length, 32)
      assert.deepStrictEqual(line?.["deep"], { a: { b: { c: "…" } } })
    }))

  it.effect("cuts a cause whose message is longer than a page", () =>
    Effect.gen(function*() {
      const [line] = yield* loggedJson(Effect.logError("x", Cause.fail(new Error("m".repeat(100_000)))))
      assert.isBelow(String(line?.["cause"]).length, 8300)
    }))

  it.effect("does not let a field pose as the level, the time or the message", () =>
    Effect.gen(function*() {
      const [line] = yield* loggedJson(
        Effect.logInfo("real").pipe(Effect.annotateLogs({ level: "error", message: "no" }))
      )
      assert.strictEqual(line?.["level"], "info")
      assert.strictEqual(line?.["message"], "real")
      assert.strictEqual(line?.["level_"], "error")
    }))

  it.effect("never shows a redacted value", () =>
    Effect.gen(function*() {
      const lines = yield* logged(
        Effect.logInfo("key").pipe(Effect.annotateLogs({ key: Redacted.make("nsec1secret") }))
      )
      assert.notMatch(lines.join(""), /nsec1secret/)
    }))

  it.effect("survives a value that cannot be printed", () =>
    Effect.gen(function*() {
      const hostile = {
        get name(): string {
          throw new Error("no")
        }
      }
      const [line] = yield* loggedJson(Effect.logInfo("x").pipe(Effect.annotateLogs({ hostile })))
      assert.strictEqual(line?.["hostile"], "<unprintable>")
    }))
})

describe("Logging, level", () => {
  const all = Effect.all([
    Effect.logTrace("trace"),
    Effect.logDebug("debug"),
    Effect.logInfo("info"),
    Effect.logWarning("warn"),
    Effect.logError("error")
  ])

  it.effect("lets its own level through and nothing below it", () =>
    Effect.gen(function*() {
      for (
        const [level, count] of [["Trace", 5], ["Debug", 4], ["Info", 3], ["Warn", 2], ["Error", 1], [
          "None",
          0
        ]] as const
      ) {
        assert.strictEqual((yield* logged(all, { level: () => level })).length, count, level)
      }
    }))
})

describe("Logging, level that changes", () => {
  it.effect("counts from the next line on, for fibers that run already, too", () => {
    let level: "Warn" | "Debug" = "Warn"
    const change = Effect.sync(() => void (level = "Debug"))
    return Effect.map(
      logged(Effect.all([Effect.logDebug("before"), change, Effect.logDebug("after")]), { level: () => level }),
      (lines) =>
        assert.deepStrictEqual(lines.map((line) => (JSON.parse(line) as { message: string }).message), ["after"])
    )
  })
})

describe("Logging, on a terminal", () => {
  const entry = Effect.logWarning("upstream closed").pipe(
    Effect.annotateLogs({ component: "aggregation", upstream: "wss://a.example", reason: "two words\u001b[2J" })
  )

  it.effect("is pretty on a terminal and JSON elsewhere when left to decide", () =>
    Effect.gen(function*() {
      const [terminal] = yield* logged(entry, { format: "auto", isTerminal: true })
      const [file] = yield* logged(entry, { format: "auto", isTerminal: false })
      assert.match(String(terminal), /WARN/)
      assert.strictEqual((JSON.parse(String(file)) as { level: string }).level, "warn")
    }))

  it.effect("writes the clock, level, component, phrase and fields", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* logged(entry, { format: "pretty" }), [
        "00:00:00.000 WARN  aggregation: upstream closed upstream=wss://a.example reason=\"two words\\\\u001b[2J\""
      ])
    }))

  it.effect("indents the cause below its entry", () =>
    Effect.gen(function*() {
      const lines = (yield* logged(Effect.logError("failed", Cause.die(new Error("boom"))), { format: "pretty" })).join(
        ""
      ).split("\n")
      assert.match(String(lines[1]), /^ {4}Error: boom/)
    }))
})
