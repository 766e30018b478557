/**
 * The rules a profile is held to, once it is known to be its author's: gathers facts, lets `domain/Quality` decide.
 *
 * Today the facts are those in the event itself. Those that only the network can tell (has the author posted, how large
 * is the picture) are gathered here as well, after the first verdict and before a second one: the caller already allows
 * for an answer that takes long, and cuts the wait when the service stops.
 */
import { Clock, Context, Effect, Layer } from "effect"
import { Settings } from "../Config.ts"
import type { Event } from "../domain/Event.ts"
import * as Quality from "../domain/Quality.ts"

export class Examiner extends Context.Service<Examiner, {
  /** The verdict on one kind 0 event whose signature is valid. May be interrupted at any time. */
  readonly examine: (event: Event) => Effect.Effect<Quality.Verdict>
}>()("profile-aggregator/aggregation/Examiner") {
  static readonly layer: Layer.Layer<Examiner, never, Settings> = Layer.effect(
    Examiner,
    Effect.gen(function*() {
      const { limits } = yield* Settings
      const thresholds: Quality.Thresholds = {
        ...Quality.thresholds,
        createdAtFutureMax: limits.createdAtFutureMax,
        contentMax: limits.contentMax
      }
      return Examiner.of({
        examine: (event) =>
          Effect.map(
            Clock.currentTimeMillis,
            (now) => Quality.judge(Quality.factsOf(event, Math.floor(now / 1000), thresholds), thresholds)
          )
      })
    })
  )
}
