/** Random sets of items, and sessions between two of them with every message and slice on record. */
import { hash } from "node:crypto"
import { ItemSet } from "../../../src/domain/negentropy/ItemSet.ts"
import { Initiator, type InitiatorLimits, respond, type Turn } from "../../../src/domain/negentropy/Session.ts"
import type { SortedItems } from "../../../src/domain/negentropy/SortedItems.ts"

export const sha256 = (bytes: Uint8Array): Uint8Array => hash("sha256", bytes, "buffer")

export interface Item {
  readonly timestamp: number
  readonly id: Uint8Array
}

export const limits: InitiatorLimits = { frameBytesMax: 60_000, sha256, roundsMax: 10_000, foundMax: 10_000_000 }

/** Numbers below `below`, the same for the same seed (mulberry32). */
export const dice = (seed: number) => {
  let state = seed >>> 0
  return (below: number): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4_294_967_296) * below)
  }
}

/** Two ids of different numbers differ, as do their seeds. */
export const idOf = (seed: number, n: number): Uint8Array => sha256(new TextEncoder().encode(`${seed}/${n}`))

/** `spread`: seconds that the timestamps lie within. */
export const itemsOf = (seed: number, count: number, spread: number): ReadonlyArray<Item> => {
  const roll = dice(seed)
  return Array.from({ length: count }, (_, n) => ({ timestamp: 1_600_000_000 + roll(spread), id: idOf(seed, n) }))
}

export const setOf = (items: ReadonlyArray<Item>): ItemSet => {
  const set = new ItemSet()
  for (const { id, timestamp } of items) set.insert(timestamp, id)
  return set
}

export const idsOf = (items: ReadonlyArray<Item>): ReadonlyArray<string> => items.map(({ id }) => id.toHex()).toSorted()

/** The other side of a session: takes a message, returns the answer. */
export type Relay = (message: Uint8Array) => Uint8Array

/** What this thread has computed: on a busy machine, the time of day says nothing about the length of a step. */
const spentMillis = (): number => {
  const { system, user } = process.threadCpuUsage()
  return (system + user) / 1000
}

/** Drives a generator to its end, and keeps the time of its longest step. */
export const run = <A, B>(slices: Generator<A, B>, onSlice?: (value: A) => void, clock?: Clock): B => {
  for (;;) {
    const start = clock === undefined ? 0 : spentMillis()
    const step = slices.next()
    if (clock !== undefined) {
      const spent = spentMillis() - start
      clock.longest = Math.max(clock.longest, spent)
      clock.total += spent
    }
    if (step.done === true) return step.value
    onSlice?.(step.value)
  }
}

/** Milliseconds of processor time. */
export interface Clock {
  longest: number
  total: number
}

export const relayOf =
  (items: SortedItems, frameBytesMax = limits.frameBytesMax, clock?: Clock): Relay => (message) => {
    const reply = run(respond(items, message, { frameBytesMax, sha256 }), undefined, clock)
    if (reply._tag === "Problem") throw new Error(reply.problem)
    return reply.bytes
  }

export interface Outcome {
  readonly have: ReadonlyArray<string>
  readonly need: ReadonlyArray<string>
  readonly rounds: number
  /** Bytes of all messages, both ways, and of the longest one. */
  readonly bytes: number
  readonly bytesLongest: number
  readonly end: Turn
}

export const synchronise = (
  items: SortedItems,
  relay: Relay,
  options: Partial<InitiatorLimits> = {},
  clock?: Clock
): Outcome => {
  const initiator = new Initiator(items, { ...limits, ...options })
  const have: Array<string> = []
  const need: Array<string> = []
  let bytes = 0
  let bytesLongest = 0
  const sent = (message: Uint8Array): Uint8Array => {
    bytes += message.length
    bytesLongest = Math.max(bytesLongest, message.length)
    return message
  }
  let message = sent(initiator.open())
  for (;;) {
    const end = run(
      initiator.receive(sent(relay(message))),
      (found) => {
        for (const id of found.have) have.push(id)
        for (const id of found.need) need.push(id)
      },
      clock
    )
    if (end._tag !== "Message") {
      return { have: have.toSorted(), need: need.toSorted(), rounds: initiator.rounds, bytes, bytesLongest, end }
    }
    message = sent(end.bytes)
  }
}
