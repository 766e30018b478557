/**
 * Our two sides against the implementation of nostr-tools. Theirs is of the client only: it answers a list with a skip,
 * and takes down the difference itself. So where it plays the relay, what both have found out is put together.
 */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import { nip77 } from "nostr-tools"
import { frameBytesMin, Initiator } from "../../../src/domain/negentropy/Session.ts"
import { type Clock, dice, idsOf, type Item, itemsOf, limits, relayOf, run, setOf } from "./sets.ts"

const theirsOf = (items: ReadonlyArray<Item>, frameBytesMax: number) => {
  const vector = new nip77.NegentropyStorageVector()
  for (const { id, timestamp } of items) vector.insert(timestamp, id.toHex())
  vector.seal()
  return new nip77.Negentropy(vector, frameBytesMax)
}

/** Two sets, and what is only in the first, and only in the second. */
interface Pair {
  readonly mine: ReadonlyArray<Item>
  readonly other: ReadonlyArray<Item>
  readonly have: ReadonlyArray<string>
  readonly need: ReadonlyArray<string>
}

/** `count` items on each side, `lacking` of the other's missing, spread over all. */
const pairOf = (seed: number, count: number, lacking: number, spread: number): Pair => {
  const all = itemsOf(seed, count + lacking, spread)
  const [only, common] = [all.slice(0, lacking), all.slice(lacking, count)]
  const others = all.slice(count)
  return {
    mine: [...only, ...common],
    other: [...common, ...others],
    have: idsOf(only),
    need: idsOf(others)
  }
}

interface Figures {
  rounds: number
  bytes: number
}

/** Their client on `mine`, our relay on `other`. */
const theirClient = ({ mine, other }: Pair, frameBytesMax: number, clock?: Clock) => {
  const client = theirsOf(mine, frameBytesMax)
  const relay = relayOf(setOf(other).snapshot(), frameBytesMax, clock)
  const [have, need] = [new Set<string>(), new Set<string>()]
  const figures: Figures = { rounds: 0, bytes: 0 }
  let message: string | null = client.initiate()
  while (message !== null) {
    const answer = relay(Uint8Array.fromHex(message))
    figures.rounds += 1
    figures.bytes += message.length / 2 + answer.length
    assert.isAtMost(answer.length, frameBytesMax)
    message = client.reconcile(answer.toHex(), (id) => have.add(id), (id) => need.add(id))
  }
  return { have: [...have].toSorted(), need: [...need].toSorted(), ...figures }
}

/** Our client on `mine`, theirs as the relay on `other`. */
const theirRelay = ({ mine, other }: Pair, frameBytesMax: number, clock?: Clock) => {
  const relay = theirsOf(other, frameBytesMax)
  const client = new Initiator(setOf(mine).snapshot(), { ...limits, frameBytesMax })
  const [have, need] = [new Set<string>(), new Set<string>()]
  const figures: Figures = { rounds: 0, bytes: 0 }
  let message = client.open()
  for (;;) {
    // What they have, we need.
    const answer = relay.reconcile(message.toHex(), (id) => need.add(id), (id) => have.add(id))
    figures.rounds += 1
    figures.bytes += message.length + (answer?.length ?? 2) / 2
    if (answer === null) break
    const turn = run(client.receive(Uint8Array.fromHex(answer)), (found) => {
      for (const id of found.have) have.add(id)
      for (const id of found.need) need.add(id)
    }, clock)
    if (turn._tag === "Done") break
    if (turn._tag === "Problem") throw new Error(turn.problem)
    assert.isAtMost(turn.bytes.length, frameBytesMax)
    message = turn.bytes
  }
  return { have: [...have].toSorted(), need: [...need].toSorted(), ...figures }
}

const seedArbitrary = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000_000 })))

const randomPair = (seed: number): readonly [Pair, number] => {
  const roll = dice(seed)
  const count = [0, 1, 31, 32, 300, 4000][roll(6)] ?? 0
  const pair = pairOf(seed, count, roll(1 + Math.floor(count / 2)), [1, 5, 100_000_000][roll(3)] ?? 1)
  return [pair, [frameBytesMin, 10_000, 60_000][roll(3)] ?? 0]
}

describe("negentropy with nostr-tools", () => {
  it.effect.prop(
    "their client finds the difference to our relay",
    { seed: seedArbitrary },
    ({ seed }) =>
      Effect.sync(() => {
        const [pair, frameBytesMax] = randomPair(seed)
        const { have, need } = theirClient(pair, frameBytesMax)
        assert.deepStrictEqual({ have, need }, { have: pair.have, need: pair.need })
      }),
    { arbitrary: { runs: 60 } }
  )

  it.effect.prop(
    "our client and their side find the difference together",
    { seed: seedArbitrary },
    ({ seed }) =>
      Effect.sync(() => {
        const [pair, frameBytesMax] = randomPair(seed)
        const { have, need } = theirRelay(pair, frameBytesMax)
        assert.deepStrictEqual({ have, need }, { have: pair.have, need: pair.need })
      }),
    { arbitrary: { runs: 60 } }
  )

  it.effect.prop(
    "our client says, byte for byte, what theirs says",
    { seed: seedArbitrary },
    ({ seed }) =>
      Effect.sync(() => {
        const [{ mine, other }] = randomPair(seed)
        // Frames that are never full: what to leave out is everyone's own choice.
        const frameBytesMax = 10_000_000
        const ours = new Initiator(setOf(mine).snapshot(), { ...limits, frameBytesMax })
        const theirs = theirsOf(mine, frameBytesMax)
        const relay = relayOf(setOf(other).snapshot(), frameBytesMax)
        let message: Uint8Array | undefined = ours.open()
        assert.strictEqual(message.toHex(), theirs.initiate())
        while (message !== undefined) {
          const answer = relay(message)
          const turn = run(ours.receive(answer))
          message = turn._tag === "Message" ? turn.bytes : undefined
          assert.strictEqual(message?.toHex() ?? null, theirs.reconcile(answer.toHex()))
        }
      }),
    { arbitrary: { runs: 40 } }
  )

  const large = pairOf(11, 100_000, 1000, 100_000_000)
  for (const [name, session] of [["their client", theirClient], ["our client", theirRelay]] as const) {
    it(`${name}, on 100,000 items with 1,000 missing on each side`, { timeout: 60_000 }, () => {
      const clock: Clock = { longest: 0, total: 0 }
      const start = performance.now()
      const { bytes, have, need, rounds } = session(large, 60_000, clock)
      assert.deepStrictEqual({ have, need }, { have: large.have, need: large.need })
      const seconds = (performance.now() - start) / 1000
      console.log(
        `negentropy, ${name}: ${seconds.toFixed(1)} s in all, ${rounds} rounds, ${bytes} bytes; our side ${
          clock.total.toFixed(0)
        } ms, longest step ${clock.longest.toFixed(1)} ms`
      )
      assert.isBelow(clock.longest, 20)
    })
  }
})
