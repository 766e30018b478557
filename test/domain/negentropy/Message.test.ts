import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import {
  type Bound,
  lastBound,
  type MessageProblem,
  MessageReader,
  parseMessage,
  protocolVersion,
  type Range
} from "../../../src/domain/negentropy/Message.ts"
import { MessageWriter } from "../../../src/domain/negentropy/MessageWriter.ts"
import { writeVarint } from "../../../src/domain/negentropy/Varint.ts"
import { dice, idOf } from "./sets.ts"

const byte = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 })))
const seedArbitrary = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000_000 })))

const varint = (value: number): ReadonlyArray<number> => {
  const bytes = new Uint8Array(16)
  return [...bytes.subarray(0, writeVarint(value, bytes, 0))]
}
const message = (...bytes: ReadonlyArray<number>) => Uint8Array.of(protocolVersion, ...bytes)
const messageOf = (...ranges: ReadonlyArray<ReadonlyArray<number>>) => message(...ranges.flat())
const bytesOf = (length: number) => Array.from({ length }, (_, i) => i)

/** Ranges without their views, for comparing. */
const plain = (ranges: ReadonlyArray<Range> | string) =>
  typeof ranges === "string" ? ranges : ranges.map(({ upper, ...range }) => ({
    ...range,
    upper: { timestamp: upper.timestamp, id: upper.id.toHex() },
    ...(range._tag === "Fingerprint" ? { fingerprint: range.fingerprint.toHex() } : {}),
    ...(range._tag === "IdList" ? { ids: range.ids.toHex() } : {})
  }))

describe("writeVarint", () => {
  it("writes the most significant digit first, with a high bit on all but the last", () => {
    assert.deepStrictEqual(varint(0), [0])
    assert.deepStrictEqual(varint(127), [127])
    assert.deepStrictEqual(varint(128), [0x81, 0])
    assert.deepStrictEqual(varint(16_383), [0xff, 0x7f])
    assert.deepStrictEqual(varint(16_384), [0x81, 0x80, 0])
    assert.deepStrictEqual(varint(1_700_000_000), [0x86, 0xaa, 0xcf, 0xe2, 0])
    assert.deepStrictEqual(varint(Number.MAX_SAFE_INTEGER), [0x8f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f])
  })
})

