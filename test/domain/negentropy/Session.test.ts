import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import { firstBound, lastBound, parseMessage } from "../../../src/domain/negentropy/Message.ts"
import { MessageWriter } from "../../../src/domain/negentropy/MessageWriter.ts"
import { type Found, frameBytesMin, Initiator, respond } from "../../../src/domain/negentropy/Session.ts"
import { dice, idOf, idsOf, type Item, itemsOf, limits, relayOf, run, setOf, sha256, synchronise } from "./sets.ts"

const seedArbitrary = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000_000 })))

const reply = (items: ReadonlyArray<Item>, message: Uint8Array, frameBytesMax = frameBytesMin) =>
  run(respond(setOf(items).snapshot(), message, { frameBytesMax, sha256 }))

/** A fingerprint of everything that nobody has. */
const disagreement = Uint8Array.of(0x61, 0, 0, 1, ...new Uint8Array(16))

const modes = (count: number) => {
  const answer = reply(itemsOf(1, count, 10), disagreement)
  const ranges = answer._tag === "Message" ? parseMessage(answer.bytes) : answer.problem
  return typeof ranges === "string" ? ranges : ranges.map(({ _tag }) => _tag)
}

/** Ranges of one second each, and one bound that is behind all. */
const manyRanges = (
  count: number,
  write: (writer: MessageWriter, upper: { timestamp: number; id: Uint8Array }) => void
) => {
  const writer = new MessageWriter()
  for (let n = 0; n < count; n++) write(writer, { timestamp: 1_600_000_000 + n, id: firstBound.id })
  return writer.bytes()
}

describe("negentropy session", () => {
  it.effect.prop(
    "finds the difference of any two sets, each id once, within the frames of both sides",
    { seed: seedArbitrary },
    ({ seed }) =>
      Effect.sync(() => {
        const roll = dice(seed)
        const all = itemsOf(seed, [0, 10, 40, 700, 6000][roll(5)] ?? 0, [1, 5, 100_000_000][roll(3)] ?? 1)
        const [ours, theirs] = [roll(40), roll(40)]
        const lacks = all.map(() => [roll(40) < ours, roll(40) < theirs] as const)
        const mine = all.filter((_, n) => lacks[n]?.[0] === false)
        const other = all.filter((_, n) => lacks[n]?.[1] === false)
        const frames = [frameBytesMin, frameBytesMin + 1, 10_000, 60_000]
        const [frameBytesMax, relayFrame] = [frames[roll(4)] ?? 0, frames[roll(4)] ?? 0]
        const relay = relayOf(setOf(other).snapshot(), relayFrame)
        const outcome = synchronise(setOf(mine).snapshot(), relay, { frameBytesMax })
        assert.deepStrictEqual(outcome.end, { _tag: "Done" })
        assert.deepStrictEqual(outcome.have, idsOf(mine.filter((item) => !other.includes(item))))
        assert.deepStrictEqual(outcome.need, idsOf(other.filter((item) => !mine.includes(item))))
        assert.isAtMost(outcome.bytesLongest, Math.max(frameBytesMax, relayFrame))
      }),
    { arbitrary: { runs: 150 }, timeout: 60_000 }
  )

  it("is over after one round where the sets are the same", () => {
    for (const count of [0, 1, 31, 32, 33, 5000]) {
      const items = setOf(itemsOf(1, count, 10)).snapshot()
      const { end, have, need, rounds } = synchronise(items, relayOf(items))
      assert.deepStrictEqual({ end, have, need, rounds }, { end: { _tag: "Done" }, have: [], need: [], rounds: 1 })
    }
  })

  it("lists everything to a side that has nothing, in frames", () => {
    const all = itemsOf(2, 10_000, 100)
    const relay = relayOf(setOf(all).snapshot(), frameBytesMin)
    const outcome = synchronise(setOf([]).snapshot(), relay)
    assert.deepStrictEqual(outcome.need, idsOf(all))
    assert.deepStrictEqual(outcome.have, [])
  })

  it("is about the set as it was when the session began", () => {
    const all = itemsOf(3, 20_000, 1000)
    const set = setOf(all.slice(100))
    const answer = relayOf(set.snapshot(), frameBytesMin)
    let n = 0
    const outcome = synchronise(setOf(all.slice(0, -100)).snapshot(), (message) => {
      // The set goes on changing between the rounds.
      for (const { id, timestamp } of all.slice(200 + 50 * n, 250 + 50 * n)) set.delete(timestamp, id)
      set.insert(1_600_000_000, idOf(99, n++))
      return answer(message)
    }, { frameBytesMax: frameBytesMin })
    assert.isAbove(outcome.rounds, 5)
    assert.deepStrictEqual(outcome.have, idsOf(all.slice(0, 100)))
    assert.deepStrictEqual(outcome.need, idsOf(all.slice(-100)))
  })

  it("keeps to a window of both sets", () => {
    const all = itemsOf(4, 5000, 100)
    const [since, until] = [1_600_000_030, 1_600_000_060]
    const inside = ({ timestamp }: Item) => timestamp >= since && timestamp <= until
    const relay = relayOf(setOf(all.slice(500)).snapshot().between(since, until))
    const outcome = synchronise(setOf(all.slice(0, -500)).snapshot().between(since, until), relay)
    assert.deepStrictEqual(outcome.have, idsOf(all.slice(0, 500).filter(inside)))
    assert.deepStrictEqual(outcome.need, idsOf(all.slice(-500).filter(inside)))
  })
})

