import { assert, describe, it } from "@effect/vitest"
import { textOf } from "../../../../src/database/Database.ts"
import { AnswerBuffers, keptMax } from "../../../../src/database/sqlite/thread/AnswerBuffers.ts"
import { pack, unpack } from "../../../../src/database/sqlite/thread/packedSelection.ts"
import { payloadsOf } from "../../../websocket/FakeClientSocket.ts"

const selection = (events: ReadonlyArray<string>) => ({ asOf: 7, complete: false, events })

const events = ["{\"content\":\"plain\"}", "{\"content\":\"café 日本 🛶\"}", "", "{\"content\":\"ü\"}"]

describe("pack and unpack", () => {
  it("give back every event as it was, whatever its letters", () => {
    const packed = pack(selection(events), new AnswerBuffers())
    assert.deepStrictEqual([packed.asOf, packed.complete], [7, false])
    assert.deepStrictEqual(unpack(packed).map(textOf), events)
  })

  it("take as many bytes as the events do in UTF-8, in one buffer", () => {
    const { bytes, ends } = pack(selection(["aé", "日"]), new AnswerBuffers())
    assert.deepStrictEqual([bytes.length, [...ends]], [6, [3, 6]])
  })

  it("know the empty answer", () => {
    assert.deepStrictEqual(unpack(pack(selection([]), new AnswerBuffers())), [])
  })

  it("make EVENT messages of a subscription (NIP-01), each in a frame, of events of any size", () => {
    const some = [
      ...events,
      ...[100, 101, 102, 103, 104, 105, 106].map((length) => "e".repeat(length)),
      "é".repeat(32_000)
    ]
    const { bytes, ends } = pack(selection(some), new AnswerBuffers(), "a \"日\"")
    assert.deepStrictEqual(payloadsOf(bytes), some.map((event) => `["EVENT","a \\"日\\"",${event}]`))
    for (const [i, end] of ends.entries()) {
      assert.lengthOf(payloadsOf(bytes.subarray(0, end)), i + 1, "each ends where it is said to")
    }
  })

  it("write the length of a payload in 8 bytes from 64 KiB on", () => {
    const head = "[\"EVENT\",\"s\",".length
    for (const [payload, header] of [[65_535, "817effff"], [65_536, "817f0000000000010000"]] as const) {
      const { bytes } = pack(selection(["e".repeat(payload - head - 1)]), new AnswerBuffers(), "s")
      assert.strictEqual(Buffer.from(bytes).toString("hex", 0, header.length / 2), header)
      assert.strictEqual(bytes.length, payload + header.length / 2)
    }
  })

  it("leave nothing of an earlier answer in a later one that has its memory", () => {
    const buffers = new AnswerBuffers()
    const first = pack(selection(["x".repeat(100_000)]), buffers)
    buffers.give(first.bytes.buffer)
    const second = pack(selection(["y".repeat(90_000)]), buffers)
    assert.strictEqual(second.bytes.buffer, first.bytes.buffer)
    assert.deepStrictEqual(unpack(second).map(textOf), ["y".repeat(90_000)])
  })
})

describe("AnswerBuffers", () => {
  it("gives the smallest buffer that is large enough, and each to one at a time", () => {
    const buffers = new AnswerBuffers()
    const [large, small] = [buffers.take(1_000_000), buffers.take(100_000)]
    buffers.give(large)
    buffers.give(small)
    assert.strictEqual(buffers.take(90_000), small)
    assert.strictEqual(buffers.take(90_000), large)
    assert.notInclude([small, large], buffers.take(90_000))
  })

  it("keeps no more than its bound, and of that what was used last", () => {
    const buffers = new AnswerBuffers()
    const given = Array.from({ length: 12 }, () => new ArrayBuffer(keptMax / 8))
    for (const buffer of given) buffers.give(buffer)
    assert.deepStrictEqual(buffers.takeAll(), given.slice(4))
    assert.deepStrictEqual(buffers.takeAll(), [])
    assert.deepStrictEqual(
      given.map(({ detached }) => detached),
      given.map((_, i) => i < 4),
      "what is not kept is freed"
    )
  })

  it("keeps no small one", () => {
    const buffers = new AnswerBuffers()
    const small = buffers.take(1000)
    buffers.give(small)
    assert.deepStrictEqual(buffers.takeAll(), [])
    assert.isTrue(small.detached)
  })
})
