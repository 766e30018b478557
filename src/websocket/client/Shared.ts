/** What all connections of a server share. */
import { Effect, type Fiber, type Metric } from "effect"
import { randomBytes } from "node:crypto"
import { Settings, type SettingsShape } from "../../config/Settings.ts"
import { Database } from "../../database/Database.ts"
import type { Counters, Journal } from "../../lifecycle/Journal.ts"
import { Shutdown } from "../../lifecycle/Shutdown.ts"
import { Tally } from "../../lifecycle/Tally.ts"
import type { AuthenticationOptions } from "./Authentication.ts"
import * as ItemSets from "./ItemSets.ts"
import { OutboundBudget } from "./OutboundBudget.ts"
import { Rates } from "./RateLimit.ts"
import * as Subscriptions from "./Subscriptions.ts"
import { Turns } from "./Turns.ts"

/** What the server takes from its surroundings for all connections. */
export interface SharedParts {
  readonly limits: SettingsShape["limits"]
  readonly database: Pick<Database["Service"], "query" | "count" | "sketch">
  readonly authentication: AuthenticationOptions
  readonly subscriptions: Subscriptions.Subscriptions
  readonly itemSets: ItemSets.ItemSets
  readonly journal: Journal
  /** Runs an effect in the context of the server. */
  readonly run: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
  /** Updates a metric, at once and without a fiber. */
  readonly count: <Input>(metric: Metric.Metric<Input, unknown>, input: Input) => void
}

export interface Shared extends SharedParts {
  /** `OK true` and `OK false` frames handed to sockets; sockets that ended with a close handshake, and that had to be cut. */
  readonly counters: Counters<"answeredTrue" | "answeredFalse" | "socketsClean" | "socketsTerminated">
  /** Of addresses, and of keys that clients have proved to have. */
  readonly rates: Rates
  /** What the clients of an address may do in one turn of the event loop. */
  readonly turns: Turns
  /** What waits to be sent, of all connections. */
  readonly outbound: OutboundBudget
  /** EVENTs without an answer, of all connections. */
  readonly inFlight: Tally
  /** From the moment on which nothing new is taken. */
  draining: boolean
}

/** Adds what begins with the server: counts, registers and budgets. */
export const of = (parts: SharedParts): Shared => ({
  ...parts,
  counters: parts.journal.count("answeredTrue", "answeredFalse", "socketsClean", "socketsTerminated"),
  rates: new Rates(() => parts.limits.ratePerAddress),
  turns: new Turns(parts.run),
  outbound: new OutboundBudget(() => parts.limits.outboundTotalBytesMax),
  inFlight: new Tally(),
  draining: false
})

/** `verify` for those who prove who they are. */
export const make = Effect.fnUntraced(function*(verify: AuthenticationOptions["verify"]) {
  const { admission, limits, relayUrl } = yield* Settings
  const { journal } = yield* Shutdown
  const context = yield* Effect.context()
  return of({
    limits,
    database: yield* Database,
    authentication: {
      relayUrl,
      // Where direct messages are kept, most clients will want to read some.
      isFirst: admission === "open",
      makeChallenge: () => randomBytes(16).toString("hex"),
      verify
    },
    subscriptions: yield* Subscriptions.make,
    itemSets: yield* ItemSets.make(() => limits.syncItemsMax),
    journal,
    run: Effect.runForkWith(context),
    count: (metric, input) => metric.updateUnsafe(input, context)
  })
})
