/**
 * Component 3: harvests upstreams, and admits what they and the clients bring.
 *
 * Acquired, it holds its senders to the database and the verifier, goes on with what waits to be checked, opens the way in
 * (`Admission`) and dials the upstreams. Released, it takes the same steps back: upstream sockets close first, then what
 * was submitted is answered, then checks end where they are, and the senders are given back.
 */
import { Layer } from "effect"
import * as GuardedFetch from "../fetch/GuardedFetch.ts"
import * as GuardedWebSocket from "../fetch/GuardedWebSocket.ts"
import { announce } from "../lifecycle/Shutdown.ts"
import * as AdmissionIntake from "./admission/AdmissionIntake.ts"
import * as Grace from "./admission/Grace.ts"
import * as Judgement from "./admission/Judgement.ts"
import * as Moderation from "./admission/Moderation.ts"
import * as Quarantine from "./admission/Quarantine.ts"
import * as Retries from "./admission/Retries.ts"
import * as RetryQueue from "./admission/RetryQueue.ts"
import * as Verdicts from "./admission/Verdicts.ts"
import * as WritePolicy from "./admission/WritePolicy.ts"
import * as Dossier from "./Dossier.ts"
import * as Examiner from "./evidence/Examiner.ts"
import * as NameOwners from "./evidence/NameOwners.ts"
import * as Nip05Checks from "./evidence/Nip05Checks.ts"
import * as Nip05Documents from "./evidence/Nip05Documents.ts"
import * as Picture from "./evidence/Picture.ts"
import * as Posts from "./evidence/Posts.ts"
import * as RememberedPictures from "./evidence/RememberedPictures.ts"
import * as Gauges from "./Gauges.ts"
import * as Harvest from "./harvest/Harvest.ts"
import * as Housekeeping from "./Housekeeping.ts"
import * as RelayLimits from "./upstream/RelayLimits.ts"
import * as RelayPool from "./upstream/RelayPool.ts"
import * as UpstreamSocket from "./upstream/UpstreamSocket.ts"

const component = Harvest.layer.pipe(
  Layer.provideMerge(AdmissionIntake.layer),
  Layer.provideMerge(Retries.layer),
  Layer.provideMerge(Housekeeping.layer),
  Layer.provideMerge(Layer.provide(Judgement.layer, WritePolicy.layer)),
  Layer.provideMerge(RetryQueue.layer),
  Layer.provideMerge(Verdicts.layer),
  Layer.provideMerge(Grace.layer),
  Layer.provideMerge(Moderation.layer)
)

const announced = Layer.effectDiscard(announce("aggregation"))

/** Over whatever makes its sockets and examines its profiles. */
export const layerWithout = Layer.provideMerge(component, announced)

/** The examiner over whatever fetches pictures and makes sockets. */
const examiner = Examiner.layerNetwork.pipe(
  Layer.provide(Picture.layer),
  Layer.provide(RememberedPictures.layer),
  Layer.provide(Posts.layer),
  Layer.provide(RelayPool.layer),
  Layer.provide(Moderation.takenDownLayer)
)

/**
 * What contacts hosts: those that the operator named, and those that strangers did. Of these, pictures, documents and relays
 * pass the same guard.
 */
export const network = UpstreamSocket.layer.pipe(
  Layer.provideMerge(Layer.effect(RelayPool.LearntSocket, GuardedWebSocket.make())),
  Layer.provideMerge(RelayLimits.layer),
  Layer.provideMerge(GuardedFetch.layer)
)

/** Whose NIP-05 names are, for the examiner, and looked at again over whatever fetches documents. */
export const names = Nip05Checks.layer.pipe(Layer.provideMerge(NameOwners.layer))

/** Over whatever contacts hosts. */
export const layerUnconnected = Gauges.layer.pipe(
  Layer.provideMerge(Layer.provide(Dossier.layer, [RememberedPictures.layer, Moderation.takenDownLayer])),
  Layer.provideMerge(component),
  Layer.provide(examiner),
  Layer.provide(names),
  Layer.provide(Nip05Documents.layer),
  Layer.provideMerge(announced)
)

export const layer = layerUnconnected.pipe(Layer.provide(network), Layer.provide(Quarantine.layer))
