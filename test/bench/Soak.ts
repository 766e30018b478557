/**
 * Does memory stay flat? Half of the load that the relay can take, for minutes: every second it publishes, asks,
 * delivers, connects and disconnects as fast as it may for half of it, and has the other half to itself.
 */
import { Effect } from "effect"
import { block, blockEvents, newest, oldest } from "./Corpus.ts"
import * as Load from "./Load.ts"
import { median } from "./Measures.ts"
import * as People from "./People.ts"
import { residentBytes } from "./ProcessMeter.ts"
import { start, type Started } from "./Relay.ts"
import { connectMany, RelayFailed, reqMessage } from "./RelayClient.ts"
import { database, publicationsOf, type Side } from "./Stage.ts"

/** Milliseconds. */
const second = 1000
/** New events a second, to begin with; no more than are signed in advance. */
const published = 500
const blocksMax = 60
const subscribers = 50
const passersBy = 20

/** Shares of the time after which memory counts as settled, and over which it is looked at. */
const settled = 0.25
const looked = 0.1

/** What may be gained from one look to the other: the caches of the database are filled over time. */
const growthMax = { share: 0.1, bytes: 32 * 1024 * 1024 }

const questions = [
  reqMessage("q", { kinds: [0], limit: 100 }),
  reqMessage("q", { kinds: [0], until: Math.floor((oldest + newest) / 2), limit: 500 }),
  reqMessage("q", { kinds: [1], since: oldest, limit: 20 }),
  reqMessage("q", { kinds: [0], search: People.words(3), limit: 20 })
]

/** One second's load; `index` counts them. */
const half = Effect.fnUntraced(function*(relay: Started, index: number) {
  const until = performance.now() + second / 2
  const at = (index * published) % (blocksMax * blockEvents)
  const notes = block("notes", 1000 + Math.floor(at / blockEvents)).slice(
    at % blockEvents,
    at % blockEvents + published
  )
  const clients = yield* connectMany(relay.url, 8)
  yield* Load.publish(clients, publicationsOf(notes), 32)
  yield* connectMany(relay.url, passersBy)
  yield* Load.query(clients, questions, Math.max(50, until - performance.now()))
})

const megabytes = (bytes: number): string => (bytes / 1024 / 1024).toFixed(1)

/** Succeeds with one line; fails where memory grew by more than it may. */
export const soak = Effect.fnUntraced(function*(side: Side, minutes: number) {
  const relay = yield* start({ program: side.program, flags: side.flags, database: yield* database(side, 10) })
  const readers = yield* connectMany(relay.url, subscribers)
  yield* Load.query(readers, [reqMessage("live", { kinds: [1], limit: 0 })], 0)

  const began = performance.now()
  const millis = minutes * 60 * second
  const samples: Array<{ readonly at: number; readonly resident: number }> = []
  for (let index = 0; performance.now() - began < millis; index++) {
    const next = performance.now() + second
    yield* Effect.scoped(half(relay, index))
    samples.push({
      at: (performance.now() - began) / millis,
      resident: residentBytes(relay.pid).anonymous
    })
    yield* Effect.sleep(Math.max(0, next - performance.now()))
  }
  const residentIn = (from: number, to: number) =>
    median(samples.flatMap(({ at, resident }) => at >= from && at < to ? resident : []))
  const before = residentIn(settled, settled + looked)
  const after = residentIn(1 - looked, Infinity)
  const line = `soak: ${minutes} minutes at half load, ${samples.length * published} events published, resident ` +
    `${megabytes(before)} MB after a quarter of it, ${megabytes(after)} MB at the end`
  if (!(after - before <= Math.max(before * growthMax.share, growthMax.bytes))) {
    return yield* new RelayFailed({ detail: `${line}: it grows` })
  }
  return line
})
