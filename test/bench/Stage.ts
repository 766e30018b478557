/** What a benchmark is made of: groups of stages on one relay, stages of rounds; and the side that is measured. */
import { Effect, Scope } from "effect"
import { join } from "node:path"
import { idOfRaw } from "../../src/database/sqlite/rawEvent.ts"
import { type Block, block } from "./Corpus.ts"
import * as Load from "./Load.ts"
import type { Measures } from "./Measures.ts"
import type { Program } from "./Program.ts"
import * as Relay from "./Relay.ts"
import { connectMany, eventMessage, type RelayFailed } from "./RelayClient.ts"

export interface Stage {
  /** `group: what is done`. */
  readonly name: string
  /** Negative rounds warm up, and do not count. */
  readonly round: (index: number) => Effect.Effect<Measures, RelayFailed, Scope.Scope>
}

export interface Group {
  readonly name: string
  /** Which relays it can be run on: any that runs already, only one that we start, or only the service. */
  readonly on: "any" | "started" | "service"
  readonly prepare: (side: Side) => Effect.Effect<ReadonlyArray<Stage>, RelayFailed, Scope.Scope>
}

/** One of two sides that may be compared: a checkout of the service, a peer, or a relay that runs already. */
export interface Side {
  readonly label: string
  /** The checkout whose commit the report names. */
  readonly root: string
  readonly program: Program
  readonly flags: ReadonlyArray<string>
  readonly external: Relay.Relay | undefined
  /** Database files that were written before, by their number of blocks, and the scope in which they exist. */
  readonly stores: Map<number, string>
  readonly scope: Scope.Scope
}

export const publicationsOf = (events: Block): ReadonlyArray<Load.Publication> =>
  events.map((raw) => ({ id: idOfRaw(raw), frame: eventMessage(raw) }))

/** So many first blocks of the store. */
export const storeBlocks = (count: number): ReadonlyArray<Block> =>
  Array.from({ length: count }, (_, i) => block("store", i))

function* lazily(count: number): Generator<Block> {
  for (let i = 0; i < count; i++) yield block("store", i)
}

/** The file with so many blocks in it; written once. */
export const database = Effect.fnUntraced(function*(side: Side, blocks: number) {
  const known = side.stores.get(blocks)
  if (known !== undefined) return known
  const path = join(yield* Scope.provide(Relay.folder, side.scope), "store.db")
  yield* side.program.write(path, lazily(blocks))
  side.stores.set(blocks, path)
  return path
})

/** A relay with so many blocks of events in its store. */
export const relayWith = Effect.fnUntraced(function*(side: Side, blocks: number) {
  const { external, flags, program } = side
  if (external === undefined) {
    return yield* Relay.start({ program, flags, ...(blocks === 0 ? {} : { database: yield* database(side, blocks) }) })
  }
  yield* Effect.scoped(Effect.gen(function*() {
    const clients = yield* connectMany(external.url, 8)
    for (const events of storeBlocks(blocks)) yield* Load.publish(clients, publicationsOf(events), 32)
  }))
  return external
})
