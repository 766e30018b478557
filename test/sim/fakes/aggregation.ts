/** Component 3 as it is, over sockets that are no sockets, and without anybody to ask about profiles. */
import { Effect, Layer } from "effect"
import { Socket } from "effect/socket"
import { layerWithout } from "../../../src/aggregation/Aggregation.ts"
import * as Examiner from "../../../src/aggregation/evidence/Examiner.ts"
import { run } from "../Run.ts"

const sockets = Layer.effect(
  Socket.WebSocketConstructor,
  Effect.succeed((url: string) => {
    const upstream = run().upstreams.find((upstream) => upstream.url === url)
    if (upstream === undefined) throw new Error(`nobody is at ${url}`)
    return upstream.dial()
  })
)

export const layer = layerWithout.pipe(Layer.provide(Examiner.layer), Layer.provide(sockets))