describe("NIP-77 message", () => {
  it("reads the three modes, timestamps as distances from one another", () => {
    const ranges = parseMessage(messageOf(
      [...varint(101), 0, 0],
      [...varint(6), 2, 7, 8, 1, ...bytesOf(16)],
      [0, 0, 2, 1, ...bytesOf(32)]
    ))
    assert.deepStrictEqual(plain(ranges), [
      { _tag: "Skip", upper: { timestamp: 100, id: "" } },
      { _tag: "Fingerprint", upper: { timestamp: 105, id: "0708" }, fingerprint: Uint8Array.from(bytesOf(16)).toHex() },
      { _tag: "IdList", upper: { timestamp: Infinity, id: "" }, ids: Uint8Array.from(bytesOf(32)).toHex() }
    ])
  })

  it("has no ranges where it is only a version", () => {
    assert.deepStrictEqual(parseMessage(message()), [])
  })

  it("takes timestamps up to the last one that an event can have", () => {
    const [, last] = parseMessage(message(...varint(Number.MAX_SAFE_INTEGER), 0, 0, 2, 0, 0))
    assert.deepInclude(last, { upper: { timestamp: Number.MAX_SAFE_INTEGER, id: new Uint8Array(0) } })
  })

  it("stays at the end once it has been there", () => {
    const ranges = parseMessage(message(0, 0, 0, 5, 0, 0))
    assert.deepStrictEqual(plain(ranges), [
      { _tag: "Skip", upper: { timestamp: Infinity, id: "" } },
      { _tag: "Skip", upper: { timestamp: Infinity, id: "" } }
    ])
  })

  const problems: ReadonlyArray<[problem: MessageProblem, bytes: Uint8Array]> = [
    ["message is empty", new Uint8Array(0)],
    ["message is not negentropy", Uint8Array.of(0x5f)],
    ["message is not negentropy", Uint8Array.of(0x70, 0, 0, 0)],
    ["unsupported protocol version", Uint8Array.of(0x60)],
    ["unsupported protocol version", Uint8Array.of(0x62, 0, 0, 0)],
    ["unsupported protocol version", Uint8Array.of(0x6f)],
    ["message ends early", message(0x81)],
    ["message ends early", message(0)],
    ["message ends early", message(0, 0)],
    ["message ends early", message(1, 2, 9)],
    ["message ends early", message(0, 0, 1, ...bytesOf(15))],
    ["message ends early", message(0, 0, 2)],
    ["message ends early", message(0, 0, 2, 2, ...bytesOf(63))],
    ["message ends early", message(0, 0, 2, ...varint(Number.MAX_SAFE_INTEGER), ...bytesOf(64))],
    ["varint is too large", message(0x90, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0)],
    ["varint is too large", message(...Array.from({ length: 40 }, () => 0xff))],
    ["varint is too large", message(...varint(Number.MAX_SAFE_INTEGER), 0, 0, 4, 0, 0)],
    ["id prefix is too long", message(1, 33, ...bytesOf(33), 0)],
    ["bounds must not decrease", message(1, 1, 5, 0, 1, 1, 4, 0)],
    ["bounds must not decrease", message(1, 2, 5, 1, 0, 1, 1, 5, 0)],
    ["unknown range mode", message(0, 0, 3)],
    ["unknown range mode", message(0, 0, ...varint(256))]
  ]
  for (const [problem, bytes] of problems) {
    it(`${bytes.toHex().slice(0, 40)} fails: ${problem}`, () => {
      assert.strictEqual(parseMessage(bytes), problem)
    })
  }

  it("takes bounds that are the same, also when written differently", () => {
    assert.lengthOf(parseMessage(message(1, 1, 5, 0, 1, 2, 5, 0, 0, 1, 1, 5, 0)), 3)
  })

  it.effect.prop(
    "takes any bytes, and reads no more ranges than they could hold",
    { bytes: Arbitrary.array(byte, { maxLength: 200 }) },
    ({ bytes }) =>
      Effect.sync(() => {
        const ranges = parseMessage(message(...bytes))
        if (typeof ranges !== "string") assert.isAtMost(ranges.length * 3, bytes.length)
      }),
    { arbitrary: { runs: 2000 } }
  )

  /** Ascending bounds of all shapes, each with a range. */
  const written = (seed: number): readonly [MessageWriter, ReadonlyArray<Range>] => {
    const roll = dice(seed)
    const writer = new MessageWriter()
    const ranges: Array<Range> = []
    let timestamp = 0
    for (let n = roll(12); n >= 0; n--) {
      timestamp += 1 + roll([2, 100, 2 ** 31, 2 ** 45][roll(4)] ?? 1)
      const upper: Bound = n === 0 ? lastBound : { timestamp, id: idOf(seed, n).subarray(0, roll(33)) }
      const ids = roll(3) === 0 ? 0 : roll(40)
      const range: Range = [
        { _tag: "Skip", upper } as const,
        { _tag: "Fingerprint", upper, fingerprint: idOf(seed, n).subarray(16) } as const,
        { _tag: "IdList", upper, ids: Uint8Array.from(bytesOf(ids * 32)) } as const
      ][roll(3)] ?? { _tag: "Skip", upper }
      if (range._tag === "Skip") writer.skip(upper)
      else if (range._tag === "Fingerprint") writer.fingerprint(upper, range.fingerprint)
      else writer.idList(upper, ids).set(range.ids)
      ranges.push(range)
    }
    return [writer, ranges]
  }

  it.effect.prop("reads what it writes", { seed: seedArbitrary }, ({ seed }) =>
    Effect.sync(() => {
      const [writer, ranges] = written(seed)
      assert.strictEqual(writer.bytes().length, writer.length)
      assert.deepStrictEqual(plain(parseMessage(writer.bytes())), plain(ranges))
    }), { arbitrary: { runs: 500 } })

  it.effect.prop(
    "reads a message that was cut as far as it goes",
    { seed: seedArbitrary },
    ({ seed }) =>
      Effect.sync(() => {
        const [writer, ranges] = written(seed)
        const bytes = writer.bytes()
        const reader = new MessageReader(bytes.subarray(0, 1 + dice(seed)(bytes.length)))
        const read: Array<Range> = []
        for (let range = reader.next(); range !== undefined; range = reader.next()) read.push(range)
        assert.deepStrictEqual(plain(read), plain(ranges.slice(0, read.length)))
        assert.include([undefined, "message ends early"], reader.problem)
        assert.isUndefined(reader.next())
      }),
    { arbitrary: { runs: 500 } }
  )
})

describe("MessageWriter", () => {
  it("takes back what was written since a mark, timestamps included", () => {
    const writer = new MessageWriter()
    writer.skip({ timestamp: 100, id: new Uint8Array(0) })
    const mark = writer.mark()
    writer.idList({ timestamp: 200, id: new Uint8Array(0) }, 100)
    writer.reset(mark)
    writer.skip({ timestamp: 101, id: new Uint8Array(0) })
    assert.deepStrictEqual([...writer.bytes()], [protocolVersion, 101, 0, 0, 2, 0, 0])
  })
})