describe("respond", () => {
  it("answers another version with its own, in one byte", () => {
    for (const version of [0x60, 0x62, 0x6f]) {
      const answer = reply(itemsOf(1, 100, 10), Uint8Array.of(version, 1, 2, 3))
      assert.deepStrictEqual(answer, { _tag: "Message", bytes: Uint8Array.of(0x61) })
    }
  })

  it("says what is wrong with a message", () => {
    assert.deepStrictEqual(reply([], new Uint8Array(0)), { _tag: "Problem", problem: "message is empty" })
    assert.deepStrictEqual(reply([], Uint8Array.of(0x30)), { _tag: "Problem", problem: "message is not negentropy" })
    const late = Uint8Array.of(0x61, 1, 0, 0, 0, 0, 9)
    assert.deepStrictEqual(reply([], late), { _tag: "Problem", problem: "unknown range mode" })
  })

  it("lists 31 items, and splits 32", () => {
    assert.deepStrictEqual(modes(31), ["IdList"])
    assert.deepStrictEqual(modes(32), Array.from({ length: 16 }, () => "Fingerprint"))
  })

  it("leaves what does not fit into a list with the fingerprint of just that", () => {
    const items = setOf(itemsOf(1, 1000, 10)).snapshot()
    const writer = new MessageWriter()
    writer.idList(lastBound, 0)
    const bytes = relayOf(items, frameBytesMin)(writer.bytes())
    const [list, rest, ...others] = parseMessage(bytes)
    assert.isTrue(typeof list === "object" && list._tag === "IdList")
    assert.isTrue(typeof rest === "object" && rest._tag === "Fingerprint")
    assert.lengthOf(others, 0)
    if (typeof list !== "object" || list._tag !== "IdList" || typeof rest !== "object") return
    const listed = list.ids.length / 32
    assert.isAbove(listed, 100)
    assert.deepInclude(rest, { upper: lastBound, fingerprint: items.fingerprint(listed, 1000, sha256) })
  })

  it("leaves ranges that do not fit with the fingerprint of all from the last one answered", () => {
    const all = setOf(itemsOf(1, 3000, 30)).snapshot()
    const bytes = relayOf(all, frameBytesMin)(
      manyRanges(30, (writer, upper) => writer.fingerprint(upper, new Uint8Array(16)))
    )
    const ranges = parseMessage(bytes)
    if (typeof ranges === "string") assert.fail(ranges)
    const [before, rest] = ranges.slice(-2)
    if (before === undefined || rest === undefined) assert.fail("too short")
    const from = all.lowerBound(before.upper, 0)
    assert.isBelow(from, 3000)
    assert.deepInclude(rest, { upper: lastBound, fingerprint: all.fingerprint(from, 3000, sha256) })
  })

  it.effect.prop(
    "answers any bytes with a message that can be read, or a problem, within its frame",
    { bytes: Arbitrary.array(Arbitrary.schema(Schema.Literals([0, 1, 2, 3, 31, 32, 129, 255])), { maxLength: 300 }) },
    ({ bytes }) =>
      Effect.sync(() => {
        const message = Uint8Array.of(0x61, ...bytes)
        const answer = reply(few, message)
        if (answer._tag === "Problem") return
        assert.isAtMost(answer.bytes.length, frameBytesMin)
        assert.isArray(parseMessage(answer.bytes))
        run(new Initiator(setOf(few).snapshot(), limits).receive(message))
      }),
    { arbitrary: { runs: 1000 } }
  )
  const few = itemsOf(1, 200, 10).map(({ id, timestamp }) => ({ id, timestamp: timestamp - 1_600_000_000 }))
})

