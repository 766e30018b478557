/**
 * Component 3: harvests upstreams, and admits what they and the clients bring.
 *
 * Acquired, it holds its senders to the database and the verifier, opens the way in (`Admission`) and dials the upstreams.
 * Released, it takes the same steps back: upstream sockets close first, then what was submitted is answered, then the
 * senders are given back.
 */
import { Layer } from "effect"
import { announce } from "../lifecycle/Shutdown.ts"
import * as AdmissionIntake from "./AdmissionIntake.ts"
import { Examiner } from "./Examiner.ts"
import * as Harvest from "./Harvest.ts"
import { Judgement } from "./Judgement.ts"
import * as UpstreamSocket from "./UpstreamSocket.ts"

/** Over whatever makes its sockets and examines its profiles. */
export const layerWithout = Harvest.layer.pipe(
  Layer.provideMerge(AdmissionIntake.layer),
  Layer.provideMerge(Judgement.layer),
  Layer.provideMerge(Layer.effectDiscard(announce("aggregation")))
)

export const layer = layerWithout.pipe(Layer.provide(Examiner.layer), Layer.provide(UpstreamSocket.layer))
