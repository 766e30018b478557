/**
 * Component 3: harvests upstreams, and admits what they and the clients bring.
 *
 * Acquired, it holds its senders to the database and the verifier, opens the way in (`Admission`) and dials the upstreams.
 * Released, it takes the same steps back: upstream sockets close first, then what was submitted is answered, then the
 * senders are given back.
 */
import { Effect, Layer } from "effect"
import { announce } from "../lifecycle/Shutdown.ts"
import * as AdmissionIntake from "./AdmissionIntake.ts"
import { Examiner } from "./Examiner.ts"
import { HarvestStatus } from "./HarvestStatus.ts"
import { Judgement } from "./Judgement.ts"

/** Everything but the harvest: a way in for clients. */
const layerAdmission = AdmissionIntake.layer.pipe(
  Layer.provideMerge(Judgement.layer),
  Layer.provide(Examiner.layer),
  Layer.provideMerge(Layer.effectDiscard(announce("aggregation")))
)

export const layer = Layer.succeed(HarvestStatus, { upstreams: Effect.succeed([]) }).pipe(
  Layer.provideMerge(layerAdmission)
)
