import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Readable } from "node:stream"
import { gzipSync, zstdCompressSync } from "node:zlib"
import { ArrayLines, open } from "../../src/cli/Dump.ts"
import { profileEvent, relayListEvent } from "../support/events.ts"
import { folder } from "../support/service.ts"
import { run } from "./support.ts"

/** Cut into pieces of every length. */
const through = (text: string, size: number): ReadonlyArray<string> => {
  const arrays = new ArrayLines()
  const bytes = Buffer.from(text)
  const pieces: Array<Buffer> = []
  for (let from = 0; from < bytes.length; from += size) pieces.push(arrays.push(bytes.subarray(from, from + size)))
  return Buffer.concat(pieces).toString().split("\n").map((line) => line.trim()).filter((line) => line !== "")
}

const read = (bytes: Uint8Array) =>
  Effect.promise(async () => {
    const found: Array<Buffer> = []
    for await (const chunk of open(Readable.from([bytes]))) found.push(chunk as Buffer)
    return Buffer.concat(found).toString()
  })

describe("a dump", () => {
  const cases: ReadonlyArray<readonly [what: string, text: string, lines: ReadonlyArray<string>]> = [
    ["lines stay lines", "{\"a\":1}\n{\"b\":[{},2]}\nnoise [{\n", ["{\"a\":1}", "{\"b\":[{},2]}", "noise [{"]],
    ["an array", "[{\"a\":[1,2]},{\"b\":\"],{\\\"\"}]", ["{\"a\":[1,2]}", "{\"b\":\"],{\\\"\"}"]],
    ["an array over several lines, then lines", " [\n  {\"a\":\n 1},\n  {}\n]\n{\"c\":3}", [
      "{\"a\":  1}",
      "{}",
      "{\"c\":3}"
    ]],
    ["a message of a relay", "[\"EVENT\",{\"a\":[{}]}]\n[\"EVENT\",\"s\",{}]", [
      "[\"EVENT\",{\"a\":[{}]}]",
      "[\"EVENT\",\"s\",{}]"
    ]],
    ["an array that never closes, cut within a text", "[{\"a\":\"x\n{\"b\":1}\r\n{\"c\":[2]}\n", [
      "{\"a\":\"x",
      "{\"b\":1}",
      "{\"c\":[2]}"
    ]],
    ["one cut within an element", "[{\"a\":1},\n{\"tags\":[[\"p\"\n{\"b\":1}\n[{\"c\":2}]", [
      "{\"a\":1}",
      "{\"tags\":[[\"p\"",
      "{\"b\":1}",
      "{\"c\":2}"
    ]],
    ["one without commas", "[{\"a\":1}\n\n{\"b\":1}\n{\"c\":2}", ["{\"a\":1}", "{\"b\":1}", "{\"c\":2}"]],
    ["arrays in a row, one of them empty", "[]\n[{}][{\"b\":2}]\n", ["{}", "{\"b\":2}"]]
  ]
  for (const [what, text, lines] of cases) {
    it(`is read as lines of one value: ${what}`, () => {
      for (let size = 1; size <= text.length; size++) assert.deepStrictEqual(through(text, size), lines)
    })
  }

  it.live("is unpacked where it is gzip or zstd, also several of them in a row", () =>
    Effect.gen(function*() {
      const text = "{\"a\":1}\n".repeat(10_000)
      assert.strictEqual(yield* read(Buffer.from(text)), text)
      assert.strictEqual(yield* read(gzipSync(text)), text)
      assert.strictEqual(yield* read(zstdCompressSync(text)), text)
      assert.strictEqual(yield* read(Buffer.concat([gzipSync(text), gzipSync(text)])), text + text)
      assert.strictEqual(yield* read(Buffer.concat([zstdCompressSync(text), zstdCompressSync(text)])), text + text)
    }))

  it.live("is stored in every shape, counted by kind, and by kind and rule where asked", () =>
    Effect.gen(function*() {
      const home = yield* folder
      const [first, second, nameless] = [
        profileEvent({}, "first"),
        profileEvent({}, "second"),
        profileEvent({ name: "", display_name: "" }, "nameless")
      ]
      const list = relayListEvent({ write: ["wss://own.example"] }, "first", first.created_at)
      const mark = "\ufeff"
      const input = [
        mark + JSON.stringify(first),
        mark + JSON.stringify([second, nameless], undefined, 2),
        JSON.stringify(["EVENT", "s", list]),
        ""
      ].join("\n")
      const ruled = yield* run(home, ["import", "--kinds", "0,", "--rules"], { input })
      assert.strictEqual(ruled.code, 0)
      assert.includeMembers([...ruled.stderr], ["Added: 2 of kind 0", "Skipped: 1 of other kinds"])
      assert.match(ruled.stderr.join("\n"), /Rejected: 1 × no name/)
      const whole = yield* run(home, ["import"], { input })
      assert.includeMembers([...whole.stderr], ["Added: 1 of kind 0", "Added: 1 of kind 10002"])
      assert.include((yield* run(home, ["import"], { input })).stderr, "Nothing was added.")
      assert.strictEqual((yield* run(home, ["import", "--kinds", "zero"], { input })).code, 64)
    }).pipe(Effect.scoped), 60_000)
})
