/** What all connections of a server share. */
import type { Effect, Fiber, Metric } from "effect"
import type { SettingsShape } from "../../config/Settings.ts"
import type { Database } from "../../database/Database.ts"
import type { Journal } from "../../lifecycle/Journal.ts"
import type { Tally } from "../../lifecycle/Tally.ts"
import type { AuthenticationOptions } from "./Authentication.ts"
import type { ItemSets } from "./ItemSets.ts"
import type { AddressRates } from "./RateLimit.ts"
import type { Subscriptions } from "./Subscriptions.ts"

export interface Shared {
  readonly limits: SettingsShape["limits"]
  readonly database: Pick<Database["Service"], "query" | "count" | "sketch">
  readonly authentication: AuthenticationOptions
  readonly subscriptions: Subscriptions
  readonly itemSets: ItemSets
  readonly journal: Journal
  readonly rates: AddressRates
  /** EVENTs without an answer, of all connections. */
  readonly inFlight: Tally
  /** Runs an effect in the context of the server. */
  readonly run: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
  /** Updates a metric, at once and without a fiber. */
  readonly count: <Input>(metric: Metric.Metric<Input, unknown>, input: Input) => void
  /** From the moment on which nothing new is taken. */
  draining: boolean
}