describe("a message that asks for much", () => {
  const large = setOf(itemsOf(6, 30_000, 3000)).snapshot()

  /** Hashes of each step, as hashes are what costs most. */
  const hashesOf = (message: Uint8Array, frameBytesMax: number) => {
    let hashes = 0
    const steps: Array<number> = []
    const counting = (bytes: Uint8Array) => {
      hashes += 1
      return sha256(bytes)
    }
    const slices = respond(large, message, { frameBytesMax, sha256: counting })
    for (let done = false; !done;) {
      done = slices.next().done === true
      steps.push(hashes)
      hashes = 0
    }
    return steps
  }

  it("is answered in small steps: 3,000 fingerprints that differ", () => {
    const message = manyRanges(3000, (writer, upper) => writer.fingerprint(upper, new Uint8Array(16)))
    const steps = hashesOf(message, 10_000_000)
    // Each has about ten items, so it is compared, and then listed.
    assert.strictEqual(steps.reduce((sum, hashes) => sum + hashes, 0), 3000)
    assert.isAtMost(Math.max(...steps), 200)
  })

  it("is answered in small steps: 100 fingerprints of 300 items each", () => {
    const message = manyRanges(100, (writer, { id, timestamp }) => {
      writer.fingerprint({ timestamp: 1_600_000_000 + (timestamp - 1_600_000_000) * 30, id }, new Uint8Array(16))
    })
    const steps = hashesOf(message, 10_000_000)
    assert.isAbove(steps.reduce((sum, hashes) => sum + hashes, 0), 1500)
    assert.isAtMost(Math.max(...steps), 200)
  })

  it("is answered in small steps: 20,000 skips", () => {
    const message = manyRanges(20_000, (writer, upper) => writer.skip(upper))
    assert.isAbove(hashesOf(message, 4096).length, 50)
  })

  it("is answered in small steps: one list of everything", () => {
    const writer = new MessageWriter()
    writer.idList(lastBound, 0)
    const steps = hashesOf(writer.bytes(), 10_000_000)
    assert.isAbove(steps.length, 10)
  })

  it("is taken in small steps by the client: a list without any of its ids, and with many others", () => {
    const writer = new MessageWriter()
    const ids = writer.idList(lastBound, 5000)
    for (let n = 0; n < 5000; n++) ids.set(idOf(77, n), n * 32)
    const found: Array<Found> = []
    const end = run(new Initiator(large, limits).receive(writer.bytes()), (batch) => found.push(batch))
    assert.deepStrictEqual(end, { _tag: "Done" })
    assert.strictEqual(found.reduce((sum, { have }) => sum + have.length, 0), 30_000)
    assert.strictEqual(found.reduce((sum, { need }) => sum + need.length, 0), 5000)
    assert.isAtMost(Math.max(...found.map(({ have, need }) => have.length + need.length)), 2048)
  })
})

describe("Initiator", () => {
  const items = setOf(itemsOf(8, 1000, 100)).snapshot()

  it("gives up after its rounds, on a relay that never agrees", () => {
    const { end, rounds } = synchronise(items, () => disagreement, { roundsMax: 20 })
    assert.deepStrictEqual(end, { _tag: "Problem", problem: "too many rounds" })
    assert.strictEqual(rounds, 21)
  })

  it("gives up when more differs than it wants to know", () => {
    const relay = relayOf(setOf([]).snapshot())
    const most = synchronise(items, relay, { foundMax: 1000 })
    assert.deepStrictEqual(most.end, { _tag: "Done" })
    const { end } = synchronise(items, relay, { foundMax: 999 })
    assert.deepStrictEqual(end, { _tag: "Problem", problem: "too many differences" })
  })

  it("ends on a relay of another version", () => {
    const { end } = synchronise(items, () => Uint8Array.of(0x60))
    assert.deepStrictEqual(end, { _tag: "Problem", problem: "unsupported protocol version" })
  })

  it("tells an id that the relay lists twice once", () => {
    const writer = new MessageWriter()
    const ids = writer.idList(lastBound, 2)
    ids.set(idOf(5, 5))
    ids.set(idOf(5, 5), 32)
    const { need } = synchronise(setOf([]).snapshot(), () => writer.bytes())
    assert.deepStrictEqual(need, [idOf(5, 5).toHex()])
  })
})
